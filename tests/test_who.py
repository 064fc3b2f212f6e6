"Who says each word: the transcript, a diarization that errs, the voices; slipped and swapped names, corrections, what nobody checked"
import time

import numpy as np
import pandas as pd
import pytest

from make_episode import episode
from voicenb.core import table as tb
from voicenb.core.run import Run
from voicenb.data import turns as tn
from voicenb.data import who

FAULTS = ("swapped", "turn_shift")


def aligned(e, recording="episode"):
    "The words of an episode as if the alignment were perfect"
    heard = e.words.start.notna()
    return e.words.drop(columns="who").assign(recording=recording, text=e.words.token, kept=heard, reason=np.where(heard, "", "no_audio"), detail="")


def figures(e, out):
    "Words with the right name among those kept; wrong ones that went; clean ones that went, overlap apart"
    truth, timed = e.words, e.words.start.notna()
    wrong = (truth.named != truth.who) & timed
    shared = pd.Series(False, truth.index)
    for r in e.regions[e.regions.kind == "overlap"].itertuples(): shared |= (truth.start < r.end) & (truth.end > r.start)
    clean = timed & ~wrong & ~shared
    return dict(right=1 - (out.kept & wrong).sum() / out.kept.sum(), recall=(~out.kept)[wrong].mean() if wrong.any() else 1.0, false=(~out.kept)[clean].mean())


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    "Episodes with swapped and slipped names, and the folder of their masters"
    folder, out = tmp_path_factory.mktemp("episodes"), {}
    for seed in (1, 2):
        out[f"e{seed}"] = episode(10, seed, faults=FAULTS)
        out[f"e{seed}"].write(folder, name=f"e{seed}")
    return folder, out


def named(e):
    "The episode with the right name beside each turn"
    e = episode(1) if e is None else e
    words = e.words.assign(named=e.words.who.where(e.words.who != "", e.words.named))
    return type(e)(**{**vars(e), "words": words})


# figures

def test_clean_transcripts_keep_their_words(spoilt):
    for e in map(named, spoilt[1].values()):
        for seed in range(3):
            turns = e.turns(.1, seed)
            assert .08 < tn.errors(e.turns(), turns)["der"] < .13
            got = figures(e, who.vote(aligned(e), turns))
            assert got["right"] == 1 and got["false"] <= .05


def test_swapped_and_slipped_names_are_found_by_the_vote_alone(spoilt):
    got = pd.DataFrame([figures(e, who.vote(aligned(e), e.turns(.1, seed))) for e in spoilt[1].values() for seed in range(4)])
    assert got.recall.mean() >= .95 and got.recall.min() >= .85 and got.false.max() <= .05 and got.right.mean() >= .975


def test_the_voices_settle_what_the_diarization_cannot(spoilt):
    folder, episodes = spoilt
    for name, e in episodes.items():
        for seed in range(2):
            first = who.vote(aligned(e, name), e.turns(.1, seed, name))
            out = who.refine(first, who.scores(first, folder))
            got = figures(e, out)
            assert got["right"] >= .99 and got["recall"] >= .95 and got["false"] <= .05
            assert set(out.reason[~out.kept]) <= {"speaker_review", "shifted", "overlap", "no_audio"}


def test_a_block_says_that_it_slipped(spoilt):
    e = spoilt[1]["e2"]
    out = who.vote(aligned(e), e.turns())
    block = e.faults[e.faults.kind == "turn_shift"].iloc[0]
    inside = out.turn.between(block.turn_first, block.turn_last) & (out.named != e.words.who) & e.words.start.notna()
    assert (~out.kept)[inside].mean() >= .95 and (out.reason[inside] == "shifted").mean() > .6
    assert out.detail[out.reason == "shifted"].str.contains("the name of the turn").all()


def test_speed_and_time_of_scores(spoilt):
    folder, episodes = spoilt
    first = who.vote(aligned(episodes["e1"], "e1"), episodes["e1"].turns(.1, 0, "e1"))
    began = time.process_time()
    table = who.scores(first, folder)
    assert 600 / (time.process_time() - began) > 40
    fit = who.calibrate(table)
    assert fit["error"] < .1 and fit["margin"] > 0 and fit["stretches"] > 20
    assert (table.end - table.start <= who.LONGEST + 5).all() and table.kept.any()


# what each word is told

def conversation(order="ABABABABAB", seconds=5.0, clusters=dict(A="S1", B="S2"), names=dict(A="Ana", B="Ben"), overlap=0.0):
    "Words and turns of a plain conversation"
    rows, turns = [], []
    for k, w in enumerate(order):
        at = k * seconds
        rows += [dict(recording="talk", turn=k, named=names[w], text="word", start=at + i * .5, end=at + i * .5 + .45, kept=True, reason="", detail="") for i in range(int(seconds / .5) - 1)]
        turns.append(("talk", at, at + seconds - .4, clusters[w], overlap))
    return pd.DataFrame(rows), tn.table(turns)


def test_columns_of_a_plain_conversation():
    words, turns = conversation()
    out = who.vote(words, turns)
    assert out.kept.all() and (out.speaker == words.named).all() and (out.overlap == 0).all() and out.share.min() > .8
    assert out.groupby("speaker").cluster.unique().map(list).to_dict() == dict(Ana=["S1"], Ben=["S2"])


