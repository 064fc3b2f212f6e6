"Each fault is put into a clean dataset, found, and named; a clean dataset is clean; the exit code says which it was"
import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voicenb.core import audio as au
from voicenb.core.phonemes import speak
from voicenb.data import layouts, publish
from voicenb.data.validate import PROBLEMS, foreign, lines, validate

VOICENB = Path(sys.executable).parent / "voicenb"
TEXTS = ["The tide comes in at nine tonight.", "We met on the narrow stairs today.", "Nobody knew the way to the mill.", "She bought a pair of brown shoes."]


@functools.cache
def said(text):
    return speak(text, "en", variant="f2").samples


def clips_of(home):
    "Masters of four sentences, and their clips"
    rows = []
    for n, text in enumerate(TEXTS):
        x = said(text)
        au.save(au.Audio(x, 22_050), home / "audio" / f"rec{n}.flac")
        rows.append(dict(clip=f"rec{n}_0", recording=f"rec{n}", file=f"{n}.opus", sender="Ana", start=0.0, end=int(len(x) / 22.05) / 1000, text=text, text_raw=text, text_source="gold",
                         split=["train", "train", "valid", "test"][n], kept=True, reason="", detail=""))
    return pd.DataFrame(rows)


@pytest.fixture
def ours(tmp_path):
    "A folder that we published"
    publish.dataset(clips_of(tmp_path), tmp_path / "audio", tmp_path / "ours", name="ana", exports=("ljspeech", "json", "parquet", "libritts"))
    return tmp_path / "ours"


@pytest.fixture
def theirs(tmp_path):
    "LJSpeech as anybody makes it"
    for n, text in enumerate(TEXTS): au.save(au.Audio(said(text), 22_050), tmp_path / "LJ" / "wavs" / f"{n}.wav")
    (tmp_path / "LJ" / "metadata.csv").write_text("".join(f"{n}|{t}|{t}\n" for n, t in enumerate(TEXTS)), encoding="utf-8")
    return tmp_path / "LJ"


def found(folder, **more):
    return {(r.problem, r.row) for r in validate(folder, **dict(language="en") | more).itertuples()}


