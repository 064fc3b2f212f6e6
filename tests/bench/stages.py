"""Seconds, times real time and memory of every stage on one export; then the same again with nothing changed; then a bare import.

python tests/bench/stages.py EXPORT.zip --me NAME [--transcripts FILE] [--anchor FILE] [--language en] [--train]
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from voicenb.core.run import Run
from voicenb.data import align, curate, ingest, segment, transcribe, verify
from voicenb.use import journey


def go(home, a, train):
    "The stages of voice_notes without the notebook; the run, its final table, and the speaker thresholds"
    run = Run(home, progress=False)
    r = run(ingest.whatsapp, a.export)
    r = run(ingest.masters, run(ingest.choose, r, me=a.me))
    c = run(verify.speaker, run(segment.speech, r), recordings=r, anchor=a.anchor)
    found = verify.thresholds(c)
    c = run(align.phones, run(transcribe.words, c, transcripts=a.transcripts, language=a.language), language=a.language)
    c = run(curate.split, run(curate.select, run(curate.measure, c)), seed=0, valid=.06, test=.1)
    run.build(journey.dataset, c, recordings=r, name="dataset", title="bench", language=a.language, speaker=found)
    if train: run.build(journey.train, c, name="voice", language=a.language)
    return run, c, found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("export", type=Path)
    p.add_argument("--me", required=True)
    p.add_argument("--transcripts", type=Path)
    p.add_argument("--anchor", type=Path)
    p.add_argument("--language", default="en")
    p.add_argument("--train", action="store_true")
    a = p.parse_args()
    home, load = Path(tempfile.mkdtemp()), os.getloadavg()[0]
    began = time.perf_counter()
    run, clips, found = go(home, a, a.train)
    first = time.perf_counter() - began
    began = time.perf_counter()
    go(home, a, a.train)
    again = time.perf_counter() - began
    bare = subprocess.run([sys.executable, "-c", "import time; t = time.perf_counter(); import voicenb; print(time.perf_counter() - t)"], capture_output=True, text=True)
    speech = float((clips.end - clips.start)[clips.reason != "other_sender"].sum())
    rows = [dict(stage=s["stage"], seconds=s["seconds"], real_time=round(speech / max(s["seconds"], 1e-3)), peak_mb=s["peak_rss_mb"]) for s in run.log]
    print(pd.DataFrame(rows).to_string(index=False))
    mine, others = clips[clips.reason != "other_sender"], clips[clips.reason == "other_sender"]
    out = dict(machine=platform.platform(), cores=os.cpu_count(), load=round(load, 2), minutes=round(speech / 60, 2), first_s=round(first, 1), again_s=round(again, 2),
               import_s=round(float(bare.stdout), 3), accepted_mine=round(float((mine.level == "accept").mean()), 4), accepted_others=int((others.level == "accept").sum()),
               others_heard=int((others.level != "").sum()), thresholds=found, stages=rows)
    print(json.dumps({k: v for k, v in out.items() if k != "stages"}, indent=1))
    Path("bench_stages.json").write_text(json.dumps(out, indent=1))
    shutil.rmtree(home)


if __name__ == "__main__": main()
