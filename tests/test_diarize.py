"Who speaks when: known conversations, a person's corrections, clips of one speaker, pyannote from a folder, long recordings, the notebook"
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import DEMO, ROOT
from voicenb.core import audio as au
from voicenb.core import packages
from voicenb.core import table as tb
from voicenb.core import vad
from voicenb.core.run import Run
from voicenb.data import diarize, ingest, pyannote, segment
from voicenb.data import turns as tn

VOICENB = Path(sys.executable).parent / "voicenb"
RATE = 16_000


def notes(export, who, most=5):
    table = ingest.whatsapp(export)
    return [au.decode(s, RATE).samples for s in table.source[table.kept & (table.sender == who)].head(most)]


def converse(export, people, rounds=3, pause=0.4):
    "Samples of notes taken in turn, and who speaks when"
    parts, truth, at = [], [], 0.0
    for k in range(rounds):
        for who in people:
            x = notes(export, who, rounds)[k]
            truth += [("talk", at + a, at + b, who, 0) for a, b in vad.islands(vad.speech_probability([x]))]
            parts += [x, np.zeros(round(pause * RATE), np.float32)]
            at += len(x) / RATE + pause
    return np.concatenate(parts), tn.table(truth)


def recording(folder, x, name="talk"):
    au.save(au.Audio(x, RATE), Path(folder) / f"{name}.flac")
    return pd.DataFrame([dict(recording=name, file=f"{name}.m4a", sender="", sent_at=pd.NaT, duration=len(x) / RATE, rate=RATE, kept=True, reason="", detail="")])


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    "A conversation of two synthetic people: folder of masters, recordings, truth, turns as found"
    folder = tmp_path_factory.mktemp("talk")
    x, truth = converse(DEMO, ("Sam", "Kim"))
    recordings = recording(folder, x)
    return folder, recordings, truth, diarize.turns(recordings, folder)


# what is right and how wrong something is

def test_error_rates_with_known_answers():
    truth = tn.table([("a", 0, 10, "Ana", 0), ("a", 10, 20, "Ben", 0)])
    say = lambda *rows: tn.errors(truth, tn.table([("a", *r, 0) for r in rows]), collar=0)
    swapped = say((0, 10, "2"), (10, 20, "1"))
    assert swapped["der"] == 0 and swapped["names"] == dict(a={"2": "Ana", "1": "Ben"})
    assert say((0, 20, "1"))["confused"] == .5 and say((0, 20, "1"))["der"] == .5
    assert say((0, 8, "1"), (10, 20, "2"))["missed"] == .1
    assert say((0, 10, "1"), (10, 25, "2"))["invented"] == .25
    assert say((0, 5, "1"), (5, 10, "3"), (10, 20, "2"))["confused"] == .25  # one person as two labels: one of them is wrong
    both = tn.table([("a", 0, 10, "Ana", 0), ("a", 5, 10, "Ben", 1)])
    assert tn.errors(both, tn.table([("a", 0, 10, "1", 0)]), collar=0)["missed"] == round(5 / 15, 4)
    near = tn.table([("a", .2, 10.2, "1", 0), ("a", 10.2, 20.2, "2", 0)])
    assert tn.errors(truth, near)["der"] == 0 < tn.errors(truth, near, collar=0)["der"]
    two = pd.concat([truth, truth.assign(recording="b")])
    assert tn.errors(two, truth, collar=0)["missed"] == .5


def test_turns_that_overlap_become_exclusive_and_keep_every_second():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 60, 40)
    full = tn.table([("a", s, s + rng.uniform(.2, 8), rng.choice(["Ana", "Ben", "Eva"]), 0) for s in start])
    got = tn.exclusive(full)
    first = got[got.overlap == 0].sort_values("start")
    assert (first.start.to_numpy()[1:] >= first.end.to_numpy()[:-1] - 1e-9).all()
    on = lambda t: tn._grid(t, 7000)[1]
    assert (on(got) != on(full)).mean() < 1e-3


