"""The voice contract on a tiny espeak-made corpus: save and load, resume, streaming, errors."""
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from voicenb.core.audio import Audio, resample, save
from voicenb.core.phonemes import speak
from voicenb.voices import baseline
from voicenb.voices import voice as vc

SAID = ["The boat has left the harbour.", "Nobody saw it go.", "A dog is barking in the night.", "He said nobody knew.", "Well, is it late?"]
SMALL = dict(steps=16, warm=None, shape=dict(dim=32), batch=2, save_every=4, bf16=False, lr=3e-3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    "Five aligned clips in a folder: (table, folder)"
    here, rows = tmp_path_factory.mktemp("notes"), []
    for i, text in enumerate(SAID):
        s = speak(text, "en", "f2")
        save(Audio(resample(s.samples, s.rate, 16_000), 16_000), here / f"note{i}.flac")
        rows.append(dict(clip=f"note{i}", recording=f"note{i}", start=0.0, end=len(s.samples) / s.rate - .001, text=text, language="en", kept=True,
                         split="valid" if i == 4 else "train", phones=[dict(phone=p, start=a, end=b) for p, a, b in s.phones]))
    return pd.DataFrame(rows), here


@pytest.fixture(scope="module")
def features(corpus):
    table, here = corpus
    return baseline.prepare(table, here, here / "cache", dict(jobs=1))


@pytest.fixture(scope="module", params=["baseline", "units"])
def voice(request, features, tmp_path_factory):
    return vc.backend(request.param).fit(features, SMALL, tmp_path_factory.mktemp(request.param) / "voice")


def test_saved_and_loaded_says_the_same(voice, tmp_path):
    before = voice.speak("The dog saw nobody. Is it late?").samples
    loaded = vc.load(voice.save(tmp_path / "copy"))
    after = loaded.speak("The dog saw nobody. Is it late?").samples
    assert before.dtype == np.float32 and np.array_equal(before, after)
    assert np.isfinite(before).all() and .01 < np.abs(before).max() <= 1 and .5 < len(before) / voice.rate < 20
    assert not {p.suffix for p in (tmp_path / "copy").iterdir()} - {".json", ".safetensors"}
    assert {"backend", "licence", "rate", "languages", "dataset", "metrics", "training", "consent"} <= set(loaded.info)


def test_a_voice_needs_only_its_folder(voice, tmp_path):
    "Another process, another place, no training data"
    voice.save(tmp_path / "elsewhere")
    code = f"from voicenb.voices import voice as v; import hashlib; print(hashlib.sha256(v.load({str(tmp_path / 'elsewhere')!r}).speak('Nobody saw it.').samples.tobytes()).hexdigest())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    import hashlib
    assert out.stdout.strip() == hashlib.sha256(voice.speak("Nobody saw it.").samples.tobytes()).hexdigest()


def test_stream_is_speak_in_pieces(voice):
    text = "Nobody saw it go. The dog is old! Well, is it late?"
    pieces = list(voice.stream(text, seed=3))
    assert len(pieces) == 3
    assert np.array_equal(np.concatenate([p.samples for p in pieces]), voice.speak(text, seed=3).samples)


def test_knobs(voice):
    plain, fast, high = (voice.speak("The boat has left the harbour.", **k) for k in ({}, dict(speed=1.6), dict(pitch=5)))
    assert .5 * plain.duration < fast.duration < .8 * plain.duration
    assert abs(high.duration - plain.duration) < .05 and not np.array_equal(high.samples[:8000], plain.samples[:8000])


@pytest.mark.parametrize("text, words", [("", "empty"), ("  \n", "empty"), ("...!?", "no word"), ("\u200b", "no word")])
def test_nothing_to_say_is_one_clear_line(voice, text, words):
    with pytest.raises(ValueError, match=words) as e: voice.speak(text)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("knobs", [dict(speed=0), dict(speed=9), dict(pitch=99)])
def test_knobs_out_of_range(voice, knobs):
    with pytest.raises(ValueError, match="choose between"): voice.speak("Hello.", **knobs)


def test_long_text_is_cut(voice):
    pieces = list(voice.stream("the boat and the dog " * 40))
    assert len(pieces) > 3 and all(p.duration < 60 for p in pieces)


def test_same_seed_same_weights(features, tmp_path):
    a, b = (baseline.fit(features, SMALL, tmp_path / n) for n in "ab")
    assert all(np.array_equal(x, y) for x, y in zip(a.tensors().values(), b.tensors().values()))
    c = baseline.fit(features, SMALL | dict(seed=1), tmp_path / "c")
    assert not np.array_equal(a.tensors()["model.out.weight"], c.tensors()["model.out.weight"])


def test_killed_training_ends_like_an_uninterrupted_one(corpus, features, tmp_path):
    table, here = corpus
    table.to_parquet(tmp_path / "clips.parquet")
    whole = baseline.fit(features, SMALL, tmp_path / "whole")
    code = f"""
import os, signal, pandas as pd
from voicenb.voices import baseline, acoustic
f = baseline.prepare(pd.read_parquet({str(tmp_path / 'clips.parquet')!r}), {str(here)!r}, {str(here / 'cache')!r}, dict(jobs=1))
calls, plain = [0], acoustic.losses
def dies(*a):
    calls[0] += 1
    if calls[0] == 11: os.kill(os.getpid(), signal.SIGKILL)
    return plain(*a)
acoustic.losses = dies
baseline.fit(f, {SMALL!r}, {str(tmp_path / 'cut')!r})
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -signal.SIGKILL
    left = list((tmp_path / "cut" / "training").glob("checkpoint-*/done"))
    assert left and not (tmp_path / "cut" / "voice.json").exists()
    cut = baseline.fit(features, SMALL, tmp_path / "cut")
    assert all(np.array_equal(x, y) for x, y in zip(whole.tensors().values(), cut.tensors().values()))
    lines = [[{k: v for k, v in json.loads(s).items() if k != "seconds"} for s in (tmp_path / n / "training" / "metrics.jsonl").read_text().splitlines()] for n in ("whole", "cut")]
    assert lines[0] == lines[1]


def test_finished_training_is_not_repeated(features, tmp_path):
    baseline.fit(features, SMALL, tmp_path / "v")
    before = (tmp_path / "v" / "training" / "metrics.jsonl").stat().st_mtime_ns
    start = time.perf_counter()
    baseline.fit(features, SMALL, tmp_path / "v")
    assert (tmp_path / "v" / "training" / "metrics.jsonl").stat().st_mtime_ns == before and time.perf_counter() - start < 10


def test_metrics_name_every_term(features, tmp_path):
    baseline.fit(features, SMALL, tmp_path / "v")
    rows = [json.loads(s) for s in (tmp_path / "v" / "training" / "metrics.jsonl").read_text().splitlines()]
    assert {"train", "valid", "score"} == {r["kind"] for r in rows}
    assert all({"mgc", "delta", "lf0", "vuv", "bap", "dur", "pitch", "total"} <= set(r) for r in rows if r["kind"] != "score")


def test_unknown_parameter_and_backend(features, tmp_path):
    with pytest.raises(ValueError, match="stepz"): baseline.fit(features, dict(stepz=3), tmp_path / "v")
    with pytest.raises(ValueError, match="baseline"): vc.backend("basline")


def test_damaged_folders(voice, tmp_path):
    with pytest.raises(ValueError, match="no voice.json"): vc.load(tmp_path)
    folder = voice.save(tmp_path / "v")
    data = (folder / "voice.safetensors").read_bytes()
    (folder / "voice.safetensors").write_bytes(data[:len(data) // 2])
    with pytest.raises(ValueError, match="damaged"): vc.load(folder).speak("Hello.")
    (folder / "voice.safetensors").unlink()
    with pytest.raises(ValueError, match="missing"): vc.load(folder)
    (folder / "voice.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"): vc.load(folder)


def test_nothing_to_train_on(corpus, tmp_path):
    table, here = corpus
    with pytest.raises(ValueError, match="nothing to train on"): baseline.prepare(table.assign(kept=False), here, tmp_path)
    only_valid = baseline.prepare(table.assign(split="valid"), here, here / "cache", dict(jobs=1))
    with pytest.raises(ValueError, match="training split"): baseline.fit(only_valid, SMALL, tmp_path / "v")


@pytest.mark.parametrize("language, text", [("es", "¿Dónde está el barco?"), ("ar", "أين السفينة؟"), ("de", "Wo ist das Schiff?"), ("fr", "Où est le bateau ?")])
def test_other_languages_have_the_same_path(language, text, tmp_path):
    s = speak(text, language)
    save(Audio(resample(s.samples, s.rate, 16_000), 16_000), tmp_path / "n.flac")
    row = dict(clip="n", recording="n", start=0.0, end=len(s.samples) / s.rate - .001, text=text, kept=True, split="train",
               phones=[dict(phone=p, start=a, end=b) for p, a, b in s.phones])
    f = baseline.prepare(pd.DataFrame([row]), tmp_path, tmp_path / "cache", dict(language=language, jobs=1, profile=False))
    v = baseline.fit(f, SMALL | dict(steps=2), tmp_path / "v")
    assert v.speak(text).duration > .3 and v.info["languages"] == [language]
