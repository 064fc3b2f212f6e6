"Whisper with random weights: it loads without a network, hears many clips as it hears one, and says in one line what is missing"
import json
import math
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from make_models import whisper_folder

from voicenb.core import asr, packages, whisper
from voicenb.core.audio import resample
from voicenb.core.phonemes import speak

pytest.importorskip("faster_whisper", reason="needs pip install 'voicenb[whisper]'")
LINES = ["Good morning.", "Yes.", "The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background, and rice is often served in round bowls.", "It is easy to tell the depth of a well."]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(whisper_folder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def clips():
    said = [speak(t, "en", v, rate=120 + 15 * i) for i, t in enumerate(LINES) for v in ("m3", "f2")]
    return [resample(s.samples, s.rate, 16_000) for s in said]


def python(code: str, **env):
    "A fresh process; its last line"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180, env=os.environ | dict(OMP_NUM_THREADS="1") | env)
    return (done.stdout.strip().splitlines() or [done.stderr[-500:]])[-1]


TELL = "\ntry: {}\nexcept (RuntimeError, ValueError) as e: print(type(e).__name__ + ': ' + str(e).replace('\\n', '<newline>'))"


def test_loads_and_hears_without_a_network(tiny, clips, tmp_path):
    np.save(tmp_path / "clip.npy", clips[0])
    code = f"""
import socket
def no(*a, **k): raise OSError("this test has no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = no
import numpy as np
from voicenb.core import asr
h = asr.recognise(np.load({str(tmp_path / 'clip.npy')!r}), 16000, "ar-JO", "whisper", model={tiny!r})
print(len(h.text), len(h.words), h.logprob)"""
    chars, words, logprob = python(code, HF_HOME=str(tmp_path)).split()
    assert int(chars) > 0 and int(words) > 0 and -20 < float(logprob) < 0


def test_a_batch_hears_what_the_library_hears_alone(tiny, clips):
    m, how = whisper.load(tiny), dict(language="es", initial_prompt=" Che, ¿vos?", word_timestamps=False)
    alone = []
    for x in clips:
        found, _ = m.transcribe(x, temperature=[0.0], without_timestamps=True, condition_on_previous_text=False, log_prob_threshold=None, no_speech_threshold=None,
                                compression_ratio_threshold=None, **how)
        alone.append(" ".join("".join(s.text for s in found).split()))
    for size in (1, 3, 8):
        heard = whisper._batch(m, clips, size, **how)
        assert [h.text for h in heard] == alone
    assert len(set(alone)) > 3 and all(h.logprob < 0 <= h.no_speech <= 1 for h in heard)


def test_many_clips_of_any_length(tiny, clips):
    "Empty, silent, damaged, shorter than a word and longer than the model's window, among others"
    bad = clips[2].copy()
    bad[500:600] = np.nan
    long = np.concatenate([*clips, *clips])[:31 * 16_000]
    long = np.pad(long, (0, max(0, 31 * 16_000 - len(long))))
    every = [clips[0], np.zeros(0), clips[2], np.zeros(16_000), np.zeros(10), bad, clips[4][:4_000], long, clips[5], clips[4].astype(np.float64)]
    many = whisper.transcribe(every, "en", tiny, words=True)
    assert [bool(h.text) for h in many] == [True, False, True, False, False, True, True, True, True, True]
    for x, h in zip(every, many):
        assert [w[1] for w in h.words] == sorted(w[1] for w in h.words)
        assert all(0 <= a <= b <= len(x) / 16_000 for _, a, b, _ in h.words)
    one = whisper.transcribe(every, "en", tiny, batch=1)
    assert [h.text for h in one] == [h.text for h in many] == [whisper.transcribe([x], "en", tiny)[0].text for x in every]
    assert whisper.transcribe(every[:6], "en", tiny, words=True) == many[:6], "the same clips, the same answer"


