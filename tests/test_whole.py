"""A whole episode: every word in its place, what is wrong with a transcript found, and the journey by papermill."""
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from voicenb.core import audio as au
from voicenb.core import long, vad
from voicenb.core import table as tb
from voicenb.core.run import Run
from voicenb.data import ingest, podcast, utterances, whole

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "bench")]
from make_episode import episode  # noqa: E402
from podcast import judge, journey  # noqa: E402


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    "Five minutes with a deleted sentence, words that nobody says and a swapped pair of turns, through the whole stage"
    e = episode(5, 3, 3, faults=("deleted", "missing_audio", "inserted", "swapped"))
    home = tmp_path_factory.mktemp("episode")
    got, run = journey(home, e, der=0.1, seed=3)
    return e, got, run, home


def test_words_names_and_faults(spoilt):
    e, got, *_ = spoilt
    f = judge(e, got, 1.0)
    assert f["median_ms"] <= 12 and f["within_50"] >= 0.95, f
    assert f["right_speaker"] >= 0.99 and f["unsaid_kept"] <= 1, f
    assert f["outside"] == 0 and f["cut_words"] == 0 and f["utterances"] >= 10, f
    assert min(f[k] for k in ("deleted", "missing_audio", "inserted", "swapped")) == 1.0, f


def test_three_numbers_a_word_and_nothing_lost(spoilt):
    e, got, *_ = spoilt
    t = got["words"]
    assert len(t) == len(e.words) and list(t["at"]) == list(range(len(t)))
    timed = t[t.start.notna()]
    assert timed.post.between(0, 1).all() and (timed.margin <= 0).all() and (timed.end > timed.start).all()
    assert np.isfinite(timed.z).mean() > 0.95 and all(len(p) for p in timed.phones)
    assert (t.reason[~t.kept] != "").all() and (t.reason[t.start.isna()] == "no_audio").all()


def test_clips_hold_their_words(spoilt):
    _, got, *_ = spoilt
    words = {(w.recording, w.at): w for w in got["words"].itertuples()}
    for c in got["clips"][got["clips"].kept].itertuples():
        assert all(0 <= w["start"] < w["end"] <= c.end - c.start + 1e-6 for w in c.words)
        assert abs(c.start + c.words[0]["start"] - words[c.recording, c.at].start) < 2e-3 and c.text_raw.startswith(words[c.recording, c.at].token)
        ends = [p["end"] for p in c.phones]
        assert abs(ends[-1] - (c.end - c.start)) < 2e-3 and all(abs(a["end"] - b["start"]) < 2e-3 for a, b in zip(c.phones, c.phones[1:]))


def test_the_same_again_is_the_same(tmp_path):
    e, tables = episode(1.5, 4, 2), []
    for k in "ab":
        t, _, run = _times(e, e.text("bar"), tmp_path / k)
        tables.append(next((tmp_path / k / "run" / "stages").glob("whole.times-*/table.parquet")).read_bytes())
    assert tables[0] == tables[1] and t.kept.mean() > 0.8


def _times(e, text, home):
    "Word times of an episode's sound with another text"
    e.write(home)
    (home / "episode.txt").write_text(text, encoding="utf-8")
    run = Run(home / "run", jobs=1, progress=False)
    r = run(ingest.masters, run(ingest.podcast, home / "episode.flac"))
    return run(whole.times, run(podcast.words, r), r), r, run


def test_the_transcript_of_another_episode_is_refused(tmp_path):
    one, other = episode(2, 5), episode(2, 6)
    t, r, run = _times(one, other.text("bar"), tmp_path)
    assert not t.kept.any() and t.detail.str.contains("another recording's transcript, or another language").any()
    clips = run(utterances.cut, t.assign(speaker=t.named), recordings=r)
    assert not clips.kept.any() and len(clips)


