"Utterances: thousands of random transcripts, and what must hold of every cut"
import random
import re

import numpy as np
import pandas as pd
import pytest

from make_episode import episode
from voicenb.core import table as tb
from voicenb.core.audio import Audio, save
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.data import utterances as ut

REASONS = ["low_align", "overlap", "speaker_review", "shifted", "frozen"]


def transcript(seed, recording="r", minutes=1.0):
    "A random transcript with times: several speakers, bad words, words without times, dashes, directions, pauses of every length"
    rng = random.Random(seed)
    rows, t, turn, bad, nan, name = [], rng.random(), 0, rng.choice([0, .02, .1, .4]), float("nan"), "Ann"
    tight = rng.choice([.2, .6, .9])  # how often a word follows without a gap
    while t < 60 * minutes:
        for _ in range(rng.randint(1, rng.choice([3, 30, 80]))):
            k, end, dice = len(rows), t + rng.choice([.03, .1, .25, .4, .9]), rng.random()
            half = [dict(phone=p, start=x, end=y, score=.5) for p, x, y in (("x", t, (t + end) / 2), ("y", (t + end) / 2, end))]
            word = dict(recording=recording, turn=turn, at=k, named=name, speaker=name, token=f"w{k}" + rng.choice(["", "", "", ",", ".", '."']), text=f"w{k}", start=t, end=end,
                        post=nan if rng.random() < .05 else rng.random(), overlap=rng.choices([0.0, nan, .2], [80, 18, 2])[0], kept=True, reason="", detail="", phones=half)
            if dice < bad: word |= dict(kept=False, reason=rng.choice(REASONS), detail="why")
            elif dice < bad * 1.3: word |= dict(kept=False, reason="no_audio", start=nan, end=nan, phones=[])
            elif dice > .99: word |= dict(kept=False, reason="not_spoken", token="[door]", text="", start=nan, end=nan, phones=[])
            elif dice > .98: word |= dict(token="–", text="", start=nan, end=nan, phones=[])
            rows.append(word)
            if word["start"] == word["start"]: t = end
            t += 0 if rng.random() < tight else rng.choices([-.015, .01, .05, .079, .08, .081, .12, .3, .6, 1.5], [2, 8, 10, 10, 10, 10, 20, 20, 7, 3])[0]
        turn, name = turn + 1, rng.choice(["Ann", "Ann", "Bob", "Cid", ""])
        if rng.random() < .3: t += rng.choice([.1, 2.0])
    recordings = pd.DataFrame([dict(recording=recording, file=f"{recording}.mp3", sender="", sent_at=pd.Timestamp("2024-05-01"), group="Talks", duration=t + rng.choice([0, .5]), kept=True, reason="", detail="")])
    return pd.DataFrame(rows), recordings


def held(text):
    return [int(x) for x in re.findall(r"w(\d+)", text)]


