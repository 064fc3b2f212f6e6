"""A podcast with exact truth through the whole stage: times, names, planted faults, utterances, yield, speed.

python tests/bench/podcast.py [--minutes 12] [--seeds 3] [--engine espeak] [--der 0.1] [--noise 99] [--faults each] [--out podcast.json]
python tests/bench/podcast.py --hours 2          one long episode: speed and peak memory, each in a process of its own
The episodes are synthetic (tests/make_episode.py): three speakers, jingle, music bed, an advert twice, overlaps, a telephone, a level step. `--noise` is speech over noise in dB, 99 for none.
`--der 0` takes the embedded diarization instead of a corrupted truth. Faults: none, all at once, one kind, or each kind in an episode of its own.
"""
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from material import machine, options, tell, watched

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from make_episode import FAULTS, Episode, episode

from voicenb.core.run import Run
from voicenb.data import checks, diarize, ingest, podcast, utterances, who, whole
from voicenb.use import episode as ep

PLACES = ("overlap", "bed", "phone", "level")  # regions in which speech may go for a good reason


def journey(home: Path, e: Episode, der: float = 0.0, layout: str = "vtt", seed: int = 0) -> tuple[dict, Run]:
    "The stages of the podcast notebook up to the utterances"
    e.write(Path(home) / "in", layout)
    run = Run(Path(home) / "run", jobs=1, progress=False)
    recordings = run(ingest.masters, run(ingest.podcast, Path(home) / "in"))
    words = run(whole.times, run(podcast.words, recordings), recordings)
    turns = e.turns(der, seed, recordings.recording[0]) if der else run(diarize.turns, recordings)
    words = run(who.vote, words, turns=turns)
    words = run(who.refine, words, scores=run(who.scores, words))
    found = run(checks.found, words, recordings=recordings, turns=turns)
    words = run(checks.mark, words, anomalies=found)
    clips = run(utterances.cut, words, recordings=recordings, gaps=ep.looked(words, found), pad=0.1)
    return dict(recordings=recordings, words=words, turns=turns, anomalies=found, clips=clips), run


def _marked(t: pd.DataFrame, truth: pd.DataFrame, rows) -> float:
    "Share of the wrong words among rows that do not go on: marked, or given to who really says them"
    wrong = (truth.start.isna() | (truth.who != truth.named)).to_numpy()[rows]
    fine = (~t.kept | (t.speaker == truth.who.to_numpy())).to_numpy()[rows]
    return float(fine[wrong].mean()) if wrong.any() else 1.0


def faults(e: Episode, t: pd.DataFrame, anomalies: pd.DataFrame) -> pd.DataFrame:  # kind, share: of each planted fault that was found
    "How much of each planted fault was found"
    rows, spoken = [], lambda kinds: anomalies[anomalies.kind.isin(kinds)]
    for f in e.faults.itertuples():
        if f.kind in ("deleted", "cue_shift"):
            over = spoken(["untranscribed"] if f.kind == "deleted" else ["cue_shift"])
            share = (np.minimum(over.end, f.end) - np.maximum(over.start, f.start)).clip(lower=0).sum() / (f.end - f.start)
        else: share = _marked(t, e.words, slice(f.at_first, f.at_last + 1))
        rows.append((f.kind, share))
    return pd.DataFrame(rows, columns=["kind", "share"])


