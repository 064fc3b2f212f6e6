"""Training of Spark: tokens a second and use of the machine, packed rows beside the public recipe in plain transformers.

    python tests/bench/spark_train.py --size tiny
    python tests/bench/spark_train.py --size real --device cuda --row 4096 --batch 8 --compile
    python tests/bench/spark_train.py --size real --device cuda --optim adamw_8bit --only recipe

The recipe: batches of 2 random clips padded to the longer, 4 of them a step, float32, loss on every token through transformers' own forward, AdamW.
Ours, one change at a time: rows without padding and the same loss; the loss on the speech alone; bfloat16 where the machine multiplies it.
Tokens are those of clips, padding never counts. Random weights and random clips of the lengths that a cut at silences gives; every way
starts from the same weights, and the loss of the same clips is compared before the first step. Figures are medians over steps after two;
use is the share of what a plain matrix product reaches here.
"""
import argparse
import json
import time

import numpy as np
import pandas as pd
from material import machine

from voicenb.core import audio as au  # noqa: F401  before transformers
from voicenb.voices import spark_pack as pack
from voicenb.voices.spark_base import SIZES
from voicenb.voices.trainer import native_bf16, pick

import torch
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

TEXT, WHO = 40, 34  # tokens of text and of the speaker in a clip


def clips(n: int, vocab: int, seed: int = 0) -> list:
    "Random clips: 0.8 to 20 s, most 3 to 10; labels on the speech alone"
    rng = np.random.default_rng(seed)
    speech = (np.clip(rng.gamma(3, 2.6, n), .8, 20) * 50).astype(int)
    ids = [rng.integers(0, vocab, TEXT + WHO + k) for k in speech]
    return [(i, np.where(np.arange(len(i)) >= TEXT + WHO, i, -100)) for i in ids]


def network(size: str, device: str, vocab: int) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    shape = dict(SIZES[size]["llm"]) | dict(vocab_size=vocab)
    return Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=True, rope_theta=1e6, attn_implementation="sdpa", **shape)).to(device)


def optimizer(model, name: str, lr: float = 2e-4):
    if name == "adamw_8bit":
        import bitsandbytes
        return bitsandbytes.optim.AdamW8bit(model.parameters(), lr=lr, weight_decay=.001)
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=.001, fused=True)


def settled(device: str) -> float:
    "The clock; on one thread of a processor its own time, which hardly depends on what else runs"
    if device == "cuda": torch.cuda.synchronize()
    return time.process_time() if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter()


def flops(llm, lengths, supervised: int) -> float:
    "Forward and backward of some clips, FLOP: 6 a weight and token, the head only where something is learnt, attention within each clip"
    c = llm.config
    body = sum(v.numel() for k, v in llm.model.named_parameters() if "embed" not in k)
    size = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    scores = sum(6 * 2 * c.num_hidden_layers * c.num_attention_heads * size * n * n / 2 for n in lengths)
    return 6 * body * sum(lengths) + 6 * c.vocab_size * c.hidden_size * supervised + scores


def peak(device: str, kind) -> float:
    "What a plain matrix product reaches here, FLOP/s"
    n = 8192 if device == "cuda" else 2048
    a = torch.randn(n, n, device=device, dtype=kind)
    took = []
    for _ in range(6):
        t = settled(device)
        a @ a
        took.append(settled(device) - t)
    return 2 * n**3 / min(took)


def timed(step, n: int, device: str) -> list:  # (seconds, tokens, FLOP)
    "Steps after the first two (after none, where a single one is asked for)"
    out, warm = [], min(2, n - 1)
    for i in range(n + warm):
        t = settled(device)
        told = step(i)
        out.append((settled(device) - t, *told))
    return out[warm:]


