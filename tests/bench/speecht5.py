"""Training of SpeechT5 on pairs: clips a second of its own processor time, beside the way people fine-tune it.

    OMP_NUM_THREADS=1 python tests/bench/speecht5.py --size tiny
    OMP_NUM_THREADS=1 python tests/bench/speecht5.py --size real --clips 40 --only usual,bfloat16
    python tests/bench/speecht5.py --size real --clips 256 --budget 160   (on a GPU)

The usual way: two random pairs a batch, sound read and the mel spectrogram computed each time by the library's feature extractor, padded
to the longer, float32, the library's forward pass, L1 after the post-net, AdamW after every eighth batch. Ours, one change at a time: mels and sound
from the disk; batches of like length and so many seconds; convolutions kept as they are and what they heard from the disk; bfloat16 where the
machine multiplies it; dropout from cheap coins in all of ours. Ours learns the whole loss (both L1, end, guided attention), which is more work. Random weights of the real layout;
speech of espeak-ng, 1 to 9 s. Every way sees every pair once; an optimizer step comes after as many pairs in all of them (16).
"""
import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from material import machine

from voicenb.core.audio import Audio, read, resample, save
from voicenb.core.phonemes import speak
from voicenb.voices import speecht5, speecht5_data, speecht5_loss
from voicenb.voices import speecht5_model as sm
from voicenb.voices.trainer import native_bf16

import torch
from transformers import SpeechT5FeatureExtractor

WORDS = "the shop was closed today so we walked along the river until it rained and nobody had told me that she sold her old boat to a man from the north who works at night".split()


def material(home: Path, n: int) -> pd.DataFrame:
    "n pairs of sentences of 2 to 24 words, read by two voices of espeak-ng"
    rng, rows = np.random.default_rng(0), []
    for i in range(n):
        text, row = " ".join(rng.choice(WORDS, rng.integers(2, 25))), dict(pair=f"s{i}", split="train", kept=True, speaker="m3", target_speaker="f2", ref_recording="")
        for side, variant, to in (("a", "m3", ""), ("b", "f2", "target_")):
            s = speak(text, "en", variant=variant)
            x = resample(s.samples, s.rate, 16_000)
            save(Audio(x, 16_000), home / f"{side}{i}.flac")
            row |= {f"{to}recording": f"{side}{i}", f"{to}start": 0.0, f"{to}end": len(x) / 16_000}
        rows.append(row)
    return pd.DataFrame(rows)


def settled(device: str) -> float:
    "The clock; on one thread of a processor its own time, which hardly depends on what else runs"
    if device == "cuda": torch.cuda.synchronize()
    return time.process_time() if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter()


def usual(model, pairs, audio, vector, device):
    "Loss of a batch of two, everything computed on the way"
    heard, who = SpeechT5FeatureExtractor(), torch.from_numpy(vector).to(device)
    def loss(rows):
        xs = [read(audio, r.recording, r.start, r.end, 16_000).samples for r in pairs.iloc[rows].itertuples()]
        ys = [read(audio, r.target_recording, r.target_start, r.target_end, 16_000).samples for r in pairs.iloc[rows].itertuples()]
        found = heard(audio=xs, sampling_rate=16_000, padding=True, return_attention_mask=True, return_tensors="pt").to(device)
        mels = [torch.from_numpy(heard(audio_target=y, sampling_rate=16_000)["input_values"][0]) for y in ys]
        labels = torch.nn.utils.rnn.pad_sequence([m[:len(m) // 2 * 2] for m in mels], batch_first=True, padding_value=-100.0).to(device)
        out = model(**found, labels=labels, speaker_embeddings=who[None].repeat(len(rows), 1)).spectrogram
        return (out - labels).abs()[labels != -100].mean()
    rng = np.random.default_rng(1)
    return loss, np.split(rng.permutation(len(pairs)), range(2, len(pairs), 2))


def ours(model, features, budget, device, bf16):
    "Loss of a batch from the disk"
    seconds = np.maximum(features.table.seconds, features.table.target_seconds).to_numpy()
    plan = speecht5_data.Buckets(seconds, budget, clips=0 if budget else 2).epoch(0)
    def loss(rows):
        batch = speecht5_data.collate(features, rows, [speecht5_data.speaker_of(features, i) for i in rows])
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            return sum(speecht5_loss.losses(model, {k: v.to(device) for k, v in batch.items() if k != "count"}).values())
    return loss, plan


def epoch(model, loss, plan, device) -> float:
    "Seconds of one epoch: a step after every 16 clips"
    opt, n, model = torch.optim.AdamW([v for v in model.parameters() if v.requires_grad], lr=1e-5, fused=True), 0, model.train()
    loss(plan[0][:1]).backward()  # warm
    began = settled(device)
    for i, rows in enumerate(plan):
        loss(rows).backward()
        n += len(rows)
        if n >= 16 or i == len(plan) - 1:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
            n = 0
    return settled(device) - began


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for k, v in dict(size="tiny", clips=64, budget=48.0, device="cuda" if torch.cuda.is_available() else "cpu", only="", threads=1, out="").items(): p.add_argument(f"--{k}", type=type(v), default=v)
    o = p.parse_args()
    if o.device == "cpu": torch.set_num_threads(o.threads)
    home = Path(tempfile.mkdtemp())
    parts = str(sm.blank(home / "blank", o.size))
    pairs = material(home / "audio", o.clips)
    began = settled(o.device)
    prepared = {frozen: speecht5.prepare(pairs, home / "audio", home / "cache", dict(base=parts, frozen=frozen)) for frozen in (False, True)}
    once = settled(o.device) - began
    ways = {"usual": None, "cached": (False, 0, False), "+ like lengths": (False, o.budget, False), "+ convolutions kept": (True, o.budget, False)}
    if native_bf16(): ways |= {"+ bfloat16": (True, o.budget, True)}
    rows = []
    for name, how in ways.items():
        if o.only and not any(w in name for w in o.only.split(",")): continue
        model = sm.load(sm.sources(parts)[0]).to(o.device)
        if how is None:
            for v in model.parameters(): v.requires_grad_(True)
            loss, plan = usual(model, pairs, home / "audio", prepared[True].speaker("f2"), o.device)
        else: loss, plan = ours(speecht5.trainable(model, speecht5.settings(dict(frozen=how[0]))), prepared[how[0]], *how[1:2], o.device, how[2])
        seconds = epoch(model, loss, plan, o.device)
        rows.append(dict(way=name, batches=len(plan), seconds=round(seconds, 2), clips_s=round(o.clips / seconds, 3)))
        rows[-1]["times"] = round(rows[-1]["clips_s"] / rows[0]["clips_s"], 2)
        print(rows[-1], flush=True)
        del model, loss
    t = prepared[True].table
    result = dict(machine(), size=o.size, device=o.device, threads=torch.get_num_threads(), clips=o.clips, budget=o.budget, source_s=round(float(t.seconds.mean()), 2), target_s=round(float(t.target_seconds.mean()), 2),
                  prepare_s=round(once, 2), ways=rows)
    result.pop("data")
    print(pd.DataFrame(rows).to_string(index=False))
    text = json.dumps(result, indent=1)
    if o.out: Path(o.out).write_text(text + "\n", encoding="utf-8")
    else: print(text)


if __name__ == "__main__": main()