def test_rttm_goes_out_and_comes_back(tmp_path):
    turns = tn.exclusive(tn.table([("ab12", 0.5, 6, "Ana", 0), ("ab12", 5.25, 9, "Ben", 0), ("cd34", 1, 2, "Ana", 0)]))
    back = tn.read_rttm(tn.write_rttm(turns, tmp_path / "a.rttm"))
    assert back.equals(turns)
    assert tn.read_rttm(tn.write_rttm(turns.assign(speaker="Ana Maria"), tmp_path / "b.rttm")).speaker.unique().tolist() == ["Ana_Maria"]
    for bad in ("SPEAKER ab12 1 zero 2 <NA> <NA> Ana", "SPEAKER ab12 1 3.0 -1 <NA> <NA> Ana <NA> <NA>", "SPEAKER ab12"):
        (tmp_path / "bad.rttm").write_text(f";; a comment\nSPKR-INFO x\n{bad}\n")
        with pytest.raises(ValueError, match="bad.rttm, line 3"): tn.read_rttm(tmp_path / "bad.rttm")


# the embedded engine

def test_a_known_conversation(talk):
    _, _, truth, found = talk
    wrong = tn.errors(truth, found)
    assert wrong["der"] < .02 and sorted(wrong["names"]["talk"].values()) == ["Kim", "Sam"]
    assert found.overlap.isna().all(), "the embedded engine must not pretend that it looked for overlap"
    assert all(len(e) == 256 for e in found.embedding)


def test_the_number_of_speakers_can_be_bounded(talk):
    folder, recordings, _, _ = talk
    assert diarize.turns(recordings, folder, speakers=3).speaker.nunique() == 3
    assert diarize.turns(recordings, folder, speakers=(1, 1)).speaker.nunique() == 1
    for bad in (0, (3, 2)):
        with pytest.raises(ValueError, match="least and most"): diarize.turns(recordings, folder, speakers=bad)
    with pytest.raises(ValueError, match="embedded or pyannote"): diarize.turns(recordings, folder, engine="magic")


def test_one_person_alone_and_nobody_at_all(tmp_path):
    rows = [recording(tmp_path, x, f"n{k}") for k, x in enumerate(notes(DEMO, "Sam", 3))]
    rows += [recording(tmp_path, np.zeros(RATE, np.float32), "silent"), recording(tmp_path, np.random.default_rng(0).normal(0, .05, RATE * 3).astype(np.float32), "noise")]
    found = diarize.turns(pd.concat(rows, ignore_index=True), tmp_path)
    assert found.groupby("recording").speaker.nunique().to_dict() == dict(n0=1, n1=1, n2=1)
    assert len(diarize.turns(rows[-1], tmp_path)) == 0


def test_one_label_for_one_person_in_all_recordings(tmp_path):
    a, b = converse(DEMO, ("Sam", "Kim"), 2)[0], converse(DEMO, ("Kim", "Sam", "Alex"), 2)[0]
    recordings = pd.concat([recording(tmp_path, a, "one"), recording(tmp_path, b, "two")], ignore_index=True)
    found = diarize.linked(diarize.turns(recordings, tmp_path, speakers=(2, 4)))
    order = {r: list(dict.fromkeys(t.sort_values("start").speaker)) for r, t in found.groupby("recording")}
    assert order["one"] == ["S1", "S2"] and order["two"] == ["S2", "S1", "S3"]
    alone = diarize.linked(diarize.turns(recordings.head(1), tmp_path, speakers=(2, 4)))
    assert alone.speaker.tolist() == found.speaker[found.recording == "one"].tolist(), "a recording that comes later changes no label"


def test_real_conversations(real, tmp_path):
    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    import diarize as bench
    voices = bench.people(real / "export.zip")
    for names, seed in ((["Linda", "Ben"], 1), (["Dario", "Eva", "Carla"], 2), (["Linda"], 3)):
        x, truth = bench.conversation(voices, names, 60, seed)
        found = diarize.turns(recording(tmp_path, x), tmp_path)
        assert tn.errors(truth, found)["der"] < .05 and found.speaker.nunique() == len(names)
    x, truth = bench.conversation(voices, ["Carla", "Eva"], 60, 4, pause=(0, .03))
    assert tn.errors(truth, diarize.turns(recording(tmp_path, x), tmp_path, speakers=2))["der"] < .06
    for k, (x, _) in enumerate(voices["Linda"][:12]): assert diarize.turns(recording(tmp_path, x, f"n{k}"), tmp_path).speaker.nunique() == 1


