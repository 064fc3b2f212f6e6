"The journey of a corpus: many readers in, a clean documented dataset out, and wrong input in one line"
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.data import layouts, validate
from voicenb.use import corpus as cp

VOICENB = Path(sys.executable).parent / "voicenb"
KEYS = {"name", "verdict", "receipt", "recordings", "clips", "minutes_kept", "speaker", "align", "samples", "readers", "validate", "seconds_total", "peak_rss_mb", "synthetic", "unlisted"}
FIRST = "8d7b685edbc4b4de"  # the first synthetic reader, on whose account somebody else reads one clip


def go(*pairs):
    return subprocess.run([VOICENB, "run", "common_voice", *(x for p in pairs for x in ("-p", p))], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    "A release with faults, and one run on it, shared by the tests below"
    out = tmp_path_factory.mktemp("run")
    cp.demo(out / "release", each=6)
    home = out / "release" / "en"
    (home / "clips" / "common_voice_en_2005.mp3").write_bytes(b"ID3 and no audio")
    (home / "clips" / "stray.mp3").write_bytes((home / "clips" / "common_voice_en_2001.mp3").read_bytes())
    pairs = ("name=cv", f"corpus={out / 'release'}", f"out={out}", "valid=0.15", "test=0.15")
    return out, pairs, go(*pairs)


@pytest.mark.slow
def test_a_release_becomes_a_dataset_of_its_readers(done):
    out, _, r = done
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    report = json.loads((out / "reports" / "cv" / "report.json").read_text())
    assert KEYS <= set(report) and report["verdict"] == "passed" and report["validate"] == {} and not report["synthetic"] and report["unlisted"] == 1
    assert report["recordings"]["rejected"] == dict(damaged=1, few_votes=1, missing=1, unreadable_row=1) and report["recordings"]["in"] == 20
    assert len(report["readers"]) == 3 and {r["sender"]: r["not_theirs"] for r in report["readers"]}[FIRST] == 1
    assert report["speaker"]["source"] == "calibrated" and report["speaker"]["foreign"] == 16 and report["align"]["median_score"] > .6
    assert all(au.decode(p).duration > .5 for p in report["samples"]) and len(report["samples"]) == 3


@pytest.mark.slow
def test_the_dataset_is_clean_and_names_its_speakers(done):
    out, _, _ = done
    home = out / "runs" / "cv" / "dataset"
    rows = [json.loads(x) for x in (home / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({r["speaker"] for r in rows}) == 3 and {r["split"] for r in rows} == {"train", "valid", "test"} and len(rows) == 15
    assert len(validate.validate(home)) == 0 and layouts.table(home).sender.nunique() == 3
    card = (home / "README.md").read_text(encoding="utf-8")
    assert "license: cc0-1.0" in card and "Common Voice, en, validated.tsv" in card and "reader's clips against" in card
    clips = tb.load(out / "runs" / "cv" / "clips.parquet")
    assert clips[clips.reason.isin(["speaker_review", "other_speaker"])].file.tolist() == ["common_voice_en_1005.mp3"]
    assert (clips[clips.kept].groupby("recording").split.nunique() == 1).all() and "embedding" not in clips


@pytest.mark.slow
def test_a_second_run_computes_nothing(done):
    out, pairs, _ = done
    r = go(*pairs)
    report = json.loads((out / "reports" / "cv" / "report.json").read_text())
    assert r.returncode == 0 and all(s["cached"] for s in report["receipt"]["stages"])


def test_wrong_input_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="corpus=/none: no such folder"): cp.place("/none", "", None)
    with pytest.raises(ValueError, match="the demo corpus is English"): cp.place("", "fr", None)
    with pytest.raises(ValueError, match="take recording or reader"): cp.split(pd.DataFrame(dict(text=["a"])), by="sentence")
    with pytest.raises(ValueError, match="folder=nowhere: no such dataset"): cp.dataset_folder("nowhere", str(tmp_path))
    two = pd.DataFrame(dict(sender=["Ana", "Ben", "Cem"], language=["es", "es", "xx"], kept=[True, True, False], reason=["", "", "few_votes"]))
    assert cp.spoken(two) == ("es", "es")
    with pytest.raises(ValueError, match="train=True needs one reader, and 2 are left"): cp.spoken(two, train=True)
    with pytest.raises(ValueError, match="nothing is left for the dataset after the choice: few_votes 1"): cp.spoken(two[2:])
    r = go("name=x", f"out={tmp_path}", "acent=x")
    assert r.returncode == 1 and "did you mean accent=" in r.stderr