def test_what_a_batch_loses_is_heard_alone(tiny, clips, monkeypatch):
    "The batched pipeline returns nothing for some clips that are heard alone"
    import faster_whisper
    real = faster_whisper.BatchedInferencePipeline.transcribe

    def forgetful(self, audio, **how):
        found, info = real(self, audio, **how)
        found = list(found)
        lost = {s.seek for s in found[::2]}
        return [s for s in found if s.seek not in lost], info
    monkeypatch.setattr(faster_whisper.BatchedInferencePipeline, "transcribe", forgetful)
    found = whisper._batch(whisper.load(tiny), clips[2:], 4, language="en", initial_prompt=None, word_timestamps=False)
    assert not found[0].text and not all(t.text for t in found[1:])
    heard = whisper.transcribe(clips[2:], "en", tiny)
    assert all(h.text for h in heard) and all(math.isfinite(h.logprob) for h in heard)
    assert heard[0].text == whisper._alone(whisper.load(tiny), clips[2], language="en", initial_prompt=None).text


def test_repetitions_are_heard_again(tiny, clips):
    "Random weights fall into loops: the answer given is never the one that repeats itself most"
    first = whisper._batch(whisper.load(tiny), clips, 4, language="en", initial_prompt=None, word_timestamps=False)
    heard = whisper.transcribe(clips, "en", tiny)
    assert all(asr.compression(h.text) > whisper.REPEATS for h in first) and np.mean([asr.compression(h.text) <= whisper.REPEATS for h in heard]) > .7


def test_a_gpu_too_small_for_the_batch(tiny, clips, monkeypatch):
    import faster_whisper
    real, tried = faster_whisper.BatchedInferencePipeline.transcribe, []

    def small(self, audio, batch_size, **how):
        tried.append(batch_size)
        if batch_size > 2: raise RuntimeError("CUDA failed with error out of memory")
        return real(self, audio, batch_size=batch_size, **how)
    want = [h.text for h in whisper.transcribe(clips[2:5], "en", tiny)]
    monkeypatch.setattr(faster_whisper.BatchedInferencePipeline, "transcribe", small)
    assert [h.text for h in whisper.transcribe(clips[2:5], "en", tiny, batch=16)] == want and tried == [16, 8, 4, 2]


def test_hints_reach_the_model(tiny, clips):
    said = {p: [h.text for h in whisper.transcribe(clips[2:5], "es", tiny, dialect=d, prompt=p)] for d, p in (("", ""), ("es-AR", "-"), ("", "Doña Pura"))}
    assert len({tuple(v) for v in said.values()}) == 3
    assert whisper.transcribe(clips[2:4], "es-AR", tiny) == whisper.transcribe(clips[2:4], "es", tiny, dialect="Rioplatense")
    assert whisper.transcribe(clips[2:4], "es", tiny) != whisper.transcribe(clips[2:4], "es-AR", tiny)


def test_a_hint_that_comes_back_is_not_the_answer(tiny, clips, monkeypatch):
    "A model that gives the hint back, as Whisper does in silence"
    import faster_whisper
    hint, real = "Names: Ana, Zsófia and Bartholomew.", faster_whisper.BatchedInferencePipeline.transcribe

    def parrot(self, audio, **how):
        found, info = real(self, audio, **how)
        found = list(found)
        for s in found: s.text, s.avg_logprob = hint, -.1
        return found, info
    plain = whisper._alone(whisper.load(tiny), clips[4], language="en", initial_prompt=None)
    monkeypatch.setattr(faster_whisper.BatchedInferencePipeline, "transcribe", parrot)
    assert whisper.transcribe(clips[4:5], "en", tiny)[0].text == hint, "said without being told is said"
    assert whisper.transcribe(clips[4:5], "en", tiny, prompt=hint)[0].text == plain.text != hint


@pytest.mark.parametrize("code", whisper.DIALECTS)
def test_every_dialect_is_a_hint(code):
    names, text = whisper.DIALECTS[code]
    assert asr.base(code) in asr.WHISPER and 60 < len(text) < 200
    for n in names.split(","): assert whisper.hint(asr.base(code), n) == text
    letters = [c for c in text if c.isalpha()]
    assert (np.mean(["\u0600" <= c <= "\u06ff" for c in letters]) > .9) == code.startswith("ar")


@pytest.mark.parametrize("language,dialect,says", [("ar", "Jordan", "ar-JO"), ("es", "Rioplatnse", "es-AR"), ("ar", "Brazilian", "set one of them right"), ("xx", "klingon", "prompt of your own")])
def test_an_unknown_dialect_names_the_nearest(language, dialect, says):
    with pytest.raises(ValueError, match=says): whisper.hint(language, dialect)


