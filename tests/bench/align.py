"""Alignment against a synthesiser's own timing: `python tests/bench/align.py [clips] [out.json]`.

flite speaks sentences and says where each phone ends; the aligner sees only audio and text. Needs flite for the truth, nothing else.
"""
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf

from voicenb.core import audio
from voicenb.core.align import align
from voicenb.core.phonemes import match_phones
from voicenb.data import transcribe

SENTENCES = """The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well.
These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch. The box was thrown beside the parked truck.
The hogs were fed chopped corn and garbage. Four hours of steady work faced us. A large size in stockings is hard to sell. The boy was there when the sun rose.
A rod is used to catch pink salmon. The source of the huge river is the clear spring. Kick the ball straight and follow through. Help the woman get back to her feet.
A pot of tea helps to pass the evening. Smoky fires lack flame and heat. The soft cushion broke the man's fall. The salt breeze came across from the sea.
The girl at the booth sold fifty bonds. The small pup gnawed a hole in the sock. The fish twisted and turned on the bent hook. Press the pants and sew a button on the vest.
The swan dive was far short of perfect. The beauty of the view stunned the young boy. Two blue fish swam in the tank. Her purse was full of useless trash.
The colt reared and threw the tall rider. It snowed, rained, and hailed the same morning. Read verse out loud for pleasure. Hoist the load to your left shoulder.
Take the winding path to reach the lake. Note closely the size of the gas tank. Wipe the grease off his dirty face. Mend the coat before you go out.
The wrist was badly strained and hung limp. The stray cat gave birth to kittens. The young girl gave no clear response. The meal was cooked before the bell rang.
What joy there is in living. A king ruled the state in the early days. The ship was torn apart on the sharp reef. Sickness kept him home the third week.
The wide road shimmered in the hot sun. The lazy cow lay in the cool grass. Lift the square stone over the fence. The rope will bind the seven books at once.
Hop over the fence and plunge in. The friendly gang left the drug store. Mesh wire keeps chicks inside. The frosty air passed through the coat."""
SENTENCES = re.split(r"(?<=\.)\s+", SENTENCES.strip())      # Harvard sentences (IEEE 1969, public)


def flite(text, path, voice="slt"):
    "Speak into `path`; [(phone, start, end)] in seconds, pauses included."
    out = subprocess.run(["flite", "-voice", voice, "-t", text, "-psdur", "-o", path], capture_output=True, text=True, check=True).stdout
    ends = [(p, float(t)) for p, t in (x.rsplit(":", 1) for x in out.split())]
    return [(p, a, b) for (p, b), a in zip(ends, [0.0] + [b for _, b in ends])]


def truth(text, phones, alone):
    "[(word, start, end)]: flite's phones shared among the words by what each word has when said alone."
    words = re.findall(r"[\w']+", text)
    for w in words:
        if w not in alone: alone[w] = [p for p, *_ in flite(w + " ", os.devnull) if p != "pau"]
    sounds = [p for p in phones if p[0] != "pau"]
    expected, owner = [p for w in words for p in alone[w]], [i for i, w in enumerate(words) for _ in alone[w]]
    on = range(len(sounds)) if len(sounds) == len(expected) else match_phones(expected, [p for p, *_ in sounds])
    at = {}
    for k, i in enumerate(on): at.setdefault(owner[i], []).append(sounds[k])
    return [(w, at[i][0][1], at[i][-1][2]) for i, w in enumerate(words)] if len(at) == len(words) else None


def make(n, voice="slt", seed=0):
    "n clips of one to three sentences: (samples, rate, text, words)."
    rng, clips, alone = np.random.default_rng(seed), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            text = " ".join(SENTENCES[k] for k in rng.choice(len(SENTENCES), 1 + i % 3, replace=False))
            path = os.path.join(folder, f"{i}.wav")
            phones = flite(text, path, voice)
            if words := truth(text, phones, alone): clips.append((*sf.read(path, dtype="float32"), text, words))
    return clips


