"The embedded conversion: learnt from pairs that espeak says, on sentences that were not learnt, and on bad input"
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from voicenb.core.audio import Audio, resample, save
from voicenb.core.phonemes import speak
from voicenb.use import conversion
from voicenb.voices import mapping, paired, vocoder
from voicenb.voices import voice as vc

SAID = ["The boat has left the harbour.", "Nobody saw it go.", "A dog is barking in the night.", "He said nobody knew.", "Well, is it late?",
        "The children jumped into the cold water.", "My neighbour plays the violin.", "She found a small yellow cup.", "They walked through thick fog."]
SMALL = dict(steps=60, dim=64, depth=2, bf16=False, save_every=1000)


def say(text: str, variant: str) -> Audio:
    s = speak(text, "en", variant)
    return Audio(resample(s.samples, s.rate, 16_000), 16_000)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    "Nine pairs in a folder: (table, folder); the last one validates"
    here, rows = tmp_path_factory.mktemp("pairs"), []
    for i, text in enumerate(SAID):
        row = dict(pair=f"s{i}", text=text, ref_recording="", kept=True, split="valid" if i == len(SAID) - 1 else "train")
        for who, variant, key in ("low", "m3", ""), ("high", "f2", "target_"):
            a = say(text, variant)
            save(a, here / f"{who}{i}.flac")
            row |= {f"{key}recording": f"{who}{i}", f"{key}start": 0.0, f"{key}end": a.duration, f"{key}speaker": who}
        rows.append(row)
    return pd.DataFrame(rows), here


@pytest.fixture(scope="module")
def features(pairs):
    table, here = pairs
    return mapping.prepare(table, here, here / "cache", dict(jobs=1))


@pytest.fixture(scope="module")
def voice(features, tmp_path_factory):
    return mapping.fit(features, SMALL, tmp_path_factory.mktemp("mapping") / "voice")


NEW = "A yellow dog found the harbour."


def test_a_new_sentence_comes_nearer_to_the_target(voice):
    source, target = say(NEW, "m3"), say(NEW, "f2")
    made = voice.convert(source)
    before, after = (conversion.compare(conversion.take(target), conversion.take(a)) for a in (source, made))
    assert after["mcd"] < .8 * before["mcd"]
    assert after["f0_rmse"] < .5 * before["f0_rmse"]
    assert abs(paired.loud(made.samples) / paired.loud(source.samples) - 1) < .1


def test_less_strength_stays_nearer_to_the_source(voice):
    source = say(NEW, "m3")
    takes = [conversion.take(voice.convert(source, strength=k)) for k in (0.0, .5, 1.0)]
    own = [conversion.compare(conversion.take(source), t)["mcd"] for t in takes]
    assert own[0] < own[1] < own[2]
    for knob in dict(strength=2), dict(pitch=99):
        with pytest.raises(vc.VoiceError, match=next(iter(knob))): voice.convert(source, **knob)


def test_saved_and_loaded_converts_the_same_anywhere(voice, tmp_path):
    source = say(NEW, "m3")
    want = voice.convert(source).samples
    folder = voice.save(tmp_path / "copy")
    assert np.array_equal(vc.load(folder).convert(source, seed=3).samples, want)
    assert {p.name for p in folder.iterdir()} == {"voice.json", "voice.safetensors"}
    np.save(tmp_path / "x.npy", source.samples)
    code = (f"import numpy as np, hashlib; from voicenb.voices import voice as v; from voicenb.core.audio import Audio; x = np.load({str(tmp_path / 'x.npy')!r});"
            f"print(hashlib.sha256(v.load({str(folder)!r}).convert(Audio(x, 16000)).samples.tobytes()).hexdigest())")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    import hashlib
    assert out.stdout.strip() == hashlib.sha256(want.tobytes()).hexdigest(), out.stderr
    info = json.loads((folder / "voice.json").read_text())
    assert info["backend"] == "mapping" and info["speaker"] == "high" and "/" not in json.dumps(info["training"]["params"])


def test_a_finished_training_is_loaded_and_equal_ones_are_equal(features, voice, tmp_path):
    small = SMALL | dict(steps=3)
    one, two = (mapping.fit(features, small, tmp_path / n) for n in "ab")
    assert all(np.array_equal(one.tensors()[k], v) for k, v in two.tensors().items())
    log = tmp_path / "a" / "training" / "metrics.jsonl"
    changed = log.stat().st_mtime_ns
    again = mapping.fit(features, small, tmp_path / "a")
    assert log.stat().st_mtime_ns == changed and all(np.array_equal(one.tensors()[k], v) for k, v in again.tensors().items())


@pytest.mark.parametrize("samples, rate, word", [(np.zeros(0), 16_000, "empty"), (np.full(800, np.nan), 16_000, "not numbers"),
                                                 (np.r_[np.ones(800), np.inf], 16_000, "not numbers"), (np.zeros((2, 800)), 16_000, "shape")])