def test_languages(tiny, clips, tmp_path):
    assert whisper.transcribe(clips[4:5], "nb", tiny)[0].text and whisper.transcribe(clips[4:5], "pt_BR", tiny)[0].text
    with pytest.raises(ValueError, match="99 languages, not 'tlh'"): asr.recognise(clips[0], 16_000, "tlh", "whisper", model=tiny)
    english = str(whisper_folder(tmp_path / "english", english=True))
    assert whisper.transcribe(clips[4:5], "en", english)[0].text
    with pytest.raises(packages.ModelError, match="hears English only, not 'es'"): whisper.transcribe(clips[4:5], "es", english)


def broken(tiny, tmp_path, how):
    folder = tmp_path / how
    shutil.copytree(tiny, folder)
    if how == "cut short": (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:100_000])
    elif how == "no bytes": (folder / "model.bin").write_bytes(b"")
    elif how == "a web page": (folder / "model.bin").write_text("<html>Not found</html>")
    elif how == "128 bands": (folder / "preprocessor_config.json").write_text(json.dumps(json.loads((folder / "preprocessor_config.json").read_text()) | dict(feature_size=128)))
    elif how == "another tokenizer":
        t = json.loads((folder / "tokenizer.json").read_text())
        t["added_tokens"] = [a for a in t["added_tokens"] if a["content"] != "<|en|>"]
        (folder / "tokenizer.json").write_text(json.dumps(t))
    else: (folder / how).unlink()
    return str(folder)


@pytest.mark.parametrize("how,says", [("model.bin", "lacks model.bin"), ("tokenizer.json", "lacks tokenizer.json"), ("config.json", "lacks config.json"), ("vocabulary.json", "lacks vocabulary.json"),
                                      ("cut short", "cannot load it"), ("no bytes", "cannot load it"), ("a web page", "cannot load it"), ("128 bands", "80 mel bands"),
                                      ("another tokenizer", "belongs to another model")])
def test_a_broken_folder_is_one_line(tiny, tmp_path, clips, how, says):
    with pytest.raises(packages.ModelError, match=says) as e: whisper.transcribe(clips[:1], "en", broken(tiny, tmp_path, how))
    assert "\n" not in str(e.value) and len(str(e.value)) < 400


def test_names():
    with pytest.raises(packages.ModelError, match="take 'large-v3'"): whisper.source("largev3")
    assert whisper.source("a/b@c") == ("a/b", "c") and all(len(commit) == 40 for _, commit, _ in whisper.MODELS.values())
    assert whisper.revision("small").startswith(f"Systran/faster-whisper-small@{whisper.MODELS['small'][1]}:")


def test_the_revision_of_a_folder_is_its_content(tiny, tmp_path):
    other = tmp_path / "moved"
    shutil.copytree(tiny, other)
    os.utime(other / "model.bin", (0, 0))
    assert whisper.revision(str(other)) == whisper.revision(tiny)
    with open(other / "model.bin", "ab") as f: f.write(b"x")
    assert whisper.revision(str(other)) != whisper.revision(tiny)


def test_without_the_package(tiny):
    block = "import sys\nclass No:\n    def find_spec(self, name, path=None, target=None):\n        if name.split('.')[0] in ('faster_whisper', 'ctranslate2'): raise ModuleNotFoundError(f'No module named {name}', name=name)\n"
    block += "sys.meta_path.insert(0, No())\nimport importlib.util as u; real = u.find_spec\nu.find_spec = lambda n, *a: None if n in ('faster_whisper', 'ctranslate2') else real(n, *a)\nimport numpy as np\nfrom voicenb.core import asr, whisper"
    assert python(block + TELL.format(f"whisper.transcribe([np.ones(16000)], 'en', {tiny!r})")) == "ModelError: faster_whisper is not installed: pip install 'voicenb[whisper]'"
    assert python(block + "\nprint(asr.available('es', 'whisper'))") == '(False, "whisper is not installed: pip install \'voicenb[whisper]\'")'


def test_a_hub_that_is_not_there(tmp_path):
    began = time.time()
    said = python("import numpy as np\nfrom voicenb.core import whisper" + TELL.format("whisper.transcribe([np.ones(16000)], 'en', 'tiny')"), HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    assert said.startswith("ModelError: Systran/faster-whisper-tiny: the hub cannot be reached") and "<newline>" not in said and time.time() - began < 90
