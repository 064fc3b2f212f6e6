"""The published folder, read back by the tools that people read such folders with."""
import csv
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile as sf
import yaml

from voicenb.core.audio import Audio, save
from voicenb.core.table import TableError
from voicenb.data import publish

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def made(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for n in range(6):
        rate = 48_000 if n == 5 else 16_000
        save(Audio((rng.standard_normal(2 * rate) * .05).astype(np.float32), rate), tmp_path / "audio" / f"rec{n}.flac")
        for k in range(2):
            rows.append(dict(clip=f"rec{n}_{k}", recording=f"rec{n}", file=f"PTT-{n}.opus", start=.25 + k, end=.75 + k, text=f"say {n} {k} “ünï” كلمة", text_raw=f"Say {n}|{k}\n“ünï” كلمة",
                             text_source="asr" if n % 2 else "gold", score=.8, level="accept", snr_db=30.0, align_score=.7,
                             split="test" if n == 0 else "valid" if n == 1 else "train", kept=n != 4, reason="" if n != 4 else "low_snr", detail=""))
    return pd.DataFrame(rows), tmp_path / "audio", tmp_path / "out"


def hashes(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_ljspeech_reads_back(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    with open(out / "metadata.csv", encoding="utf-8", newline="") as f: rows = list(csv.reader(f, delimiter="|", quoting=csv.QUOTE_NONE))
    assert len(rows) == clips.kept.sum() and all(len(r) == 3 and r[1] and r[2] for r in rows)
    for name, raw, text in rows:
        x, rate = sf.read(out / "wavs" / f"{name}.wav")
        assert rate == 16_000 and abs(len(x) - 8_000) <= 1 and x.ndim == 1 and "\n" not in raw and np.abs(x).max() > .01
    assert {p.stem for p in (out / "wavs").iterdir()} == {r[0] for r in rows} and not any(r[0].startswith("rec4") for r in rows)


def test_json_lines_read_back(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out, language="ar")
    rows = [json.loads(x) for x in (out / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == clips.kept.sum()
    for r in rows:
        assert list(r)[:4] == ["audio_path", "text", "language", "duration"] and r["language"] == "ar" and abs(r["duration"] - sf.info(out / r["audio_path"]).duration) < 1e-3
    assert pd.read_json(out / "data.jsonl", lines=True).split.value_counts().to_dict() == dict(train=6, test=2, valid=2)


def test_datasets_gives_an_audio_feature(made, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {k: len(v) for k, v in loaded.items()} == dict(train=6, validation=2, test=2)
    assert isinstance(loaded["train"].features["audio"], datasets.Audio)
    row = loaded["test"].cast_column("audio", datasets.Audio(decode=False))[0]
    x, rate = sf.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate == 16_000 and len(x) == 8_000 and row["text"] == "say 0 0 “ünï” كلمة" and row["duration"] == .5
    assert not {r for r in loaded["train"]["recording"]} & {r for r in loaded["test"]["recording"]}


def test_parquet_says_audio_to_anyone(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    meta = json.loads(pq.read_schema(out / "data" / "train-00000-of-00001.parquet").metadata[b"huggingface"])
    assert meta["info"]["features"]["audio"] == {"_type": "Audio"}


def test_large_datasets_are_cut_into_files(made, monkeypatch):
    clips, audio, out = made
    monkeypatch.setattr(publish, "SHARD_BYTES", 40_000)
    publish.dataset(clips, audio, out)
    parts = sorted(p.name for p in (out / "data").glob("train-*"))
    assert len(parts) > 1 and parts[-1].endswith(f"-of-{len(parts):05d}.parquet") and sum(pq.read_metadata(out / "data" / p).num_rows for p in parts) == 6


def test_the_same_clips_give_the_same_bytes(made):
    clips, audio, out = made
    a = publish.dataset(clips, audio, out, consent="yes")
    b = publish.dataset(clips.sample(frac=1, random_state=1), audio, out.with_name("b"), consent="yes")
    first, second = hashes(out), hashes(out.with_name("b"))
    assert {k: v for k, v in first.items() if k != "dataset.json"} == {k: v for k, v in second.items() if k != "dataset.json"} and a["fingerprint"] == b["fingerprint"]


def test_nothing_is_written_again_without_need(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    publish.dataset(clips, audio, out)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before
    (out / "wavs" / "rec0_0.wav").unlink()
    publish.dataset(clips, audio, out)
    assert (out / "wavs" / "rec0_0.wav").exists()
    old = publish.dataset(clips, audio, out)["fingerprint"]
    clips.loc[0, "text"] = "another text"
    assert publish.dataset(clips, audio, out)["fingerprint"] != old and "another text" in (out / "metadata.csv").read_text()


def test_a_folder_of_somebody_else_is_left_alone(made):
    clips, audio, out = made
    out.mkdir()
    (out / "thesis.doc").write_text("years of work")
    with pytest.raises(ValueError, match="not our dataset"): publish.dataset(clips, audio, out)
    assert [p.name for p in out.iterdir()] == ["thesis.doc"]


def test_a_failure_leaves_the_old_folder_whole_and_no_rubbish(made, monkeypatch):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    before = hashes(out)

    def full(*a): raise OSError(28, "No space left on device")
    monkeypatch.setattr(publish, "write_parquet", full)
    with pytest.raises(OSError, match="No space"): publish.dataset(clips, audio, out, consent="changed")
    assert hashes(out) == before and [p.name for p in out.parent.iterdir() if p.name.startswith(".")] == []


def test_the_card_says_what_is_unknown_and_what_is_known(made):
    clips, audio, out = made
    recordings = pd.DataFrame(dict(recording=[f"rec{n}" for n in range(6)], file=[f"PTT-{n}.opus" for n in range(6)], rate=[16_000] * 5 + [48_000], channels=[1] * 5 + [2],
                                   kept=True, reason="", detail=""))
    publish.dataset(clips, audio, out, name="Ana: la voz", language="pt-br", recordings=recordings)
    text = (out / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert "**Consent**: unknown" in text and "**Licence**: unknown" in text and head["license"] == "unknown"
    assert head["pretty_name"] == "Ana: la voz" and head["language"] == ["pt"] and [d["split"] for d in head["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert "opus 16000 Hz mono x 5, opus 48000 Hz stereo x 1" in text and "| low_snr | -2 |" in text and "$" not in text
    publish.dataset(clips, audio, out, name="Ana", consent="signed 2025-03-01", licence="CC-BY-4.0", verification="GE2E 0.75, EER 0.4 %")
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "signed 2025-03-01" in text and yaml.safe_load(text.split("---")[1])["license"] == "cc-by-4.0" and "EER 0.4 %" in text
    publish.dataset(clips, audio, out, licence="family only")
    assert yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---")[1])["license_name"] == "family only"


def test_card_templates_are_equal():
    assert (ROOT / "data_cards" / "template.md").read_text() == publish.template()


def test_levels_and_rates_on_request(made):
    clips, audio, out = made
    info = publish.dataset(clips, audio, out, rate=24_000, dbfs=-23)
    x, rate = sf.read(out / "wavs" / "rec5_0.wav")
    assert rate == 24_000 == info["rate"] and abs(20 * np.log10(np.sqrt(np.mean(x ** 2))) + 23) < .1


def test_clear_errors(made):
    clips, audio, out = made
    with pytest.raises(ValueError, match="unknown fact 'licence_'"): publish.dataset(clips, audio, out, licence_="x")
    with pytest.raises(TableError, match="nothing is left"): publish.dataset(clips.assign(kept=False, reason="low_snr"), audio, out)
    os.unlink(audio / "rec0.flac")
    with pytest.raises(ValueError, match="rec0.flac"): publish.dataset(clips, audio, out, rate=16_000)
    assert not out.exists()


def test_a_table_with_the_least_columns_is_enough(made):
    clips, audio, out = made
    info = publish.dataset(clips[["clip", "recording", "start", "end", "text"]], audio, out)
    assert info["splits"] == dict(train=12) and (out / "README.md").exists()
