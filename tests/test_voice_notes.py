"The main job as a user runs it: the command line, papermill alone, a second run, another language, wrong input"
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import DEMO_TEXTS, ROOT, small_export
from voicenb.core import audio as au
from voicenb.core.run import Run
from voicenb.data import ingest, segment, verify

VOICENB = Path(sys.executable).parent / "voicenb"
KEYS = {"name", "verdict", "receipt", "recordings", "clips", "minutes_kept", "speaker", "align", "train", "eval", "samples", "seconds_total", "peak_rss_mb"}


def go(*pairs, notebook="voice_notes"):
    "voicenb run NOTEBOOK -p ..."
    args = [x for p in pairs for x in ("-p", p)]
    return subprocess.run([VOICENB, "run", notebook, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def tables(home):
    return {str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(home.rglob("*"))
            if p.suffix in (".parquet", ".flac", ".wav", ".safetensors", ".csv") and "training" not in p.parts}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    "One small run, shared by the tests below"
    out = tmp_path_factory.mktemp("run")
    chat = small_export(out / "chat.zip", mine=16)
    pairs = ("name=small", f"export={chat}", "me=Sam", f"transcripts={DEMO_TEXTS}", "steps=30", "target=5", "test=0.15", f"out={out}")
    return out, pairs, go(*pairs)


@pytest.mark.slow
def test_the_report_says_everything_and_names_what_exists(done):
    out, _, r = done
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    report = json.loads((out / "reports" / "small" / "report.json").read_text())
    assert KEYS <= set(report) and report["verdict"] == "passed"
    c = report["clips"]
    assert c["in"] == c["kept"] + sum(c["rejected"].values()) and c["kept"] >= 10
    assert {"eer", "threshold", "accept", "review", "reject"} <= set(report["speaker"]) and .5 < report["speaker"]["threshold"] < 1 and report["speaker"]["accept"] >= 10 and report["speaker"]["others_accepted"] == 0
    assert {"wer_natural", "wer_voice", "cer_voice", "secs_ceiling", "secs_voice", "secs_max_other", "mcd", "rtf"} <= set(report["eval"])
    assert report["eval"]["secs_voice"] > .6 and report["train"]["steps"] == 30 and report["train"]["params"] > 100_000
    assert {"git", "packages_sha256", "torch"} <= set(report["receipt"]["environment"]) and report["receipt"]["parameters"]["target"] == 5.0
    for p in report["samples"]: assert au.decode(p).duration > .5
    assert (out / "reports" / "small" / "voice_notes.html").exists() and "open the report" in r.stdout


@pytest.mark.slow
def test_a_second_run_by_papermill_alone_computes_nothing_and_changes_no_byte(done):
    out, pairs, _ = done
    home = out / "runs" / "small"
    before = tables(home)
    args = [x for p in pairs for x in ("-p", *p.split("=", 1))]
    r = subprocess.run([VOICENB.parent / "papermill", ROOT / "nbs" / "runs" / "voice_notes.ipynb", out / "alone.ipynb", "-k", "python3", *args], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr[-2000:]
    report = json.loads((out / "reports" / "small" / "report.json").read_text())
    assert report["verdict"] == "passed"
    assert all(s["cached"] for s in report["receipt"]["stages"]) and sum(s["seconds"] for s in report["receipt"]["stages"]) < 2
    assert tables(home) == before


@pytest.mark.slow
def test_the_diagnose_notebooks_draw_it(done):
    out, _, _ = done
    for name, picture in (("dataset", "funnel.png"), ("training", "losses.svg")):
        r = go(f"run={out / 'runs' / 'small'}", notebook=f"diagnose/{name}")
        assert r.returncode == 0, r.stdout[-1500:] + r.stderr[-1500:]
        assert (out / "reports" / "small" / "diagnose" / picture).stat().st_size > 2000


@pytest.mark.slow
def test_the_voice_moves_and_speaks_the_same(done, tmp_path):
    out, _, _ = done
    import shutil
    from voicenb.voices import voice
    shutil.copytree(out / "runs" / "small" / "voice", tmp_path / "elsewhere")
    a, b = (voice.load(p).speak("The boat leaves at nine.", seed=1).samples for p in (out / "runs" / "small" / "voice", tmp_path / "elsewhere"))
    assert np.array_equal(a, b) and len(a) > 8_000
    r = subprocess.run([VOICENB, "speak", tmp_path / "elsewhere", "Hello there.", "-o", tmp_path / "a.wav"], capture_output=True, text=True)
    assert r.returncode == 0 and au.decode(tmp_path / "a.wav").duration > .3


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "es", "ar"])
def test_other_languages_in_the_android_layout(tmp_path, language):
    sys.path.insert(0, str(ROOT / "tests"))
    from make_demo import android_export
    path, texts, me = android_export(tmp_path / "chat.zip", language, 14, 0)
    (tmp_path / "texts.csv").write_text("".join(f"{f}|{t}\n" for f, t in texts), encoding="utf-8")
    r = go(f"name={language}", f"export={path}", f"me={me}", f"transcripts={tmp_path / 'texts.csv'}", f"language={language}", "steps=20", f"out={tmp_path}", "test=0.2",
           "thresholds=ge2e")
    report = json.loads((tmp_path / "reports" / language / "report.json").read_text())
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-1500:]
    assert report["eval"]["wer_voice"] is None and report["eval"]["secs_voice"] > .5 and report["align"]["median_score"] > .5
    assert language in json.loads((tmp_path / "runs" / language / "voice" / "voice.json").read_text())["languages"]


