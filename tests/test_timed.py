"Exports with times: what is written is read back by readers written from the formats' descriptions alone"
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from voicenb.core.audio import Audio, save
from voicenb.data import timed as td
from voicenb.data.turns import read_rttm, write_rttm

WEIRD = ["don’t", '"quoted"', "1,000", "well-known", "–", "...", "naïve", "مرحبا،", "twenty five", "a\u00a0b", "x\u2028y", "'em", "O'Neill's", "日本", '""', ",", "é", "straße", "🙂", "ümlaut;"]


def read_alignment(text):
    "id -> list of (word, start, end): split at spaces, quotes off, split at commas; a word starts where the one before ended"
    out = {}
    for row in text.split("\n"):
        if not row: continue
        name, words, ends = row.strip().split(" ")
        words, ends = words.replace('"', "").split(","), [float(v) for v in ends.replace('"', "").split(",")]
        assert len(words) == len(ends) and words[0] == words[-1] == "" and "" not in words[1:2]
        assert all(a < b for a, b in zip(ends, ends[1:])) and ends[0] > 0
        out[name] = list(zip(words, [0.0, *ends[:-1]], ends))
    return out


def read_textgrid(text):
    "tier name -> list of (start, end, text), by the long format's key = value lines"
    lines = [x.strip() for x in text.split("\n")]
    assert lines[0] == 'File type = "ooTextFile"' and lines[1] == 'Object class = "TextGrid"' and "tiers? <exists>" in lines
    value = lambda k, x: x.split(f"{k} = ", 1)[1]
    tiers, sizes, end = {}, [], float(value("xmax", lines[4]))
    for i, x in enumerate(lines):
        if x.startswith("name = "): name = value("name", x)[1:-1]; tiers[name] = []
        if x.startswith("intervals: size"): sizes.append(int(x.split("=")[1]))
        if re.match(r"intervals \[\d+\]:", x):
            said = value("text", lines[i + 3])
            assert said[0] == said[-1] == '"' and '"' not in said[1:-1].replace('""', "")
            tiers[name].append((float(value("xmin", lines[i + 1])), float(value("xmax", lines[i + 2])), said[1:-1].replace('""', '"')))
    assert [len(v) for v in tiers.values()] == sizes
    for v in tiers.values():
        assert v[0][0] == 0 and v[-1][1] == end and all(a[1] == b[0] and a[0] < a[1] for a, b in zip(v, v[1:]))
    return tiers


def invented(seed, folder=None, rate=16_000):
    "A clip of random words at random times"
    rng, at, words, phones = random.Random(seed), 0.0, [], []
    for _ in range(rng.randint(0, 25)):
        at += rng.choice([0, 0, 0, .01, .05, .079, .08, .3]) + rng.choice([0, rng.random() * .1])
        end = at + rng.choice([.001, .03, .2, .4])
        words.append(dict(word=rng.choice([*WEIRD, "hello", "world"]), start=round(at, 3), end=round(end, 3), score=round(rng.random(), 3)))
        phones.append(dict(phone=rng.choice(["a", "tʃ", "ə"]), start=round(at, 3), end=round(end, 3), score=.5))
        at = end
    seconds = round(at + rng.choice([0, .04, .2]), 3) or .1
    name = f"r{seed}"
    if folder: save(Audio(np.zeros(round((seconds + 1) * rate), np.float32), rate), Path(folder) / f"{name}.flac")
    return dict(clip=f"{name}_{0:07d}_{round(seconds * 1000):07d}", recording=name, group=rng.choice(["", "Late Talk", "a/b"]), speaker=rng.choice(["Ann", "Bob, Jr.", "مريم"]),
                start=0.0, end=seconds, words=words, phones=phones, kept=True)


def test_alignment_tree_round_trip(tmp_path):
    clips = pd.DataFrame([invented(s, tmp_path / "audio") for s in range(120)])
    made = td.write_alignments(clips, tmp_path / "audio", tmp_path / "tree", rate=22_050)
    assert list(made["clip"]) == list(clips.sort_values("recording")["clip"]) and (made.detail.eq("") == made.file.ne("")).all()
    read = {}
    for p in (tmp_path / "tree").rglob("*.alignment.txt"):
        for name, rows in read_alignment(p.read_text(encoding="utf-8")).items(): read[p.parent / f"{name}.flac"] = rows
    assert sorted(read) == sorted((tmp_path / "tree").rglob("*.flac")) == sorted(tmp_path / "tree" / f for f in made.file if f)
    by_clip = clips.set_index("clip")
    for clip, file in zip(made["clip"], made.file):
        want = [(x, w) for w in by_clip.words[clip] for x in map(td.label, w["word"].split()) if x]
        if not file: assert not want or len(want) > 900 * by_clip.end[clip]; continue
        rows = read[tmp_path / "tree" / file]
        info = sf.info(tmp_path / "tree" / file)
        assert info.samplerate == 22_050 and abs(rows[-1][2] - info.frames / info.samplerate) < .0011
        assert [w for w, *_ in rows if w] == [x for x, _ in want]
        assert len(Path(file).parts) == 4 and all(re.fullmatch(r"[\w.-]+", p) for p in Path(file).parts)
    assert len(read) > 90


