"""Decoding to the stored master, against a loop of pydub doing the usual conversion; both in one run.

python tests/bench/decode.py [--notes 1000] [--seconds 6]
Needs ffmpeg for the pydub side, and says so where it is missing.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from voicenb.core import audio as au
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.data import ingest


def make_notes(folder: Path, n: int, seconds: float):
    "n opus notes of different speech, 16 kHz mono as phones write them"
    text = "this is one of many voice notes that a phone has recorded on an ordinary day, and it goes on for a while " * 3
    said = speak(text, "en", variant="f2")
    x = au.resample(said.samples, said.rate, 16_000)
    size = int(seconds * 16_000)
    for i in range(n):
        piece = np.roll(x, -i * 977)[:size] * (.5 + .5 * (i % 7) / 7)
        au.save(au.Audio(piece.astype(np.float32), 16_000), folder / f"PTT-2024{1 + i // 900:02d}{1 + i // 32 % 28:02d}-WA{i:04d}.opus")


def with_pydub(files: list[Path], out: Path) -> float:
    "The usual loop: AudioSegment.from_file, mono, 16 kHz, wav"
    from pydub import AudioSegment
    began = time.perf_counter()
    for f in files: AudioSegment.from_file(f).set_channels(1).set_frame_rate(16_000).export(out / f"{f.stem}.wav", format="wav")
    return time.perf_counter() - began


def with_voicenb(folder: Path, home: Path) -> float:
    "ingest.folder and ingest.masters, as a run does them; processes are warm, as in the middle of a run"
    run = Run(home, progress=False)
    began = time.perf_counter()
    table = run(ingest.masters, run(ingest.folder, folder))
    took = time.perf_counter() - began
    assert table.kept.all()
    return took


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--notes", type=int, default=1000)
    p.add_argument("--seconds", type=float, default=6.0)
    a = p.parse_args()
    if not shutil.which("ffmpeg"): sys.exit("the pydub side needs ffmpeg, which is not installed: apt install ffmpeg")
    root = Path(tempfile.mkdtemp())
    (root / "notes").mkdir(), (root / "wav").mkdir()
    make_notes(root / "notes", a.notes, a.seconds)
    warm = root / "warm"
    warm.mkdir()
    for f in sorted((root / "notes").iterdir())[:64]: shutil.copy(f, warm)
    with_voicenb(warm, root / "warmrun")
    load = os.getloadavg()[0]
    ours = with_voicenb(root / "notes", root / "run")
    theirs = with_pydub(sorted((root / "notes").iterdir()), root / "wav")
    row = dict(notes=a.notes, seconds=a.seconds, cores=os.cpu_count(), load=round(load, 2), voicenb_s=round(ours, 2), pydub_s=round(theirs, 2), ratio=round(theirs / ours, 1),
               times_real_time=round(a.notes * a.seconds / ours))
    print(pd.DataFrame([row]).to_string(index=False))
    Path("bench_decode.json").write_text(json.dumps(row))
    print(json.dumps(row))
    shutil.rmtree(root)


if __name__ == "__main__": main()