def measure(clips, done):
    "Absolute error of every word start and end, s."
    errors = []
    for (_, _, _, words), a in zip(clips, done):
        assert a.words and len(a.words) == len(words), a
        errors += [abs(t - w[k]) for w, b in zip(words, a.words) for k, t in ((1, b["start"]), (2, b["end"]))]
    return np.array(errors)


def cuts(notes=20, sentences=6, seed=1):
    "Notes of several sentences cut between them: how many clips get exactly their words?"
    rng, rows, texts, truth = np.random.default_rng(seed), [], {}, []
    with tempfile.TemporaryDirectory() as folder:
        for n in range(notes):
            at, track, lines = 0.0, [], [SENTENCES[k] for k in rng.choice(len(SENTENCES), sentences, replace=False)]
            for line in lines:
                phones = flite(line, f"{folder}/one.wav")
                x, rate = sf.read(f"{folder}/one.wav", dtype="float32")
                a, b = phones[0][2] - .05, phones[-1][1] + .05                          # flite's own pauses cut to 50 ms
                x = x[int(a*rate):int(b*rate)]
                gap = rng.uniform(.05, .6)
                rows.append(dict(clip=f"{n}_{at:.3f}", recording=f"{n:016x}", file=f"{n}.opus", start=at, end=at + len(x)/rate))
                track += [x, np.zeros(int(gap*rate), np.float32)]; at += len(x)/rate + int(gap*rate)/rate
                truth.append(line)
            texts[f"{n}.opus"] = " ".join(lines)
            audio.save(audio.Audio(np.concatenate(track), rate), f"{folder}/{n:016x}.flac")
        t = transcribe.words(pd.DataFrame(rows), Path(folder), texts)
    return dict(clips=len(t), cuts=len(t)-notes, exact=int((t.text_raw == truth).sum()))


def main(n=100, out=None):
    if not shutil.which("flite"):
        print("flite is not installed: there is no truth to compare with, nothing measured"); return
    rows = []
    for count, iterations in ((n, 15), (n, 8), (10, 15), (1, 15)):
        clips = make(count)
        wall, cpu = time.perf_counter(), time.process_time()
        done = align([c[:2] for c in clips], [c[2] for c in clips], "en", iterations=iterations)
        wall, cpu = time.perf_counter()-wall, time.process_time()-cpu
        e, seconds = measure(clips, done), sum(len(c[0])/c[1] for c in clips)
        wrong = align([c[:2] for c in clips], [c[2] for c in clips[1:] + clips[:1]], "en", model=done[0].model) if count > 1 else []
        wrong = [w["score"] for a in wrong for w in a.words]
        right = [w["score"] for a in done for w in a.words]
        rows.append(dict(clips=len(clips), seconds=round(seconds), iterations=iterations, words=len(e)//2, median_ms=round(1e3*np.median(e), 1), mean_ms=round(1e3*e.mean(), 1),
                         p90_ms=round(1e3*np.quantile(e, .9), 1), within_20=round((e <= .02).mean(), 4), within_50=round((e <= .05).mean(), 4),
                         rtf_wall=round(wall/seconds, 3), rtf_cpu=round(cpu/seconds, 3), score_right=round(float(np.median(right)), 3),
                         score_wrong=round(float(np.median(wrong)), 3) if wrong else None))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; flite slt, word starts and ends")
    print(pd.DataFrame(rows).to_string(index=False))
    cut = cuts()
    print(f"notes cut between sentences: {cut['exact']} of {cut['clips']} clips have exactly their words")
    report = dict(load=os.getloadavg()[0], rows=rows, cuts=cut)
    if out: json.dump(report, open(out, "w"), indent=1)
    print(json.dumps(report))


if __name__ == "__main__": main(*(int(a) if a.isdigit() else a for a in sys.argv[1:3]))
