"""Speech of Spark: real-time factor and first audio, beside transformers' own `generate`.

    python tests/bench/spark_speak.py --size tiny --batch 1,8
    python tests/bench/spark_speak.py --size real --device cuda --batch 1,8,32,64 --compile

Random weights never stop by themselves, so every sentence is asked for the same number of tokens: what is measured is the machine, not the voice.
Ours is the whole way from prompt to samples; transformers' is `generate` with a static cache and the published sampling, over the whole vocabulary.
"""
import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from material import machine

from voicenb.core import audio as au  # noqa: F401  before transformers
from voicenb.voices import spark, spark_base, spark_format, spark_speak

import torch

TEXT = "How many people would go there by water if the way could be found in time"


def settled(device: str):
    if device == "cuda": torch.cuda.synchronize()
    return time.perf_counter()


def voice_of(base: Path, device: str, dtype: str) -> spark.SparkVoice:
    "A voice of a base with random weights"
    llm, tokenizer, codec = spark.parts(base, device)
    if dtype: llm = llm.to(getattr(torch, dtype))
    return spark.SparkVoice(dict(backend="spark"), llm, tokenizer, codec, np.random.default_rng(0).integers(0, 4096, 32), base)


def ours(v: spark.SparkVoice, batch: int, tokens: int, compile: bool) -> dict:
    "Prompts to samples: seconds of the language model and of the codec apart"
    device, ids = v.llm.device.type, [v._prompt(TEXT)[0]] * batch
    rows = spark_speak.begin(v.llm, v.voc, batch, -(-(len(ids[0]) + tokens + 40) // 256) * 256, compile=compile)
    go = lambda seed: spark_speak.generate(v.llm, v.voc, ids, [seed + i for i in range(batch)], least=tokens, most=tokens, tries=1, batch=batch, rows=rows)
    if device == "cuda" or compile: v._decode(go(100))
    a = settled(device)
    said = go(0)
    b = settled(device)
    v._decode(said)
    c = settled(device)
    seconds = batch * tokens / 50
    return dict(what="ours", batch=batch, ms_token=1000 * (b - a) / tokens, tokens_s=batch * tokens / (b - a), rtf=(c - a) / seconds, rtf_codec=(c - b) / seconds)


def first(v: spark.SparkVoice, tokens: int, look: int | None) -> dict:
    "From the call to the first samples in hand, and the whole stream"
    v.info["training"] = dict(pace=dict(least=1.6 * tokens / len(TEXT), most=2 * tokens / len(TEXT)))
    def run(seed):
        start, at, n = settled(v.llm.device.type), 0.0, 0
        for piece in v.stream(TEXT, seed, look=look):
            at, n = at or time.perf_counter() - start, n + len(piece.samples)
        return at, time.perf_counter() - start, n / v.rate
    if v.llm.device.type == "cuda": run(100)
    at, whole, seconds = run(0)
    return dict(what=f"stream, look {v.codec.reach if look is None else look}", batch=1, first_audio_ms=1000 * at, rtf=whole / seconds)


def theirs(v: spark.SparkVoice, batch: int, tokens: int) -> dict:
    "transformers' `generate`"
    device = v.llm.device.type
    ids = torch.tensor([[*v._prompt(TEXT)[0], v.voc.start_semantic]] * batch, device=device)
    go = lambda n: v.llm.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=.8, top_k=50, top_p=.95, min_new_tokens=n, max_new_tokens=n, cache_implementation="static",
                                  eos_token_id=list(v.voc.stops), pad_token_id=v.voc.endoftext, disable_compile=True)
    if device == "cuda": go(8)
    a = settled(device)
    go(tokens)
    b = settled(device)
    return dict(what="transformers generate", batch=batch, ms_token=1000 * (b - a) / tokens, tokens_s=batch * tokens / (b - a))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--size", default="tiny", help="tiny, small or real; random weights")
    p.add_argument("--base", help="a base folder instead of making one")
    p.add_argument("--device", default="cpu")
    p.add_argument("--dtype", default="", help="bfloat16 or float32; '' as the voice chooses")
    p.add_argument("--batch", default="1,8")
    p.add_argument("--tokens", type=int, default=250, help="a sentence; 50 a second")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--skip", default="", help="theirs, stream")
    p.add_argument("--out")
    o = p.parse_args()
    if o.threads: torch.set_num_threads(o.threads)
    with tempfile.TemporaryDirectory() as tmp:
        v, rows = voice_of(Path(o.base) if o.base else spark_base.blank(Path(tmp) / "base", o.size), o.device, o.dtype), []
        def add(row):
            rows.append(row | (dict(gpu_mb=round(torch.cuda.max_memory_allocated() / 2**20)) if o.device == "cuda" else {}))
            print(json.dumps({k: round(x, 4) if isinstance(x, float) else x for k, x in rows[-1].items()}), flush=True)
        for batch in map(int, o.batch.split(",")):
            add(ours(v, batch, o.tokens, o.compile))
            if "theirs" not in o.skip: add(theirs(v, batch, min(o.tokens, 100)))
        if "stream" not in o.skip:
            for look in (None, 12): add(first(v, min(o.tokens, 250), look))
    facts = machine() | dict(device=torch.cuda.get_device_name() if o.device == "cuda" else "cpu", dtype=str(v.llm.dtype), threads=torch.get_num_threads(), tokens=o.tokens, size=Path(o.base).name if o.base else o.size,
                             longest=spark_format.LIMIT)
    print(pd.DataFrame(rows).round(3).to_string(index=False), "\n", facts)
    if o.out: Path(o.out).write_text(json.dumps(dict(machine=facts, rows=rows), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