def lawful(words, clips, seconds, speaker="", shortest=1.6, longest=11.25, max_pause=1.0, least_gap=.08, widest=.102):
    "What must hold of the utterances of a recording, checked word by word"
    spoken = [w for w in words.itertuples() if w.text != "" and w.reason != "not_spoken"]
    timed = [w for w in spoken if w.start == w.start]
    start, end = np.array([w.start for w in timed]), np.array([w.end for w in timed])
    kept = clips[clips.kept].sort_values("start")
    assert (kept.start.to_numpy()[1:] >= kept.end.to_numpy()[:-1]).all() and kept["clip"].is_unique
    for c in kept.itertuples():
        assert shortest <= round(c.end - c.start, 3) <= longest and 0 <= c.start and c.end <= seconds
        assert abs(c.start * 1000 - round(c.start * 1000)) < 1e-6 and abs(c.end * 1000 - round(c.end * 1000)) < 1e-6
        index = np.flatnonzero((end > c.start + 1e-9) & (start < c.end - 1e-9))
        assert (start[index] >= c.start).all() and (end[index] <= c.end).all(), "a word is cut"
        inside = [timed[i] for i in index]
        first, last = inside[0], inside[-1]
        assert held(c.text_raw) == [w.at for w in inside] and {w.speaker for w in inside} == {c.speaker} and (not speaker or c.speaker == speaker)
        assert all(w.kept and w.start == w.start for w in spoken if first.at <= w.at <= last.at), "a word that is not certain is inside"
        assert (start[index][1:] - end[index][:-1] <= max_pause + .002).all()
        assert all(.018 <= pad <= widest for pad in (first.start - c.start, c.end - last.end))
        before, after = [w.end for w in timed if w.at < first.at], [w.start for w in timed if w.at > last.at]
        assert not before or first.start - max(before) >= least_gap - .0021 and c.start >= (first.start + max(before)) / 2 - .0011
        assert not after or min(after) - last.end >= least_gap - .0021 and c.end <= (last.end + min(after)) / 2 + .0011
        assert [w["word"] for w in c.words] == [w.text for w in inside] and all(abs(w["start"] + c.start - x.start) < .0161 for w, x in zip(c.words, inside))
        ps = c.phones
        if ps: assert ps[0]["start"] == 0 and abs(ps[-1]["end"] - (c.end - c.start)) < 1e-6 and all(x["end"] == y["start"] and x["end"] > x["start"] for x, y in zip(ps, ps[1:]))
        overlapping = (start[index][1:] < end[index][:-1]).any()  # then a phone may have no time left
        assert overlapping or [p["phone"] for p in ps if p["phone"] != "sil"] == [p["phone"] for w in inside for p in w.phones]
        assert c.text == " ".join(w.text for w in inside) and "[door]" not in c.text_raw and c.text_source == "gold" and (c.turn, c.at) == (first.turn, first.at)
    mine = [w.at for w in spoken if w.speaker and speaker in ("", w.speaker)]
    assert sorted(k for t in clips.text_raw for k in held(t)) == mine, "each word of the speaker is in exactly one row"
    assert (clips.reason[~clips.kept] != "").all() and (clips.text_raw != "").all()


@pytest.mark.parametrize("block", range(10))
def test_every_random_transcript_is_cut_lawfully(block):
    rng = random.Random(block)
    made = [transcript(block * 250 + k, f"r{k}", rng.choice([.02, .1, .1, .3])) for k in range(250)]
    words, recordings = (pd.concat([m[k] for m in made], ignore_index=True) for k in (0, 1))
    speaker, how = ["", "Ann"][block % 2], dict(zip(("shortest", "longest", "target"), [(1.6, 11.25, 6.0), (3.0, 15.0, 9.0), (.6, 15.0, 9.0)][block % 3]))
    clips = ut.cut(words, recordings, speaker=speaker, **how)
    parts = {k: v for k, v in clips.groupby("recording")}
    for w, r in made: lawful(w, parts.get(r.recording[0], clips[:0]), r.duration[0], speaker, how["shortest"], how["longest"])
    assert clips.kept.sum() > 50


