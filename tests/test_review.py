"Human review: the log survives accidents, the overlay survives re-runs and new cuts, the panel and the sheet write what was meant"
import csv
import io
import json
import multiprocessing
import random
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from conftest import DEMO_TEXTS, ROOT, small_export
from voicenb.core import audio as au
from voicenb.core import shards as sh
from voicenb.core import table as tb
from voicenb.core.run import Run
from voicenb.data import align, curate, ingest, review, segment, transcribe, verify
from voicenb.use.panel import Panel


def clip(start, end, recording="rec1", **more):
    key = f"{recording}_{round(start * 1000):07d}_{round(end * 1000):07d}"
    row = dict(clip=key, recording=recording, file=f"{recording}.opus", start=float(start), end=float(end), level="accept", score=.9, text_raw="Good day.",
               text="Good day.", text_source="asr", kept=True, reason="", detail="") | more
    return row | dict(kept=not row["reason"])


@pytest.fixture
def folder(tmp_path):
    "Five clips of one recording, the last two out by judgement, with a master"
    x = np.random.default_rng(0).normal(0, .05, 16_000 * 20).astype(np.float32)
    au.save(au.Audio(x, 16_000), tmp_path / "audio" / "rec1.flac")
    rows = [clip(0, 2), clip(2, 4, score=.88), clip(4, 6, score=.86), clip(6, 8, reason="speaker_review", level="review", score=.7, detail="score 0.70"),
            clip(8, 10, reason="asr_unsure", text_raw="recognise peach", text="recognise peach")]
    tb.save(pd.DataFrame(rows), tmp_path / "clips.parquet")
    return tmp_path


@pytest.fixture
def clips(folder):
    return tb.load(folder / "clips.parquet")


def written(log):
    return [json.loads(s) for s in log.read_text(encoding="utf-8").splitlines()]


# the panel

def test_every_button_writes_its_line_at_once_and_the_next_clip_comes(folder, clips):
    log = folder / "review.jsonl"
    p = Panel(clips, folder / "audio", log, by="Lea")
    assert len(p.view) == 2 and p.row.start == 6 and "out: speaker_review" in p.facts.value and "clip 1 of 2" in p.count.value
    assert p.player.value[:4] == b"RIFF" and p.image.value[:4] == b"\x89PNG"
    p.buttons["accept"].click()
    assert [(d["clip"], d["action"], d["by"]) for d in written(log)] == [("rec1_0006000_0008000", "accept", "Lea")]
    assert p.row.start == 8 and p.text.value == "recognise peach" and p.bar.value == 1
    p.text.value = "Recognise  speech."
    p.buttons["text"].click()
    assert written(log)[-1]["action"] == "edit" and review.read(log).text.tolist() == ["", "Recognise speech."]
    assert p.row.start == 8 and "saved" in p.said.value
    p.buttons["reject"].click()
    assert written(log)[-1]["action"] == "reject" and "All decided" in p.said.value
    p.buttons["undo"].click()
    assert written(log)[-1]["action"] == "undo" and p.row.start == 8 and "Taken back: reject" in p.said.value
    p.buttons["undo"].click()
    assert p.text.value == "recognise peach" and review.read(log)["clip"].tolist() == ["rec1_0006000_0008000"]
    p.buttons["undo"].click()
    assert p.row.start == 6 and len(review.read(log)) == 0 and p.bar.value == 0
    p.buttons["undo"].click()
    assert "nothing to take back" in p.said.value and len(written(log)) == 6


def test_the_panel_takes_back_what_was_decided_on_another_cut(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clip(2.1, 4.05), "reject")
    p = Panel(clips, folder / "audio", log, show="kept")
    assert p.bar.value == 1 and p.row.start != 2
    p.buttons["undo"].click()
    assert p.row.start == 2 and p.said.value == "Taken back: reject." and p.bar.value == 0 and len(review.read(log)) == 0