def table(folder, change):
    "Rewrite metadata.csv line by line"
    path = folder / "metadata.csv"
    path.write_text("\n".join(change(path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")


def wav(folder, n, make):
    "Rewrite a sound"
    a = au.decode(folder / "wavs" / f"{n}.wav")
    au.save(make(a), folder / "wavs" / f"{n}.wav")


def test_clean_is_clean(ours, theirs, tmp_path):
    assert found(ours) == set() and found(theirs) == set() and found(theirs / "metadata.csv") == set() and found(ours, language="") == set()
    assert found(clips_of(tmp_path), audio=tmp_path / "audio") == set() and found(layouts.ljspeech(theirs)) == set()
    assert lines(validate(theirs, language="en"), "LJ") == ["LJ: clean"]
    (theirs / "metadata.csv").unlink()
    rows = [dict(audio_filepath=f"wavs/{n}.wav", duration=len(said(t)) / 22_050, text=t) for n, t in enumerate(TEXTS)]
    (theirs / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert found(theirs) == set()


def put(n, text):
    return lambda f: table(f, lambda x: [*x[:n], f"{n}|{text}|{text}", *x[n + 1:]])


FAULTS = dict(
    missing=(lambda f: (f / "wavs" / "1.wav").unlink(), "metadata.csv:2"),
    unlisted=(lambda f: au.save(au.Audio(said("Come in and sit down."), 22_050), f / "wavs" / "9.wav"), "metadata.csv"),
    unreadable_row=(lambda f: table(f, lambda x: [*x, "no bar at all"]), "metadata.csv:5"),
    unsafe=(lambda f: table(f, lambda x: [*x, "../LJ/wavs/1|words|words"]), "metadata.csv:5"),
    damaged=(lambda f: (f / "wavs" / "2.wav").write_bytes((f / "wavs" / "2.wav").read_bytes()[:30_000]), "metadata.csv:3"),
    silent=(lambda f: wav(f, 2, lambda a: au.Audio(a.samples * 1e-4, a.rate)), "metadata.csv:3"),
    wrong_rate=(lambda f: wav(f, 3, lambda a: a.to(44_100)), "metadata.csv:4"),
    not_mono=(lambda f: __import__("soundfile").write(f / "wavs" / "3.wav", np.stack([said(TEXTS[3])] * 2, 1), 22_050), "metadata.csv:4"),
    too_short=(lambda f: wav(f, 0, lambda a: au.Audio(a.samples[:4_000], a.rate)), "metadata.csv:1"),
    too_long=(lambda f: wav(f, 0, lambda a: au.Audio(np.tile(a.samples, 24), a.rate)), "metadata.csv:1"),
    no_text=(put(0, "..."), "metadata.csv:1"),
    long_text=(put(0, "word " * 130), "metadata.csv:1"),
    text_rate=(put(0, "word " * 60), "metadata.csv:1"),
    characters=(put(1, "We met жук today."), "metadata.csv:2"),
    same_audio=(lambda f: [wav(f, 3, lambda a: au.decode(f / "wavs" / "0.wav"))], "metadata.csv:4"),
    same_text=(put(3, TEXTS[0]), "metadata.csv:4"),
)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_named(theirs, fault):
    make, row = FAULTS[fault]
    make(theirs)
    problems = found(theirs, most=300)
    assert (fault, row) in problems
    assert {p for p, _ in problems} <= {fault} | dict(long_text={"text_rate"}, too_long={"text_rate"}, too_short={"text_rate"}, same_audio={"same_text"}, damaged={"text_rate"}).get(fault, set())
    assert not {p for p, _ in found(theirs, most=300, allow=(fault,))} & {fault}


def rows_of(folder, change):
    "Rewrite data.jsonl"
    path = folder / "data.jsonl"
    rows = [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")


def test_leaks_across_the_split(ours):
    def leak(rows):
        rows[3] |= dict(recording=rows[0]["recording"], text=rows[1]["text"])
    rows_of(ours, leak)
    assert {("split_recording", "data.jsonl:4"), ("split_text", "data.jsonl:4"), ("same_text", "data.jsonl:4")} <= found(ours)
    (ours / "wavs" / "rec3_0.wav").write_bytes((ours / "wavs" / "rec2_0.wav").read_bytes())
    assert ("split_audio", "data.jsonl:4") in found(ours)


def test_the_same_words_of_two_speakers_or_short_ones_are_no_leak(ours):
    def change(rows):
        rows[3] |= dict(text=rows[1]["text"], speaker="Ben")
        rows[0]["text"] = rows[2]["text"] = "Okay."
    rows_of(ours, change)
    assert not {"split_text", "same_text"} & {p for p, _ in found(ours)}


def test_tables_that_do_not_agree(ours):
    rows_of(ours, lambda rows: rows[1].update(text="Somebody corrected this one here."))
    problems = validate(ours)
    assert {"metadata.csv:2", "data/train-00000-of-00001.parquet:2"} == set(problems.row[problems.problem == "lists_differ"])
    assert ("changed", "data.jsonl") in set(zip(problems.problem, problems.file)) and "Somebody corrected" in " ".join(problems.detail)
    rows_of(ours, lambda rows: rows.pop(2))
    problems = validate(ours)
    assert {("unlisted", "wavs/rec2_0.wav"), ("lists_differ", "rec2_0"), ("changed", "dataset.json")} <= set(zip(problems.problem, problems.file)) and "it says 4 clips, the table has 3" in set(problems.detail)


def test_sounds_that_were_changed_after_publishing(ours):
    x = bytearray((ours / "wavs" / "rec1_0.wav").read_bytes())
    x[9_000:9_400] = x[5_000:5_400]
    (ours / "wavs" / "rec1_0.wav").write_bytes(x)
    problems = validate(ours)
    assert {("changed", "wavs/rec1_0.wav"), ("lists_differ", "rec1_0")} <= set(zip(problems.problem, problems.file)) and "other bytes than were written" in set(problems.detail)
    (ours / "dataset.json").write_text("{")
    assert "not JSON" in set(validate(ours, language="en").detail)


SOUND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def parquet(folder, *rows, sound=SOUND):
    "Another Parquet file beside ours"
    pq.write_table(pa.Table.from_pylist([dict(audio=a, text=t) for a, t in rows], schema=pa.schema([("audio", sound), ("text", pa.string())])), folder / "data" / "more.parquet")


def test_parquet_files_with_holes_and_damage(ours):
    data = (ours / "wavs" / "rec0_0.wav").read_bytes()
    parquet(ours, (dict(bytes=data, path="rec0_0.wav"), None), (None, "x"), (dict(bytes=None, path="rec1_0.wav"), TEXTS[1]), (dict(bytes=data, path=None), "x"))
    problems = validate(ours).set_index("row").detail
    assert problems.index.tolist() == [f"data/more.parquet:{n}" for n in (2, 3, 4, 1)] and "its text is ''" in problems.iloc[3] and all(problems.iloc[:3].str.startswith("no sound in it"))
    parquet(ours, ("rec0_0.wav", "x"), sound=pa.string())
    assert found(ours) == {("lists_differ", "data/more.parquet:1")}
    whole = (ours / "data" / "train-00000-of-00001.parquet").read_bytes()
    for torn in (b"PAR1xxxx", b"", whole[:-2000], whole[:4] + bytes(200) + whole[204:]):
        (ours / "data" / "more.parquet").write_bytes(torn)
        problems = validate(ours)
        assert set(zip(problems.problem, problems.row)) == {("damaged", "data/more.parquet")} and not problems.detail.str.contains("\n").any(), torn[:4]
    (ours / "data" / "more.parquet").rename(ours / "data" / "train-00000-of-00001.parquet")
    assert {("damaged", "data/train-00000-of-00001.parquet")} <= found(ours) and not any("not in the Parquet files" in d for d in validate(ours).detail)


def test_receipts_and_second_tables_that_are_none(ours):
    info = json.loads((ours / "dataset.json").read_text())
    for files in ([], None, "x", {"data.jsonl": "many"}):
        (ours / "dataset.json").write_text(json.dumps(info | dict(files=files)))
        assert [tuple(r) for r in validate(ours)[["problem", "row", "detail"]].to_numpy()] == [("changed", "dataset.json", "its files are not a map from name to number of bytes")]
    (ours / "dataset.json").write_text(json.dumps(info | dict(files={})))
    (ours / "metadata.csv").write_text("")
    assert [tuple(r) for r in validate(ours)[["problem", "row", "detail"]].to_numpy()] == [("lists_differ", "metadata.csv", "metadata.csv: an empty table")]


def test_a_duration_that_is_not_the_files(ours):
    rows_of(ours, lambda rows: rows[0].update(duration=9.5))
    assert ("duration", "data.jsonl:1") in found(ours)


def test_a_recordings_table_names_its_own_faults(theirs):
    table(theirs, lambda x: [*x, "gone|gone|gone", "no bar"])
    assert {p for p, _ in found(layouts.ljspeech(theirs))} == {"missing", "unreadable_row"}


def test_characters_by_language_and_by_alphabet(theirs):
    assert foreign("El año, ¿qué? – «sí» ª", "es") == [] and foreign("مرحبا، كيف؟ ١٢", "ar") == [] and foreign("Здравствуй", "ru") == [] and foreign("5 % of €20", "en") == []
    assert foreign("hello", "ar") == ["e", "h", "l", "o"] and foreign("bro\x07ken \ufffd", "en") == ["\x07", "\ufffd"] and foreign("fine 🙂", "en") == ["🙂"]
    assert foreign("Ça va, Noël?", alphabet="abcdefghijklmnopqrstuvwxyz ,?") == ["ç", "ë"]
    assert found(theirs, alphabet="abcdefghijklmnopqrstuvw xyz.") == set() and {p for p, _ in found(theirs, alphabet="abcdefgh .")} == {"characters"}
    assert {p for p, _ in found(theirs, phones="aeiou")} == {"characters"}
    with pytest.warns(UserWarning, match="the language is unknown"): validate(theirs)


def test_wrong_calls_are_one_line(tmp_path, theirs):
    for source, more, said_ in ((tmp_path / "none", {}, "not a folder"), (tmp_path, {}, "no table"), (theirs, dict(allow=("mising",)), "no problem is called 'mising'"), (theirs, dict(language="xx-none"), "no language")):
        with pytest.raises(ValueError, match=said_) as e: validate(source, **more)
        assert "\n" not in str(e.value)
    assert set(FAULTS) <= set(PROBLEMS)


def test_the_exit_code(theirs, tmp_path):
    args = [VOICENB, "run", "diagnose/validate", "-p", f"folder={theirs}", "-p", f"out={tmp_path}", "-p", "language=en"]
    r = subprocess.run([*args, "-p", "name=good"], capture_output=True, text=True)
    assert r.returncode == 0 and "validate: passed" in r.stdout, r.stdout + r.stderr
    (theirs / "wavs" / "1.wav").unlink()
    r = subprocess.run([*args, "-p", "name=bad"], capture_output=True, text=True)
    assert r.returncode == 1 and "1 problem in 1 row: missing 1" in r.stdout
    assert pd.read_csv(tmp_path / "reports" / "bad" / "problems.csv")[["problem", "row"]].to_numpy().tolist() == [["missing", "metadata.csv:2"]]


@pytest.mark.parametrize("limit", [dict(longest=-1), dict(longest=0), dict(most=0), dict(shortest=-.1), dict(rate=-8_000)])
def test_a_limit_that_nothing_meets_is_refused(ours, limit):
    with pytest.raises(ValueError, match=f"{next(iter(limit))}={next(iter(limit.values())):g}"): validate(ours, **limit)


def test_a_card_that_was_edited_is_told_of(ours):
    page = (ours / "README.md").read_text(encoding="utf-8")
    (ours / "README.md").write_text(page.replace("unknown", "unknowm", 1), encoding="utf-8")
    assert ("changed", "README.md") in set(zip((found := validate(ours)).problem, found.file))
