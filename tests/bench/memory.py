"""Peak memory: 100 hours against one, and one recording of four hours.

python tests/bench/memory.py [--hours 100] [--long 4] [--jobs 2] [--out memory.json]
The tables of 100 hours are whole, and every stage, shard, file and receipt is as in a run; of the sound an hour is decoded, cut, embedded and measured, whole recordings
spread over all shards. The rows of the others are those of the note they are a copy of. Memory is that of the process and its workers together (shared pages once).
"""
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
from incremental import texts
from material import EXPORT, ME, machine, options, tell, watched

from voicenb.core import audio as au
from voicenb.core import shards
from voicenb.core import table as tb
from voicenb.core.run import Run, stage
from voicenb.data import align, curate, ingest, segment, transcribe, verify

STAGES = dict(masters=ingest.masters, speech=segment.speech, embed=verify.embed, phones=align.phones, measure=curate.measure)
MAKES = dict(embed=["embedding"], phones=["words", "phones", "align_score"], measure=curate.MEASURES)


def renamed(rows: pd.DataFrame, k: str) -> pd.DataFrame:
    "The rows of a recording as those of its copy `k`, 4 hex digits"
    t = rows.assign(recording=rows.recording.str[:12] + k)
    return t.assign(clip=[f"{r}{c[16:]}" for r, c in zip(t.recording, t["clip"])]) if "clip" in t else t


def sampled(what: str):
    "A stage computed for every so many-th copy; for the others the columns that it gave the original"
    def some(table: pd.DataFrame, known: pd.DataFrame, audio: Path, every: int) -> pd.DataFrame:
        real = table.recording.str[12:].map(lambda k: int(k, 16) % every == 0)
        parts = [STAGES[what](table[real].reset_index(drop=True), audio=audio)] if real.any() else []
        originals = dict(iter(known.groupby("recording")))
        for name, rows in table[~real].groupby("recording", sort=False):
            base = originals.get(name[:12] + "0000", known.iloc[:0])
            if what in ("masters", "speech"): parts.append(renamed(base, name[12:]))
            else: parts.append(rows.reset_index(drop=True).assign(**{c: base[c].array for c in MAKES[what]}))
        out = pd.concat(parts, ignore_index=True)
        return out.assign(detail=out.detail.fillna("") if "detail" in out else "")
    some.__qualname__ = some.__name__ = what
    return stage(by="recording", uses=STAGES[what].stage["uses"])(some)


def base(home: Path) -> dict[str, pd.DataFrame]:
    "The original notes through every stage, under ids that end in 0000"
    run = Run(home, progress=False)
    r = ingest.choose(ingest.whatsapp(EXPORT), me=ME)
    r = r[r.kept].assign(recording=lambda t: t.recording.str[:12] + "0000").reset_index(drop=True)
    out = dict(recordings=r, masters=run(ingest.masters, r))
    out["speech"] = run(segment.speech, out["masters"])
    out["embed"] = run(verify.embed, out["speech"])
    c = run(verify.speaker, out["embed"], recordings=out["masters"])
    out["words"] = run(transcribe.words, c, transcripts=texts(EXPORT, home / "texts.csv", 1))
    out["phones"] = run(align.phones, out["words"])
    out["measure"] = run(curate.measure, out["phones"])
    run.close()
    return out


class Watched(Run):
    "A run that also notes the highest memory of its own process after each stage"

    def _note(self, fn, *args, **kw):
        super()._note(fn, *args, **kw)
        self.log[-1]["own_mb"] = shards.peak_mb()


def steps(run: Run) -> list[dict]:
    "What the log says of each stage"
    return [{k: s[k] for k in ("stage", "seconds", "rows", "own_mb")} for s in run.log]