def test_wrong_input_is_one_line(tmp_path, export):
    from voicenb.core.phonemes import check_language
    with pytest.raises(ValueError, match="did you mean 'Sam'"): ingest.choose(ingest.whatsapp(export), me="Samm")
    with pytest.raises(ValueError, match="who are you"): ingest.choose(ingest.whatsapp(export))
    with pytest.raises(ValueError) as e: check_language("xx-nowhere")
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match="no such file"): ingest.whatsapp(tmp_path / "none.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(ValueError, match="not a readable zip"): ingest.whatsapp(tmp_path / "bad.zip")


def test_an_anchor_of_somebody_else_is_refused(tmp_path, export):
    run = Run(tmp_path, jobs=1, progress=False)
    table = run(ingest.whatsapp, export)
    source = table[table.kept & (table.sender == "Kim")].source.iloc[0]
    au.save(au.decode(source), tmp_path / "kim.flac")
    recordings = run(ingest.masters, run(ingest.choose, table, me="Sam"))
    with pytest.raises(ValueError, match="does not sound like the chosen sender"):
        run(verify.speaker, run(segment.speech, recordings), recordings=recordings, anchor=tmp_path / "kim.flac")


def test_real_notes_are_told_apart(tmp_path, real):
    run = Run(tmp_path, jobs=1, progress=False)
    recordings = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, real / "export.zip"), me="Linda"))
    lost = recordings.reason[~recordings.kept].value_counts().to_dict()
    assert lost == dict(other_sender=24, damaged=2, duplicate=1, empty=1, silent=1, not_audio=1, omitted=1) and recordings.kept.sum() == 39
    for anchor in (None, real / "anchor.flac"):
        clips = run(verify.speaker, run(segment.speech, recordings), recordings=recordings, anchor=anchor)
        mine, others = clips[clips.reason != "other_sender"], clips[clips.reason == "other_sender"]
        assert (mine.level == "accept").mean() >= .97 and not (others.level == "accept").any() and (others.level != "").all()


def test_a_note_that_ends_in_speech_is_not_silent(tmp_path):
    "A clip may end with the last sample of its master, at a fraction of a millisecond"
    from voicenb.core.phonemes import speak
    said = speak("this note ends in the middle of a word that was never", "en")
    x = au.resample(said.samples, said.rate, 16_000)
    for k, n in enumerate((37_607, 37_609, 37_615)): au.save(au.Audio(x[:n], 16_000), tmp_path / "notes" / f"{k}.wav")
    run = Run(tmp_path / "run", jobs=1, progress=False)
    recordings = run(ingest.masters, run(ingest.folder, tmp_path / "notes"))
    clips = run(verify.speaker, run(segment.speech, recordings), recordings=recordings)
    assert clips.kept.all() and len(clips) >= 3 and (clips.end <= 37_615 / 16_000).all()


def test_masters_follow_me_and_come_back(tmp_path, export):
    "Notes of others are never stored; a master that is gone is decoded again"
    run = Run(tmp_path, jobs=1, progress=False)
    table = run(ingest.whatsapp, export)
    kim = run(ingest.masters, run(ingest.choose, table, me="Kim"))
    sam = run(ingest.masters, run(ingest.choose, table, me="Sam"))
    ingest.tidy(sam, run.audio)
    assert {p.stem for p in run.audio.glob("*.flac")} == set(sam.recording[sam.kept]) and not set(sam.recording[sam.kept]) & set(kim.recording[kim.kept])
    next(run.audio.glob("*.flac")).unlink()
    again = run(ingest.masters, run(ingest.choose, table, me="Sam"))
    assert ingest.stored(again, run.audio) and again.equals(sam)


def test_an_export_that_moved_is_found_again(tmp_path, export):
    import shutil
    run = Run(tmp_path / "run", jobs=1, progress=False)
    a = Path(shutil.copy(export, tmp_path / "a.zip"))
    run(ingest.whatsapp, a)
    b = a.rename(tmp_path / "b.zip")
    assert run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, b), me="Kim")).kept.sum() == 3
