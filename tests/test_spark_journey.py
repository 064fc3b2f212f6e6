"The main job with the Spark backend from parameters alone, on a small random base: notes in, a voice in upstream's layout and a report out"
import json
import subprocess

import numpy as np
import pytest

from conftest import DEMO_TEXTS, small_export
from test_voice_notes import KEYS, VOICENB, go
from voicenb.core import audio as au
from voicenb.voices import spark_base, voice


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    base, chat = spark_base.blank(out / "base", "tiny", seed=1), small_export(out / "chat.zip", mine=12)
    pairs = ("name=small", f"export={chat}", "me=Sam", f"transcripts={DEMO_TEXTS}", "test=0.15", "valid=0.1", f"out={out}", "backend=spark", f"base={base}", "steps=40",
             'training={"row": 1024, "lr": 0.003, "bf16": false, "threads": 1, "score_clips": 2}')
    return out, pairs, go(*pairs)


@pytest.mark.slow
def test_notes_become_a_spark_voice(done):
    out, _, r = done
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    report = json.loads((out / "reports" / "small" / "report.json").read_text())
    assert KEYS <= set(report) and report["verdict"] == "passed" and report["train"]["backend"] == "spark" and report["train"]["steps"] == 40
    assert report["train"]["params"] > 50_000 and np.isfinite(report["train"]["loss"]["ce"])
    losses = [json.loads(line) for line in (out / "runs" / "small" / "voice" / "training" / "metrics.jsonl").read_text().splitlines()]
    ce = [m["ce"] for m in losses if m["kind"] == "train"]
    assert ce[-1] < .8 * ce[0] and any(m["kind"] == "valid" for m in losses)
    for p in report["samples"]: assert au.decode(p).duration > .2


@pytest.mark.slow
def test_the_folder_is_upstreams_and_says_what_it_is(done):
    home = done[0] / "runs" / "small" / "voice"
    assert not spark_base.check(home)
    info = json.loads((home / "voice.json").read_text())
    assert info["backend"] == "spark" and "NC" in info["licence"] and info["rate"] == 16_000 and len(info["revision"]) >= 16
    assert str(done[0]) not in (home / "voice.json").read_text(), "a path of this machine"
    a, b = (voice.load(home).speak("We meet on Monday.", seed=3) for _ in range(2))
    assert np.array_equal(a.samples, b.samples) and a.rate == 16_000


@pytest.mark.slow
def test_a_second_run_trains_nothing(done):
    out, pairs, _ = done
    at = {p: p.stat().st_mtime_ns for p in (out / "runs" / "small" / "voice").rglob("*") if p.is_file()}
    assert go(*pairs).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in (out / "runs" / "small" / "voice").rglob("*") if p.is_file()} == at


def test_wrong_bases_are_one_line(tmp_path):
    for more, said in ((("base=/nowhere/at/all",), "no such folder"), (("base=someone/something", "backend=baseline"), "leave base empty"), ((f"base={tmp_path}",), "lacks")):
        r = subprocess.run([VOICENB, "run", "voice_notes", *[x for p in ("name=w", f"out={tmp_path / 'o'}", "backend=spark", *more) for x in ("-p", p)]], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert r.returncode and said in r.stdout + r.stderr, r.stdout + r.stderr
