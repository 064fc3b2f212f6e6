"""Whisper of random weights on a CPU: many clips in batches against one by one, in one run.

python tests/bench/whisper.py [--clips 16] [--tokens 40] [--full 0] [--out whisper.json]
Random weights never end a sentence, so an answer is cut at `--tokens`; `--full 1` takes the size of whisper-small (244 M) instead of a tiny one.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from make_models import whisper_folder  # noqa: E402

from voicenb.core import whisper  # noqa: E402
from voicenb.core.audio import resample  # noqa: E402
from voicenb.core.phonemes import speak  # noqa: E402


def main():
    p = argparse.ArgumentParser()
    for name, value in dict(clips=16, tokens=40, full=0).items(): p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--out", default="")
    a = p.parse_args()
    text = "Rice is often served in round bowls, and the juice of lemons makes fine punch; the box was thrown beside the parked truck."
    said = [speak(text, "en", "f2", rate=110 + 5 * (i % 12)) for i in range(a.clips)]
    clips = [resample(s.samples, s.rate, whisper.RATE) for s in said]
    seconds = sum(map(len, clips)) / whisper.RATE
    with tempfile.TemporaryDirectory() as tmp:
        size = dict(width=768, layers=12, vocabulary=50_257) if a.full else {}
        m = whisper.load(str(whisper_folder(Path(tmp) / "model", **size)), "cpu")
        how = dict(language="en", initial_prompt=None, word_timestamps=False, max_new_tokens=2 * a.tokens)
        took, texts = {}, {}
        for rows in (1, 4, 8, 16):
            began = time.perf_counter()
            texts[rows] = [h.text for n in range(0, len(clips), rows) for h in whisper._batch(m, clips[n:n + rows], rows, **how)]
            took[rows] = time.perf_counter() - began
    out = dict(cores=os.cpu_count(), load=round(os.getloadavg()[0], 2), clips=a.clips, seconds=round(seconds, 1), tokens=a.tokens, size="whisper-small, int8" if a.full else "tiny, int8",
               seconds_by_batch={k: round(v, 2) for k, v in took.items()}, real_time_by_batch={k: round(seconds / v, 1) for k, v in took.items()},
               against_one_by_one={k: round(took[1] / v, 2) for k, v in took.items()}, same_texts={k: float(np.mean([x == y for x, y in zip(texts[1], v)])) for k, v in texts.items()})
    print(json.dumps(out, indent=1))
    if a.out: Path(a.out).write_text(json.dumps(out, indent=1))


if __name__ == "__main__": main()
