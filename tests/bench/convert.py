"""Conversion between two voices: `python tests/bench/convert.py [--pairs flite:awb:slt espeak:m3:f2] [--most 48] [--out convert.json]`.

Both voices say the demo's sentences (5.5 minutes); a mapping learns from them, and says 48 other sentences that neither texts nor recordings of the training hold. Beside the
conversion stand the source, the target, and the source through the vocoder and back: what of the lost words is the vocoder's. Prints a table with machine and load, and writes
JSON. flite's voices are skipped where flite is not installed.
"""
import argparse
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import make_demo

from voicenb.core.audio import Audio, resample, save
from voicenb.core.phonemes import speak
from voicenb.use import conversion, evaluate
from voicenb.voices import voice as vc

ASSETS = Path(__file__).resolve().parents[2] / "voicenb" / "assets"
RATE = 16_000  # Hz


def say(text: str, name: str) -> np.ndarray:
    "One sentence by flite:voice or espeak:variant, float32 at 16 kHz"
    engine, who = name.split(":")
    if engine == "flite": return make_demo.flite(text, who)
    s = speak(text, "en", who)
    return resample(s.samples, s.rate, RATE)


def corpus(source: str, target: str, folder: Path) -> pd.DataFrame:
    "Pairs of both voices in `folder`: the demo's sentences to learn from, every fifteenth to validate, the story's to test"
    learnt = [s.strip() for note in make_demo.SAM for s in re.split(r"(?<=[.?!])\s+", note) if s.strip()]
    held = json.loads((ASSETS / "sentences.json").read_text(encoding="utf-8"))["en"]
    assert not set(learnt) & set(held)
    rows = []
    for i, text in enumerate(learnt + held):
        row = dict(pair=f"{i:03d}", text=text, ref_recording="", kept=True, split="test" if i >= len(learnt) else "valid" if i % 15 == 7 else "train")
        for name, key in (source, ""), (target, "target_"):
            x = say(text, name)
            recording = f"{name.replace(':', '_')}_{i:03d}"
            save(Audio(x, RATE), folder / f"{recording}.flac")
            row |= {f"{key}recording": recording, f"{key}start": 0.0, f"{key}end": len(x) / RATE, f"{key}speaker": name}
        rows.append(row)
    return pd.DataFrame(rows)


def spent() -> float:
    "CPU seconds of this process and the ended ones it started"
    return sum(os.times()[:4])


def measure(source: str, target: str, backend: str, params: dict, f0: str, most: int, work: Path) -> dict:
    "One voice: trained, judged, and what it cost"
    pairs = corpus(source, target, work / "audio")
    module = vc.backend(backend)
    wall, cpu = time.perf_counter(), spent()
    features = module.prepare(pairs, work / "audio", work / "cache", dict(f0=f0) if f0 else {})
    prepared, cpu_prepared = time.perf_counter() - wall, spent() - cpu
    wall, cpu = time.perf_counter(), time.process_time()
    voice = module.fit(features, params, work / "voice")
    fitted, cpu_fitted = time.perf_counter() - wall, time.process_time() - cpu
    test = pairs[pairs.split == "test"]
    scores, table, sound = conversion.judge(voice, test, work / "audio", conversion.profiles(pairs[pairs.split == "train"], work / "audio"), most=most)
    copies = [evaluate.copy(a) for a in sound["source"]]
    copied = evaluate.rate(evaluate.errors(table.text.tolist(), evaluate.hear(copies, "en")))
    began, n = time.process_time(), min(10, len(sound["source"]))
    voice.convert_many(sound["source"][:n])
    rtf = (time.process_time() - began) / sum(a.duration for a in sound["source"][:n])
    return dict(source=source, target=target, backend=backend, minutes=voice.info["training"]["minutes"], pairs=scores["pairs"], words=scores["words"],
                mcd_before=scores["mcd_before"], mcd=scores["mcd"], mcd_fall=scores["mcd_fall"], secs_before=scores["secs_before"], secs=scores["secs_target"],
                secs_natural=scores["secs_natural"], nearer=scores["nearer"], wer_source=scores["wer_source"], wer_copy=round(copied, 4),
                wer_converted=scores["wer_converted"], wer_target=scores["wer_target"], wer_lost=scores["wer_lost"], f0_corr=scores["f0_corr"],
                prepare_s=round(prepared, 1), prepare_cpu=round(cpu_prepared, 1), fit_s=round(fitted, 1), fit_cpu=round(cpu_fitted, 1), rtf=round(rtf, 3))


def main():
    q = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    q.add_argument("--pairs", nargs="+", default=["flite:awb:slt", "espeak:m3:f2"], help="engine:source:target")
    q.add_argument("--backend", default="mapping")
    q.add_argument("--most", type=int, default=48, help="held-out sentences")
    q.add_argument("--f0", default="", help="dio or harvest; the backend's own where empty")
    q.add_argument("--params", type=json.loads, default={}, help="parameters of the training, JSON")
    q.add_argument("--out", type=Path)
    o = q.parse_args()
    rows = []
    for spec in o.pairs:
        engine, a, b = spec.split(":")
        if engine == "flite" and not shutil.which("flite"):
            print(f"{spec}: skipped, flite is not installed")
            continue
        with tempfile.TemporaryDirectory() as tmp: rows.append(measure(f"{engine}:{a}", f"{engine}:{b}", o.backend, o.params, o.f0, o.most, Path(tmp)))
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(pd.DataFrame(rows).T.to_string(header=False))
    if o.out: o.out.write_text(json.dumps(dict(rows=rows, load=os.getloadavg()), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