def test_what_is_no_sound_is_refused_in_one_line(voice, samples, rate, word):
    with pytest.raises(vc.VoiceError, match=word) as e: voice.convert(Audio(samples, rate))
    assert "\n" not in str(e.value)


def test_odd_sounds_come_back_as_long_as_they_went_in(voice):
    x = say(NEW, "m3").samples
    full = np.clip(x / np.abs(x).max() * 3, -1, 1)
    for samples, rate in ((x[:1600], 16_000), (x[8000:8010], 16_000), (full, 16_000), (resample(x, 16_000, 8000), 8000), (resample(x, 16_000, 44_100), 44_100),
                          (x * 1e-3, 16_000), (np.random.default_rng(0).standard_normal(8000) * .1, 16_000), (np.ones(4000), 16_000)):
        made = voice.convert(Audio(np.asarray(samples, np.float32), rate))
        assert abs(len(made.samples) - len(samples) * 16_000 / rate) <= 1 and made.rate == 16_000
        assert np.isfinite(made.samples).all() and np.abs(made.samples).max() <= .98 + 1e-6
    quiet = voice.convert(Audio(np.zeros(12_345, np.float32), 16_000))
    assert len(quiet.samples) == 12_345 and not quiet.samples.any()


def test_half_an_hour_with_little_speech_is_cut_in_silence_and_joined_without_clicks(voice):
    x = say(" ".join(SAID), "m3").samples
    long = np.zeros(30 * 60 * 16_000, np.float32)
    for at in 3, 900, 1700: long[at * 16_000:at * 16_000 + len(x)] = x
    made = voice.convert(Audio(long, 16_000)).samples
    assert len(made) == len(long)
    near = np.abs(made[3 * 16_000:3 * 16_000 + len(x)]).max()
    assert near > .05 and np.abs(made[60 * 16_000:890 * 16_000]).max() < .01
    assert np.abs(np.diff(made)).max() < near  # no sample jumps further than the speech itself


def test_rows_that_cannot_be_learnt_from_are_named_and_the_rest_goes_on(pairs):
    table, here = pairs
    save(Audio(np.zeros(16_000, np.float32), 16_000), here / "nothing.flac")
    bad = table.head(4).copy()
    bad.loc[0, "recording"], bad.loc[1, "target_recording"], bad.loc[2, "split"] = "gone", "nothing", "test"
    bad.loc[1, "target_end"] = 1.0
    found = mapping.prepare(bad, here, here / "cache", dict(jobs=1))
    assert found.table.pair.tolist() == ["s3"] and set(found.skipped) == {"s0", "s1"}
    assert "gone" in found.skipped["s0"] and "silence" in found.skipped["s1"]
    with pytest.raises(vc.VoiceError, match="no pair is kept"): mapping.prepare(table.assign(kept=False), here, here / "cache")
    with pytest.raises(vc.VoiceError, match="2 targets"): mapping.prepare(table.assign(target_speaker=["a", "b"] + ["b"] * 7), here, here / "cache")
    with pytest.raises(vc.VoiceError, match="no pair is in the training"): mapping.fit(mapping.prepare(table.assign(split="valid"), here, here / "cache", dict(jobs=1)), SMALL, here / "v")
    with pytest.raises(vc.VoiceError, match="does not know pace"): mapping.fit(found, dict(pace=1), here / "v")


def test_frames_find_their_place_in_a_slower_saying():
    "Known answer: a clip beside itself is the diagonal, beside itself stretched the stretch"
    f = vocoder.analyse(say(SAID[0], "m3").samples, engine="dio")
    z = paired.shape((f.mgc - f.mgc.mean(0)) / f.mgc.std(0), f.mgc.std(0))
    same = paired.beside(z, z)
    assert np.abs(same - np.arange(len(z)))[10:-10].max() <= 1
    slow = np.linspace(0, len(z) - 1, round(len(z) * 1.4))
    assert np.median(np.abs(paired.beside(paired.at(z, slow), z) - slow)) < 1.5


def test_borders_of_phones_are_laid_on_the_same_borders(features):
    "espeak says when each phone of both sides ends"
    rows = features.rows("train")
    sides = [mapping.statistics(features, rows, side) for side in ("source", "target")]
    found, off = paired.places(features, rows, [], *sides), []
    for i in rows:
        text = SAID[int(features.table.pair[i][1:])]
        a, b = (np.array([end for phone, _, end in speak(text, "en", v).phones if phone != "sil"]) / vocoder.HOP for v in ("m3", "f2"))
        assert len(a) == len(b)
        off.append(np.interp(a, np.arange(len(found[i])), found[i]) - b)
    off = np.abs(np.concatenate(off)) * vocoder.HOP * 1000
    assert len(off) > 80 and np.median(off) < 12 and np.mean(off < 50) > .9, (np.median(off), np.mean(off < 50))
