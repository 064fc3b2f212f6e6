"""Decode, segment and verify with the embedded engines: a chat export, every note several times in other bytes.

python tests/bench/scale.py [--copies 10] [--jobs 2] [--profile 1] [--out scale.json]
Times real time count the chosen sender's minutes only: the others' notes are looked at (hash, header, 12 s of twelve of each) and not counted.
"""
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

from material import ME, cpu, grown, machine, options, tell

from voicenb.core.run import Run
from voicenb.data import ingest, segment, verify


def go(home: Path, export: Path, jobs: int):
    "The stages; the run and its last table"
    run = Run(home, jobs=jobs, progress=False)
    r = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, export), me=ME))
    clips = run(verify.speaker, run(verify.embed, run(segment.speech, r)), recordings=r)
    run.close()
    return run, clips


def main():
    a = options(__doc__, copies=10, jobs=2, profile=0)
    where = machine()
    with tempfile.TemporaryDirectory(prefix="scale") as tmp:
        tmp = Path(tmp)
        export = grown(tmp / "export.zip", a.copies)
        prof = cProfile.Profile()
        if a.profile: prof.enable()
        began, used = time.perf_counter(), cpu()
        run, clips = go(tmp / "run", export, a.jobs)
        took, used = time.perf_counter() - began, cpu() - used
        prof.disable()
        if a.profile: pstats.Stats(prof).sort_stats("tottime").print_stats(25)
    mine = clips[clips.reason != "other_sender"]
    seconds = next(s["audio_seconds"] for s in run.log if s["stage"].endswith("segment.speech")) - float((clips.end - clips.start)[clips.reason == "other_sender"].sum())
    work = sum(s["seconds"] for s in run.log if not s["stage"].startswith("data.ingest") or s["stage"].endswith("masters"))
    rows = [dict(stage=s["stage"], seconds=s["seconds"], real_time=round(seconds / max(s["seconds"], 1e-3)), rows=s["rows"], peak_mb=s["peak_rss_mb"]) for s in run.log]
    tell(rows, where | dict(copies=a.copies, jobs=a.jobs, minutes=round(seconds / 60, 1), accepted=round(float((mine.level == "accept").mean()), 4), stages=rows,
                            decode_segment_verify_s=round(work, 2), times_real_time=round(seconds / work, 1), with_ingest_s=round(took, 2), with_ingest=round(seconds / took, 1), cpu_s=round(used, 1), if_the_jobs_were_alone=round(seconds / used * a.jobs, 1)), a.out)


if __name__ == "__main__": main()
