"The made-up episodes that other tests stand on: their truth must be true"
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

import make_episode as me
from make_episode import FAULTS, EpisodeError, episode
from voicenb.core.speaker import embed
from voicenb.core.text import normalise
from voicenb.core.vad import speech_probability
from voicenb.data import turns as tn


@pytest.fixture(scope="module")
def ep(): return episode(8, seed=3, faults=FAULTS)


@pytest.fixture(scope="module")
def clean(): return episode(8, seed=3)


def db(x): return 10 * np.log10(np.mean(np.square(x, dtype=float)) + 1e-12)


def cut(e, a, b): return e.samples[round(a * e.rate):round(b * e.rate)]


def sentences(e):
    "start, end, who of each sentence that is said by a speaker of the transcript, alone, without music"
    c = e.cues[e.words.start[e.cues.at_first].notna().to_numpy()]
    busy = e.regions[e.regions.kind.isin(["overlap", "bed"])]
    return [r for r in c.itertuples() if not ((busy.start < r.end + .3) & (busy.end > r.start - .3)).any()]


def test_the_parts_are_there_and_it_is_as_long_as_asked(clean):
    assert 8 * 60 <= len(clean.samples) / clean.rate < 9 * 60 and clean.samples.dtype == np.float32 and np.abs(clean.samples).max() < 1
    assert set(clean.regions.kind) == {"jingle", "bed", "advert", "overlap", "phone", "level"} and (clean.regions.kind == "advert").sum() == 2
    assert (clean.regions.end > clean.regions.start).all() and not len(clean.faults)
    said = clean.spoken[clean.spoken["at"] >= 0].groupby("who").apply(lambda g: (g.end - g.start).sum(), include_groups=False)
    assert said.idxmax() == clean.names[0] and len(said) == 3
    turns = [n for n, _ in clean.transcript]
    assert len(turns) > 30 and all(a != b for a, b in zip(turns, turns[1:]))
    assert set(episode(2, 5, music=False, advert=False, overlap=False, phone=False, step=False).regions.kind) == set()


def test_the_words_are_those_of_the_transcript(ep):
    text = " ".join(t for _, t in ep.transcript)
    assert list(ep.words.token) == text.split() and list(ep.words["at"]) == list(range(len(ep.words)))
    for k, (name, t) in enumerate(ep.transcript):
        g = ep.words[ep.words.turn == k]
        assert " ".join(g.token) == t and set(g.named) == {name}
    assert " ".join(ep.cues.text) == text and all(" ".join(ep.words.token[c.at_first:c.at_last + 1]) == c.text for c in ep.cues.itertuples())
    numbers = ep.words.token[ep.words.token.str.contains(r"\d")]
    assert len(numbers) > 5 and normalise("25", "en") == "twenty five"
    assert (ep.words.who == "").equals(ep.words.start.isna()) and ep.words.start.isna().equals(ep.words.end.isna())
    said = ep.words.dropna()
    assert (said.end > said.start).all() and (said.groupby(["who", "turn"]).start.diff().dropna() > 0).all()
    shown = ep.spoken[ep.spoken["at"] >= 0].set_index("at").sort_index()
    assert list(shown.index) == list(said["at"]) and np.allclose(shown.start, said.start) and (shown.word == said.token).all()


def test_numbers_are_said_as_the_normaliser_says_them():
    pairs = [p for raw in me.SLOTS["number"] for p in me._tokens(raw + ".")]
    assert len(pairs) == 12 and all(normalise(a, "en").lower().strip(".") == b.strip(".") for a, b in pairs)


def test_there_is_sound_where_words_are_and_none_where_nobody_speaks(clean):
    "Words begin and end where the energy does: 97 of 100 edges of sentences within 15 ms; pauses are as quiet as the room"
    off = []
    for r in sentences(clean):
        x = clean.samples[round((r.start - .08) * clean.rate):round((r.end + .08) * clean.rate)]
        n = len(x) // 80
        loud = np.flatnonzero(10 * np.log10((x[:n * 80].reshape(-1, 80) ** 2).mean(1) + 1e-12) > -56)
        off += [loud[0] * .005 - .08, (loud[-1] + 1) * .005 - .08 - (r.end - r.start)]
    off = np.abs(off)
    assert len(off) > 100 and np.quantile(off, .97) < .015 and off.max() < .08, np.quantile(off, [.5, .9, 1])
    words = clean.words
    assert min(db(cut(clean, a, b)) for a, b in zip(words.start, words.end)) > -60
    busy = pd.concat([clean.spoken[["start", "end"]], clean.regions[clean.regions.kind.isin(["jingle", "bed"])][["start", "end"]]]).sort_values("start")
    gaps = [(a, b) for a, b in zip(busy.end.cummax(), busy.start.shift(-1)) if b - a > .3]
    assert len(gaps) > 60 and max(db(cut(clean, a + .11, b - .1)) for a, b in gaps) < -60