LONG = """
import resource, sys
import numpy as np, pandas as pd, soundfile as sf
from pathlib import Path
from voicenb.core import audio as au
from voicenb.data import diarize
folder, minutes = Path(sys.argv[1]), int(sys.argv[2])
talk, _ = sf.read(folder / "talk.flac", dtype="int16")
with sf.SoundFile(folder / "long.flac", "w", 16000, 1, format="FLAC", subtype="PCM_16") as f:
    times = minutes * 960000 // len(talk) + 1
    for k in range(times): f.write(talk if k % 20 == 0 or k + 1 == times else np.zeros(len(talk), np.int16))
    seconds = times * len(talk) / 16000
found = diarize.embedded(folder, "long", seconds, 1, 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, found.speaker.nunique(), round(found.end.max()))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(talk, tmp_path):
    shutil.copy(talk[0] / "talk.flac", tmp_path)
    go = lambda minutes: [int(v) for v in subprocess.run([sys.executable, "-c", LONG, tmp_path, str(minutes)], capture_output=True, text=True, check=True, env=os.environ | dict(OMP_NUM_THREADS="1")).stdout.split()]
    short, long = go(2), go(60)
    assert short[1] == long[1] == 2 and long[2] > 50 * 60
    assert long[0] < short[0] + 100, f"an hour takes {long[0]} MB, two minutes {short[0]} MB: the samples of an hour alone are 230 MB"


# a person's corrections

def fixed(recordings, *rows):
    return diarize.overrides(pd.DataFrame(rows, columns=["file", "start", "end", "speaker"]), recordings)


def test_corrections_name_people_everywhere_and_win_in_their_stretch(talk):
    _, recordings, truth, found = talk
    sam = truth[truth.speaker == "Sam"].iloc[0]
    kim = truth[truth.speaker == "Kim"].sort_values("start")
    last = kim.iloc[-1]
    most = [("talk.m4a", k.start + .2, k.end - .2, "Ben") for k in kim.head(3).itertuples()]
    said = fixed(recordings, ("talk.m4a", sam.start + .2, sam.end - .2, "Ana"), *most, ("talk.m4a", last.start, last.end, "Eva"))
    t = diarize.named(found, said)
    assert set(t.speaker) == {"Ana", "Ben", "Eva"}, "three names for two voices"
    expected = truth.assign(speaker=truth.speaker.map(dict(Sam="Ana", Kim="Ben"))).pipe(tn.without, "talk", last.start, last.end)
    expected = pd.concat([expected, tn.table([("talk", last.start, last.end, "Eva", 0)])])
    wrong = tn.errors(expected, t)
    assert wrong["der"] < .02 and all(a == b for a, b in wrong["names"]["talk"].items())
    assert ((t.speaker == "Eva") & ((t.start - last.start).abs() < 1e-6) & ((t.end - last.end).abs() < 1e-6)).sum() == 1
    first = t[t.overlap != 1].sort_values("start")
    assert (first.start.to_numpy()[1:] >= first.end.to_numpy()[:-1] - 1e-6).all(), "one voice at a time"


def test_a_forced_stretch_is_never_lost(talk):
    folder, recordings, _, found = talk
    quiet = float(found.start.min()) - .3
    t = diarize.named(found, fixed(recordings, ("talk.m4a", 0, quiet, "Ghost")))
    ghost = t[t.speaker == "Ghost"]
    assert len(ghost) == 1 and ghost.end.iloc[0] == pytest.approx(quiet) and set(t.speaker) == {"Ghost", "S1", "S2"}
    none = found[found.recording == "nobody"]
    assert diarize.named(none, fixed(recordings, ("talk.m4a", 1, 2, "Ana"))).speaker.tolist() == ["Ana"]
    both = diarize.named(found, fixed(recordings, ("talk.m4a", 1, 4, "Ana"), ("talk.m4a", 3, 4, "Ben")))
    assert both[both.overlap == 1][["start", "end", "speaker"]].values.tolist() == [[3, 4, "Ben"]]


def test_several_labels_may_be_one_person_and_a_label_moves_one_stretch(talk):
    folder, recordings, truth, _ = talk
    split = diarize.turns(recordings, folder, speakers=3)
    whole = truth[truth.speaker == "Sam"]
    t = diarize.named(split, fixed(recordings, *(("talk.m4a", r.start, r.end, "Ana") for r in whole.itertuples())))
    assert tn.errors(whole.assign(speaker="Ana"), t[t.speaker == "Ana"])["missed"] < .02
    found = diarize.turns(recordings, folder)
    first = found.sort_values("start").iloc[0]
    moved = diarize.named(found, fixed(recordings, ("talk.m4a", first.start, first.end, "S2")))
    assert moved.sort_values("start").speaker.iloc[0] == "S2" and "S1" in set(moved.speaker)


def test_corrections_from_a_file_are_checked_row_by_row(talk, tmp_path):
    _, recordings, _, found = talk
    end = recordings.duration.iloc[0]
    (tmp_path / "who.csv").write_text(f"File;Start;Stop;Speaker\ntalk.m4a;0:01;0:02.5;Ana\ntalk;{end - 1};{end + 9};Ben\ntalk;{end + 5};{end + 9};Ben\nother.m4a;1;2;Ben\ntalk;5;4;Ben\ntalk;soon;4;Ben\ntalk;1;2;\n", encoding="utf-8-sig")
    run = Run(tmp_path / "run", jobs=1, progress=False)
    t = run(diarize.overrides, tmp_path / "who.csv", recordings)
    assert t.kept.tolist() == [True, True] + [False] * 5 and (t.reason[~t.kept] == "unreadable_row").all()
    assert t.end[0] == 2.5 and t.end[1] == pytest.approx(end) and "cut at the end" in t.detail[1]
    for row, word in ((2, "past the end"), (3, "no recording is called 'other.m4a'"), (4, "before it begins"), (5, "not times"), (6, "no speaker")): assert word in t.detail[row]
    assert set(diarize.named(found, t).speaker) >= {"Ana", "Ben"}
    twice = pd.concat([recordings, recordings.assign(recording="again")], ignore_index=True)
    assert "2 recordings are called" in fixed(twice, ("talk.m4a", 1, 2, "Ana")).detail[0]
    with pytest.raises(ValueError, match="no column speaker, recording or file"): diarize.overrides(pd.DataFrame(dict(start=[1], end=[2])), recordings)


def corrections(tmp_path, recordings, text, encoding="utf-8"):
    (tmp_path / "who.csv").write_bytes(text.encode(encoding))
    return diarize.overrides(tmp_path / "who.csv", recordings)


HEAD = "file,start,end,speaker"
BAD = {"talk.m4a,0,1,Ann,Lee": "5 cells where the header has 4", 'talk.m4a,0,1,"Ann': "a quote that nobody closes", "talk.m4a,0": "'0' to '' are not times", "talk.m4a,0,1": "no speaker"}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("first", [True, False])
def test_a_row_that_cannot_be_read_takes_no_other_with_it(talk, tmp_path, bad, first):
    good = ["talk.m4a,1,2,Bob", 'talk.m4a,0:03,0:04.5, "Lee, Ann"']
    rows = [bad, *good] if first else [good[0], bad, good[1]]
    t = corrections(tmp_path, talk[1], "\n".join([HEAD, *rows]) + "\n")
    at = rows.index(bad)
    assert t.kept.tolist() == [n != at for n in range(3)] and t.reason[at] == "unreadable_row" and t.detail[at].startswith(f"line {at + 2}: {BAD[bad]}"), t.detail[at]
    assert t.loc[t.kept, ["start", "end", "speaker"]].to_numpy().tolist() == [[1, 2, "Bob"], [3, 4.5, "Lee, Ann"]]


def test_two_open_quotes_do_not_swallow_what_stands_between(talk, tmp_path):
    t = corrections(tmp_path, talk[1], f'{HEAD},note\ntalk.m4a,0,1,"Ann\ntalk.m4a,1,2,Bob,fine\ntalk.m4a,2,3,Lee",\ntalk.m4a,3,4,Eva,"a note\nof two lines"\n')
    assert t.speaker[t.kept].tolist() == ["Bob", "Eva"] and t.detail[~t.kept].tolist() == ["line 2: a quote that nobody closes", "line 4: a quote that nobody closes"]


def test_corrections_in_any_encoding_and_with_any_separator(talk, tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le"):
        for separator in ",;\t|":
            text = f"{HEAD}\r\ntalk.m4a,0,1,José\r\ntalk.m4a,1,2,\"Bob B.\",\r\n".replace(",", separator)
            t = corrections(tmp_path, talk[1], text, encoding)
            assert t.kept.all() and t.speaker.tolist() == ["José", "Bob B."], (encoding, separator)
    table = diarize.overrides(pd.DataFrame(dict(file=["talk.m4a"] * 2, start=[0, 1.5], end=[1, None], speaker=["Ann", None])), talk[1])
    assert table.kept.tolist() == [True, False] and table.speaker.tolist() == ["Ann", ""]


@pytest.mark.parametrize("text, said", [("", "who.csv: an empty table"), ("\n \n", "who.csv: an empty table"), ("file\ntalk.m4a\n", "who.csv: no column start, end, speaker"),
                                        (f"{HEAD},speaker\n", "who.csv: two columns are called speaker")])
def test_a_file_without_corrections_is_one_line(talk, tmp_path, text, said):
    with pytest.raises(ValueError, match=f"^{said}[^\n]*$"): corrections(tmp_path, talk[1], text)
    with pytest.raises(ValueError, match="cannot be read"): diarize.overrides(tmp_path, talk[1])
    assert len(corrections(tmp_path, talk[1], HEAD + "\n")) == 0


# clips of one speaker

def test_every_clip_holds_one_speaker(talk, tmp_path):
    folder, recordings, truth, _ = talk
    run = Run(tmp_path, jobs=1, progress=False)
    shutil.copytree(folder, run.audio, dirs_exist_ok=True)
    clips = run(segment.speech, recordings, target=12.0, longest=20.0, max_pause=3.0)
    found = run(diarize.turns, recordings)
    done = run(diarize.speakers, clips, turns=found)
    shared = lambda t: sum(truth[(truth.start < c.end - .2) & (truth.end > c.start + .2)].speaker.nunique() > 1 for c in t.itertuples())
    assert shared(clips) > 0 == shared(done[done.kept])
    assert len(done) > len(clips) and done["clip"].is_unique and done.overlap.isna().all() and (done.end > done.start).all()
    who = {c.speaker: truth[(truth.start < c.end) & (truth.end > c.start)].speaker.iloc[0] for c in done.itertuples()}
    assert sorted(who) == ["S1", "S2"] and sorted(who.values()) == ["Kim", "Sam"]
    for c in done.itertuples(): assert c.clip == vad.clip_id(c.recording, c.start, c.end) and not (found.start.lt(c.start - .01) & found.end.gt(c.start + .01)).any()
    assert diarize.summary(done).overlap.tolist() == ["not checked"] * 2
    run(diarize.speakers, clips, turns=run(diarize.turns, recordings))
    assert [r["cached"] for r in run.log[-2:]] == [True, True]
    said = run(diarize.overrides, pd.DataFrame([dict(file="talk.m4a", start=1.0, end=3.0, speaker="Ana")]), recordings)
    assert "Ana" in set(run(diarize.speakers, clips, turns=found, fixed=said).speaker)
    with pytest.raises(tb.TableError, match="before transcribe"): diarize.speakers(clips.assign(text="hello"), found)


def test_overlap_blips_and_empty_clips_are_marked():
    turns = tn.exclusive(tn.table([("a", 0, 10, "Ana", 0), ("a", 9.0, 12, "Ben", 0), ("a", 20, 30, "Ana", 0), ("a", 25, 25.2, "Ben", 0)]))
    turns = pd.concat([turns, tn.table([("a", 50, 60, "Ana", 0), ("a", 60, 60.2, "Ben", 0), ("a", 60.2, 64, "Ana", 0)])])
    rows = [(0, 8, True), (8.5, 12, True), (20, 30, True), (40, 45, True), (50, 64, True), (70, 71, False)]
    clips = pd.DataFrame([dict(clip=f"a_{s}", recording="a", start=float(s), end=float(e), speech=1.0, kept=k, reason="" if k else "silent", detail="") for s, e, k in rows])
    t = diarize.speakers(clips, turns)
    assert t.reason.tolist() == ["", "overlap", "", "overlap", "speaker_review", "", "silent"]
    assert t.speaker.tolist() == ["Ana", "Ana", "Ben", "Ana", "", "Ana", ""]
    assert t.overlap[0] == 0 and t.overlap[1] == pytest.approx(1 / 1.5, abs=.08) and t.overlap[3] == pytest.approx(.02, abs=.001) and np.isnan(t.overlap[4])
    assert "two voices" in t.detail[1] and t.start[2] >= 10
    assert (diarize.speakers(clips, turns, most_overlap=.9).reason != "overlap").all()
    short = diarize.speakers(clips.head(2), tn.table([("a", 0, 11.5, "Ana", 0), ("a", 11.55, 12, "Ben", 0)]))
    assert short.reason.tolist() == ["", "", "too_short"] and "between changes" in short.detail[2]


# pyannote

@pytest.fixture(scope="module")
def community(tmp_path_factory):
    pytest.importorskip("pyannote.audio", reason="pip install 'voicenb[diarize]'")
    from make_models import pyannote_folder
    return pyannote_folder(tmp_path_factory.mktemp("hub") / "community-1", seed=1)


@pytest.fixture(scope="module")
def heard(community, tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    x = converse(DEMO, ("Sam", "Kim"), 1)[0][:11 * RATE]
    recordings = recording(folder, x)
    return folder, recordings, diarize.turns(recordings, folder, engine="pyannote", model=str(community), device="cpu")


def test_pyannote_gives_exclusive_turns_and_what_is_said_over_them(heard):
    _, recordings, t = heard
    first, over = t[t.overlap == 0].sort_values("start"), t[t.overlap == 1]
    assert len(first) and len(over) and t.overlap.notna().all() and t.end.max() <= recordings.duration.iloc[0] and set(t.speaker) == {"S1", "S2"}
    assert (first.start.to_numpy()[1:] >= first.end.to_numpy()[:-1] - 2e-3).all()
    for o in over.itertuples(): assert not ((t.speaker == o.speaker) & (t.overlap == 0) & (t.start < o.end - 2e-3) & (t.end > o.start + 2e-3)).any()
    clips = pd.DataFrame([dict(clip="c", recording="talk", start=0.0, end=10.0, speech=1.0, kept=True, reason="", detail="")])
    done = diarize.speakers(clips, t, engine="pyannote")
    assert (done.reason == "overlap").any() and done.overlap.max() > .1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_safe_way_to_load_gives_what_the_library_gives(heard, community):
    import torch
    from pyannote.audio import Pipeline
    folder, _, t = heard
    x = au.read(folder, "talk", rate=RATE).samples
    got = Pipeline.from_pretrained(str(community))(dict(waveform=torch.from_numpy(x)[None], sample_rate=RATE, uri="talk"), min_speakers=1, max_speakers=20)
    plain = lambda a: tn.table([("talk", s.start, s.end, who, 0) for s, _, who in a.itertracks(yield_label=True)])
    assert tn.errors(plain(got.speaker_diarization), t, collar=0)["der"] < .03
    assert tn.errors(plain(got.exclusive_speaker_diarization), t[t.overlap == 0], collar=0)["der"] < .03


def test_an_incomplete_or_foreign_folder_is_one_line(community, heard, tmp_path):
    folder, recordings, _ = heard
    go = lambda model: diarize.turns(recordings, folder, engine="pyannote", model=str(model), device="cpu")
    def broken(name, change):
        copy = shutil.copytree(community, tmp_path / name)
        change(copy)
        return copy
    import torch
    def foreign(p):
        f = p / "segmentation" / "pytorch_model.bin"
        x = pyannote.weights(f)
        x["pyannote.audio"]["architecture"] = dict(module="subprocess", **{"class": "Popen"})
        torch.save(x, f)
    def fewer(p):
        f = p / "embedding" / "pytorch_model.bin"
        x = pyannote.weights(f)
        x["state_dict"].pop(next(k for k in x["state_dict"] if k.endswith("weight")))
        torch.save(x, f)
    cases = dict(gone=(lambda p: shutil.rmtree(p / "plda"), "lacks plda/xvec_transform.npz, plda/plda.npz"),
                 torn=(lambda p: (p / "embedding" / "pytorch_model.bin").write_bytes((p / "embedding" / "pytorch_model.bin").read_bytes()[:100_000]), "embedding/pytorch_model.bin: not a checkpoint"),
                 foreign=(foreign, "a network of subprocess"), fewer=(fewer, "lacks 1 weights"),
                 other=(lambda p: (p / "config.yaml").write_text("pipeline: {name: os.system, params: {}}\nparams: {}"), "a pipeline called os.system"),
                 plain=(lambda p: (p / "config.yaml").write_text("just text"), "not a pyannote pipeline"),
                 plda=(lambda p: (p / "plda" / "plda.npz").write_bytes(b"nothing"), "plda: cannot be read"))
    for name, (change, word) in cases.items():
        with pytest.raises(packages.ModelError, match=word) as e: go(broken(name, change))
        assert "\n" not in str(e.value), name
    with pytest.raises(packages.ModelError, match="no such folder"): go(tmp_path / "nowhere")


class Trap:
    "Makes a folder when it is unpickled in the ordinary way"
    def __init__(self, path): self.path = str(path)
    def __reduce__(self): return os.mkdir, (self.path,)


class Harmless(dict):
    "An object of a class that the loader does not know"


def test_loading_runs_nothing_that_a_checkpoint_hides(community, tmp_path):
    import torch
    file = pyannote.weights(community / "segmentation" / "pytorch_model.bin")
    torch.save(file | dict(callbacks=Trap(tmp_path / "sprung")), tmp_path / "trap.bin")
    with pytest.raises(packages.ModelError, match="not a checkpoint of weights"): pyannote.network(tmp_path / "trap.bin")
    torch.save(file | dict(callbacks=Path("training/best.ckpt")), tmp_path / "kept.bin")
    assert pyannote.network(tmp_path / "kept.bin").specifications.powerset and type(pyannote.weights(tmp_path / "kept.bin")["callbacks"]).__name__ == "_Inert"
    assert not (tmp_path / "sprung").exists()


HUB = """
import sys, pandas as pd
import voicenb
from voicenb.core import packages
from voicenb.data import diarize
r = pd.DataFrame([dict(recording="talk", file="talk", duration=1.0, kept=True)])
try: diarize.turns(r, sys.argv[1], engine="pyannote")
except packages.ModelError as e: print(e)
"""


def test_the_gated_model_without_a_token_says_what_to_do(talk, community, tmp_path):
    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()
        do_HEAD = do_GET
        def log_message(self, *args): pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))} | dict(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=str(tmp_path), NO_PROXY="127.0.0.1")
    r = subprocess.run([sys.executable, "-c", HUB, talk[0]], capture_output=True, text=True, env=env, timeout=120)
    server.shutdown()
    assert "HF_TOKEN" in r.stdout and "accept its terms" in r.stdout and "pyannote/speaker-diarization-community-1" in r.stdout and r.stdout.count("\n") == 1, r.stdout + r.stderr[-1000:]


# two commits of a model on a hub, or a folder whose files are replaced

class Models(http.server.BaseHTTPRequestHandler):
    "What huggingface_hub asks for a snapshot: the commit and its files, then each file"
    def do_GET(self):
        commits, path = self.server.commits, self.path.partition("?")[0]
        if path.startswith("/api/models/me/model"):
            kind, _, asked = path.removeprefix("/api/models/me/model").strip("/").partition("/")
            sha = {"main": self.server.newest, "": self.server.newest}.get(asked, asked)
            files = commits.get(sha, {})
            said = [dict(type="file", path=n, size=1, oid="0" * 40) for n in files] if kind == "tree" else dict(id="me/model", modelId="me/model", sha=sha, siblings=[dict(rfilename=n) for n in files])
            return self.say(json.dumps(said if files else {}).encode(), bool(files))
        _, _, rest = path.partition("/me/model/resolve/")
        sha, _, name = rest.partition("/")
        data = commits.get(sha, {}).get(name)
        self.say(data or b"", data is not None, {"X-Repo-Commit": sha, "ETag": f'"{hash((sha, name))}"'})

    def say(self, body, found, headers={}):
        self.send_response(200 if found else 404)
        for k, v in (headers if found else {"X-Error-Code": "RevisionNotFound"}).items(): self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET": self.wfile.write(body)

    do_HEAD = do_GET
    def log_message(self, *args): pass


OLDER, NEWER = "a" * 40, "b" * 40
KEYS = """
from voicenb.core import packages
from voicenb.data import pyannote
for model, commit in {asked!r}:
    try: print(pyannote.revision(model, commit), (pyannote.home(model, commit) / "config.yaml").read_text())
    except packages.ModelError as e: print(e)
