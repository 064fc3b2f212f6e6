"""Add 10 notes to 1,000 and run again: which rows each stage computes, and how long it takes.

python tests/bench/incremental.py [--notes 1000] [--more 10] [--jobs 2] [--align 0] [--out incremental.json]
The notes are copies of a few in other bytes. `--align 1` also writes the gold text to each copy and aligns it (minutes).
"""
import re
import tempfile
import time
from pathlib import Path

from material import DEMO, EXPORT, ME, grown, machine, options, tell

from voicenb.core.run import Run
from voicenb.data import align, curate, ingest, segment, transcribe, verify


def texts(export: Path, path: Path, copies: int) -> Path:
    "The gold lines of a small export for every copy of its notes"
    known = export.with_name("demo_transcripts.csv" if export == DEMO else "transcripts.csv").read_text(encoding="utf-8").splitlines()
    path.write_text("".join(re.sub(r"^0000", f"{k:04d}", line) + "\n" for k in range(copies) for line in known), encoding="utf-8")
    return path


def go(home: Path, export: Path, jobs: int, lines: Path | None):
    "The data stages; the run"
    run = Run(home, jobs=jobs, progress=False)
    r = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, export), me=ME))
    c = run(verify.speaker, run(verify.embed, run(segment.speech, r)), recordings=r)
    if lines: c = run(align.phones, run(transcribe.words, c, transcripts=lines))
    c = run(curate.split, run(curate.select, run(curate.measure, c)), seed=0)
    run.close()
    return run, r


def main():
    a = options(__doc__, notes=1000, more=10, jobs=2, align=0)
    where, logs, took = machine(), [], []
    with tempfile.TemporaryDirectory(prefix="more") as tmp:
        tmp = Path(tmp)
        copies = -(-(a.notes + a.more) // 30)
        lines = texts(EXPORT, tmp / "texts.csv", copies) if a.align else None
        for n in (a.notes, a.notes + a.more, a.notes + a.more):
            export = grown(tmp / "export.zip", copies, notes=n)
            began = time.perf_counter()
            run, recordings = go(tmp / "run", export, a.jobs, lines)
            took.append(round(time.perf_counter() - began, 2))
            logs.append({s["stage"]: s for s in run.log})
            had = set(recordings.recording[recordings.kept]) if n == a.notes else had
    new = set(recordings.recording[recordings.kept]) - had
    rows = [dict(stage=k, rows=s["rows"], first_computed=logs[0][k]["computed"], then_computed=s["computed"], first_s=logs[0][k]["seconds"], then_s=s["seconds"], again=logs[2][k]["cached"])
            for k, s in logs[1].items()]
    tell(rows, where | dict(notes=a.notes, more=a.more, new_recordings=len(new), first_s=took[0], then_s=took[1], again_s=took[2], stages=rows), a.out)


if __name__ == "__main__": main()
