"""The embedded diarization on conversations cut together from real notes: error rate, speed, memory of a long recording.

    python tests/bench/diarize.py             conversations of 1 to 4 of the five people of ../shared/data/whatsapp_lj
    python tests/bench/diarize.py --hours 4   one recording of so many hours: speed and highest memory
"""
import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import DEMO, REAL
from voicenb.core import audio as au
from voicenb.core import vad
from voicenb.data import diarize, ingest, turns as tn

RATE = 16_000


def people(export: Path) -> dict:
    "sender -> notes as (samples, islands of speech)"
    table, out = ingest.whatsapp(export), {}
    for r in table[table.kept].itertuples():
        try: x = au.decode(r.source, RATE).samples
        except au.AudioError: continue
        found = vad.islands(vad.speech_probability([x]))
        if len(found): out.setdefault(r.sender, []).append((x, found))
    return out


def conversation(voices: dict, names: list, seconds: float, seed: int, long: tuple = (2, 8), pause: tuple = (.1, .8), noise: float = 0.0):
    "Turns of random people after each other: samples, and who speaks when"
    rng, parts, truth, at, last = np.random.default_rng(seed), [], [], 0.0, None
    while at < seconds:
        last = names[0] if len(names) == 1 else rng.choice([n for n in names if n != last])
        x, found = voices[last][rng.integers(len(voices[last]))]
        a = max(found[rng.integers(len(found)), 0] - .05, 0)
        b = min(a + rng.uniform(*long), found[-1, 1], len(x) / RATE)
        part = au.level(x[int(a * RATE):int(b * RATE)], -26 + rng.uniform(-3, 3))
        truth += [("talk", at + max(c, a) - a, at + min(d, b) - a, last, 0) for c, d in found if min(d, b) - max(c, a) > .05]
        quiet = rng.standard_normal(int(rng.uniform(*pause) * RATE)).astype(np.float32) * 1e-4
        parts, at = [*parts, part, quiet], at + (len(part) + len(quiet)) / RATE
    x = np.concatenate(parts)
    if noise: x = x + (noise * rng.standard_normal(len(x))).astype(np.float32)
    return x, tn.table(truth)


def measure(voices: dict, kind: str, many: int, **how) -> dict:
    "Errors over `many` conversations of one kind"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(many):
            n = 1 + seed % 4
            names = list(np.random.default_rng(seed).choice(sorted(voices), n, replace=False))
            x, truth = conversation(voices, names, 40 + 20 * n, 1000 + seed, **how)
            au.save(au.Audio(x, RATE), Path(folder) / "talk.flac")
            began = time.perf_counter()
            found = diarize.embedded(Path(folder), "talk", len(x) / RATE, 1, 20)
            rows.append(dict(seconds=len(x) / RATE, took=time.perf_counter() - began, wrong_number=found.speaker.nunique() != n, der_known=tn.errors(truth, diarize.embedded(Path(folder), "talk", len(x) / RATE, n, n))["der"]) | {k: v for k, v in tn.errors(truth, found).items() if k in ("der", "missed", "invented", "confused")})
    t = pd.DataFrame(rows)
    return dict(kind=kind, conversations=many, minutes=round(t.seconds.sum() / 60, 1), wrong_number=int(t.wrong_number.sum()), **t[["der", "confused"]].mean().round(4), worst_der=t.der.max(), der_number_known=round(t.der_known.mean(), 4), times_real_time=round(t.seconds.sum() / t.took.sum(), 1))


def lengthy(voices: dict, hours: float) -> dict:
    "One recording of hours: the highest memory of this process, and speed"
    names = sorted(voices)[:3]
    x, truth = conversation(voices, names, 600, 7)
    times = int(np.ceil(hours * 3600 / (len(x) / RATE)))
    with tempfile.TemporaryDirectory() as folder:
        with sf.SoundFile(Path(folder) / "talk.flac", "w", RATE, 1, format="FLAC", subtype="PCM_16") as f:
            for _ in range(times): f.write(au.pcm16(x))
        truth = pd.concat([truth.assign(start=truth.start + k * len(x) / RATE, end=truth.end + k * len(x) / RATE) for k in range(times)], ignore_index=True)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, time.perf_counter()
        found = diarize.embedded(Path(folder), "talk", times * len(x) / RATE, 1, 20)
        took, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    e = tn.errors(truth, found)
    return dict(hours=round(times * len(x) / RATE / 3600, 2), rss_mb_before=before, rss_mb=peak, seconds=round(took, 1),
                times_real_time=round(times * len(x) / RATE / took, 1), speakers=found.speaker.nunique(), der=e["der"])


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--hours", type=float, default=0.0)
    args.add_argument("--many", type=int, default=12)
    args = args.parse_args()
    voices = people(REAL / "export.zip" if REAL.is_dir() else DEMO)
    print(f"{'real' if REAL.is_dir() else 'synthetic'} speech of {len(voices)} people, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if args.hours: print(json.dumps(lengthy(voices, args.hours)))
    else:
        for kind, how in dict(pauses={}, short_turns=dict(long=(.8, 3)), no_pauses=dict(pause=(0, .03)), noise_15_db=dict(noise=10 ** (-41 / 20))).items(): print(json.dumps(measure(voices, kind, args.many, **how)))