def test_half_a_transcript_finds_its_half(tmp_path):
    e = episode(3, 7, music=False)
    lines = e.text("bar").splitlines(keepends=True)
    n = sum(len(line.split("|", 1)[1].split()) for line in lines[:len(lines) // 2])
    t, *_ = _times(e, "".join(lines[:len(lines) // 2]), tmp_path)
    truth = e.words[:n]
    off = (t.start.to_numpy() - truth.start.to_numpy())[t.kept & truth.start.notna().to_numpy()]
    assert t.kept.mean() > 0.88 and np.median(np.abs(off)) < 0.015 and (np.abs(off) > 1).mean() < 0.005


def test_minutes_of_silence_and_a_speaker_a_channel(tmp_path):
    e = episode(3, 8, music=False, advert=False, overlap=False)
    gap = round(300 * e.rate)
    at = round(float(e.words.end[len(e.words) // 2] + 0.1) * e.rate)
    turn = e.words.turn[len(e.words) // 2]
    at = round((float(e.words.end[e.words.turn == turn].max()) + 0.15) * e.rate)
    sound = np.concatenate([e.samples[:at], np.zeros(gap, np.float32), e.samples[at:]])
    who = np.zeros(len(sound), bool)
    for w in e.spoken.itertuples():
        shift = gap / e.rate if w.start > at / e.rate else 0
        if w.who == e.names[0]: who[round((w.start + shift - .1) * e.rate):round((w.end + shift + .1) * e.rate)] = True
    import soundfile as sf
    sf.write(tmp_path / "episode.flac", np.stack([np.where(who, sound, 0), np.where(who, 0, sound)], 1), e.rate)
    (tmp_path / "episode.txt").write_text(e.text("colon"), encoding="utf-8")
    run = Run(tmp_path / "run", jobs=1, progress=False)
    r = run(ingest.masters, run(ingest.podcast, tmp_path / "episode.flac"))
    assert r.kept.all() and r.channels[0] == 2
    t = run(whole.times, run(podcast.words, r), r)
    want = e.words.start.to_numpy() + np.where(e.words.start > at / e.rate, 300.0, 0.0)
    off = np.abs(t.start.to_numpy() - want)[t.kept]
    assert t.kept.mean() > 0.95 and np.median(off) < 0.015 and (off > 1).mean() < 0.005


def test_a_search_that_is_cut_in_blocks_is_the_search():
    rng = np.random.default_rng(0)
    e = np.maximum(-rng.exponential(4, (700, 9)), long.FLOOR).astype(np.float32)
    words = [tuple(rng.choice(list("abcdefgh"), rng.integers(1, 6))) for _ in range(60)]
    text = long.chain(words, ("sil", *"abcdefgh"))
    for i, (a, b) in enumerate(zip(range(20, 640, 10), range(30, 650, 10))):
        if i < len(words): e[a:b, text.pdf[text.first[i]:text.last[i] + 1]] = -rng.uniform(.05, .15, (b - a, 1 + text.last[i] - text.first[i]))
    usual = long.search(e, text, 3.5)
    block, long.BLOCK = long.BLOCK, 100
    try: small = long.search(e, text, 3.5)
    finally: long.BLOCK = block
    assert all((a == b).all() for a, b in zip(usual, small)) and (usual[0] >= 0).mean() > 0.9


def test_language_and_engine_are_refused_in_one_line(tmp_path):
    words = pd.DataFrame(dict(recording="a", turn=0, at=[0], named="A", token="hi", text="hi", kept=True, reason="", detail=""))
    r = pd.DataFrame(dict(recording=["a"], duration=[1.0], kept=[True]))
    with pytest.raises(ValueError, match="espeak-ng has no language 'xx'"): whole.times(words, r, tmp_path, language="xx")
    with pytest.raises(ValueError, match="no alignment engine is called 'magic'"): whole.times(words, r, tmp_path, engine="magic")


def test_a_recording_that_is_not_used_keeps_its_words(tmp_path):
    words = pd.DataFrame(dict(recording="a", turn=0, at=[0, 1], named="A", token=["hi", "you"], text=["hi", "you"], kept=True, reason="", detail=""))
    r = pd.DataFrame(dict(recording=["a"], duration=[1.0], kept=[False]))
    t = whole.times(words, r, tmp_path)
    assert len(t) == 2 and not t.kept.any() and (t.detail == "its recording is not used").all()


def test_nobody_speaks(tmp_path):
    au.save(au.Audio(np.zeros(16_000 * 20, np.float32), 16_000), tmp_path / "a.flac")
    words = pd.DataFrame(dict(recording="a", turn=0, at=[0, 1], named="A", token=["hello", "you"], text=["hello", "you"], kept=True, reason="", detail=""))
    t = whole.times(words, pd.DataFrame(dict(recording=["a"], duration=[20.0], kept=[True])), tmp_path)
    assert not t.kept.any() and (t.reason == "no_audio").all()


def test_a_network_times_an_episode_along_the_same_line(tmp_path):
    make_models = pytest.importorskip("make_models")
    e = episode(1.5, 9, 2, music=False, advert=False)
    e.write(tmp_path)
    run = Run(tmp_path / "run", jobs=1, progress=False)
    r = run(ingest.masters, run(ingest.podcast, tmp_path / "episode.flac"))
    folder = make_models.wav2vec_folder(tmp_path / "model")
    t = run(whole.times, run(podcast.words, r), r, engine="ctc", model=str(folder))
    assert len(t) == len(e.words) and (t.end[t.kept] > t.start[t.kept]).all() and all(len(p) == 0 for p in t.phones)


def test_the_journey_by_papermill(tmp_path):
    from voicenb.use import cli
    verdict, folder = cli.execute(cli.find_notebook("podcast"), dict(out=str(tmp_path)), quiet=True)
    assert verdict == "passed"
    home = tmp_path / "runs" / "podcast"
    words, clips = tb.load(home / "words.parquet"), tb.load(home / "clips.parquet")
    text = (home / "episode" / "episode.txt").read_text(encoding="utf-8")
    unsaid = words[words.token.str.contains("forecast")]
    assert (unsaid.reason == "no_audio").all() and len(unsaid) and "forecast" in text
    kept = clips[clips.kept]
    assert (kept.speaker == "Sam").all() and not kept.text.str.contains("forecast|bakery on every").any() and len(kept) > 20
    ada = json.loads((HERE.parent / "voicenb" / "assets" / "sentences.json").read_text(encoding="utf-8"))["en"][12]  # the line that the transcript gives to Sam
    assert f"Sam: {ada}" in text and ada not in " ".join(kept.text_raw)
    assert {"libritts", "textgrid", "words.ctm", "speakers.rttm"} <= {p.name for p in (home / "timed").iterdir()}
    assert (home / "dataset" / "metadata.csv").exists() and set(kept.split) == {"train", "valid", "test"}


def test_vad_decides_where_words_can_be():
    on = long.spoken(np.r_[np.zeros(100), np.ones(50), np.zeros(100)], 200)
    first, last = np.flatnonzero(on)[[0, -1]] * long.SECONDS
    step = vad.FRAME / vad.RATE
    assert abs(first - (100 - 8) * step) < 0.1 and abs(last - (150 + 8) * step) < 0.1
