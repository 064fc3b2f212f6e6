"""Peak memory: 100 hours against one, and one recording of four hours.

python tests/bench/memory.py [--hours 100] [--long 4] [--jobs 2] [--out memory.json]
The tables of 100 hours are whole, and every stage, shard, file and receipt is as in a run; of the sound an hour is decoded, cut, embedded and measured, whole recordings
spread over all shards. The rows of the others are those of the note they are a copy of. Memory is that of the process and its workers together (shared pages once).
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
from incremental import texts
from material import EXPORT, ME, machine, options, tell, watched

from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.core.run import Run, stage
from voicenb.data import align, curate, ingest, segment, transcribe, verify

STAGES = dict(masters=ingest.masters, speech=segment.speech, embed=verify.embed, measure=curate.measure)


def renamed(rows: pd.DataFrame, k: str) -> pd.DataFrame:
    "The rows of a recording as those of its copy `k`, 4 hex digits"
    t = rows.assign(recording=rows.recording.str[:12] + k)
    return t.assign(clip=[f"{r}{c[16:]}" for r, c in zip(t.recording, t.clip)]) if "clip" in t else t


@stage(by="recording")
def sampled(table: pd.DataFrame, known: pd.DataFrame, audio: Path, what: str, every: int, params: dict | None = None) -> pd.DataFrame:
    "A stage computed for every so many-th copy; for the others the rows that it gave for the original"
    copy = table.recording.str[12:]
    real = copy.map(lambda k: int(k, 16) % every == 0)
    parts = [STAGES[what](table[real].reset_index(drop=True), audio=audio, **params or {})] if real.any() else []
    originals = dict(iter(known.groupby("recording")))
    for r in table.recording[~real].unique(): parts.append(renamed(originals[r[:12] + "0000"], r[12:]))
    out = pd.concat(parts, ignore_index=True)
    return out.drop(columns=[c for c in table if c in out and c in ("score", "level")], errors="ignore")


def base(home: Path) -> dict[str, pd.DataFrame]:
    "The original notes through every stage, under ids that end in 0000"
    run = Run(home, progress=False)
    r = ingest.choose(ingest.whatsapp(EXPORT), me=ME)
    r = r[r.kept].assign(recording=lambda t: t.recording.str[:12] + "0000").reset_index(drop=True)
    out = dict(recordings=r, masters=run(ingest.masters, r))
    out["speech"] = run(segment.speech, out["masters"])
    out["embed"] = run(verify.embed, out["speech"], recordings=out["masters"])
    c = run(verify.speaker, out["speech"], recordings=out["masters"])
    c = run(transcribe.words, c, transcripts=texts(EXPORT, home / "texts.csv", 1))
    out["phones"] = run(align.phones, c)
    out["measure"] = run(curate.measure, out["phones"])
    run.close()
    return out


def hours(home: str, known: str, hours: str, jobs: str):
    "The stages over so many hours, in this process"
    k = {p.stem: tb.load(p) for p in Path(known).glob("*.parquet")}
    copies = max(1, round(float(hours) * 3600 / k["masters"].duration.sum()))
    every = max(1, round(float(hours)))
    run = Run(home, jobs=int(jobs), progress=False)
    r = pd.concat([renamed(k["recordings"], f"{i:04x}") for i in range(copies)], ignore_index=True)
    r = run(sampled, r, known=k["masters"], what="masters", every=every)
    c = run(sampled, r, known=k["speech"], what="speech", every=every)
    c = run(verify.speaker, c, recordings=r)
    run.close()
    print(json.dumps(dict(recordings=len(r), clips=len(c), hours=round(float(tb.minutes(c).sum() / 60), 2), peak_rss_mb=run.peak_rss_mb, stages={s["stage"] + str(i): s["seconds"] for i, s in enumerate(run.log)})))
