"Measures with known answers, the command line, and the whole journey on the embedded backend and on a tiny SpeechT5"
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from voicenb.core import audio as au
from voicenb.core.audio import Audio
from voicenb.core import table as tb
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.data import pairs as pr
from voicenb.use import cli
from voicenb.use import conversion as cv
from voicenb.use import converted
from voicenb.voices import vocoder
from voicenb.voices.voice import VoiceError

VOICENB = Path(sys.executable).parent / "voicenb"
KEYS = {"name", "verdict", "receipt", "recordings", "pairs", "splits", "minutes_kept", "voice", "train", "eval", "samples", "seconds_total", "peak_rss_mb", "synthetic", "models"}


def said(text="the north wind and the sun were arguing", **how):
    x = speak(text, "en", **how)
    return Audio(x.samples, x.rate)


@pytest.fixture(scope="module")
def frames():
    return vocoder.analyse(said(variant="m3").to(16_000).samples)


def sound(f, gain=1.0, at=slice(None)):
    return Audio(vocoder.synthesise(vocoder.Frames(f.mgc[at], f.f0[at] * gain, f.bap[at])), vocoder.RATE)


def test_a_recording_is_no_way_from_itself(frames):
    a = sound(frames)
    assert cv.compare(cv.take(a), cv.take(a)) == dict(mcd=0, f0_rmse=0, f0_corr=pytest.approx(1), vuv=0, length=1)
    louder = cv.compare(cv.take(a), cv.take(Audio(a.samples * .1, a.rate)))
    assert louder["mcd"] < .2 and louder["f0_rmse"] < 5


def test_silence_around_it_changes_nothing(frames):
    a = sound(frames)
    wide = cv.compare(cv.take(a), cv.take(Audio(np.pad(a.samples, (3_200, 8_000)), a.rate)))
    assert wide["mcd"] < .3 and abs(wide["length"] - 1) < .01


def test_stretched_is_the_same(frames):
    t = cv.take(sound(frames))
    at = np.minimum((np.arange(int(len(t.f0) * 1.4)) / 1.4).astype(int), len(t.f0) - 1)
    same = cv.compare(t, cv.Take(*(v[at] for v in t)))
    assert same["mcd"] < .02 and same["f0_rmse"] < 10 and same["length"] == pytest.approx(1.4, abs=.01)


@pytest.mark.parametrize("semitones", [-5, 1, 12])
def test_semitones_are_hundreds_of_cents(frames, semitones):
    moved = cv.compare(cv.take(sound(frames)), cv.take(sound(frames, 2 ** (semitones / 12))))
    assert moved["f0_rmse"] == pytest.approx(100 * abs(semitones), rel=.06) and moved["f0_corr"] > .97


def test_whisper_has_no_pitch_and_silence_no_sound(frames):
    hushed = cv.compare(cv.take(sound(frames)), cv.take(sound(frames, 0)))
    assert hushed["f0_rmse"] is None and hushed["f0_corr"] is None and hushed["vuv"] > .4
    with pytest.raises(VoiceError, match="nothing sounds"): cv.take(Audio(np.zeros(16_000, np.float32), 16_000))


def test_intervals_hold_the_mean_and_leave_out_what_is_not_there():
    v = np.random.default_rng(0).normal(2, 1, 400)
    low, high = cv.sure(v)
    assert low < v.mean() < high and .1 < high - low < .3 and cv.sure([None, float("nan")]) is None
    assert cv.sure([1.0, None, 1.0]) == [1.0, 1.0]


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    "Three pairs of two synthetic voices, one of them silent on the source's side"
    folder, texts = tmp_path_factory.mktemp("held"), ["the tide is out", "come in and sit down", "we leave at nine"]
    rows = []
    for n, text in enumerate(texts):
        a, b = said(text, variant="klatt"), said(text, variant="f2")
        if n == 2: a = Audio(np.zeros_like(a.samples), a.rate)
        for who, x in dict(a=a, b=b).items(): au.save(x, folder / f"{who}{n}.flac")
        rows.append(dict(pair=f"s{n}", text=text, recording=f"a{n}", end=a.duration, speaker="a", target_recording=f"b{n}", target_end=b.duration, target_speaker="b", split="test"))
    return folder, pr.table(rows)


class Store:
    "A voice that knows what to answer, and refuses silence"
    def __init__(self, answers): self.answers = answers

    def convert(self, a, seed=0):
        if not np.abs(a.samples).max(): raise VoiceError("silence")
        return next((b for x, b in self.answers if np.array_equal(x.samples, a.samples)), a)


