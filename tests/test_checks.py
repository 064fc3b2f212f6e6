"Anomalies of an aligned episode: what is planted is found, what is clean stays, in one pass over the sound"
import time

import numpy as np
import pandas as pd
import pytest

from make_episode import episode
from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.core.run import Run
from voicenb.data import checks, sound

RATE = 16_000


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    "An episode with music, an advert twice, a call and a softer part; its words as if the alignment were perfect; its anomalies"
    folder, e = tmp_path_factory.mktemp("talk"), episode(10, 1)
    e.write(folder)
    heard = e.words.start.notna()
    words = e.words.assign(recording="episode", text=e.words.token, speaker=e.words.named, post=.9, kept=heard, reason=np.where(heard, "", "no_audio"), detail="")
    recordings = pd.DataFrame([dict(recording="episode", duration=len(e.samples) / e.rate, kept=True)])
    truth = words.pop("who")
    return folder, e, words, truth, recordings, checks.found(words, recordings, folder)


@pytest.fixture(scope="module")
def ear(talk):
    return sound.listen(talk[0], "episode", float(talk[4].duration[0]))


def under(words, regions):
    "Words that touch a region"
    hit = pd.Series(False, words.index)
    for r in regions.itertuples(): hit |= (words.start < r.end) & (words.end > r.start)
    return hit


def spoilt(talk, change, **limits):
    "Anomalies of the words after a change"
    words = talk[2].copy()
    change(words)
    return words, checks.found(words, talk[4], talk[0], limits=limits or None)


def quiet_turn(talk, least=25):
    "The first long turn where the sound is as usual, and its rows"
    words, e = talk[2], talk[1]
    dirty = under(words, e.regions.assign(start=e.regions.start - 8, end=e.regions.end + 8)).groupby(words.turn).any()
    size = words.kept.groupby(words.turn).sum()
    turn = size.index[(size >= least) & ~dirty][0]
    return turn, words.index[words.turn == turn]


# planted in the sound

def test_music_is_found_and_nothing_else_is(talk):
    _, e, words, _, _, odd = talk
    bed = e.regions[e.regions.kind == "bed"]
    out = checks.mark(words, odd, kinds=("music",))
    inside, near = under(words, bed), under(words, bed.assign(start=bed.start - 4, end=bed.end + 4))
    assert (out.reason[inside] == "music").mean() >= .95 and (out.reason[words.kept & ~near] != "music").all()


def test_a_call_and_a_softer_part_are_found(talk):
    _, e, words, truth, _, odd = talk
    for kind, reason in (("phone", "band_step"), ("level", "level_step")):
        region = e.regions[e.regions.kind == kind]
        inside = under(words, region) & ((truth == region.who.iloc[0]) | (region.who.iloc[0] == ""))
        out = checks.mark(words, odd, kinds=(reason,))
        assert (out.reason[inside] == reason).mean() >= .9 and (out.reason[words.kept & ~under(words, region)] == reason).mean() <= .02


def test_the_advert_is_known_again_and_nobody_wrote_it(talk):
    _, e, words, _, _, odd = talk
    adverts = e.regions[e.regions.kind == "advert"]
    again = odd[odd.kind == "repeated"].reset_index(drop=True)
    assert len(again) == 2 and np.allclose(again[["start", "end"]], adverts[["start", "end"]], atol=1.0)
    speech = odd[odd.kind == "untranscribed"]
    inside = [any(a.start - .5 < s.start and s.end < a.end + .5 for a in adverts.itertuples()) for s in speech.itertuples()]
    assert all(inside) and (speech.end - speech.start).sum() > .8 * (adverts.end - adverts.start).sum()


def test_a_clean_episode_keeps_its_words(talk):
    _, e, words, _, _, odd = talk
    dirty = under(words, e.regions[e.regions.kind.isin(["bed", "phone", "level", "overlap"])])
    assert (~checks.mark(words, odd).kept)[words.kept & ~dirty].mean() <= .02


def test_a_laugh_in_a_pause(talk, tmp_path):
    folder, e, words, _, recordings, _ = talk
    kept = words[words.kept].sort_values("start")
    gap = (kept.start.shift(-1) - kept.end).where((kept.turn == kept.turn.shift(-1)) & ~under(kept, e.regions.assign(start=e.regions.start - 3, end=e.regions.end + 3)))
    begin = kept.end[gap.idxmax()] + .1
    x = e.samples.copy()
    a = round(begin * RATE)
    x[a:a + round(.3 * RATE)] += np.random.default_rng(0).normal(0, .05, round(.3 * RATE)).astype(np.float32)
    au.save(au.Audio(x, RATE), tmp_path / "episode.flac")
    odd = checks.found(words, recordings, tmp_path)
    hit = odd[(odd.kind == "not_lexical") & (odd.start < begin + .3) & (odd.end > begin)]
    assert len(hit) == 1 and "dB under the speech" in hit.detail.iloc[0]