def test_the_panel_asks_again_where_the_accepted_words_are_others_now(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[4], "accept")
    now = review.lay(clips.assign(text_raw=[*clips.text_raw[:4], "wreck a nice beach"]), log)
    p = Panel(now, folder / "audio", log)
    assert now.review[4] == "again" and p.row.start == 8 and p.bar.value == 0
    p.buttons["accept"].click()
    assert len(written(log)) == 2 and p.bar.value == 1 and review.lay(now, log).kept[4]


def test_keys_filters_skip_and_previous(folder, clips):
    log = folder / "review.jsonl"
    p = Panel(clips, folder / "audio", log)
    p.filter.value = "kept"
    assert sorted(r.start for r in p.view) == [0, 2, 4]
    first = p.row.start
    p.keys.value = "s"
    assert p.keys.value == "" and p.row.start != first and not log.exists()
    p.keys.value = "P"
    assert p.row.start == first
    p.keys.value = "x"
    assert not log.exists()
    p.filter.value = "all"
    assert len(p.view) == 5
    for _ in range(5): p.keys.value = "a"
    assert sorted(review.read(log)["clip"]) == sorted(clips["clip"]) and p.bar.value == p.bar.max == 5
    p.keys.value = "a"
    assert len(written(log)) == 5, "an accept of what is accepted is no news"
    again = Panel(clips, folder / "audio", log, show="all")
    assert again.bar.value == 5 and "decided: accept" in again.facts.value


def test_a_typed_text_is_never_lost_and_an_empty_one_never_stored(folder, clips):
    log = folder / "review.jsonl"
    p = Panel(clips, folder / "audio", log, show="all")
    p.text.value = "Typed, and then skipped."
    p.buttons["skip"].click()
    p.text.value = "Typed, and then accepted."
    p.buttons["accept"].click()
    p.text.value = "Typed, and then another filter."
    p.filter.value = "kept"
    assert [d["action"] for d in written(log)] == ["edit", "edit", "accept", "edit"] and written(log)[2]["text"] == "Typed, and then accepted."
    n = len(written(log))
    p.text.value = "Typed, and then thought better of."
    here, before = p.row.clip, p.before
    p.buttons["undo"].click()
    assert p.row.clip == here and p.text.value == before and len(written(log)) == n
    p.text.value = "  "
    p.buttons["accept"].click()
    assert len(written(log)) == n and "without words" in p.said.value
    p.buttons["reject"].click()
    assert [d["action"] for d in written(log)[n:]] == ["reject"]


def test_the_panel_says_what_is_wrong_and_goes_on(folder, clips):
    (folder / "audio" / "rec1.flac").unlink()
    (folder / "in the way").write_text("")
    p = Panel(clips, folder / "audio", folder / "in the way" / "review.jsonl")
    assert "rec1.flac is missing" in p.said.value and p.player.value == b""
    p.buttons["accept"].click()
    assert "cannot write" in p.said.value and p.row.start == 6
    nobody = Panel(clips[:0], folder / "audio", folder / "review.jsonl")
    assert nobody.row is None and nobody.buttons["accept"].disabled
    nobody.buttons["accept"].click()
    nobody.keys.value = "u"
    assert not (folder / "review.jsonl").exists() or not written(folder / "review.jsonl")
    with pytest.raises(ValueError, match="to review, kept, all"): Panel(clips, folder / "audio", folder / "review.jsonl", show="some")


def test_what_chats_hold_is_shown_not_run(folder, clips):
    odd = clips.assign(file="<img src=x onerror=alert(1)>.opus", detail="<b>")
    p = Panel(odd, folder / "audio", folder / "review.jsonl", show="all")
    assert "<img" not in p.facts.value and "&lt;img" in p.facts.value


# the log

