"""CTC alignment: time and memory of the search by length, speed of the network, and what stars and skips do with known faults.

python tests/bench/ctc.py [--errors 0.1,0.3,0.5] [--episodes 8] [--model FOLDER] [--out ctc.json]
Every search and the network run in a process of their own: peak_mb is that process at its highest, own_mb that less what it held before
(the emissions, numpy, torch). The emissions are made up: one frame a letter, blanks between, as such networks write. The faults are in
texts of random words: whole turns and sentences that nobody says, turns that nobody wrote down; a share of the letters is heard wrong.
"""
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from material import machine, options, tell, watched

sys.path.insert(0, str(Path(__file__).parents[1]))
from make_models import LETTERS, wav2vec_folder  # noqa: E402

from voicenb.core import audio as au  # noqa: E402
from voicenb.core import ctc, wav2vec  # noqa: E402

VOCAB = wav2vec.Vocabulary({s: i for i, s in enumerate(LETTERS) if i > 4}, 0, 4, len(LETTERS), "")
SEARCHES = {  # name: s, labels a second, how
    "300 s, 4,500 labels": (300, 15, {}), "300 s, 4,500 labels, stars": (300, 15, dict(stars=5)), "300 s, 4,500 labels, stars, skips": (300, 15, dict(stars=5, skip=ctc.SKIP)),
    "30 min, 27,000 labels, whole": (1800, 15, dict(stars=5, skip=ctc.SKIP)), "2 h, 108,000 labels, band of 900": (7200, 15, dict(stars=5, skip=ctc.SKIP, band=900)),
}


def peak() -> float:
    "The highest memory of this process so far, MB"
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def search(name: str) -> dict:
    "One search over made-up emissions; right is the share of letters found in their frame"
    seconds, rate, how = SEARCHES[name]
    frames, size, rng = seconds * 50, seconds * rate, np.random.default_rng(0)
    ids, at = rng.integers(5, 31, size), np.sort(rng.choice(frames // 2, size, replace=False)) * 2
    logp = rng.standard_normal((frames, 32), np.float32) - 8
    line = np.zeros(frames, int)
    line[at] = ids
    logp[np.arange(frames), line] = 0
    stars, near = np.arange(0, size + 1, how["stars"]) if "stars" in how else (), None
    if "band" in how: near = np.searchsorted(at, np.arange(frames)) + (how["band"] // 2 * np.sin(np.arange(frames) / 9_000)).astype(int)
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    path = ctc.viterbi(logp, ids, 0, stars, near, how.get("band", 0), skip=how.get("skip", math.inf))
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    return dict(what=name, wall_s=round(wall, 2), cpu_s=round(used, 2), peak_mb=round(peak()), own_mb=round(peak() - before), right=round(float((path[at] == 2 * np.arange(size) + 1).mean()), 4))


def network(folder: str) -> dict:
    "A model over 100 s of noise, read as three windows"
    import torch
    sound = au.Audio(np.random.default_rng(0).normal(0, .1, 1_600_000).astype(np.float32), 16_000)
    wav2vec.load(folder)
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    e = wav2vec.emissions(sound, model=folder)
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    return dict(what=f"network, {torch.get_num_threads()} threads", wall_s=round(wall, 2), cpu_s=round(used, 2), peak_mb=round(peak()), own_mb=round(peak() - before), frames=len(e.logp), real_time=round(100 / wall, 1))


def heard(rng, line: list, errors: float) -> np.ndarray:  # float32 [frames, symbols]
    "Emissions of a line of symbols, one a frame; a share of its letters is missed, or another heard in their place"
    x = rng.normal(-11, 1.5, (len(line), len(LETTERS)))
    x[:, 0] = 0
    for t, k in enumerate(line):
        wrong = rng.random() < (errors if k else errors / 15)
        if k: x[t, k] = -rng.uniform(2, 9) if wrong else rng.normal(3, 1.5)
        if wrong and (not k or rng.random() < .5): x[t, rng.integers(5, 31)] = 2
    return (x - np.log(np.exp(x).sum(1, keepdims=True))).astype(np.float32)


def episode(seed: int, errors: float):  # -> emissions, texts, first frame of each word or None
    "Twelve turns of random words with faults"
    rng, line, texts, at = np.random.default_rng(seed), [], [], []
    letters, odds = np.array([*"ETAONIHSRDLUMWCFGYPBVKXJQZ"]), np.arange(27, 1, -1.0) ** 2

    def say(n, turn, spoken=True, written=True):
        for _ in range(n):
            word = "".join(rng.choice(letters, int(rng.integers(2, 9)), p=odds / odds.sum()))
            if written: texts.append((word, turn)); at.append(len(line) if spoken else None)
            if not spoken: continue
            for c in word: line.extend([VOCAB.ids[c], *[0] * int(rng.integers(1, 6))])
            line.extend([4, *[0] * int(rng.integers(0, 5) if rng.random() < .85 else rng.integers(10, 40))])

    for turn in range(12):
        fault = rng.choice(["", "", "", "silent", "unwritten"])
        say(int(rng.integers(4, 25)), turn, fault != "silent", fault != "unwritten")
        if turn % 3 == 0: say(7, turn, spoken=False); say(9, turn)
    return heard(rng, line, errors), texts, at


def faults(errors: float, stars: str, skip: float, episodes: int) -> dict:
    "Shares over some episodes: words said and skipped, not said and skipped, found more than 40 ms off"
    lost, caught, off = [], [], []
    for seed in range(episodes):
        logp, texts, at = episode(seed, errors)
        L, top = ctc.labels(texts, VOCAB, stars), logp.max(1)
        e = wav2vec.Emissions(logp, .02, 0.0, logp[:, 1:].max(1), top, np.arange(len(LETTERS)), 0)
        words = ctc.spans(ctc.viterbi(logp, L.ids, 0, L.stars, skip=skip), e, L)
        lost += [w is None for w, a in zip(words, at) if a is not None]
        caught += [w is None for w, a in zip(words, at) if a is None]
        off += [abs(w["start"] / .02 - a) > 2 for w, a in zip(words, at) if w and a is not None]
    return dict(errors=errors, stars=stars, skip=skip, words=len(lost), lost=round(float(np.mean(lost)), 4), caught=round(float(np.mean(caught)), 4), off_40_ms=round(float(np.mean(off)), 4))


def main():
    a = options(__doc__, errors="0.1,0.3,0.5", episodes=8, model="", only="")
    if a.only: return print(json.dumps(network(a.model) if a.only == "network" else search(a.only)))
    where, rows = machine(), []
    for name in [*SEARCHES, "network"]:
        folder = a.model
        if name == "network" and not folder:
            import tempfile
            tmp = tempfile.TemporaryDirectory(prefix="ctc")
            folder = str(wav2vec_folder(Path(tmp.name) / "base", width=768, layers=12, channels=512))
        done = watched([__file__, "--only", name, "--model", folder])
        if done["rc"]: sys.exit(f"{name}: failed")
        rows.append(json.loads(done["output"].splitlines()[-1]))
    found = [faults(e, stars, skip, a.episodes) for e in map(float, a.errors.split(",")) for stars, skip in (("turn", ctc.SKIP), ("word", ctc.SKIP), ("word", math.inf))]
    print(pd.DataFrame(found).to_string(index=False))
    tell(rows, where | dict(model=a.model or "random weights, the size of wav2vec2-base", star=ctc.STAR, skip=ctc.SKIP, rows=rows, faults=found), a.out)


if __name__ == "__main__": main()