def test_overlap_is_measured_where_somebody_listened():
    words, turns = conversation()
    over = pd.concat([turns, tn.table([("talk", 2.0, 2.5, "S2", 1.0)])])
    out = who.vote(words, over)
    assert out[~out.kept].start.tolist() == [2.0] and set(out.reason) == {"", "overlap"} and out.overlap[4] == 1
    deaf = who.vote(words, turns.assign(overlap=np.nan))
    assert deaf.overlap.isna().all() and deaf.kept.all()


def test_clusters_that_share_a_name_and_names_that_share_a_cluster():
    words, turns = conversation()
    split = turns.assign(speaker=["S1", "S2", "S1", "S2", "S3", "S2", "S3", "S2", "S3", "S2"])
    assert who.vote(words, split).kept.all()
    assert who.report(words, split).set_index("speaker").clusters.to_dict() == dict(Ana="S1 S3", Ben="S2")
    one = who.report(words, turns.assign(speaker="S1")).set_index("speaker")
    assert one.shared.to_dict() == dict(Ana="Ben", Ben="Ana") and one.purity.max() < .7 and who.vote(words, turns.assign(speaker="S1")).kept.all()


def test_two_people_of_one_name_are_one_name_with_two_clusters():
    words, turns = conversation("ABCABCABCABC", clusters=dict(A="S1", B="S2", C="S3"), names=dict(A="Ana", B="Ben", C="Ana"))
    assert who.vote(words, turns).kept.all() and who.report(words, turns).set_index("speaker").clusters["Ana"] == "S1 S3"


def test_words_without_a_name():
    words, turns = conversation()
    words.loc[words.turn == 3, "named"] = ""
    out = who.vote(words, turns)
    assert set(out.reason[out.turn == 3]) == {"unnamed"} and out.kept[out.turn != 3].all()
    assert set(who.vote(words, turns, name_unnamed=True).speaker[words.turn == 3]) == {"Ben"}


def test_a_person_has_the_last_word():
    words, turns = conversation("ABABABABABAB")
    words.loc[words.turn.isin([4, 5]), "named"] = words.named[words.turn.isin([4, 5])].map(dict(Ana="Ben", Ben="Ana"))
    assert set(who.vote(words, turns).turn[lambda t: ~who.vote(words, turns).kept]) == {4, 5}
    fixed = pd.DataFrame([dict(recording="talk", start=20.0, end=25.0, speaker="Ana", kept=True), dict(recording="talk", start=0.0, end=60.0, speaker="Eve", kept=False)])
    out = who.vote(words, turns, fixed)
    assert set(out.speaker[out.turn == 4]) == {"Ana"} and out.kept[out.turn == 4].all() and not out.kept[out.turn == 5].any() and "Eve" not in set(out.speaker)


# bad input

def test_nothing_to_vote_with():
    words, turns = conversation()
    out = who.vote(words, turns.head(0))
    assert out.kept.all() and (out.cluster == "").all() and out.overlap.isna().all() and (out.speaker == words.named).all()
    assert not len(who.vote(words.head(0), turns)) and who.report(words, turns.head(0)).coverage.eq(0).all()


def test_somebody_who_never_speaks_and_words_that_were_not_found():
    words, turns = conversation()
    ghost = words[words.turn == 9].assign(turn=10, named="Eve", start=np.nan, end=np.nan, kept=False, reason="no_audio")
    out = who.vote(pd.concat([words, ghost], ignore_index=True), turns)
    assert out.kept[out.named != "Eve"].all() and out.share[out.named == "Eve"].isna().all()
    r = who.report(pd.concat([words, ghost], ignore_index=True), turns).set_index("speaker")
    assert r.clusters["Eve"] == "" and r.minutes["Eve"] == 0


def test_one_speaker_and_several_recordings():
    words, turns = conversation("AAAA")
    two = pd.concat([words, words.assign(recording="other")], ignore_index=True)
    out = who.vote(two, turns)
    assert out.kept.all() and (out.cluster[out.recording == "other"] == "").all() and out.recording.equals(two.recording)


def test_a_chance_is_a_chance():
    with pytest.raises(ValueError, match="sure=3: a chance"): who.vote(*conversation(), sure=3)


def test_voices_that_cannot_be_told_apart_decide_nothing():
    words, turns = conversation()
    out = who.vote(words, turns)
    alike = pd.DataFrame([dict(recording="talk", turn=k, start=k, end=k + 3.0, speaker="Ana", score=.5 + .01 * (k % 3), foreign=.51, kept=True) for k in range(10)])
    assert who.refine(out, alike).equals(out)


def test_the_same_answer_twice_and_as_a_stage(tmp_path, spoilt):
    e = spoilt[1]["e1"]
    turns = e.turns(.1, 3)
    run = Run(tmp_path / "run")
    first, again = run(who.vote, aligned(e), turns), who.vote(aligned(e), turns)
    assert tb.fingerprint(first) == tb.fingerprint(again) and len(first) == len(e.words)


def test_a_long_transcript_takes_seconds():
    rng = np.random.default_rng(0)
    order = "".join(rng.choice(list("ABC"), 1500))
    words, turns = conversation(order, 4.0, dict(A="S1", B="S2", C="S3"), dict(A="Ana", B="Ben", C="Cem"))
    began = time.process_time()
    assert who.vote(words, turns).kept.all() and time.process_time() - began < 20