def recipe(llm, some: list, o) -> tuple:
    "The public recipe; returns the step, and the loss of the first eight clips"
    if o.checkpointing: llm.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=False))
    llm.train()
    opt = optimizer(llm, o.optim)

    def padded(which):
        n = max(len(some[k][0]) for k in which)
        row = lambda x, v: np.concatenate([x, np.full(n - len(x), v)])
        t = lambda rows: torch.from_numpy(np.stack(rows)).to(o.device)
        return dict(input_ids=t([row(some[k][0], 0) for k in which]), labels=t([row(some[k][0], -100) for k in which]),
                    attention_mask=t([row(np.ones(len(some[k][0]), np.int64), 0) for k in which]))

    def step(i):
        which = [pick(4 * i + j, len(some), 2) for j in range(4)]
        n = sum(len(some[k][0]) - 1 for w in which for k in w)
        for w in which: llm(**padded(w), num_items_in_batch=torch.tensor(n, device=o.device)).loss.backward()
        nn.utils.clip_grad_norm_(llm.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        lengths = [len(some[k][0]) for w in which for k in w]
        return sum(lengths), flops(llm, lengths, sum(lengths))

    with torch.no_grad(): first = float(sum(llm(**padded([k])).loss * (len(some[k][0]) - 1) for k in range(8)) / sum(len(some[k][0]) - 1 for k in range(8)))
    return step, first


def ours(llm, some: list, o, speech: bool, bf16: bool) -> tuple:
    "Packed rows"
    model = pack.Packed(llm)
    if o.checkpointing: model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=False))
    for part in model.parts if o.compile else []: part.compile()
    model.train()
    some = some if speech else [(i, np.concatenate([[-100], i[1:]])) for i, _ in some]
    packing, opt = pack.Packing([len(i) for i, _ in some], o.row, o.batch), optimizer(llm, o.optim)
    segments = 2 * max(map(len, packing.epoch(0))) * o.batch
    model.longest = packing.row

    def loss(batch):
        with torch.autocast(o.device, torch.bfloat16, enabled=bf16): return model(**{k: v.to(o.device) for k, v in batch.items() if k != "count"})["ce"]

    def step(i):
        which = [k for r in range(i * o.batch, (i + 1) * o.batch) for k in packing[r]]
        batch = pack.flat([some[k] for k in which], packing.row * o.batch, 0, segments)
        loss(batch).backward()
        nn.utils.clip_grad_norm_(llm.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        lengths = [len(some[k][0]) for k in which]
        return sum(lengths), flops(llm, lengths, len(batch["at"]))

    with torch.no_grad(): first = float(loss(pack.flat(some[:8])))
    return step, first


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for k, v in dict(size="tiny", device="cuda" if torch.cuda.is_available() else "cpu", clips=64, steps=6, row=4096, batch=1, optim="adamw", only="", vocab=0, threads=0, out="").items():
        p.add_argument(f"--{k}", type=type(v), default=v)
    for k in ("compile", "checkpointing"): p.add_argument(f"--{k}", action="store_true")
    o = p.parse_args()
    if o.threads: torch.set_num_threads(o.threads)
    vocab = o.vocab or SIZES[o.size]["llm"].get("vocab_size", 14_080)
    some, ways = clips(o.clips, vocab), {"recipe": None, "packed, same loss": (False, False), "packed, speech": (True, False)}
    if native_bf16(): ways["packed, speech, bf16"] = (True, True)
    rows, best = [], {b: peak(o.device, torch.bfloat16 if b else torch.float32) for b in {False, native_bf16()}}
    for name, how in ways.items():
        if o.only and o.only not in name: continue
        llm = network(o.size, o.device, vocab)
        if o.device == "cuda": torch.cuda.reset_peak_memory_stats()
        step, first = recipe(llm, some, o) if how is None else ours(llm, some, o, *how)
        took = timed(step, o.steps, o.device)
        seconds, tokens, work = (np.array([t[i] for t in took]) for i in range(3))
        speed = float(np.median(tokens / seconds))
        rows.append(dict(way=name, loss=round(first, 5), tokens_s=round(speed, 1), step_s=round(float(np.median(seconds)), 3), tokens_step=int(tokens.mean()),
                         tflops=round(float(np.median(work / seconds)) / 1e12, 3), use=round(float(np.median(work / seconds)) / best[bool(how and how[1])], 3),
                         gb=round(torch.cuda.max_memory_allocated() / 2**30, 1) if o.device == "cuda" else None))
        rows[-1]["times"] = round(speed / rows[0]["tokens_s"], 2)
        del llm, step
    waste = dict(recipe=1 - sum(len(i) for i, _ in some) / sum(2 * max(len(some[k][0]) for k in pick(i, o.clips, 2)) for i in range(o.clips // 2)),
                 packed=pack.Packing([len(i) for i, _ in some], o.row, o.batch).waste)
    print(pd.DataFrame(rows).to_string(index=False))
    result = dict(machine(), size=o.size, device=o.device, vocab=vocab, row=o.row, batch=o.batch, compile=o.compile, checkpointing=o.checkpointing, optim=o.optim,
                  threads=torch.get_num_threads(), peak_tflops={"bf16" if k else "fp32": round(v / 1e12, 2) for k, v in best.items()},
                  waste={k: round(v, 4) for k, v in waste.items()}, ways=rows)
    result.pop("data")
    text = json.dumps(result, indent=1)
    if o.out: open(o.out, "w", encoding="utf-8").write(text + "\n")
    else: print(text)


if __name__ == "__main__": main()
