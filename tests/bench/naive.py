"""Decode, segment and verify against a straightforward script with the same engines; both in one run.

python tests/bench/naive.py [--copies 10] [--jobs 2] [--out naive.json]
The script is what people write: for each note of the unpacked chat pydub to a 16 kHz WAV (which starts ffmpeg), Silero's own `get_speech_timestamps` on it, the speech
written out as clips of at most 15 s, each clip read again and embedded alone, kept where its cosine to a reference is high enough. It does not read the chat, so it works
through everybody's notes; `own` is its time for the chosen sender's alone. Ours reads the zip and the chat, and listens to a few notes of the others. Needs ffmpeg.
"""
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
from material import ME, cpu, grown, machine, options, tell
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


def note_by_note(notes: list[Path], out: Path) -> tuple[pd.DataFrame, dict]:
    "Seconds of each step for each note, and the embedding of each clip"
    import torch
    from pydub import AudioSegment
    from silero_vad import get_speech_timestamps, load_silero_vad
    rows, points, model = [], {}, load_silero_vad()
    for note in notes:
        at = [time.perf_counter()]
        wav = out / f"{note.stem}.wav"
        AudioSegment.from_file(note).set_channels(1).set_frame_rate(16_000).export(wav, format="wav")
        at.append(time.perf_counter())
        x, rate = sf.read(wav, dtype="float32")
        found = get_speech_timestamps(torch.from_numpy(x), model, sampling_rate=rate)
        sound, clips = AudioSegment.from_wav(wav), []
        for a, b in joined(found, 15 * rate):
            clips.append(out / f"{note.stem}_{a}_{b}.wav")
            sound[a * 1000 // rate:b * 1000 // rate].export(clips[-1], format="wav")
        at.append(time.perf_counter())
        for c in clips: points[c.name] = se.embed([sf.read(c, dtype="float32")])[0]
        at.append(time.perf_counter())
        rows.append(dict(note=note.name, decode=at[1] - at[0], segment=at[2] - at[1], verify=at[3] - at[2]))
    return pd.DataFrame(rows).set_index("note"), points


def main():
    a = options(__doc__, copies=10, jobs=2)
    if not shutil.which("ffmpeg"): sys.exit("the script's side needs ffmpeg, which is not installed: apt install ffmpeg")
    where = machine()
    with tempfile.TemporaryDirectory(prefix="naive") as tmp:
        tmp = Path(tmp)
        (tmp / "notes").mkdir(), (tmp / "wav").mkdir()
        export = grown(tmp / "export.zip", a.copies)
        chosen = ingest.choose(ingest.whatsapp(export), me=ME)
        whole = chosen[chosen.kept | (chosen.reason == "other_sender") & (chosen.duration > 0)]
        for r in whole.itertuples(): (tmp / "notes" / r.file).write_bytes(au.read_bytes(r.source))
        se.embed([(np.ones(16_000, np.float32), 16_000)])  # the network loads outside the clock
        used = [cpu()]
        took, points = note_by_note(sorted((tmp / "notes").iterdir()), tmp / "wav")
        used.append(cpu())
        began = time.perf_counter()
        run, clips = go(tmp / "run", export, a.jobs)
        ours_s = time.perf_counter() - began
        used.append(cpu())
    step = {s["stage"].rpartition(".")[2]: s["seconds"] for s in run.log}
    ours = dict(decode=step["whatsapp"] + step["choose"] + step["masters"], segment=step["speech"], verify=step["embed"] + step["speaker"])
    mine = set(whole.file[whole.kept])
    own, everybody = took[took.index.isin(mine)].sum(), took.sum()
    rows = [dict(step=k, script_s=round(everybody[k], 2), own_s=round(own[k], 2), voicenb_s=round(v, 2), ratio=round(everybody[k] / v, 1), own=round(own[k] / v, 1)) for k, v in ours.items()]
    rows.append(dict(step="together", script_s=round(everybody.sum(), 2), own_s=round(own.sum(), 2), voicenb_s=round(ours_s, 2), ratio=round(everybody.sum() / ours_s, 1), own=round(own.sum() / ours_s, 1)))
    is_mine = {c: f"{c.split('_')[0]}.opus" in mine for c in points}
    reference = next(v for c, v in points.items() if is_mine[c])
    ok = pd.Series({c: float(v @ reference) >= verify.MEASURED["ge2e"][0] for c, v in points.items()})
    own_clips, heard = clips[clips.reason != "other_sender"], pd.Series(is_mine)
    tell(rows, where | dict(copies=a.copies, jobs=a.jobs, notes=len(whole), minutes=round(float(whole.duration.sum() / 60), 1), own_minutes=round(float(whole.duration[whole.kept].sum() / 60), 1),
                            script_accepts_own=round(float(ok[heard].mean()), 3), script_accepts_others=round(float(ok[~heard].mean()), 3), script_clips=int(heard.sum()),
                            voicenb_accepts_own=round(float((own_clips.level == "accept").mean()), 3), voicenb_clips=len(own_clips),
                            script_cpu_s=round(used[1] - used[0], 1), voicenb_cpu_s=round(used[2] - used[1], 1), steps=rows, ratio=rows[-1]["ratio"], own_ratio=rows[-1]["own"]), a.out)


if __name__ == "__main__": main()
