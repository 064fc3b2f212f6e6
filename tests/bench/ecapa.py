"""ECAPA-TDNN (20.8 M, random weights) of short clips on the CPU: packed, against the loop people write and SpeechBrain's padded batch.

python tests/bench/ecapa.py [--clips 96] [--threads 1,2] [--model FOLDER] [--out ecapa.json]
All ways go through the same files, sixteen at a time in turn, so that other work on the machine falls on them alike. cpu_s is the time
of the process itself, least_cosine and score_off compare embeddings and pairwise scores with the loop's.
"""
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from material import EXPORT, machine, options, tell

sys.path.insert(0, str(Path(__file__).parents[1]))
from make_models import ecapa_folder  # noqa: E402

from voicenb.core import audio as au  # noqa: E402
from voicenb.core import ecapa  # noqa: E402
from voicenb.data import ingest  # noqa: E402


def make_clips(folder: Path, n: int) -> tuple[list[Path], float]:  # files, seconds together
    "n pieces of 1 to 12 s of the notes of an export, 16 kHz wav; lengths spread evenly on a log scale, as voice notes are"
    notes = ingest.whatsapp(EXPORT)
    sounds = [au.decode(s, 16_000).samples for s in notes.source[notes.kept]]
    speech, rng, files = np.concatenate(sounds), np.random.default_rng(0), []
    lengths = (np.exp(rng.uniform(0, np.log(12), n)) * 16_000).astype(int)
    for i, k in enumerate(lengths):
        start = int(rng.integers(0, len(speech) - k))
        files.append(au.save(au.Audio(speech[start:start + k], 16_000), folder / f"{i:04d}.wav"))
    return files, float(lengths.sum() / 16_000)


def loop(theirs, files):
    "As people write it: load a file, embed it, next"
    return [theirs.encode_batch(theirs.load_audio(str(f))[None])[0, 0].numpy() for f in files]


def padded(theirs, files):
    "SpeechBrain's own batching: sorted by length, padded, relative lengths passed"
    import torch
    sounds = [theirs.load_audio(str(f)) for f in files]
    order = np.argsort([len(x) for x in sounds])
    batch = torch.nn.utils.rnn.pad_sequence([sounds[i] for i in order], batch_first=True)
    e = theirs.encode_batch(batch, torch.tensor([len(sounds[i]) for i in order]) / batch.shape[1])[:, 0].numpy()
    return list(e[np.argsort(order)])


def packed(model, numbers):
    "voicenb: the same files, packed"
    def go(files):
        sounds = [au.decode(f) for f in files]
        return list(ecapa.embed([(a.samples, a.rate) for a in sounds], model, numbers=numbers))
    return go


def main():
    import torch
    a = options(__doc__, clips=96, threads="1,2", model="")
    where, rows = machine(), []
    with tempfile.TemporaryDirectory(prefix="ecapa") as tmp:
        model = a.model or str(ecapa_folder(Path(tmp) / "model", speakers=7205))
        theirs = ecapa.classifier(ecapa.folder(model))
        files, seconds = make_clips(Path(tmp) / "clips", a.clips)
        ways = {"loop, SpeechBrain, float32": lambda f: loop(theirs, f), "padded batch, SpeechBrain, float32": lambda f: padded(theirs, f),
                "packed, float32": packed(model, "float32")}
        if ecapa.precision() == "bfloat16": ways["packed, bfloat16"] = packed(model, "bfloat16")
        for threads in map(int, a.threads.split(",")):
            torch.set_num_threads(threads)
            wall, cpu, got = dict.fromkeys(ways, 0.), dict.fromkeys(ways, 0.), {k: [] for k in ways}
            with torch.inference_mode():
                for way in ways.values(): way(files[:2])
                for k in range(0, len(files), 16):
                    for name, way in ways.items():
                        began, used = time.perf_counter(), time.process_time()
                        got[name] += way(files[k:k + 16])
                        wall[name], cpu[name] = wall[name] + time.perf_counter() - began, cpu[name] + time.process_time() - used
            unit = {k: np.stack(v) / np.linalg.norm(v, axis=1, keepdims=True) for k, v in got.items()}
            first, true = next(iter(ways)), next(iter(unit.values()))
            for name in ways:
                near, off = (unit[name] * true).sum(1).min(), np.abs(unit[name] @ unit[name].T - true @ true.T).max()
                rows.append(dict(threads=threads, way=name, wall_s=round(wall[name], 2), cpu_s=round(cpu[name], 2),
                                 real_time=round(seconds / wall[name], 1), ratio=round(wall[first] / wall[name], 2),
                                 cpu_ratio=round(cpu[first] / cpu[name], 2), least_cosine=round(float(near), 6), score_off=round(float(off), 6)))
    weights = "given" if a.model else "random weights, 20.8 M"
    tell(rows, where | dict(clips=a.clips, minutes=round(seconds / 60, 2), model=weights, numbers=ecapa.precision(), ways=rows), a.out)


if __name__ == "__main__": main()