def test_the_scale_has_two_ends_and_what_fails_is_counted(held):
    folder, rows = held
    who = cv.profiles(rows[:2], folder)
    bad, _, _ = cv.judge(Store([]), rows, folder, who, language="xx")
    good, table, heard = cv.judge(Store(list(zip(*cv.sides(rows, folder)))), rows, folder, who, language="xx")
    assert good["failed"] == ["s2: silence"] and good["pairs"] == 2 == len(table) == len(heard["converted"])
    assert good["mcd"] == 0 and good["mcd_fall"] == 1 and good["nearer"] == 1 and good["secs_target"] == good["secs_natural"]
    assert bad["mcd"] == bad["mcd_before"] > 3 and bad["mcd_fall"] == 0 and bad["nearer"] == 0 and bad["secs_target"] == bad["secs_before"]
    assert good["wer_converted"] is None and good["asr_note"]
    with pytest.raises(VoiceError, match="not one of 1 pairs"): cv.judge(Store([]), rows[2:], folder, who)
    with pytest.raises(VoiceError, match="no held-out pair"): cv.judge(Store([]), rows[:0], folder, who)


SHORT = dict(steps=40, dim=48, depth=2, f0="dio")


def go(**params):
    args = [x for k, v in params.items() for x in ("-p", f"{k}={v}")]
    return subprocess.run([VOICENB, "run", "conversion", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | dict(OMP_NUM_THREADS="1"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    "Ten demo pairs, and the embedded backend trained on them for a moment by the run notebook"
    out = tmp_path_factory.mktemp("conversion")
    converted.demo(out / "demo", each=8)
    return out, go(source=out / "demo" / "pairs.csv", out=out, name="c", test=.2, valid=.15, judged=2, jobs=1, consent="c-1", training=json.dumps(SHORT))


@pytest.mark.slow
def test_pairs_become_a_voice_and_a_report(demo):
    out, r = demo
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    report = json.loads((out / "reports" / "c" / "report.json").read_text())
    assert KEYS <= set(report) and report["verdict"] == "passed" and report["voice"]["consent"] == "c-1" and not report["synthetic"]
    assert report["pairs"]["in"] == 8 and report["pairs"]["rejected"] == dict(too_different=1, unpaired=2) and report["splits"] == dict(test=1, train=3, valid=1)
    e = report["eval"]
    assert e["judged_on"] == "test" and e["mcd"] < e["mcd_before"] and e["secs_target"] > e["secs_before"] and e["mcd_interval"] and e["wer_source"] is not None
    assert len(report["samples"]) == 3 and all(au.decode(p).duration > .5 for p in report["samples"])
    assert (out / "reports" / "c" / "conversion.html").exists() and (out / "reports" / "c" / "losses.svg").exists()


@pytest.mark.slow
def test_what_was_done_is_not_done_again(demo):
    out, _ = demo
    run = Run(out / "runs" / "c", progress=False, jobs=1)
    _, pairs, audio = converted.gather(run, str(out / "demo"))
    pairs = run(pr.split, pairs, seed=0, valid=.15, test=.2)
    voice = run.build(converted.train, pairs, audio=audio, name="voice", training=SHORT, consent="c-1")
    run.build(converted.evaluation, pairs, audio=audio, voice=voice, name="evaluation", most=2, backend="mapping", training=SHORT)
    assert len(run.log) == 7 and all(s["cached"] for s in run.log), run.log


@pytest.mark.slow
def test_convert_on_the_command_line(demo, tmp_path, capsys):
    out, _ = demo
    voice, source = out / "runs" / "c" / "voice", out / "demo" / "source" / "000.wav"
    cli.convert(voice, source, tmp_path / "o.wav")
    made, heard = au.decode(tmp_path / "o.wav"), au.decode(source)
    assert abs(made.duration - heard.duration) < .02 and np.abs(made.samples).max() > .02 and "RTF" in capsys.readouterr().out
    with pytest.raises(ValueError, match="knows one target"): cli.convert(voice, source, tmp_path / "o.wav", ref=str(source))
    for v, x, o, why in ((voice, tmp_path / "none.wav", "o.wav", "no such file"), (tmp_path, source, "o.wav", "no voice.json"), (voice, source, "o.xyz", "write to .wav")):
        with pytest.raises(ValueError, match=why): cli.convert(v, x, tmp_path / o)


@pytest.mark.slow
def test_the_same_journey_on_a_tiny_speecht5(demo, tmp_path):
    from voicenb.voices.speecht5_model import blank
    base = blank(tmp_path / "parts")
    lines = (demo[0] / "demo" / "pairs.csv").read_text().splitlines()
    table = demo[0] / "demo" / "refs.csv"
    table.write_text("\n".join([f"{lines[0]},spk_ref_wav", *(f"{x},target/000.wav" for x in lines[1:])]) + "\n")
    r = go(source=table, out=tmp_path, name="t5", backend="speecht5", base=base, test=.15, valid=.15, judged=1, jobs=1,
           training=json.dumps(dict(steps=6, lr=.003, budget=8.0, threads=1)))
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    report = json.loads((tmp_path / "reports" / "t5" / "report.json").read_text())
    assert report["verdict"] == "passed" and report["voice"]["backend"] == "speecht5" and report["train"]["steps"] == 6 and report["eval"]["mcd"] > 0
    voice, source = tmp_path / "runs" / "t5" / "voice", demo[0] / "demo" / "source" / "000.wav"
    cli.convert(voice, source, tmp_path / "o.wav", ref=str(demo[0] / "demo" / "target" / "004.wav"), xvector=str(base / "xvector"))
    assert au.decode(tmp_path / "o.wav").duration > .2


def test_wrong_input_is_one_line(tmp_path):
    run = Run(tmp_path / "run", progress=False)
    (tmp_path / "p.csv").write_text("src_wav,tgt_wav\na.wav,b.wav\n")
    (tmp_path / "empty").mkdir()
    for how, why in ((dict(source="/none"), "no such file or folder"), (dict(source=str(tmp_path / "p.csv"), layout="arctic"), "looks like csv"),
                     (dict(layout="cvs"), "take csv, arctic"), (dict(source=str(tmp_path / "empty"), held="x.csv"), "only a table of files"),
                     (dict(source=str(tmp_path / "empty")), "no table")):
        with pytest.raises(ValueError, match=why): converted.gather(run, **{"source": str(tmp_path / "p.csv")} | how)
    with pytest.raises(ValueError, match="base=x"): converted.models("mapping", "x")
    with pytest.raises(ValueError, match="backend=baseline speaks text"): converted.models("baseline")
    with pytest.raises(ValueError, match="backend 'maping' is unknown"): converted.models("maping")


def test_every_layout_becomes_the_same_pairs(tmp_path):
    texts = ["the tide is out", "come in and sit down", "we leave at nine"]
    for who, variant in dict(bdl="m3", slt="f2").items():
        base = tmp_path / "arctic" / f"cmu_us_{who}_arctic"
        for n, text in enumerate(texts):
            for place in (base / "wav" / f"arctic_a000{n}.wav", tmp_path / "plain" / f"{who}{n}.wav"): au.save(said(text, variant=variant), place)
        (base / "etc").mkdir()
        (base / "etc" / "txt.done.data").write_text("".join(f'( arctic_a000{n} "{t}" )\n' for n, t in enumerate(texts)))
    (tmp_path / "plain" / "metadata.csv").write_text("file_name,text,speaker\n" + "".join(f"{w}{n}.wav,{t},{w}\n" for w in ("bdl", "slt") for n, t in enumerate(texts)))
    head = "src_wav,tgt_wav,src_spk,tgt_spk,text\n"
    (tmp_path / "plain" / "first.csv").write_text(head + "".join(f"bdl{n}.wav,slt{n}.wav,bdl,slt,{texts[n]}\n" for n in (0, 1)))
    (tmp_path / "plain" / "second.csv").write_text(head + "".join(f"bdl{n}.wav,slt{n}.wav,bdl,slt,{texts[n]}\n" for n in (1, 2)))
    run = Run(tmp_path / "run", progress=False, jobs=1)
    found = {k: converted.gather(run, str(tmp_path / p), k, "bdl", "slt") for k, p in dict(arctic="arctic", dataset="plain").items()}
    tb.save(found["dataset"][0], run.folder / "recordings.parquet")
    tb.save(found["dataset"][0].assign(start=0.0, end=lambda d: d.duration, text=lambda d: d.text_raw), run.folder / "clips.parquet")
    found["run"] = converted.gather(Run(tmp_path / "other", progress=False, jobs=1), str(run.folder), "", "bdl", "slt")
    sides = [(t.recording.tolist(), t.target_recording.tolist()) for _, t, _ in found.values()]
    assert all(t.kept.all() and len(t) == 3 and (t.target_speaker == "slt").all() for _, t, _ in found.values())
    assert all(sorted(s[0]) == sorted(sides[0][0]) and sorted(s[1]) == sorted(sides[0][1]) for s in sides) and found["run"][2] == run.audio.resolve()
    _, two, _ = converted.gather(run, str(tmp_path / "plain" / "first.csv"), held=str(tmp_path / "plain" / "second.csv"))
    two = pr.split(two, valid=.3, test=0)  # the second sentence stands in both tables
    assert two.split.tolist() == ["train", "", "valid", "valid"] and two.reason.tolist() == ["", "leaks", "", ""]
    with pytest.raises(ValueError, match="nobody is called 'clb'; the table has bdl"): converted.gather(run, str(tmp_path / "plain" / "first.csv"), source_speaker="clb")