def brute(a, b, first, last, lost, shortest, longest, price):
    "The least cost over every set of pieces, by trying them all"
    n = len(a)
    def rest(i):
        if i == n: return 0.0
        costs = [lost[i] + rest(i + 1)]
        for j in range(i, n):
            if np.isfinite(first[i]) and np.isfinite(last[j]) and shortest <= b[j] - a[i] <= longest: costs.append(first[i] + last[j] + price[i, (b[j] - a[i] - shortest) // ut.BIN] + rest(j + 1))
        return min(costs)
    return rest(0)


def test_the_pieces_are_the_cheapest():
    for seed in range(600):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 10))
        gap, size = rng.integers(0, 400, n), rng.integers(50, 1500, n)
        start = np.cumsum(np.r_[0, (gap + size)[:-1]]) + gap
        end = start + size
        first, last = (np.where(rng.random(n) < .6, rng.random(n) * 2, np.inf) for _ in range(2))
        lost, price = rng.random(n) * rng.choice([.5, 4]), rng.normal(0, .5, (n, 7))
        pieces, cost = ut.choose(start, end, first, last, lost, 800, 4000, price)
        assert cost == pytest.approx(brute(start, end, first, last, lost, 800, 4000, price))
        out = np.ones(n, bool)
        again = 0.0
        for i, j in pieces:
            assert out[i:j].all() and 800 <= end[j - 1] - start[i] <= 4000
            out[i:j], again = False, again + first[i] + last[j - 1] + price[i, (end[j - 1] - start[i] - 800) // ut.BIN]
        assert again + lost[out].sum() == pytest.approx(cost)


def steady(n=3000, seed=0, gap=.12):
    "One speaker, words of a quarter second and a pause after every third on average"
    rng = np.random.default_rng(seed)
    long = np.where(rng.random(n) < .33, gap + rng.random(n) * .3, 0.0)
    start = .5 + np.cumsum(np.r_[0, (long + .25)[:-1]])
    words = pd.DataFrame(dict(recording="r", turn=0, at=range(n), named="Ann", speaker="Ann", token=[f"w{k}" for k in range(n)], text=[f"w{k}" for k in range(n)], start=start, end=start + .25,
                              post=.9, overlap=0.0, kept=True, reason="", detail=""))
    return words, pd.DataFrame([dict(recording="r", file="r.mp3", sender="", sent_at=pd.NaT, duration=start[-1] + 1, kept=True, reason="", detail="")])


def test_lengths_come_near_to_what_is_wanted_and_little_is_lost():
    words, recordings = steady()
    words["post"] = np.random.default_rng(1).random(len(words))
    for target in (4.0, 7.0):
        clips = ut.cut(words, recordings, target=target)
        length = (clips.end - clips.start)[clips.kept]
        want = ut.wanted(1600, 11_250, target)
        got = np.bincount(((length * 1000).round().astype(int) - 1600) // 500, minlength=len(want))[:len(want)] / len(length)
        assert np.abs(got - want).sum() / 2 < .15
        assert length.sum() > .9 * (words.end.max() - words.start.min()) and (length > target * 1.4).sum() > .05 * len(length)


def test_a_sentence_end_is_preferred_and_the_beginning_counts_twice():
    words, recordings = steady(60, gap=.2)
    words["start"] = .5 + words["at"] * .5
    words["end"] = words.start + .3
    clips = ut.cut(words.assign(token=[f"w{k}" + "." * (k % 10 == 9) for k in range(60)]), recordings.assign(duration=32.0), target=5.0)
    assert (clips.text_raw[clips.kept].str.endswith(".")).all()
    w = ut.ordered(words.assign(post=np.where(words["at"] == 30, .1, 1.0)))
    costs = [ut._edge(w, k, None, side, 75, 80, 32.0, 15.0)[1] for k, side in ((30, -1), (29, 1), (31, -1), (20, -1))]
    assert costs == pytest.approx([.9, .9, .9, 0.0])


def sounding(words, seconds, silent=(), rate=16_000, floor=.0003):
    "Noise wherever a word is, and wherever else is asked for"
    rng = np.random.default_rng(0)
    x = floor * rng.standard_normal(round(seconds * rate))
    for a, b in [*zip(words.start, words.end), *silent]: x[round(a * rate):round(b * rate)] += .1 * rng.standard_normal(round(b * rate) - round(a * rate))
    return Audio(x.clip(-1, 1).astype(np.float32), rate)


def test_no_cut_where_the_sound_goes_on(tmp_path):
    words, recordings = steady(60)
    words["start"] = .5 + words["at"] * .5
    words["end"], recordings["duration"] = words.start + .3, 32.0
    save(sounding(words, 32.0, [(5.2, 15.4)]), tmp_path / "r.flac")
    clips = ut.cut(words, recordings, tmp_path, target=5.0)
    for v in [*clips.start[clips.kept], *clips.end[clips.kept]]: assert not 5.2 < v < 15.4
    lawful(words.assign(phones=[[]] * 60), clips, 32.0)
    save(sounding(words, 32.0), tmp_path / "r.flac")
    free = ut.cut(words, recordings, tmp_path, target=5.0)
    assert any(5.2 < v < 15.4 for v in free.start[free.kept]) and free.kept.all()


def test_edges_lie_in_the_quietest_place(tmp_path):
    words, recordings = steady(8)
    words["start"] = .5 + words["at"] * .5
    words["end"], recordings["duration"] = words.start + .5, 5.5
    sound = sounding(words, 5.5).samples.copy()
    sound[round(4.56 * 16_000):round(4.57 * 16_000)] = 0
    save(Audio(sound, 16_000), tmp_path / "r.flac")
    clips = ut.cut(words, recordings, tmp_path)
    assert list(clips.end) == [4.565] and clips.kept.all() and .4 <= clips.start[0] <= .45


def test_no_piece_goes_over_sound_that_nobody_wrote_down(tmp_path):
    words, recordings = steady(40)
    words["start"] = .5 + words["at"] * .4 + (words["at"] >= 20) * .6
    words["end"], recordings["duration"] = words.start + .3, 20.0
    gap = (words.end[19], words.start[20])
    save(sounding(words, 20.0, [(gap[0] + .1, gap[1] - .1)]), tmp_path / "r.flac")
    over = lambda t: ((t.start < gap[0]) & (t.end > gap[1]) & t.kept).any()
    assert not over(ut.cut(words, recordings, tmp_path, target=11.0, spread=.1, sentence=0.0))
    save(sounding(words, 20.0), tmp_path / "r.flac")
    free = ut.cut(words, recordings, tmp_path, target=11.0, spread=.1, sentence=0.0)
    gaps = pd.DataFrame([dict(recording="r", start=gap[0], end=gap[1], speech=0.0, kind="music")])
    assert over(free) and not over(ut.cut(words, recordings, tmp_path, gaps=gaps, target=11.0, spread=.1, sentence=0.0))
    assert over(ut.cut(words, recordings, tmp_path, gaps=gaps.assign(kind="silence"), target=11.0, spread=.1, sentence=0.0))


def test_noise_rejects_more_instead_of_cutting_worse(tmp_path):
    words, recordings = steady(200)
    words["start"] = .5 + words["at"] * .35 + (words["at"] // 10) * .2
    words["end"], recordings["duration"] = words.start + .35, words.start.iloc[-1] + 1
    lost = []
    for floor in (.0003, .03, .1):  # 50, 10 and 0 dB under the words
        save(sounding(words, float(recordings.duration[0]), floor=floor), tmp_path / "r.flac")
        clips = ut.cut(words, recordings, tmp_path)
        lost.append(float((clips.end - clips.start)[~clips.kept].sum()))
    assert lost[:2] == [0, 0] and lost[2] > 60 and set(clips.reason) == {"no_room"}


@pytest.mark.parametrize("noise, least, most", [(None, .8, 1), (10, .7, .95), (0, 0, 0)])
def test_an_episode_with_music_adverts_and_interruptions(tmp_path, noise, least, most):
    e = episode(minutes=5, seed=1, noise_db=noise)
    save(Audio(e.samples, e.rate), tmp_path / "r.flac")
    who, over = e.words.who, e.regions[e.regions.kind == "overlap"]
    words = e.words.drop(columns="who").assign(recording="r", named=who, speaker=who, text=[f"w{k}" for k in e.words["at"]], token=[f"w{k}{t[-1] if t[-1] in '.,?!' else ''}" for k, t in zip(e.words["at"], e.words.token)],
                                               post=.9, overlap=0.0, kept=True, reason="", detail="", phones=[[]] * len(who))
    for r in over.itertuples(): words = tb.mark(words, (words.end > r.start) & (words.start < r.end), "overlap")
    seconds, name = len(e.samples) / e.rate, who.mode()[0]
    recordings = steady(3)[1].assign(duration=seconds)
    clips = ut.cut(words, recordings, tmp_path, speaker=name)
    lawful(words, clips, seconds, name, widest=.182 if noise else .102)  # noise hides tails, so cuts keep away from them
    mine = words[(words.speaker == name) & words.kept]
    assert least <= sum(w["end"] - w["start"] for ws in clips.words[clips.kept] for w in ws) / (mine.end - mine.start).sum() <= most


def test_what_is_left_says_why():
    words, recordings = steady(60)
    words["start"] = .5 + words["at"] * .5
    words["end"], recordings["duration"] = words.start + .3, 32.0
    bad = tb.mark(words, words["at"].isin([20, 22]), "low_align", "score 0.1")
    clips = ut.cut(bad, recordings)
    left = clips[~clips.kept]
    assert set(left.reason) == {"low_align"} and {20, 21, 22} <= set(held(" ".join(left.text_raw))) and left.detail.str.contains("words").all()
    dense = words.assign(start=.5 + words["at"] * .3, end=.8 + words["at"] * .3)
    clips = ut.cut(dense, recordings)
    assert list(clips.reason) == ["no_room"] and not clips.kept.any() and clips.end[0] - clips.start[0] == pytest.approx(18.0, abs=.002)


def test_the_transcript_of_another_episode_is_one_row():
    words, recordings = steady(50)
    clips = ut.cut(words.assign(start=np.nan, end=np.nan, kept=False, reason="no_audio"), recordings)
    assert list(clips.reason) == ["no_audio"] and clips.end[0] == 0 and "50 words" in clips.detail[0]
    clips = ut.cut(words.assign(start=np.nan, end=np.nan), recordings)  # kept, but nobody timed them
    assert list(clips.reason) == ["no_audio"] and not clips.kept.any()
    clips = ut.cut(words, recordings.assign(kept=False, reason="damaged", detail="no header"))
    assert list(clips.reason) == ["damaged"] and list(clips.detail) == ["no header"]


def test_stage_runs_in_shards_and_again_to_the_same_rows(tmp_path):
    parts = [transcript(s, f"r{s}", .3) for s in (3, 4, 5)]
    words, recordings = (pd.concat([p[k] for p in parts], ignore_index=True) for k in (0, 1))
    run = Run(tmp_path, jobs=1, progress=False)
    clips = run(ut.cut, words, recordings, audio=None, speaker="ann")
    tb.check(clips, "test")
    plain = ut.cut(words, recordings, speaker="Ann")
    assert tb.fingerprint(clips) == tb.fingerprint(plain) and set(clips.speaker) == {"Ann"} and set(clips["group"]) == {"Talks"}
    with pytest.raises(ValueError, match="Zoe.*says nothing.*Ann"): run(ut.cut, words, recordings, audio=None, speaker="Zoe")
    empty = ut.cut(words[words.recording == "none"], recordings)
    assert len(empty) == 0 and list(empty) == list(plain)


@pytest.mark.parametrize("how", [dict(shortest=12.0), dict(target=1.0), dict(pad=.8), dict(longest=1.0), dict(shortest=-1.0)])
def test_impossible_lengths(how):
    with pytest.raises(ValueError, match="no utterance fits"): ut.cut(*steady(5), **how)
    with pytest.raises(ValueError, match="not among the recordings"): ut.cut(steady(5)[0], steady(5)[1].assign(recording="x"))


def test_several_spoken_words_of_one_token_and_numbers_of_turns():
    words, recordings = steady(30)
    words["start"] = .5 + words["at"] * .5
    words["end"], recordings["duration"] = words.start + .3, 17.0
    words.loc[3, ["token", "text"]] = "25%,", "twenty five percent,"
    words["turn"] = words["at"] // 5
    clips = ut.cut(words, recordings, target=10.0)
    first = clips.iloc[0]
    assert first.text_raw.startswith("w0 w1 w2 25%, w4") and "twenty five percent, w4" in first.text and first.words[3]["word"] == "twenty five percent"
    assert first.end - first.start > 2.6, "turns of one speaker in a row may be one utterance"
    between = words.assign(speaker=words.speaker.where(words["turn"] != 1, "Bob"))
    clips = ut.cut(between, recordings, speaker="Ann")
    assert not ((clips.start < words.start[5]) & (clips.end > words.end[9])).any()


def test_weakest_stretch():
    assert ut.weakest([.9] * 6 + [.3] * 6 + [.9] * 6) == pytest.approx(.3) and ut.weakest([.9] * 5 + [.3] + [.9] * 5) == pytest.approx(.8)
    assert ut.weakest([.5, np.nan, .7]) == pytest.approx(.6) and np.isnan(ut.weakest([]))


@pytest.mark.parametrize("text, heard, want", [("a b c d", "a b c d", (0, 0, 0)), ("a b c d", "c d", (.5, 2, 0)), ("a b c d", "a b", (.5, 0, 2)), ("a b c d", "a x d", (.5, 0, 0)), ("a b", "", (1, 2, 2))])
def test_compared(text, heard, want):
    assert ut.compared(text, heard) == want


def test_verified_hears_the_utterances(tmp_path):
    said = speak("We went to the river in the morning. It was very cold.")
    save(Audio(said.samples, said.rate), tmp_path / "r.flac")
    n = len(said.samples) / said.rate
    clips = pd.DataFrame([dict(clip="c", recording="r", start=0.0, end=int(n * 1000) / 1000, text=t, kept=k, reason="" if k else "low_align", detail="")
                          for t, k in (("we went to the river in the morning. it was very cold.", True), ("elephants never telephone purple umbrellas twice daily", True), ("nothing", False))])
    heard = ut.verified(clips, tmp_path, limit=.8)
    assert list(heard.reason) == ["", "disagreement", "low_align"] and heard.agreement[0] > .2 > heard.agreement[1] and np.isnan(heard.agreement[2])
    other = ut.verified(clips, tmp_path, language="is")
    assert other.agreement.isna().all() and list(other.kept) == list(clips.kept)