def test_nonsense_is_named_kept_and_stops_nothing(folder, clips):
    log = folder / "review.jsonl"
    for i in range(3): review.decide(log, clips.iloc[i], "accept")
    lines = log.read_text().splitlines()
    bad = ["what was I doing", "{}", '{"clip": 5, "action": "accept"}', lines[0].replace('"start": 0.0', '"start": NaN'), lines[0].replace("accept", "acepted"),
           lines[0].replace('"action": "accept", "text": "Good day."', '"action": "edit", "text": [1]'), '{"a":' * 5000]
    log.write_bytes("\r\n".join([lines[0], "", *bad, lines[1], lines[2]]).encode("utf-8-sig") + b"\r\n\x00\x00\x00")
    before = log.read_bytes()
    with pytest.warns(UserWarning, match="line 3: not a whole line"): said = review.read(log)
    assert said["clip"].tolist() == clips["clip"][:3].tolist()
    assert review.problems(log).line.tolist() == [*range(3, 10), 12]
    review.decide(log, clips.iloc[0], "reject")
    assert log.read_bytes().startswith(before) and review.read(log, warn=False).verdict.tolist() == ["accept", "accept", "reject"]


@pytest.mark.parametrize("keep", [1, 30, -2, -1])
def test_a_torn_last_line_costs_that_decision_only(folder, clips, keep):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[0], "accept")
    first = len(log.read_bytes())
    review.decide(log, clips.iloc[2], "accept")
    whole = log.read_bytes()
    log.write_bytes(whole[:first] + whole[first:][:keep])
    found = review.read(log, warn=False)
    assert len(found) == (2 if keep == -1 else 1) and len(review.problems(log)) == (0 if keep == -1 else 1)
    if keep != -1: assert "cut off" in review.problems(log).problem[0]
    review.decide(log, clips.iloc[1], "reject")
    assert review.read(log, warn=False).verdict.tolist() == found.verdict.tolist() + ["reject"]


def _many(log, name, n):
    for i in range(n): review.decide(log, clip(i, i + 1, recording=name), "accept", by=name)
    review.undo(log, by=name)


def test_two_processes_write_at_once(tmp_path):
    log = tmp_path / "review.jsonl"
    work = [multiprocessing.get_context("spawn").Process(target=_many, args=(log, name, 60)) for name in ("ana", "ben")]
    for p in work: p.start()
    for p in work: p.join()
    assert [p.exitcode for p in work] == [0, 0] and len(review.problems(log)) == 0
    said = review.read(log)
    assert said.by.value_counts().to_dict() == dict(ana=59, ben=59)


def test_a_full_disk_leaves_no_half_line(tmp_path):
    log = tmp_path / "review.jsonl"
    code = """if True:
        import resource, signal, sys
        from voicenb.data import review
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
        for i in range(50): review.decide(sys.argv[1], dict(clip=f"rec_{i*1000:07d}_{i*1000+900:07d}", recording="rec", start=i, end=i+.9), "accept")"""
    r = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True)
    assert r.returncode and "the decision is not stored" in r.stderr.splitlines()[-1]
    assert log.read_bytes().endswith(b"}\n") and len(review.problems(log)) == 0 and len(review.read(log)) >= 3


def test_another_encoding_is_read_and_not_damaged(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[0], "edit", "مرحبا")
    log.write_bytes(log.read_text(encoding="utf-8").encode("utf-16"))
    assert review.read(log).text.tolist() == ["مرحبا"]
    before = log.read_bytes()
    with pytest.raises(review.ReviewError, match="UTF-8"): review.decide(log, clips.iloc[1], "accept")
    assert log.read_bytes() == before


# the overlay