def test_a_recording_that_ends_in_a_word(talk, tmp_path):
    _, e, words, _, recordings, odd = talk
    assert "truncated" not in set(odd.kind)
    w = words[(words.start > 60) & (words.end - words.start > .3)].iloc[0]
    cut = (w.start + w.end) / 2
    au.save(au.Audio(e.samples[:round(cut * RATE)], RATE), tmp_path / "episode.flac")
    part = words[words.end < cut + .2].assign(end=lambda t: t.end.clip(upper=cut))
    odd = checks.found(part, recordings.assign(duration=cut), tmp_path)
    assert (odd.kind == "truncated").any() and odd[odd.kind == "truncated"].end.max() > cut - 1.5


def test_noise_that_hides_music_is_said(talk, tmp_path):
    _, e, words, _, recordings, odd = talk
    assert not (odd.kind == "not_checked").any()
    noise = np.random.default_rng(0).normal(0, .02, len(e.samples)).astype(np.float32)
    au.save(au.Audio(e.samples + noise, RATE), tmp_path / "episode.flac")
    loud = checks.found(words, recordings, tmp_path)
    assert loud.detail[loud.kind == "not_checked"].str.contains("music and bandwidth: the noise").sum() == 1


def test_hum_is_no_music_and_silence_is_nothing(tmp_path):
    t = np.arange(60 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * f * t) for f in (150, 250, 350, 450)) * .02 * (np.random.default_rng(0).random(len(t)) * .01 + 1)
    au.save(au.Audio(hum.astype(np.float32), RATE), tmp_path / "hum.flac")
    au.save(au.Audio(np.zeros(60 * RATE, np.float32), RATE), tmp_path / "still.flac")
    assert not len(sound.music(sound.listen(tmp_path, "hum", 60.0)))
    still = sound.listen(tmp_path, "still", 60.0)
    assert not len(sound.music(still)) and not len(sound.repeats(still)) and len(still.level) >= 60 / sound.STEP


# planted in the words

def test_a_frozen_word(talk):
    k = quiet_turn(talk)[1][5]
    def freeze(w): w.loc[k, "end"] = w.start[k] + 2.4
    words, odd = spoilt(talk, freeze)
    hit = odd[odd.kind == "frozen"]
    assert len(hit) == 1 and hit.value.iloc[0] == pytest.approx(2.4) and checks.mark(words, odd).reason[k] == "frozen"


def test_words_pressed_into_a_moment(talk):
    turn, i = quiet_turn(talk)
    def press(w):
        w.loc[i, "start"] = w.start[i[0]] + np.arange(len(i)) * .05
        w.loc[i, "end"] = w.start[i] + .05
    words, odd = spoilt(talk, press)
    out = checks.mark(words, odd)
    assert {"fast_turn", "turn_rate", "no_audio", "word_rate"} <= set(odd.kind[odd.turn == turn]) and (~out.kept)[i].all() and set(out.reason[i]) <= {"no_audio", "rate_outlier"}


def test_words_where_nobody_speaks(talk):
    e = talk[1]
    def still(w):
        i = w.index[w.kept][:6]
        w.loc[i, "start"] = .4 + np.arange(6) * .3 + e.regions.end[e.regions.kind == "jingle"].max()
        w.loc[i, "end"] = w.start[i] + .25
    gap = e.words.start.min() - e.regions.end[e.regions.kind == "jingle"].max()
    words, odd = spoilt(talk, still)
    first = odd[(odd.kind == "no_audio")]
    assert gap > .5 and len(first) and first.start.min() < e.words.start.min()


def test_scores_that_sag(talk):
    i = quiet_turn(talk)[1][2:-2]
    def sink(w): w.loc[i, "post"] = .3
    words, odd = spoilt(talk, sink)
    out = checks.mark(words, odd)
    assert (odd.kind == "sag").sum() == 1 and (out.reason[i] == "sag").mean() > .9 and (out.reason == "sag").sum() < len(i) + 6
    def dip(w): w.loc[i[5], "post"] = .3
    assert not (spoilt(talk, dip)[1].kind == "sag").any()
    _, blind = spoilt(talk, lambda w: w.pop("post"))
    assert blind.detail[blind.kind == "not_checked"].tolist() == ["sag: the words have no scores"]


