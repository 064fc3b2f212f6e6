"""Decode, segment and verify against a straightforward script with the same engines; both in one run.

python tests/bench/naive.py [--copies 3] [--jobs 2] [--out naive.json]
The script is what people write: for each note pydub to a 16 kHz WAV (which starts ffmpeg), Silero's own `get_speech_timestamps` on it, the speech written out as clips
of at most 15 s, each clip read again and embedded alone, kept where its cosine to the mean is high enough. It gets only the chosen sender's notes, decoded and found;
ours reads the zip, the chat, and listens to other senders too. Needs ffmpeg.
"""
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from material import ME, grown, machine, options, tell
from scale import go

from voicenb.core import audio as au
from voicenb.core import speaker as se
from voicenb.data import ingest, verify


def joined(found: list[dict], longest: int) -> list[tuple[int, int]]:
    "Neighbouring stretches of speech as clips of at most `longest` samples"
    out = []
    for f in found:
        if out and f["end"] - out[-1][0] <= longest and f["start"] - out[-1][1] <= 12_800: out[-1] = (out[-1][0], f["end"])
        else: out.append((f["start"], f["end"]))
    return out


def script(notes: list[Path], out: Path) -> tuple[dict, dict]:
    "Seconds of each step, and the score of each clip"
    from pydub import AudioSegment
    from silero_vad import get_speech_timestamps, load_silero_vad
    took, clips = dict(decode=0.0, segment=0.0, verify=0.0), []
    model = load_silero_vad()
    for note in notes:
        began = time.perf_counter()
        wav = out / f"{note.stem}.wav"
        AudioSegment.from_file(note).set_channels(1).set_frame_rate(16_000).export(wav, format="wav")
        took["decode"] += time.perf_counter() - began
        began = time.perf_counter()
        x, rate = sf.read(wav, dtype="float32")
        import torch
        found = get_speech_timestamps(torch.from_numpy(x), model, sampling_rate=rate)
        sound = AudioSegment.from_wav(wav)
        for a, b in joined(found, 15 * rate):
            clips.append(out / f"{note.stem}_{a}_{b}.wav")
            sound[a * 1000 // rate:b * 1000 // rate].export(clips[-1], format="wav")
        took["segment"] += time.perf_counter() - began
    began = time.perf_counter()
    points = np.stack([se.embed([sf.read(c, dtype="float32")])[0] for c in clips])
    scores = points @ se.profile(points)
    took["verify"] = time.perf_counter() - began
    return took, {c.name: float(s) for c, s in zip(clips, scores)}


def main():
    a = options(__doc__, copies=3, jobs=2)
    if not shutil.which("ffmpeg"): sys.exit("the script's side needs ffmpeg, which is not installed: apt install ffmpeg")
    where = machine()
    with tempfile.TemporaryDirectory(prefix="naive") as tmp:
        tmp = Path(tmp)
        (tmp / "notes").mkdir(), (tmp / "wav").mkdir()
        export = grown(tmp / "export.zip", a.copies)
        chosen = ingest.choose(ingest.whatsapp(export), me=ME)
        for r in chosen[chosen.kept].itertuples(): (tmp / "notes" / r.file).write_bytes(au.read_bytes(r.source))
        took, scores = script(sorted((tmp / "notes").iterdir()), tmp / "wav")
        began = time.perf_counter()
        run, clips = go(tmp / "run", export, a.jobs)
        whole = time.perf_counter() - began
    step = {s["stage"].rpartition(".")[2]: s["seconds"] for s in run.log}
    ours = dict(decode=step["whatsapp"] + step["choose"] + step["masters"], segment=step["speech"], verify=sum(v for k, v in step.items() if k not in ("whatsapp", "choose", "masters", "speech")))
    rows = [dict(step=k, script_s=round(took[k], 2), voicenb_s=round(ours[k], 2), ratio=round(took[k] / ours[k], 1)) for k in took]
    rows.append(dict(step="together", script_s=round(sum(took.values()), 2), voicenb_s=round(whole, 2), ratio=round(sum(took.values()) / whole, 1)))
    mine, ok = clips[clips.reason != "other_sender"], verify.MEASURED["ge2e"][0]
    tell(rows, where | dict(copies=a.copies, jobs=a.jobs, notes=int(chosen.kept.sum()), minutes=round(float(chosen.duration[chosen.kept].sum() / 60), 1),
                            script_clips=len(scores), script_accepts=round(float(np.mean(np.array(list(scores.values())) >= ok)), 3),
                            voicenb_clips=len(mine), voicenb_accepts=round(float((mine.level == "accept").mean()), 3), steps=rows, ratio=rows[-1]["ratio"]), a.out)


if __name__ == "__main__": main()