"""


def keys(server, home, *asked):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env |= dict(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=str(home), NO_PROXY="127.0.0.1", HF_HUB_DISABLE_XET="1")
    r = subprocess.run([sys.executable, "-c", KEYS.format(asked=asked)], capture_output=True, text=True, env=env, timeout=120)
    assert r.returncode == 0, r.stderr[-1500:]
    return r.stdout.splitlines()


def test_a_result_is_keyed_by_the_commit_that_came(tmp_path):
    pytest.importorskip("huggingface_hub", reason="pip install 'voicenb[diarize]'")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    server.commits = {sha: {n: f"{sha[0]}".encode() for n in pyannote.FILES} for sha in (OLDER, NEWER)}
    server.newest, server.daemon_threads = OLDER, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert keys(server, tmp_path, ("me/model", ""), (f"me/model@{NEWER}", ""), ("me/model", NEWER)) == [f"me/model@{OLDER} a", f"me/model@{NEWER} b", f"me/model@{NEWER} b"]
    server.newest = NEWER
    assert keys(server, tmp_path, ("me/model", ""), ("me/model@main", "")) == [f"me/model@{NEWER} b"] * 2
    bad = keys(server, tmp_path, (f"me/model@{'c' * 40}", ""), (f"me/model@{OLDER}", NEWER))
    server.shutdown()
    assert len(bad) == 2 and "no revision" in bad[0] and bad[1] == f"me/model@{OLDER}: revision says {NEWER}; give one of the two"


def test_the_default_model_has_a_fixed_commit():
    name, _, commit = pyannote.COMMUNITY.partition("@")
    assert len(commit) == 40 and pyannote.revision() == pyannote.revision(name) == pyannote.COMMUNITY and pyannote.revision(name, "d" * 40) == f"{name}@{'d' * 40}"


def test_a_replaced_folder_is_loaded_anew(heard, community, tmp_path):
    from make_models import pyannote_folder
    folder, recordings, before = heard
    mine = shutil.copytree(community, tmp_path / "model")
    go = lambda: diarize.turns(recordings, folder, engine="pyannote", model=str(mine), device="cpu")
    first = go()
    loaded = pyannote.pipeline(mine, "cpu")
    assert first.equals(before) and pyannote.pipeline(mine, "cpu") is loaded
    key = pyannote.revision(str(mine))
    shutil.rmtree(mine)
    pyannote_folder(mine, seed=5)
    assert pyannote.pipeline(mine, "cpu") is not loaded and pyannote.revision(str(mine)) != key
    assert not go().equals(first), "the turns of the old weights"


# the notebook

@pytest.mark.slow
def test_the_speech_notebook_shows_a_run(talk, tmp_path):
    folder, recordings, _, found = talk
    home = tmp_path / "runs" / "talk"
    shutil.copytree(folder, home / "audio")
    tb.save(recordings.assign(sent_at=pd.to_datetime(recordings.sent_at)), home / "recordings.parquet")
    clips = segment.speech(recordings, home / "audio")
    tb.save(diarize.speakers(clips, found), home / "clips.parquet")
    go = lambda *pairs: subprocess.run([VOICENB, "run", "diagnose/speech", *(x for p in (f"run={home}", *pairs) for x in ("-p", p))], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    text = lambda: "".join("".join(o.get("text", "")) for c in json.loads((tmp_path / "reports" / "talk" / "diagnose" / "speech.ipynb").read_text())["cells"] for o in c.get("outputs", []))
    r = go("seconds=20")
    assert r.returncode == 0, r.stdout[-1500:] + r.stderr[-1500:]
    for name in ("speech.png", "speech.svg", "speech-whole.png"): assert (tmp_path / "reports" / "talk" / "diagnose" / name).stat().st_size > 2000
    assert "2 speakers" in text() and "overlap was not checked" in text() and "just now" in text()
    over = pd.concat([found.assign(overlap=0.0), found.head(1).assign(start=2.0, end=2.5, speaker="S2", overlap=1.0)], ignore_index=True)
    tb.save(over[over.speaker != "S1"], home / "turns.parquet")
    r = go("recording=talk.m4a", "start=3", "seconds=10")
    assert r.returncode == 0 and "as stored" in text() and "1 stretches" in text() and "not checked" not in text()
    lost = float(text().split(" s of speech belong to nobody")[0].split()[-1])
    assert lost > .9 * (found.end - found.start)[found.speaker == "S1"].sum() - 1
    assert go("recording=nothing.m4a").returncode != 0
