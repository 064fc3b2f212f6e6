"""What the aligner promises beyond its notebooks: truth of other voices and languages, long recordings, bad input."""
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from voicenb.core import audio as au
from voicenb.core import hmm
from voicenb.core.align import align, train
from voicenb.core.phonemes import speak
from voicenb.data import transcribe

TEXTS = dict(
    en=["The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.", "It is easy to tell the depth of a well.", "Rice is often served in round bowls."],
    es=["El perro de la casa grande no come nada.", "Mañana iremos todos juntos al mercado.", "Me gusta mucho el café por la mañana.", "La niña canta una canción en el jardín."],
    de=["Der Hund schläft heute vor dem Haus.", "Morgen gehen wir alle zusammen ins Kino.", "Ich trinke gern Kaffee am Morgen.", "Das Mädchen singt ein Lied im Garten."],
    ar=["ذهبت إلى السوق مع صديقي.", "الكتاب على الطاولة في البيت.", "أحب القهوة في الصباح كثيرا.", "سافرنا إلى مدينة القاهرة أمس."])


def errors(said, done):
    return np.array([abs(w[e] - t[k]) for s, a in zip(said, done) for w, t in zip(a.words, s.words, strict=True) for e, k in (("start", 1), ("end", 2))])


@pytest.mark.parametrize("language", TEXTS)
def test_another_voice_in_any_language(language):
    said = [speak(t, language, "f2", rate=135 + 15*i) for i, t in enumerate(TEXTS[language])]
    off = errors(said, align([(s.samples, s.rate) for s in said], TEXTS[language], language))
    assert np.median(off) <= .015 and (off <= .05).mean() >= .85


def test_flite_truth():
    if not shutil.which("flite"): pytest.skip("flite is not installed: no second synthesiser whose timing is known")
    spec = importlib.util.spec_from_file_location("bench_align", Path(__file__).parent/"bench"/"align.py")
    bench = importlib.util.module_from_spec(spec); spec.loader.exec_module(bench)
    clips = bench.make(30)
    done = align([c[:2] for c in clips], [c[2] for c in clips], "en")
    off = bench.measure(clips, done)
    assert np.median(off) <= .010 and (off <= .05).mean() >= .97
    wrong = align([c[:2] for c in clips], [c[2] for c in clips[1:] + clips[:1]], "en", model=done[0].model)
    assert min(a.score for a in done) > .8 > .3 > max(a.score for a in wrong if not a.reason)


def test_a_band_finds_what_the_full_search_finds(monkeypatch):
    "A long recording is searched in a band; on the same audio both searches agree."
    lines = TEXTS["en"]*3
    said = [speak(t, "en", "f2") for t in lines]
    whole, text = np.concatenate([np.r_[s.samples, np.zeros(4000, np.float32)] for s in said]), " ".join(lines)
    model = train([(s.samples, s.rate) for s in said[:4]], lines[:4], "en")
    full = align([(whole, 22050)], [text], "en", model=model)[0]
    monkeypatch.setattr(hmm, "CELLS", 2_000_000)
    monkeypatch.setattr("voicenb.core.align.LONG", 1)
    band = align([(whole, 22050)], [text], "en", model=model)[0]
    assert full.words == band.words and len(full.words) == sum(len(s.words) for s in said)


@pytest.mark.parametrize("samples,rate,text", [
    (np.zeros(0), 16000, "hello"), (np.zeros(1), 16000, "hello"), (np.zeros(16000), 16000, ""), (np.zeros(900), 16000, "hello there my friend"),
    (np.zeros(16000), 16000, "😀"), (np.full(800, 1.0), 8000, "a")])
def test_bad_clips_get_a_reason(samples, rate, text):
    a, b = align([(samples.astype(np.float32), rate), (speak("Good morning", "en").samples, 22050)], [text, "Good morning"], "en")
    assert (a.reason and not a.words) or a.words
    assert len(b.words) == 2


@pytest.mark.parametrize("samples", [np.zeros(16000), np.ones(16000), np.random.default_rng(0).normal(0, .1, 16000)])
def test_sound_without_speech_is_finite(samples):
    a = align([(samples.astype(np.float32), 16000)], ["Good morning to you"], "en")[0]
    assert all(np.isfinite([w["start"], w["end"], w["score"]]).all() for w in a.words) and len(a.words) == 4


def test_words_land_in_their_clip_in_spanish(tmp_path):
    "A note cut in its pauses, some of them only 0.15 s long."
    rows, truth = [], []
    for n, pause in enumerate((.15, .3, .6)):
        at, track = 0, []
        for line in TEXTS["es"]:
            s = speak(line, "es", "m3", rate=150 + 15*n).samples
            s = s[:np.flatnonzero(np.abs(s) > .01)[-1]]
            rows.append(dict(clip=f"{n}_{at}", recording=f"{n:016x}", file=f"PTT-{n}.opus", start=at/22050, end=(at+len(s))/22050))
            truth.append(line); track += [s, np.zeros(int(pause*22050), np.float32)]; at += len(s) + int(pause*22050)
        au.save(au.Audio(np.concatenate(track), 22050), tmp_path/f"{n:016x}.flac")
    given = tmp_path/"t.csv"
    given.write_text("\ufeff" + "\r\n".join(f"ptt-{n}|{' '.join(TEXTS['es'])}" for n in range(3)), encoding="utf8")
    t = transcribe.words(pd.DataFrame(rows), tmp_path, given, "es")
    assert t.text_raw.tolist() == truth and (t.text_source == "gold").all() and not t.attrs["problems"]
