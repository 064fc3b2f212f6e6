"""The voice on real speech: `python tests/bench/voice.py [--minutes 0 2] [--splits 0 1 2] [--out voice.json]`.

Linda's notes of whatsapp_lj with their gold transcripts: aligned, cut at pauses, held out by recording (8 of 39 notes a split, never the same twice). Trains the
baseline on the rest (or on the first minutes), speaks the held-out sentences with both built-in engines, and measures them beside the natural recordings and their
copies through the vocoder. Prints a table with machine and load, and writes JSON. Skips where the recordings are absent.
"""
import argparse, hashlib, json, os, platform, re, time, zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from voicenb.core.align import align
from voicenb.core.audio import AudioError, decode, read, store
from voicenb.core.phonemes import phonemize
from voicenb.core.speaker import embed, profile
from voicenb.core.text import normalise
from voicenb.use import evaluate
from voicenb.voices import baseline, units

DATA = Path(os.environ.get("VOICENB_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "whatsapp_lj"


def pieces(row: dict, a) -> list[dict]:
    "Clips of 5 to 10 s of an aligned note, cut in the middle of pauses"
    phones, words = a.phones, phonemize(row["text"], "en")
    cuts = [(p["start"] + p["end"]) / 2 for p in phones[1:-1] if p["phone"] == "sil" and p["end"] - p["start"] >= .12] + [phones[-1]["end"]]
    at = [0.0]
    for c, after in zip(cuts, cuts[1:] + [None]):
        if after is None or c - at[-1] >= 5 or after - at[-1] > 10: at.append(c)
    if len(at) > 2 and at[-1] - at[-2] < 2: at.pop(-2)
    out = []
    for s, e in zip(at, at[1:]):
        inside = [w for w, t in zip(words, a.words) if s <= (t["start"] + t["end"]) / 2 < e]
        ph = [dict(phone=p["phone"], start=max(0, p["start"] - s), end=min(e, p["end"]) - s) for p in phones if min(e, p["end"]) - max(s, p["start"]) > .004]
        if inside: out.append(dict(row, clip=f"{row['recording']}_{round(s * 1000):07d}_{round(e * 1000):07d}", start=s, end=e, phones=ph, kept=True,
                                   text=" ".join(w["word"] + w["pause"] for w in inside)))
    return out


def clips(work: Path) -> pd.DataFrame:
    "All clips of Linda, aligned; kept in `work`"
    path = work / "clips.parquet"
    if path.exists(): return pd.read_parquet(path)
    rows, sounds = [], []
    with zipfile.ZipFile(DATA / "export.zip") as z:
        for line in (DATA / "transcripts.csv").read_text(encoding="utf-8").splitlines():
            name, text = line.split("|", 1)
            data = z.read(name)
            rows.append(dict(recording=hashlib.sha256(data).hexdigest()[:16], file=name, text=normalise(text, "en"), language="en"))
            store(data, work / "audio", rows[-1]["recording"])
            sounds.append((decode(data, 16_000).samples, 16_000))
    done = align(sounds, [r["text"] for r in rows], "en")
    out = pd.DataFrame([p for r, a in zip(rows, done) if not a.reason for p in pieces(r, a)])
    out.to_parquet(path)
    return out


def others() -> dict:
    "A profile of each other sender"
    by = {}
    with zipfile.ZipFile(DATA / "export.zip") as z:
        for who, name in re.findall(r"\] (\w+): .*attached: (\S+\.opus)>", z.read("_chat.txt").decode()):
            if who in ("Carla", "Ben", "Eva", "Dario"):
                try: by.setdefault(who, []).append((decode(z.read(name), 16_000).samples, 16_000))
                except AudioError: continue
    return {who: profile(embed(v)) for who, v in by.items()}


def divide(table: pd.DataFrame, split: int, minutes: float) -> pd.DataFrame:
    "The table with a split: 8 recordings to test, 3 (or the last of the first minutes) to validate, the rest (or the first minutes) to learn from"
    recordings = list(dict.fromkeys(table.recording))
    length = (table.end - table.start).groupby(table.recording).sum()
    first = [r for i, r in enumerate(recordings) if not minutes or length[recordings[:i]].sum() < minutes * 60]
    rest = [r for r in recordings if r not in first] if minutes else recordings
    order = list(np.random.RandomState(7).permutation(rest))
    test = order[split * 8:split * 8 + 8]
    valid = first[-1:] if minutes else order[-3:]
    role = {r: "test" if r in test else "valid" if r in valid else "train" if r in first else "none" for r in recordings}
    return table.assign(split=table.recording.map(role))


def one(table: pd.DataFrame, split: int, minutes: float, work: Path, them: dict, params: dict) -> list[dict]:
    "Scores of both engines on one split"
    d = divide(table, split, minutes)
    audio, test = work / "audio", d[d.split == "test"]
    start, cpu = time.time(), time.process_time()
    features = baseline.prepare(d[d.split.isin(["train", "valid"])], audio, work / "cache", dict(language="en"))
    prepared = time.time() - start
    base = baseline.fit(features, params, work / f"voice_{split}_{minutes:g}", resume=True)
    took = dict(prepare_s=round(prepared, 1), train_s=base.info["training"]["seconds"], fit_s=round(time.time() - start - prepared, 1), cpu_s=round(time.process_time() - cpu, 1),
                steps=base.info["training"]["steps"], learnt_min=base.info["training"]["minutes"])
    both = dict(baseline=base, units=units.UnitsVoice(base.info, base, units.inventory(features, features.rows("train"))))
    rows = []
    for name, voice in both.items():
        scores, _ = evaluate.voice(voice, test, audio, features.profile, them, most=len(test))
        rows.append(dict(scores, voice=name, split=split, minutes=minutes or "all", **took, load=round(os.getloadavg()[0], 1)))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--minutes", type=float, nargs="+", default=[0, 2])
    p.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument("--work", type=Path, default=Path("runs/bench_voice"))
    p.add_argument("--out", type=Path, default=Path("runs/bench_voice/voice.json"))
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    if not DATA.exists(): return print(f"skipped: {DATA} is absent")
    a.work.mkdir(parents=True, exist_ok=True)
    table, them = clips(a.work), others()
    rows = [r for m in a.minutes for s in a.splits for r in one(table, s, m, a.work, them, dict(seed=a.seed))]
    machine = dict(processor=platform.processor() or platform.machine(), cores=os.cpu_count(), load=os.getloadavg()[0], python=platform.python_version())
    t = pd.DataFrame(rows)
    t["weight"] = t.words
    mean = t.groupby(["voice", "minutes"])[[c for c in t.columns if c.startswith(("wer_", "secs_")) and not c.endswith("interval")] + ["mcd", "rtf", "train_s", "cpu_s"]].apply(
        lambda g: g.mul(t.loc[g.index, "weight"], axis=0).sum() / t.loc[g.index, "weight"].sum())
    mean["words"] = t.groupby(["voice", "minutes"]).words.sum()
    print(mean.round(3).T.to_string(), "\n", machine)
    a.out.write_text(json.dumps(dict(machine=machine, rows=rows, mean=mean.reset_index().to_dict("records")), indent=1, default=str))


if __name__ == "__main__": main()