def test_what_each_decision_covers(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[0], "reject", note="a door")
    review.decide(log, clips.iloc[3], "edit", "At 5.")
    review.decide(log, clips.iloc[4], "accept")
    out = review.lay(clips, log)
    assert out.reason.tolist() == ["rejected_by_person", "", "", "speaker_review", ""] and out.detail[0] == "a door"
    assert out.text[3] == "At five." and out.text_raw[3] == "At 5." and out.text_source.tolist() == ["asr"] * 3 + ["user", "asr"]
    assert out.review.tolist() == ["reject", "", "", "edit", "accept"] and "asr_unsure" in out.detail[4]
    pd.testing.assert_frame_equal(review.lay(out, log), out)
    review.decide(log, clips.iloc[3], "accept")
    review.undo(log, clip=clips["clip"][0])
    out = review.lay(clips, log)
    assert out.kept.all() and out.text[3] == "At five."
    assert review.listened(out) == "2 of 5 clips were decided by a person (accept 2, edit 0, reject 0)"
    review.decide(log, clips.iloc[1], "reject")
    review.decide(log, clips.iloc[2], "edit", "Words.")
    assert review.listened(review.lay(clips, log)) == "4 of 5 clips were decided by a person (accept 2, edit 1, reject 1)"
    gone = tb.mark(out, out["clip"] == clips["clip"][4], "unalignable")
    assert review.listened(gone) == "1 of 4 clips were decided by a person (accept 1, edit 0, reject 0)", "nobody can decide about what no ear can overrule"
    assert sorted(tb.JUDGED) == sorted([*review.SOUND, *review.TEXT, *review.WORDLESS, "rejected_by_person"]), "each can be overruled by a rule of its own"
    assert review.listened(clips) == review.listened(review.lay(clips, None)) == "0 of 5 clips were decided by a person"
    assert review.lay(clips, None).drop(columns="review").equals(clips) and set(review.lay(clips, None).review) == {""}


@pytest.mark.parametrize("reason", ["other_sender", "duplicate", "silent", "no_speech", "too_short", "unalignable", "no_words"])
def test_nobody_can_accept_what_is_not_there(tmp_path, reason):
    t = pd.DataFrame([clip(0, 2, reason=reason)])
    review.decide(tmp_path / "r.jsonl", t.iloc[0], "accept")
    out = review.lay(t, tmp_path / "r.jsonl")
    assert out.reason[0] == reason and not out.kept[0]
    pd.testing.assert_frame_equal(review.lay(out, tmp_path / "r.jsonl"), out)


def test_words_for_a_clip_without_words(tmp_path):
    t = pd.DataFrame([clip(0, 2, reason="no_words", text="", text_raw="")])
    review.decide(tmp_path / "r.jsonl", t.iloc[0], "edit", "مرحبا 3")
    out = review.lay(t, tmp_path / "r.jsonl", language="ar")
    assert out.kept[0] and out.text[0] == "مرحبا ثلاثة"


def test_an_accept_is_of_the_text_that_was_seen(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[4], "accept")
    other = clips.assign(text_raw=clips.text_raw.where(clips.reason != "asr_unsure", "wreck a nice beach"))
    out = review.lay(other, log)
    assert out.review[4] == "again" and not out.kept[4] and "recognise peach" in out.detail[4]
    pd.testing.assert_frame_equal(review.lay(out, log), out)


def test_a_text_after_its_alignment_is_refused(folder, clips):
    aligned = clips.assign(words=[[dict(word="good", start=0.0, end=1.0, score=1.0)]] * len(clips))
    review.decide(folder / "review.jsonl", clips.iloc[0], "edit", "Other words.")
    with pytest.raises(tb.TableError, match="before align"): review.lay(aligned, folder / "review.jsonl")
    assert review.lay(aligned.assign(text="Other words."), folder / "review.jsonl").review[0] == "edit"


