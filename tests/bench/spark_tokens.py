"""Tokens for Spark-TTS: `prepare` against one clip at a time through all 24 layers, as notebooks for fine-tuning do it.

    python tests/bench/spark_tokens.py --size tiny --clips 200
    python tests/bench/spark_tokens.py --size real --clips 200 --device cuda --precision fp32,bf16

Random weights; the demo's speech in pieces of 2 to 12 s. The loop holds all hidden states, reads, resamples and normalises each clip, uses the
same codec, and writes strings. Both have loaded their networks before the clock starts, and both use the whole machine (--threads, --jobs).
"""
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import soxr
from material import DEMO, cpu, machine, options, tell

from voicenb.core import audio as au
from voicenb.voices import spark_base, spark_cache, spark_hear
from voicenb.voices.spark_codec import BiCodec


def sounds():
    "The demo's notes at 24 kHz; a few of them are damaged on purpose"
    with zipfile.ZipFile(DEMO) as z: notes = sorted(n for n in z.namelist() if n.endswith(".opus"))
    for n in notes:
        try: yield au.decode(f"{DEMO}::{n}").to(24_000).samples
        except au.AudioError: continue


def material(folder: Path, count: int) -> pd.DataFrame:
    "So many clips of 2 to 12 s, each its own master at 24 kHz"
    speech = np.concatenate(list(sounds()))
    rng, rows = np.random.default_rng(0), []
    for i, s in enumerate(np.clip(rng.lognormal(np.log(5.5), .45, count), 2, 12)):
        n = round(s * 24_000)
        a = rng.integers(0, len(speech) - n)
        au.save(au.Audio(speech[a:a + n], 24_000), folder / f"c{i}.flac")
        rows.append(dict(clip=f"c{i}", recording=f"c{i}", start=0., end=n / 24_000, text="words", split="train", kept=True))
    return pd.DataFrame(rows)


class Loop:
    "One clip at a time"
    def __init__(self, base: Path, device: str):
        import torch
        from transformers import Wav2Vec2Config, Wav2Vec2Model
        home = base / spark_hear.FOLDER
        self.torch, self.device = torch, device
        self.ears = Wav2Vec2Model(Wav2Vec2Config.from_json_file(home / "config.json")).eval()
        self.ears.load_state_dict({k: v for k, v in spark_hear._state(home).items() if not k.startswith(("quantizer", "project_"))}, strict=False)
        self.ears.to(device)
        self.codec = BiCodec.load(base / "BiCodec").to(device)
        self.taken = spark_hear.taken(self.ears.config.num_hidden_layers)

    def one(self, audio: Path, r) -> tuple:  # (string, semantic, globals)
        torch = self.torch
        a = au.read(audio, r.recording, r.start, r.end)
        x = spark_hear.volume(soxr.resample(a.samples, a.rate, 16_000, quality="VHQ"))
        with torch.inference_mode():
            z = torch.from_numpy((x - x.mean()) / np.sqrt(x.var() + 1e-7))[None].to(self.device)
            states = self.ears(z, output_hidden_states=True).hidden_states
            semantic = self.codec.semantic_tokens(sum(states[k] for k in self.taken) / 3)[0].cpu().numpy()
            who = self.codec.global_tokens(torch.from_numpy(spark_hear.reference(x))[None].to(self.device))[0].cpu().numpy().reshape(-1)
        text = "".join(f"<|bicodec_global_{g}|>" for g in who) + "<|start_semantic_token|>" + "".join(f"<|bicodec_semantic_{s}|>" for s in semantic)
        return text, semantic, who


def timed(run) -> tuple:
    "What it returns, wall seconds, processor seconds"
    t, c = time.perf_counter(), cpu()
    out = run()
    return out, time.perf_counter() - t, cpu() - c


def main():
    o = options(__doc__, size="tiny", clips=200, device="cpu", precision="fp32", threads=0, jobs=1)
    import torch
    if o.threads: torch.set_num_threads(o.threads)
    rows = []
    with tempfile.TemporaryDirectory() as t:
        here = Path(t)
        size = spark_base.SIZES["tiny"] | {k: spark_base.SIZES[o.size][k] for k in ("ears", "codec")}  # the language model has no part in this
        base, audio = spark_base.blank(here / "base", size), here / "audio"
        audio.mkdir()
        clips = material(audio, o.clips)
        total = float((clips.end - clips.start).sum())

        loop = Loop(base, o.device)
        loop.one(audio, clips.iloc[0])
        slow, wall, busy = timed(lambda: [loop.one(audio, r) for r in clips.itertuples()])
        rows.append(dict(how="loop", threads=torch.get_num_threads(), jobs=1, wall_s=wall, cpu_s=busy, x_real_time=total / wall, speedup=1., cpu_speedup=1., agree=1., speakers=1.))
        del loop
        for kind in o.precision.split(","):
            p = dict(base=base, device=o.device, precision=kind, profile=False, jobs=o.jobs, threads=max(1, torch.get_num_threads() // o.jobs) if o.device == "cpu" else 0)
            spark_cache.prepare(clips.iloc[:2 * o.jobs], audio, here / f"warm-{kind}", p)
            tokens, w, b = timed(lambda: spark_cache.prepare(clips, audio, here / kind, p))
            got = [tokens[i] for i in range(len(tokens))]
            agree = np.mean(np.concatenate([g["semantic"] == s for g, (_, s, _) in zip(got, slow)]))
            who = np.mean([np.array_equal(g["globals"], s) for g, (_, _, s) in zip(got, slow)])
            rows.append(dict(how=f"prepare {kind}", threads=p["threads"], jobs=o.jobs, wall_s=w, cpu_s=b, x_real_time=total / w, speedup=wall / w, cpu_speedup=busy / b if b else None, agree=agree, speakers=who))
        distinct = len(set(np.concatenate([s for _, s, _ in slow]).tolist()))
    tell([{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in rows],
         dict(machine=machine(), size=o.size, device=o.device, clips=o.clips, seconds=total, distinct_tokens=distinct, rows=rows), o.out)


if __name__ == "__main__": main()