def test_pauses_are_words_of_their_own():
    words = [dict(word="a", start=.1, end=.3, score=1), dict(word="b", start=.379, end=.5, score=1), dict(word="c", start=.58, end=.9, score=1), dict(word="…", start=.9, end=1.0, score=1)]
    rows = read_alignment(td.line("x", td.timeline(words, 1.2)))["x"]
    assert rows == [("", 0, .1), ("A", .1, .3), ("B", .3, .5), ("", .5, .58), ("C", .58, .9), ("", .9, 1.2)]


def test_words_that_fill_the_clip_leave_room_for_both_blanks():
    rows = read_alignment(td.line("x", td.timeline([dict(word="a", start=0.0, end=.5, score=1), dict(word="b", start=.5, end=1.0, score=1)], 1.0)))["x"]
    assert [r[0] for r in rows] == ["", "A", "B", ""] and rows[0][2] == .001 and rows[-1][2] == 1.0
    assert td.timeline([], 1.0) == [] and td.timeline([dict(word="–", start=0, end=1, score=1)], 1.0) == []
    assert td.timeline([dict(word="a b c d e", start=0.0, end=.003, score=1)], .003) == []


@pytest.mark.parametrize("word", WEIRD)
def test_labels_break_no_grammar(word):
    name = td.label(word)
    assert not set(name) & set(' ,"\t\n\u00a0\u2028') and name == name.upper() and (name == "" or any(c.isalnum() for c in name))


def test_textgrid_round_trip_of_clips(tmp_path):
    clips = pd.DataFrame([invented(s) for s in range(60)])
    for path, r in zip(td.write_textgrid(clips, tmp_path), clips.itertuples()):
        tiers = read_textgrid(path.read_text(encoding="utf-8"))
        assert path.stem == r.clip and list(tiers) == ["words", "phones", "speaker"] and tiers["speaker"] == [(0.0, r.end, r.speaker)]
        for tier, key, items in (("words", "word", r.words), ("phones", "phone", r.phones)):
            want = [(x["start"], x["end"], " ".join(x[key].split())) for x in items]
            assert [x for x in tiers[tier] if x[2]] == want
    assert td.write_textgrid(clips.assign(kept=False), tmp_path) == []


def said():
    rows = [("Ann", "Hello,", 0.5, .8), ("Ann", '"twenty five"', .9, 1.6), ("Bob", "–", np.nan, np.nan), ("Bob", "Yes.", 2.0, 2.4), ("Ann", "no", 2.41, 2.6), ("Ann", "way", 3.4, 3.6)]
    return pd.DataFrame([dict(recording="e1", at=i, speaker=n, text=t, start=a, end=b, post=.25 * (i + 1) if i < 4 else np.nan, kept=i != 4,
                              phones=[] if a != a else [dict(phone="x", start=a, end=b, score=.5)]) for i, (n, t, a, b) in enumerate(rows)])


def test_words_of_a_recording(tmp_path):
    path, = td.write_textgrid(said(), tmp_path, pd.DataFrame([dict(recording="e1", duration=5.0)]))
    tiers = read_textgrid(path.read_text(encoding="utf-8"))
    assert [x[2] for x in tiers["words"] if x[2]] == ["Hello", "twenty five", "Yes", "no", "way"] and tiers["words"][-1] == (3.6, 5.0, "")
    assert [x for x in tiers["speaker"] if x[2]] == [(.5, 1.6, "Ann"), (2.0, 2.4, "Bob"), (2.41, 3.6, "Ann")]


def test_ctm(tmp_path):
    rows = [x.split(" ") for x in td.write_ctm(said(), tmp_path / "a.ctm").read_text(encoding="utf-8").splitlines()]
    assert [(r[0], r[1], r[4]) for r in rows] == [("e1", "1", w) for w in ("Hello", "twenty", "five", "Yes", "way")]
    assert [r[2] for r in rows] == sorted((r[2] for r in rows), key=float) and [len(r) for r in rows] == [6, 6, 6, 6, 5]
    assert float(rows[1][2]) + float(rows[1][3]) == pytest.approx(float(rows[2][2]), abs=.0011) and float(rows[2][2]) + float(rows[2][3]) == pytest.approx(1.6, abs=.0011)
    clips = pd.DataFrame([invented(s) for s in range(40)])
    rows = [x.split(" ") for x in td.write_ctm(clips, tmp_path / "b.ctm").read_text(encoding="utf-8").split("\n")[:-1]]
    assert all(len(r) == 6 and float(r[3]) >= 0 and not r[4].startswith(";;") for r in rows) and len(rows) > 200
    assert [(r[0], float(r[2])) for r in rows] == sorted((r[0], float(r[2])) for r in rows)


def test_turns_as_rttm(tmp_path):
    found = td.turns(said())
    assert list(found.columns) == ["recording", "start", "end", "speaker", "overlap"]
    assert [(t.speaker, t.start, t.end) for t in found.itertuples()] == [("Ann", .5, 1.6), ("Bob", 2.0, 2.4), ("Ann", 3.4, 3.6)]
    write_rttm(found, tmp_path / "a.rttm")
    back = read_rttm(tmp_path / "a.rttm")
    assert back.speaker.tolist() == found.speaker.tolist() and np.allclose(back[["start", "end"]], found[["start", "end"]], atol=.0011)