def test_a_new_cut_inherits_the_same_speech_only(folder, clips):
    log = folder / "review.jsonl"
    review.decide(log, clips.iloc[0], "reject")
    review.decide(log, clips.iloc[1], "edit", "Hello there.")
    review.decide(log, clips.iloc[3], "accept")
    cut = pd.DataFrame([clip(.1, 2.15), clip(2.3, 4), clip(4, 6.2), clip(6.1, 7.9, reason="speaker_review"), clip(8, 10), clip(0, 2, recording="rec2")])
    out = review.lay(cut, log)
    assert out.review.tolist() == ["reject", "again", "", "accept", "", ""]
    assert out.kept.tolist() == [False, True, True, True, True, True] and out.text[1] == "Good day." and "Hello there." in out.detail[1]
    pd.testing.assert_frame_equal(review.lay(out, log), out)
    review.decide(log, cut.iloc[1], "accept")
    review.decide(log, cut.iloc[0], "accept")  # of two decisions about one speech the later holds, on either cut
    assert review.lay(cut, log).review.tolist() == ["accept", "accept", "", "accept", "", ""]
    assert review.lay(clips, log).review[0] == "accept"
    assert review.waiting(cut[4:], log)["clip"].tolist() == [*clips["clip"][[0, 1, 3]], cut["clip"][1], cut["clip"][0]]


def test_the_order_is_the_same_whatever_came_first(clips):
    rng = random.Random(0)
    copy = lambda k: clips.assign(recording=f"rec{k}", clip=clips["clip"].str.replace("rec1", f"rec{k}"), score=clips.score - .001 * k)
    t = pd.concat(map(copy, range(8)), ignore_index=True)
    want = review.order(t)["clip"].tolist()
    for _ in range(5):
        mixed = t.iloc[rng.sample(range(len(t)), len(t))]
        assert review.order(mixed)["clip"].tolist() == want
    assert [c.split("_")[1] for c in want[:8]] == ["0006000"] * 8, "the uncertain speaker comes first"
    asked = t.assign(review=["again" if c == t["clip"][0] else "" for c in t["clip"]])
    assert review.order(asked)["clip"][0] == t["clip"][0]


# the sheet