def hours(home: str, known: str, hours: str, jobs: str):
    "The stages over so many hours, in this process"
    k = {p.stem: tb.load(p) for p in Path(known).glob("*.parquet")}
    copies, every = max(1, round(float(hours) * 3600 / k["masters"].duration.sum())), max(1, round(float(hours)))
    run = Watched(home, jobs=int(jobs), progress=False)
    r = pd.concat([renamed(k["recordings"], f"{i:04x}") for i in range(copies)], ignore_index=True)
    r = run(sampled("masters"), r, known=k["masters"], every=every)
    c = run(sampled("speech"), r, known=k["speech"], every=every)
    c = run(verify.speaker, run(sampled("embed"), c, known=k["embed"], every=every), recordings=r)
    texted = {x[17:]: t for x, t in zip(k["words"]["clip"], k["words"].text)}
    c = c.assign(text=[texted.get(x[17:], "") for x in c["clip"]], text_raw="", text_source="gold", language="en")
    c = run(sampled("phones"), c, known=k["phones"], every=10**6)
    c = run(curate.split, run(curate.select, run(sampled("measure"), c, known=k["measure"], every=every)), seed=0)
    run.close()
    print(json.dumps(dict(recordings=len(r), clips=len(c), kept=int(c.kept.sum()), hours=round(float(tb.minutes(c).sum() / 60), 2), decoded=len(list(run.audio.glob("*.flac"))),
                          stages=steps(run))))


def long(home: str, hours: str, jobs: str):
    "One recording of so many hours: decoded, cut, embedded, measured, in this process"
    run = Watched(home, jobs=int(jobs), progress=False)
    r = run(ingest.masters, run(ingest.choose, run(ingest.folder, Path(home) / "long")))
    c = run(curate.measure, run(verify.speaker, run(verify.embed, run(segment.speech, r)), recordings=r))
    run.close()
    print(json.dumps(dict(clips=len(c), kept=int(c.kept.sum()), hours=round(float(r.duration.sum() / 3600), 2), stages=steps(run))))


def joined(path: Path, seconds: float):
    "The notes of the export one after the other until the file is so long: 16 kHz FLAC, written as it grows"
    r = ingest.choose(ingest.whatsapp(EXPORT), me=ME)
    notes = [au.decode(s, 16_000).samples for s in r.source[r.kept]]
    path.parent.mkdir(parents=True)
    with sf.SoundFile(path, "w", 16_000, 1, format="FLAC", subtype="PCM_16", compression_level=0) as f:
        k = 0
        while f.frames < seconds * 16_000: f.write(np.r_[notes[k % len(notes)], np.zeros(8_000, np.float32)]); k += 1


def main():
    a = options(__doc__, hours=100.0, long=4.0, jobs=2)
    where, rows, said = machine(), [], {}
    with tempfile.TemporaryDirectory(prefix="memory") as tmp:
        tmp = Path(tmp)
        for name, t in base(tmp / "base").items(): tb.save(t, tmp / "known" / f"{name}.parquet")
        joined(tmp / "one" / "long" / "long.flac", a.long * 3600)
        todo = {"1 h": ["--of", tmp / "h1", tmp / "known", 1, a.jobs], f"{a.hours:g} h": ["--of", tmp / "many", tmp / "known", a.hours, a.jobs],
                f"one file of {a.long:g} h": ["--one", tmp / "one", a.long, 1], f"one file of {a.long:g} h, {a.jobs} jobs": ["--one", tmp / "one2", a.long, a.jobs]}
        shutil.copytree(tmp / "one", tmp / "one2")
        for name, args in todo.items():
            w = watched([__file__, *args])
            if w["rc"]: sys.exit(f"{name}: exit {w['rc']}")
            said[name] = json.loads(w["output"].splitlines()[-1]) | {k: w[k] for k in ("seconds", "peak_mb")}
            rows.append(dict(what=name, hours=said[name]["hours"], clips=said[name]["clips"], seconds=w["seconds"], peak_mb=w["peak_mb"]))
    small, large, *single = (said[n]["peak_mb"] for n in todo)
    tell(rows, where | dict(jobs=a.jobs, ratio=round(large / small, 2), long_mb=single, runs=said), a.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]: hours(*sys.argv[2:])
    elif sys.argv[1:2] == ["--one"]: long(*sys.argv[2:])
    else: main()