def test_a_detector_of_speech_agrees(clean):
    p = speech_probability([clean.samples[:len(clean.samples) // 512 * 512]]) > .5
    on = np.zeros(len(p), bool)
    for s in clean.turns().itertuples(): on[round(s.start / .032):round(s.end / .032)] = True
    jingle = clean.regions[clean.regions.kind == "jingle"].iloc[0]
    assert p[on].mean() > .9 and p[:round((jingle.end - .5) / .032)].mean() < .2


def test_the_same_seed_makes_the_same_bytes_and_faults_leave_the_sound_alone(ep, clean):
    again = episode(8, seed=3, faults=FAULTS)
    assert again.samples.tobytes() == ep.samples.tobytes() == clean.samples.tobytes()
    for a, b in ((again.words, ep.words), (again.faults, ep.faults), (again.regions, ep.regions), (again.cues, ep.cues)): pd.testing.assert_frame_equal(a, b)
    for layout in ("bar", "colon", "vtt", "srt"): assert again.text(layout) == ep.text(layout)
    other = episode(2, seed=4)
    assert other.transcript != episode(2, seed=5).transcript and not np.array_equal(other.samples[:32000], clean.samples[:32000])


def test_voices_are_different_people(clean):
    clips = {n: [] for n in (*clean.names, "advert")}
    quiet = clean.regions[clean.regions.kind.isin(["phone", "level"])]
    for r in clean.turns().itertuples():
        if r.overlap == 0 and r.end - r.start > 2.5 and not ((quiet.start < r.end) & (quiet.end > r.start)).any() and len(clips[r.speaker]) < 10: clips[r.speaker].append((cut(clean, r.start, r.end), clean.rate))
    e = {n: embed(c) for n, c in clips.items()}
    for a in e:
        for b in e: assert np.mean(e[a] @ e[b].T) > .85 if a == b else np.mean(e[a] @ e[b].T) < .65, (a, b)


def test_every_fault_is_there_several_times_and_apart(ep):
    assert dict(ep.faults.kind.value_counts()) == dict(deleted=2, missing_audio=2, inserted=2, swapped=2, turn_shift=1, cue_shift=1)
    more = episode(12, seed=9, faults=FAULTS).faults.kind.value_counts()
    assert (more[["deleted", "missing_audio", "inserted", "swapped"]] == 3).all() and (more[["turn_shift", "cue_shift"]] == 2).all()
    runs = ep.faults[ep.faults.kind != "cue_shift"].sort_values("turn_first")
    assert (runs.turn_first.to_numpy()[1:] > runs.turn_last.to_numpy()[:-1]).all()
    for kind, g in ep.faults.groupby("kind"): assert len(g) < 2 or (np.diff(g.start) > 40).all(), kind


def test_faults_are_what_they_say(ep, clean):
    truth = {f: g for f, g in ep.faults.groupby("kind")}
    for f in truth["deleted"].itertuples():
        gone = ep.spoken[(ep.spoken.start >= f.start - 1e-6) & (ep.spoken.end <= f.end + 1e-6) & (ep.spoken["at"] < 0)]
        assert f.at_last == f.at_first - 1 and len(gone) >= 2 and " ".join(gone.word) not in ep.text() and " ".join(gone.word) in clean.text()
        assert ep.words.end[f.at_last] <= f.start and ep.words.start[f.at_first] >= f.end and db(cut(ep, f.start, f.end)) > -40
    for f in truth["missing_audio"].itertuples():
        g = ep.words[f.at_first:f.at_last + 1]
        assert g.start.isna().all() and len(g) >= 2 and " ".join(g.token) in ep.text() and " ".join(g.token) not in clean.text()
    for f in truth["inserted"].itertuples():
        g = ep.words[f.at_first:f.at_last + 1]
        assert len(g) == 3 and g.start.isna().all() and ep.words.start[[f.at_first - 1, f.at_last + 1]].notna().all()
    assert ep.words.start.isna().sum() == sum(f.at_last + 1 - f.at_first for k in ("missing_audio", "inserted") for f in truth[k].itertuples())
    wrong = set()
    for k in ("swapped", "turn_shift"):
        for f in truth[k].itertuples():
            turns = range(f.turn_first, f.turn_last + 1)
            who = lambda i: clean.transcript[i][0]
            assert len(turns) == 2 if k == "swapped" else len(turns) >= 6
            assert [ep.transcript[i][0] for i in turns] == ([who(turns[1]), who(turns[0])] if k == "swapped" else [who(i - 1) for i in turns])
            assert f.at_first == ep.words["at"][ep.words.turn == turns[0]].min() and f.at_last == ep.words["at"][ep.words.turn == turns[-1]].max()
            wrong |= set(turns)
    named = ep.words[(ep.words.who != "") & (ep.words.who != ep.words.named)]
    assert set(named.turn) == wrong


def test_cues_stand_where_the_words_are_but_for_the_late_ones(ep, clean):
    late = ep.faults[ep.faults.kind == "cue_shift"].iloc[0]
    assert late.end - late.start >= 60
    heard = ep.cues[ep.words.start[ep.cues.at_first].notna().to_numpy()]
    shift = heard.start.to_numpy() - ep.words.start[heard.at_first].to_numpy()
    inside = heard.turn.between(late.turn_first, late.turn_last).to_numpy()
    assert np.allclose(shift[inside], me.LATE) and np.allclose(shift[~inside], 0) and inside.sum() > 5
    assert (clean.cues.end > clean.cues.start).all()


def test_layouts_are_written_and_say_the_same(ep, tmp_path):
    for layout, suffix in (("bar", "txt"), ("colon", "txt"), ("vtt", "vtt"), ("srt", "srt")):
        audio, path = ep.write(tmp_path / layout, layout, suffix="wav" if layout == "srt" else "flac")
        text = path.read_text(encoding="utf-8")
        assert path.suffix == f".{suffix}" and path.stem == audio.stem
        found = [tuple(re.split(r"[|:] ", line, maxsplit=1)) for line in text.splitlines()] if layout in ("bar", "colon") else re.findall(r"^<v (\w+)>(.*)$" if layout == "vtt" else r"^([A-Z]\w+): (.*)$", text, re.M)
        assert found == (ep.transcript if layout in ("bar", "colon") else list(zip(ep.cues.named, ep.cues.text)))
        if layout in ("vtt", "srt"):
            times = [[float(h) * 3600 + float(m) * 60 + float(s.replace(",", ".")) for h, m, s in re.findall(r"(\d\d):(\d\d):([\d.,]+)", line)] for line in text.splitlines() if "-->" in line]
            assert np.allclose(times, ep.cues[["start", "end"]], atol=.001)
        x, rate = sf.read(audio, dtype="float32")
        assert rate == ep.rate and np.abs(x - ep.samples).max() < 1e-4
    with pytest.raises(EpisodeError, match="take bar, colon, vtt or srt"): ep.write(tmp_path, "xml")


def test_the_true_turns_cover_the_words_and_their_overlaps(clean, tmp_path):
    t = clean.turns()
    assert list(t.columns) == tn.COLUMNS and set(t.speaker) == {*clean.names, "advert"} and tn.errors(t, t)["der"] == 0
    for w in clean.words.iloc[::7].itertuples():
        mine = t[t.speaker == w.who]
        assert abs((np.minimum(mine.end, w.end) - np.maximum(mine.start, w.start)).clip(lower=0).sum() - (w.end - w.start)) < 1e-6, w
    over = clean.regions[clean.regions.kind == "overlap"]
    both = t[t.overlap == 1]
    assert len(both) and all(((over.start < b.end) & (over.end > b.start)).any() for b in both.itertuples()) and abs((both.end - both.start).sum() - (over.end - over.start).sum()) < 1.5
    assert clean.inside("overlap").sum() > 5 and clean.inside("bed").mean() < .2
    back = tn.read_rttm(clean.rttm(tmp_path / "x.rttm"))
    assert tn.errors(t, back)["der"] < .001


@pytest.mark.parametrize("der", [.05, .1, .2, .35])
def test_a_diarization_is_as_wrong_as_asked(clean, der):
    t = clean.turns(der, seed=1)
    e = tn.errors(clean.turns(), t)
    assert abs(e["der"] - der) < .1 * der + .003, e
    assert min(e["missed"], e["invented"], e["confused"]) > 0 and t.speaker.str.match(r"S\d+$").all() and t.speaker.nunique() >= 4
    one = t[t.overlap != 1].sort_values("start")
    assert (one.end > one.start).all() and (one.start.to_numpy()[1:] >= one.end.to_numpy()[:-1] - 1e-6).all()


def test_a_wrong_diarization_is_the_same_for_the_same_seed(clean):
    pd.testing.assert_frame_equal(clean.turns(.1, 2), clean.turns(.1, 2))
    assert not clean.turns(.1, 2).equals(clean.turns(.1, 3))
    assert any(clean.turns(.15, s).speaker.nunique() > clean.turns().speaker.nunique() for s in range(3)), "a cluster is split"


def test_noise_is_as_loud_as_asked(clean):
    levels = {}
    for snr in (20, 10, 0):
        e = episode(2, 1, noise_db=snr, music=False)
        quiet = episode(2, 1, music=False)
        assert len(e.samples) == len(quiet.samples) and (e.regions.kind == "noise").sum() == 1
        scale = np.dot(e.samples, quiet.samples) / np.dot(quiet.samples, quiet.samples)
        speech = np.concatenate([cut(quiet, a, b) for a, b in zip(quiet.spoken.start, quiet.spoken.end)]) * scale
        levels[snr] = db(speech) - db(e.samples - scale * quiet.samples)
        assert np.abs(e.samples).max() < 1
    assert all(abs(v - k) < 1 for k, v in levels.items()), levels


def test_the_phone_stretch_is_narrow_and_the_step_is_a_step(clean):
    phone, step = (clean.regions[clean.regions.kind == k].iloc[0] for k in ("phone", "level"))
    def share(x): s = np.abs(np.fft.rfft(x)) ** 2; f = np.fft.rfftfreq(len(x), 1 / clean.rate); return s[(f > 4000) | (f < 200)].sum() / s.sum()
    alone = sentences(clean)
    inside, outside = ([share(cut(clean, r.start, r.end)) for r in alone if r.named == phone.who and (phone.start <= r.start and r.end <= phone.end) == flag] for flag in (True, False))
    assert inside and max(inside) < .005 < np.median(outside)
    for n in clean.names:
        low, usual = ([db(cut(clean, r.start, r.end)) for r in alone if r.named == n and (step.start <= r.start and r.end <= step.end) == flag] for flag in (True, False))
        if low: assert abs(np.median(usual) - np.median(low) + me.STEP) < 1.5
    a, b = (clean.regions[clean.regions.kind == "advert"].iloc[i] for i in (0, 1))
    x, y = cut(clean, a.start, a.end), cut(clean, b.start, b.end)
    n = min(len(x), len(y))
    assert np.corrcoef(x[:n], y[:n])[0, 1] > .99


def test_sentences_are_many_and_none_comes_twice(clean):
    long = episode(20, seed=1)
    said = list(long.cues.text)
    assert len(said) > 250 and len(said) == len(set(said)) and len(said) == len({s.lower() for s in said})
    assert not [t for t in [*me.TALK, *me.PATTERNS, *me.QUESTIONS, *me.SHORT] if t != t.strip() or t[-1] not in ".?" or not t[0].isupper() and t[0] != "<"]
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9',.? -]+[.?]", s) for s in said)


def test_bad_wishes_are_refused_in_one_line():
    for wish, words in ((dict(engine="say"), "espeak or flite"), (dict(faults=("lost",)), "no fault is called 'lost'"), (dict(speakers=9), "1 to 5"), (dict(speakers=1, faults=("swapped",)), "speakers=2"), (dict(minutes=1, faults=FAULTS), "make the episode longer")):
        with pytest.raises(EpisodeError, match=words) as e: episode(**(dict(minutes=1) | wish))
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("speakers", [1, 2, 5])
def test_the_first_of_any_number_of_speakers_speaks_most(speakers):
    e = episode(6 if speakers > 2 else 2, 1, speakers=speakers)
    said = (e.words.end - e.words.start).groupby(e.words.who).sum()
    assert set(said.index) == set(e.names) == {n for n, _ in e.transcript} == set(me.NAMES[:speakers]) and said.idxmax() == e.names[0] == "Anna"
    phone = e.regions[e.regions.kind == "phone"].iloc[0]
    assert phone.who != "Anna" or speakers == 1


def test_flite_knows_its_times():
    if not shutil.which("flite"): pytest.skip("flite is not installed")
    e = episode(1.5, seed=2, engine="flite", faults=("inserted",))
    assert e.words.start.notna().sum() == len(e.words) - 6 and len(e.words) > 100
    loud = [db(cut(e, r.start, r.end)) for r in e.words.dropna().itertuples()]
    assert np.mean(np.array(loud) > -50) > .97
    ends = [db(cut(e, r.end + .1, r.end + .2)) for r in sentences(e)]
    assert np.median(ends) < -55


def test_without_flite_there_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EpisodeError, match="flite is not installed: take engine='espeak'"): me._flite("hello", "slt", "/dev/null")