def judge(e: Episode, got: dict, seconds: float, shortest: float = 1.6, longest: float = 11.25) -> dict:
    "Every figure of one episode"
    t, truth, clips = got["words"][got["words"].reason != "not_spoken"].reset_index(drop=True), e.words, got["clips"]
    assert list(t.token) == list(truth.token), "the transcript came through changed"
    said = truth.start.notna().to_numpy()
    error = 1000 * np.abs(np.c_[t.start - truth.start.to_numpy(), t.end - truth.end.to_numpy()])
    kept, at = t.kept.to_numpy(), t.start.notna().to_numpy() & said
    inside = np.zeros(len(t), bool)
    for k in PLACES: inside |= e.inside(k)
    planted = np.zeros(len(t), bool)
    for f in e.faults.itertuples():
        if f.kind != "cue_shift": planted[max(f.at_first - 1, 0):f.at_last + 2] = True
    clean = said & ~inside & ~planted & (truth.who == truth.named).to_numpy()
    mine = clean & (truth.who == e.names[0]).to_numpy()
    k = clips[clips.kept]
    length = (truth.end - truth.start).to_numpy()
    spans = k[k.speaker == e.names[0]][["start", "end"]].to_numpy()
    middle = ((truth.start + truth.end) / 2).to_numpy()
    taken = np.array([((spans[:, 0] <= m) & (m < spans[:, 1])).any() for m in middle]) if len(spans) else np.zeros(len(t), bool)
    within = lambda x, s: int(((s.start + .02 < x) & (x < s.end - .02)).sum())
    cut = sum(within(x, e.spoken[e.spoken.who == r.speaker]) for r in k.itertuples() for x in (r.start, r.end))
    f = faults(e, t, got["anomalies"])
    return dict(minutes=round(len(e.samples) / e.rate / 60, 1), words=len(t), median_ms=float(np.nanmedian(error[at & kept])), within_50=float((error[at & kept] <= 50).mean()),
                within_50_all=float((error[at] <= 50).mean()), right_speaker=float((t.speaker == truth.who)[kept & said].mean()), unsaid_kept=int((kept & ~said).sum()),
                false_drops=float((~kept)[clean].mean()), outside=int(((k.end - k.start < shortest - 1e-6) | (k.end - k.start > longest + 1e-6)).sum()), cut_words=cut, utterances=len(k),
                yield_=float(length[mine & taken].sum() / length[mine].sum()), speed=round(len(e.samples) / e.rate / seconds, 1),
                **{n: float((f.share[f.kind == n] >= .5).mean()) for n in FAULTS if (f.kind == n).any()})


def one(minutes: float, seed: int, engine: str, der: float, noise: float, planted: tuple) -> tuple[dict, dict]:
    "One episode made, run and judged; also the seconds of each stage"
    e = episode(minutes, seed, 3, engine, planted, None if noise >= 99 else noise)
    with tempfile.TemporaryDirectory(prefix="podcast") as tmp:
        began = time.perf_counter()
        got, run = journey(Path(tmp), e, der, seed=seed)
        return judge(e, got, time.perf_counter() - began), {r["stage"].split(".")[-1]: r["seconds"] for r in run.log}


def long(home: str):
    "The episode in a folder, in this process"
    run = Run(Path(home) / "run", jobs=1, progress=False)
    r = run(ingest.masters, run(ingest.podcast, Path(home) / "in"))
    w = run(whole.times, run(podcast.words, r), r)
    turns = run(diarize.turns, r)
    w = run(who.vote, w, turns=turns)
    w = run(who.refine, w, scores=run(who.scores, w))
    found = run(checks.found, w, recordings=r, turns=turns)
    c = run(utterances.cut, run(checks.mark, w, anomalies=found), recordings=r, gaps=ep.looked(w, found))
    print(json.dumps(dict(seconds=float(r.duration.sum()), words=len(w), utterances=int(c.kept.sum()), stages={s["stage"].split(".")[-1]: [s["seconds"], s["peak_rss_mb"]] for s in run.log})))


def main():
    a = options(__doc__, minutes=12.0, seeds=3, engine="espeak", der=0.1, noise=99.0, faults="each", hours=0.0)
    where, rows, stages = machine(), [], []
    if a.hours:
        with tempfile.TemporaryDirectory(prefix="podcast") as tmp:
            episode(a.hours * 60, 0, 3, a.engine, FAULTS).write(Path(tmp) / "in", "vtt")
            w = watched([__file__, "--of", tmp])
        if w["rc"]: sys.exit(f"the long episode: exit {w['rc']}")
        said = json.loads(w["output"].splitlines()[-1])
        rows = [dict(hours=a.hours, words=said["words"], utterances=said["utterances"], seconds=w["seconds"], speed=round(said["seconds"] / w["seconds"], 1), peak_mb=w["peak_mb"])]
        return tell(rows, where | said, a.out)
    kinds = dict(none=[()], all=[FAULTS], each=[(f,) for f in FAULTS]).get(a.faults) or [(a.faults,)]
    for seed, planted in ((s, k) for k in kinds for s in range(a.seeds)):
        figures, took = one(a.minutes, seed, a.engine, a.der, a.noise, planted)
        rows.append(dict(seed=seed, faults=" ".join(planted)) | {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()})
        stages.append(took)
        print(json.dumps(rows[-1]), flush=True)
    tell(rows, where | dict(rows=rows, engine=a.engine, der=a.der, noise=a.noise, stages=stages), a.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]: long(sys.argv[2])
    else: main()