def rows_of(path):
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def put(path, rows, delimiter=",", encoding="utf-8-sig"):
    f = io.StringIO(newline="")
    csv.writer(f, delimiter=delimiter).writerows(rows)
    path.write_bytes(f.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("delimiter, encoding", [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16"), (",", "cp1252")])
def test_a_sheet_goes_out_and_comes_back(folder, clips, delimiter, encoding):
    log = folder / "review.jsonl"
    clips = clips.assign(text_raw=["=1+1", "a, \"b\"", "señor\nnext", "d", "e"], file="-note.opus")
    sheet = review.to_csv(clips, log, folder / "sheet.csv")
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbf") and "'=1+1" in sheet.read_text(encoding="utf-8")
    assert len(review.from_csv(sheet, log, clips)) == 0 and not log.exists(), "untouched is unsaid"
    rows = {r[0]: r for r in rows_of(sheet)}
    c = clips["clip"].tolist()
    for k, decision, new in ((c[0], "Accept ", ""), (c[1], "n", ""), (c[2], "", "mañana, \"yes\""), (c[3], "ok", "¿Qué?")): rows[k][7], rows[k][8] = decision, new
    put(sheet, rows.values(), delimiter, encoding)
    done = review.from_csv(sheet, log, clips, by="Lea")
    assert not done.problem.any() and sorted(done.action) == ["accept", "edit", "edit and accept", "reject"]
    said = review.read(log).set_index("clip")
    assert said.verdict.to_dict() == {c[0]: "accept", c[1]: "reject", c[2]: "", c[3]: "accept"} and said.text[c[2]] == "mañana, \"yes\"" and set(said.by) == {"Lea"}
    n = len(written(log))
    assert not review.from_csv(sheet, log, clips).action.any() and len(written(log)) == n, "the same sheet again says nothing new"
    assert {r[0]: r[6] for r in rows_of(review.to_csv(clips, log, sheet))}[c[3]] == "accept, text: ¿Qué?"


def filled(path, clips, log, **cells):
    "The sheet of these clips, with cells of column: value in the row of the clip that starts at `at`"
    head, *rows = rows_of(review.to_csv(clips, log, path))
    row = next(r for r in rows if float(r[2].split()[0]) == cells["at"])
    for k, v in cells.items():
        if k != "at": row[head.index(k.replace("_", " "))] = v
    return put(path, [head, *rows])


def test_the_same_undo_twice_takes_back_what_the_sheet_shows_and_no_more(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    review.from_csv(filled(sheet, clips, log, at=0, decision="accept", new_text="Hello."), log, clips)
    review.decide(log, clips.iloc[1], "reject")
    filled(sheet, clips, log, at=0, decision="undo")
    assert review.from_csv(sheet, log, clips).action.tolist() == ["undo"] and review.read(log)["clip"].tolist() == [clips["clip"][1]]
    n = len(written(log))
    again = review.from_csv(sheet, log, clips)
    assert again.action.tolist() == [""] == again.problem.tolist() and len(written(log)) == n
    review.decide(log, clips.iloc[0], "reject")
    found = review.from_csv(sheet, log, clips)
    assert "decided anew since" in found.problem[0] and len(review.read(log)) == 2, "an old sheet takes back nothing that came after it"
    found = review.from_csv(filled(sheet, clips, log, at=4, decision="undo"), log, clips)
    assert "nothing to take back" in found.problem[0]
    found = review.from_csv(filled(sheet, clips, log, at=0, decision="undo", new_text="Words."), log, clips)
    assert "undo and a new text" in found.problem[0] and len(written(log)) == n + 1


def test_a_sheet_speaks_of_what_was_decided_on_another_cut(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    review.decide(log, clip(.1, 2), "edit", "Hello.")
    review.decide(log, clip(0, 2.15), "reject")
    filled(sheet, clips, log, at=0, decision="reject", new_text="Hello.")
    assert not review.from_csv(sheet, log, clips).action.any() and len(written(log)) == 2, "it is inherited already"
    filled(sheet, clips, log, at=0, decision="undo")
    assert next(r[6] for r in rows_of(sheet) if r[0] == clips["clip"][0]) == "reject, text: Hello."
    assert review.from_csv(sheet, log, clips).action.tolist() == ["undo"]
    assert len(review.read(log)) == 0 and set(review.lay(clips, log).review) == {""}
    assert {r[6] for r in rows_of(review.to_csv(clips, log, sheet))} == {"so far", ""}


def test_an_accept_of_other_words_can_be_given_again_in_a_sheet(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    review.decide(log, clips.iloc[4], "accept")
    now = review.lay(clips.assign(text_raw=[*clips.text_raw[:4], "wreck a nice beach"]), log)
    filled(sheet, now, log, at=8, decision="accept")
    assert next(r[6] for r in rows_of(sheet) if r[0] == clips["clip"][4]) == "again"
    assert review.from_csv(sheet, log, now).action.tolist() == ["accept"] and review.lay(now, log).kept[4]
    assert review.from_csv(sheet, log, now).action.tolist() == [""]


def test_no_note_is_lost_silently(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    found = review.from_csv(filled(sheet, clips, log, at=0, note="listen to this again"), log, clips)
    assert found.row.tolist() == [2 + [r[0] for r in rows_of(sheet)[1:]].index(clips["clip"][0])] and "a note without a decision" in found.problem[0]
    assert not log.exists()
    for note in ("cough", "cough and laugh"):
        filled(sheet, clips, log, at=0, decision="reject", note=note)
        assert review.from_csv(sheet, log, clips).action.tolist() == ["reject"]
        n = len(written(log))
        assert review.from_csv(sheet, log, clips).action.tolist() == [""] and len(written(log)) == n
    review.decide(log, clips.iloc[0], "edit", "Hello.")
    assert review.lay(clips, log).detail[0] == review.read(log).note[0] == "cough and laugh", "a text says nothing about the reason"
    filled(sheet, clips, log, at=2, new_text="Hello there.", note="mumbled")
    assert review.from_csv(sheet, log, clips).action.tolist() == ["edit"] and review.from_csv(sheet, log, clips).problem.tolist() == [""]
    assert written(log)[-1]["note"] == "mumbled" and not review.from_csv(sheet, log, clips).action.any()


def test_bad_rows_are_named_and_the_others_count(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    head, *rows = rows_of(review.to_csv(clips, log, sheet))
    c = [r[0] for r in rows]
    rows[0][0], rows[0][7] = "6.00E+15", "accept"
    rows[1][7] = "maybe"
    rows[2][2], rows[2][7] = "9.000 s", "accept"
    rows[3][8] = "????? ???"
    rows[4][7] = "reject"
    more = [[*rows[4][:7], "accept", "", ""], [c[2], *rows[4][1:7], "edit", "", ""], ["nobody_0000000_0001000", "", "", "", "", "", "", "accept", "", ""], [c[2]]]
    found = review.from_csv(put(sheet, [head, *rows, *more]), log, clips)
    want = {2: "number of the clip", 3: "'maybe'", 4: "do not belong together", 5: "question marks", 6: "", 7: "decided in row 6",
            8: "do not belong together", 9: "no clip of this run", 10: "the row ends"}
    assert found.row.tolist() == list(want) and all(w in p and bool(w) == bool(p) for w, p in zip(want.values(), found.problem))
    assert [(d["clip"], d["action"]) for d in written(log)] == [(c[4], "reject")]


def test_sheets_that_are_none(folder, clips):
    log, sheet = folder / "review.jsonl", folder / "sheet.csv"
    for data, message in ((b"PK\x03\x04....", "workbook"), (b"", "no column 'clip'"), (b"a,b\n1,2\n", "no column 'clip'"), (b"\xff\xfe\x00", "sheet|no column")):
        sheet.write_bytes(data)
        with pytest.raises(review.ReviewError, match=message): review.from_csv(sheet, log, clips)
    with pytest.raises(review.ReviewError, match="cannot read"): review.from_csv(folder / "absent.csv", log, clips)
    review.to_csv(clips, log, sheet)
    text = sheet.read_text(encoding="utf-8-sig").splitlines()
    sheet.write_text("\n".join([text[0], text[1].rsplit(",", 3)[0] + ',,"never closed', *text[2:]]), encoding="utf-8")
    found = review.from_csv(sheet, log, clips)
    assert len(found) == 1 and "never closed" in found.problem[0] and not log.exists()


# a real run

def test_the_overlay_is_one_cheap_step_that_follows_the_log_and_the_table(folder, clips):
    log, run = folder / "review.jsonl", Run(folder / "run", jobs=2, progress=False)
    copies = [clips.assign(recording=f"rec{k}", clip=clips["clip"].str.replace("rec1", f"rec{k}")) for k in range(40)]
    t = pd.concat(copies, ignore_index=True)
    review.decide(log, t.iloc[3], "accept")
    out = run(review.lay, t[:150], log=log)
    assert not run.workers.keys() - {sh.me()}, "no process is started for it"
    pd.testing.assert_frame_equal(out, review.lay(t[:150], log), check_dtype=False)
    assert run(review.lay, t[:150], log=log).equals(out) and run.log[-1]["cached"]
    more = run(review.lay, t, log=log)
    pd.testing.assert_frame_equal(more[:150], out)
    review.decide(log, t.iloc[199], "reject")
    assert run(review.lay, t, log=log).review[199] == "reject" and not run.log[-1]["cached"]


def journey(folder, chat, log, pad=.15, target=5.0):
    "A small run from a chat to curated clips, with the review laid over it"
    run = Run(folder, dict(name="small", export=str(chat)), jobs=1, progress=False)
    recordings = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, chat), me="Sam"))
    t = run(segment.speech, recordings, target=target, pad=pad)
    t = run(review.lay, run(verify.speaker, t, recordings=recordings), log=log)
    t = run(review.lay, run(transcribe.words, t, transcripts=DEMO_TEXTS), log=log)
    t = run(curate.select, run(curate.measure, run(align.phones, t, iterations=3)))
    t = run(curate.split, run(review.lay, t, log=log))
    tb.save(t, folder / "clips.parquet")
    (folder / "receipt.json").write_text(json.dumps(dict(notebook="voice_notes.ipynb", parameters=run.params)))
    return t, run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    home = tmp_path_factory.mktemp("review")
    chat = small_export(home / "chat.zip", mine=5, others=2)
    return home, chat, journey(home / "runs" / "small", chat, home / "runs" / "small" / "review.jsonl")[0]


@pytest.mark.slow
def test_decisions_hold_on_a_second_run_with_more_notes_and_through_another_cut(small, tmp_path):
    home, chat, first = small
    run = shutil.copytree(home / "runs" / "small", tmp_path / "runs" / "small", ignore=shutil.ignore_patterns(".lock"))
    log = run / "review.jsonl"
    mine = first[first.kept].reset_index(drop=True)
    review.decide(log, mine.iloc[0], "reject")
    review.decide(log, mine.iloc[1], "edit", "These are 2 new words.")
    second, r = journey(run, chat, log)
    held = second.set_index("clip")
    assert held.reason[mine["clip"][0]] == "rejected_by_person" and held.text[mine["clip"][1]] == "These are two new words."
    assert [w["word"].lower() for w in held.words[mine["clip"][1]]][:3] == ["these", "are", "two"], "aligned to the new text"
    assert [s["cached"] for s in r.log[:5]] == [True] * 5, "what comes before the review is as stored"
    more, _ = journey(run, small_export(tmp_path / "more.zip", mine=7, others=2), log)
    held = more.set_index("clip")
    assert len(more) > len(second) and held.review[mine["clip"][0]] == "reject" and held.text_source[mine["clip"][1]] == "user"
    padded, _ = journey(run, chat, log, pad=.1)
    assert (padded.review == "reject").sum() == 1 and (padded.text_source == "user").sum() == 1 and not set(padded["clip"]) & set(mine["clip"][:2])
    joined, _ = journey(run, chat, log, target=14.0)
    moved = joined[joined.recording.isin(mine.recording[:2])]
    assert set(moved.review) <= {"reject", "edit", "again", ""} and len(review.waiting(joined, log)) == 0
    assert all("asked again" in d for d in moved.detail[moved.review == "again"])


@pytest.mark.slow
def test_the_notebook_shows_the_panel_and_what_to_run(small, tmp_path):
    home, chat, t = small
    run = shutil.copytree(home / "runs" / "small", tmp_path / "runs" / "small", ignore=shutil.ignore_patterns(".lock", "stages"))
    mine = t[t.kept]
    review.decide(run / "review.jsonl", mine.iloc[0], "accept")
    with open(run / "review.jsonl", "a") as f: f.write("oops\n")
    head, *rows = rows_of(review.to_csv(t, None, tmp_path / "in.csv"))
    next(r for r in rows if r[0] == mine["clip"].iloc[1])[7] = "reject"
    put(tmp_path / "in.csv", [head, *rows])
    args = [x for k, v in dict(run=run, show="all", by="Lea", sheet_out=tmp_path / "out.csv", sheet_in=tmp_path / "in.csv").items() for x in ("-p", k, str(v))]
    tool = [sys.executable, "-m", "papermill", ROOT / "nbs" / "diagnose" / "review.ipynb", tmp_path / "done.ipynb", "-k", "python3", *args]
    r = subprocess.run(tool, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr[-2000:]
    cells = json.loads((tmp_path / "done.ipynb").read_text())["cells"]
    out = "\n".join(json.dumps(o) for c in cells for o in c.get("outputs", []))
    assert "application/vnd.jupyter.widget-view+json" in out and f"voicenb run voice_notes -p name=small -p export={chat}" in out
    assert "lines that cannot be used" in out and "not a whole line of JSON" in out
    assert review.read(run / "review.jsonl", warn=False)[["verdict", "by"]].values.tolist() == [["accept", ""], ["reject", "Lea"]]
    assert len(rows_of(tmp_path / "out.csv")) == 1 + review.reviewable(t).sum()