def test_the_order_of_speakers(talk):
    folder, e, words, truth, recordings, _ = talk
    turns = e.turns()
    clusters = words.assign(cluster=truth)
    quiet = checks.found(clusters, recordings, folder, turns)
    swapped = clusters.assign(named=clusters.named.where(~words.turn.isin([20, 21, 22, 23]), clusters.named.map({"Anna": "Ben", "Ben": "Clara", "Clara": "Anna"})))
    loud = checks.found(swapped, recordings, folder, turns)
    begin, end = words[words.turn.isin([20, 21, 22, 23])].start.min(), words[words.turn.isin([20, 21, 22, 23])].end.max()
    count = lambda t: t[(t.kind == "order") & (t.start < end) & (t.end > begin)].value.sum()
    assert count(loud) >= count(quiet) + 3 and "the transcript has" in loud[loud.kind == "order"].detail.iloc[0]


def test_edit_alignment_against_a_plain_one():
    rng = np.random.default_rng(0)
    def plain(a, b):
        d = np.zeros((len(a) + 1, len(b) + 1), int)
        d[:, 0], d[0] = range(len(a) + 1), range(len(b) + 1)
        for i in range(len(a)):
            for j in range(len(b)): d[i + 1, j + 1] = min(d[i, j] + (a[i] != b[j]), d[i, j + 1] + 1, d[i + 1, j] + 1)
        return d[-1, -1]
    for _ in range(50):
        a, b = (list(rng.choice(list("ABC"), rng.integers(0, 12))) for _ in range(2))
        pairs = checks.edits(a, b)
        assert sum(i is None or j is None or a[i] != b[j] for i, j in pairs) == plain(a, b)
        assert [i for i, _ in pairs if i is not None] == list(range(len(a))) and [j for _, j in pairs if j is not None] == list(range(len(b)))


# cuts, limits, tables

def test_cuts_in_speech(talk):
    folder, e, words, _, _, _ = talk
    ends = words[words.kept].groupby("turn").agg(start=("start", "min"), end=("end", "max"))
    clean = ~under(ends, e.regions.assign(start=e.regions.start - 2, end=e.regions.end + 2)) & (ends.end - ends.start > 3)
    good = pd.DataFrame([dict(recording="episode", start=a - .06, end=b + .1, kept=True) for a, b in zip(ends.start[clean], ends.end[clean])])
    long = words[words.kept & (words.end - words.start > .3) & words.turn.isin(ends.index[clean])].drop_duplicates("turn")
    bad = pd.DataFrame([dict(recording="episode", start=(w.start + w.end) / 2, end=ends.end[w.turn] + .1, kept=True) for w in long.itertuples() if ends.end[w.turn] - w.end > 1])
    assert len(good) > 10 and len(bad) > 10
    assert checks.truncated(good, folder).kept.mean() >= .95 and (~checks.truncated(bad, folder).kept).mean() >= .8  # some cuts fall into the silence before a p, t or k


def test_limits_and_kinds_that_nobody_knows(talk):
    folder, _, words, _, recordings, odd = talk
    with pytest.raises(ValueError, match="no limit is called 'wmp'; there are wpm"): checks.found(words, recordings, folder, limits=dict(wmp=3))
    with pytest.raises(ValueError, match="the kind 'order' takes no words out"): checks.mark(words, odd, kinds=("order",))
    assert not len(checks.found(words.assign(start=np.nan, end=np.nan), recordings, folder))


def test_every_kind_has_a_meaning_and_its_reason_is_known(talk):
    assert {r for r, _ in checks.KINDS.values() if r} <= set(tb.REASONS)
    table = checks.summary(talk[5])
    assert set(table.kind) == set(talk[5].kind) and table.seconds.min() >= 0
    tb.check(talk[5])


def test_as_a_stage_and_in_one(talk, tmp_path):
    folder, _, words, _, recordings, odd = talk
    run = Run(tmp_path / "run")
    table = run(checks.found, words, recordings, audio=folder)
    assert tb.fingerprint(table) == tb.fingerprint(odd)
    assert tb.fingerprint(run(checks.mark, words, table)) == tb.fingerprint(checks.look(words, recordings, folder))


def test_figures_draw(talk, ear):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    words, odd = talk[2], talk[5]
    assert len(checks.fig_found(odd).patches) == len(odd)
    for ax in (checks.fig_rates(words), checks.fig_turns(words), checks.fig_scores(words), sound.fig_music(ear)): assert ax.has_data()
    assert all(a.has_data() for a in checks.fig_steps(words, ear))
    plt.close("all")


def test_one_pass_is_fast(talk):
    folder, _, words, _, recordings, _ = talk
    began = time.process_time()
    checks.found(words, recordings, folder)
    assert float(recordings.duration[0]) / (time.process_time() - began) > 40
