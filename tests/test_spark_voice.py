"Spark's speech: the grammar cannot be left, nothing runs on, and a tiny model trained to the end says its training clips again"
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from voicenb.core import audio as au
from voicenb.core.phonemes import speak
from voicenb.voices import spark, spark_base, spark_format
from voicenb.voices import spark_speak as sp
from voicenb.voices import voice as vc

import torch

ASSETS = Path(sp.__file__).parents[1] / "assets"
TEXT = "Would you go there by water? I had no time."
pytestmark = [pytest.mark.filterwarnings("ignore:.*had not ended after:UserWarning"), pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def base(tmp_path_factory): return spark_base.blank(tmp_path_factory.mktemp("spark") / "base")


@pytest.fixture(scope="module")
def friend(): return speak("The quick brown fox jumps over the lazy dog.", "en", "f2")


@pytest.fixture(scope="module")
def voice(base, friend): return spark.SparkVoice.from_base(base, friend)


@pytest.fixture(scope="module")
def model(voice): return voice.llm, voice.voc


def prompts(voice, count: int, seed: int = 0) -> list:
    "Prompts of all kinds: a given voice, a voice to be made, a wanted kind of voice"
    rng, words = np.random.default_rng(seed), "the way water could be found by many people of this part now".split()
    out = []
    for i in range(count):
        text = " ".join(rng.choice(words, rng.integers(1, 12)))
        kind = i % 4
        style = dict(gender=spark_format.GENDERS[i % 2], pitch=spark_format.LEVELS[i % 5], speed=spark_format.LEVELS[i // 5 % 5])
        out.append(spark_format.prompt(voice.voc, voice.tokenizer, text, rng.integers(0, 4096, 32) if kind < 2 else None,
                                       ("spark", "unsloth", "unsloth", "control")[kind], attributes=style if kind == 3 else None).tolist())
    return out


def test_greedy_is_what_transformers_would_say(model, voice):
    "Without a cache of ours and without our pass: the whole row anew for every token"
    llm, voc = model
    for prompt in prompts(voice, 2, seed=3):
        said = sp.generate(llm, voc, [prompt], temperature=0, most=30, least=30, repeat=0)[0]
        row, wanted, allowed = [*prompt, voc.start_semantic], [], [*voc.semantic]
        with torch.no_grad():
            for _ in range(30):
                row.append(allowed[int(llm(torch.tensor([row])).logits[0, -1, allowed].argmax())])
                wanted.append(row[-1] - voc.semantic.start)
        assert said.semantic.tolist() == wanted


def test_200_generations_of_random_weights(model, voice):
    "None endless, none with a wrong count, all decode"
    llm, voc = model
    rng, rows = np.random.default_rng(1), prompts(voice, 200)
    least, most = rng.integers(1, 12, 200), rng.integers(20, 70, 200)
    said = sp.generate(llm, voc, rows, seed=list(range(200)), least=least, most=most, batch=32)
    assert len(said) == 200
    for i, s in enumerate(said):
        assert least[i] <= len(s.semantic) <= most[i] and len(s.globals_) == (0, 0, 32, 32)[i % 4] and len(s.values) == (0, 0, 0, 2)[i % 4]
        assert 0 <= s.semantic.min() and s.semantic.max() < len(voc.semantic) and (s.ended or s.tries >= 1)
        assert not len(s.globals_) or (0 <= s.globals_.min() and s.globals_.max() < 4096)
    assert 0 < sum(s.ended for s in said) < 200, "both ends occur"
    for s, x in zip(said, voice._decode(said)): assert x.shape == (320 * len(s.semantic),) and np.isfinite(x).all() and np.abs(x).max() <= 1


def test_together_or_alone_or_in_other_company(model, voice):
    llm, voc = model
    rows, most = prompts(voice, 12, seed=5), [15, 60, 31, 22, 47, 18, 33, 26, 52, 19, 40, 29]
    together = sp.generate(llm, voc, rows, seed=4, most=most, batch=5)
    wide = sp.generate(llm, voc, rows, seed=4, most=most, batch=12)
    for i in range(0, 12, 3):
        alone = sp.generate(llm, voc, [rows[i]], seed=4, most=most[i])[0]
        for other in (together[i], wide[i]):
            assert np.array_equal(alone.semantic, other.semantic) and np.array_equal(alone.globals_, other.globals_) and alone.tries == other.tries
    assert not np.array_equal(together[1].semantic[:15], sp.generate(llm, voc, [rows[1]], seed=5, most=most[1])[0].semantic[:15])


def test_speech_that_runs_on_is_tried_again_and_cut_where_it_was_nearest_to_an_end(model, voice):
    llm, voc = model
    rows, few = prompts(voice, 24), 15
    tried, once = (sp.generate(llm, voc, rows, least=9, most=few, tries=n) for n in (3, 1))
    late = [i for i, s in enumerate(tried) if not s.ended]
    assert late and sum(s.ended for s in tried) > sum(s.ended for s in once) and {s.tries for s in tried} == {1, 2, 3}
    for i in late:
        assert 9 <= len(tried[i].semantic) <= few and 0 < once[i].hope <= tried[i].hope < 1
        rest = np.concatenate([p.semantic for p in sp.stream(llm, voc, rows[i], least=9, most=few)])
        assert len(rest) == few and np.array_equal(rest[:len(once[i].semantic)], once[i].semantic)


def test_no_token_is_repeated_forever(model, voice):
    "Greedy speech of random weights falls into a loop; with the guard no token fills more than half of a window, whatever the period"
    llm, voc = model
    def most_common(s, width=20): return max(np.bincount(s.semantic[i:i + width]).max() for i in range(len(s.semantic) - width))
    rows = prompts(voice, 8, seed=9)
    free = sp.generate(llm, voc, rows, temperature=0, least=150, most=150, repeat=0)
    held = sp.generate(llm, voc, rows, temperature=0, least=150, most=150, repeat=10)
    assert max(map(most_common, held)) <= 11
    assert max(map(most_common, free)) > max(map(most_common, held))


def test_pieces_are_the_whole(model, voice):
    llm, voc = model
    for seed, prompt in enumerate(prompts(voice, 4, seed=11)):
        whole = sp.generate(llm, voc, [prompt], seed=seed, least=70, most=200, tries=1)[0]
        pieces = list(sp.stream(llm, voc, prompt, seed=seed, least=70, most=200, first=25))
        joined = np.concatenate([p.semantic for p in pieces])
        assert [len(p.semantic) for p in pieces[:2]][0] == 25 and np.array_equal(joined[:len(whole.semantic)], whole.semantic)
        assert all(np.array_equal(p.globals_, whole.globals_) for p in pieces) and pieces[-1].ended == whole.ended


@pytest.mark.parametrize("how, words", [
    (dict(prompts=[[5, 6, 7]]), "ends with id 7"), (dict(prompts=[[]]), "ends with id -1"), (dict(temperature=-1), "temperature"), (dict(top_p=0), "top_p"),
    (dict(top_k=0), "top_k"), (dict(least=9, most=3), "at least 9"), (dict(most=10**6), "tokens, the model knows"), (dict(seed=-1), "seed")])
def test_what_cannot_be_generated_is_one_line(model, voice, how, words):
    llm, voc = model
    with pytest.raises(vc.VoiceError, match=words) as e: sp.generate(llm, voc, **dict(dict(prompts=prompts(voice, 1)), **how))
    assert "\n" not in str(e.value)


class Replayed:
    "What a CUDA graph is to `Rows`, without CUDA: a step of a fixed width, looked at every eighth time only"
    def __init__(self, rows, span): self.replay = lambda: rows.advance(span)


def test_steps_of_fixed_width_that_are_rarely_looked_at_say_the_same(model, voice):
    llm, voc = model
    asked, most = prompts(voice, 16, seed=2), [20, 75, 41, 33] * 4
    plain = sp.generate(llm, voc, asked, seed=6, most=most, batch=6)
    rows = sp.begin(llm, voc, 6, 256)
    rows.graphs = {n: Replayed(rows, n) for n in (64, 128, 256)}
    for _ in range(2):
        for a, b in zip(plain, sp.generate(llm, voc, asked, seed=6, most=most, batch=6, rows=rows)):
            assert np.array_equal(a.semantic, b.semantic) and np.array_equal(a.globals_, b.globals_) and (a.ended, a.tries) == (b.ended, b.tries)
    one = sp.begin(llm, voc, 1, 256)
    one.graphs = {n: Replayed(one, n) for n in (64, 256)}
    pieces = sp.stream(llm, voc, asked[0], seed=6, least=60, most=120, rows=one)
    heard = [next(pieces)]
    other = sp.generate(llm, voc, asked[1:2], seed=6, most=most[1], rows=one)[0]  # in the middle of the stream, with the same rows
    heard += list(pieces)
    assert np.array_equal(other.semantic, plain[1].semantic) and not one.begun
    again = np.concatenate([p.semantic for p in sp.stream(llm, voc, asked[0], seed=6, least=60, most=120)])
    assert np.array_equal(np.concatenate([p.semantic for p in heard]), again)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA: nothing to record a graph on")
def test_recorded_steps_say_what_plain_steps_say(base, friend):
    there = spark.SparkVoice.from_base(base, friend, device="cuda")
    llm, voc, asked = there.llm.float(), there.voc, prompts(there, 12)
    rows = sp.begin(llm, voc, 4, 512)
    assert rows.graphs
    recorded = sp.generate(llm, voc, asked, temperature=0, least=40, most=60, batch=4, rows=rows)
    here = spark.SparkVoice.from_base(base, friend, device="cpu")
    plain = sp.generate(here.llm, voc, asked, temperature=0, least=40, most=60, batch=4)
    assert sum(np.array_equal(a.semantic, b.semantic) for a, b in zip(recorded, plain)) >= 10  # ties may fall otherwise
    assert there.speak(TEXT, seed=1).duration > 0 and sum(p.duration for p in there.stream(TEXT, seed=1)) > 0


def test_nothing_asked_nothing_said(model): assert sp.generate(*model, []) == []


def test_a_voice_says_the_same_after_a_copy_in_another_place(voice, tmp_path):
    folder = voice.save(tmp_path / "voice")
    assert spark_base.check(folder) == []
    again = vc.load(folder)
    assert isinstance(again, spark.SparkVoice) and again.info["licence"] == "CC-BY-NC-SA-4.0" and np.array_equal(again.speaker, voice.speaker)
    assert np.array_equal(again.speak(TEXT, seed=2).samples, voice.speak(TEXT, seed=2).samples)
    assert not [p for p in folder.rglob("*") if p.suffix in (".pt", ".pkl", ".pth")]
    again.save(folder)  # over itself
    assert spark_base.check(folder) == [] and vc.load(folder).speak("No.", seed=1).rate == 16_000


def test_stream_is_speak_in_pieces(voice):
    luck = next(s for s in range(200) if all(t.ended for t in voice.tokens(voice._cut(TEXT), s, tries=1)))
    whole, pieces = voice.speak(TEXT, seed=luck).samples, list(voice.stream(TEXT, seed=luck))
    joined = np.concatenate([p.samples for p in pieces])
    assert joined.shape == whole.shape and np.abs(joined - whole).max() < 1e-4
    sooner = list(voice.stream(TEXT, seed=luck, look=12))
    assert sum(len(p.samples) for p in sooner) == len(whole) and all(np.isfinite(p.samples).all() for p in sooner)
    assert len(sooner[0].samples) <= 25 * 320


def test_many_texts_at_once_are_each_text(voice):
    texts = [TEXT, "No.", "There is no way to find them now, said the first. All of it."]
    for text, audio in zip(texts, voice.speak_many(texts, seed=3)):
        alone = voice.speak(text, seed=3)
        assert alone.samples.shape == audio.samples.shape and np.abs(alone.samples - audio.samples).max() < 1e-4


def test_other_speakers_and_kinds(voice, friend, tmp_path):
    other = voice.clone(speak("Nobody saw it go. It was late in the night.", "en", "m3"))
    assert not np.array_equal(other.speaker, voice.speaker) and other.llm is voice.llm and other.info["consent"] is None
    assert not np.array_equal(other.speak("No.", seed=1).samples[:4000], voice.speak("No.", seed=1).samples[:4000])
    led = voice.clone(friend, "The quick brown fox jumps over the lazy dog.")
    assert abs(len(led.before[1]) - 50 * len(friend.samples) / friend.rate) < 3
    assert led._prompt("No.")[0][-1] in voice.voc.semantic
    kept = vc.load(led.save(tmp_path / "led"))
    assert kept.before[0] == led.before[0] and np.array_equal(kept.say("No.", 1), led.say("No.", 1))
    assert kept.clone(friend).before == ("", None) and "prompt_text" not in kept.clone(friend).info
    assert np.array_equal(led.say("No.", 1), voice.say("No.", 1, prompt=friend, prompt_text="The quick brown fox jumps over the lazy dog."))
    said = voice.tokens(["No."], seed=1, gender="male", pitch="low", speed="high")[0]
    assert len(said.globals_) == 32 and len(said.values) == 2
    assert voice.speak("No.", seed=1, speed=1.0, pitch=0.0).duration == voice.speak("No.", seed=1).duration  # neutral numbers of other voices


@pytest.mark.parametrize("how, words", [
    (dict(text=""), "empty"), (dict(text="  \n"), "empty"), (dict(text="...!?"), "no word"), (dict(text="Hello", speed=1.4), "very_low"),
    (dict(text="Hello", pitch="high"), "gender"), (dict(text="Hello", gender="robot"), "female, male"), (dict(text="Hello <|im_end|>"), None),
    (dict(text="Hello", temperature=9), "temperature")])
def test_what_cannot_be_said_is_one_line(voice, how, words):
    if words is None:  # normalising takes the marks off; what is left is said, and ends no prompt
        assert voice.voc.im_end not in voice._prompt(voice.prepare_text(how["text"]))[0]
        return
    for say in (voice.speak, voice.stream):
        with pytest.raises(vc.VoiceError, match=words) as e: list(say(**how)) if say == voice.stream else say(**how)
        assert "\n" not in str(e.value)


def test_recordings_too_short_to_clone(voice):
    with pytest.raises(vc.VoiceError, match="at least 1 s"): voice.clone(au.Audio(np.zeros(4000, np.float32), 16_000))


def test_bounds():
    pace = dict(least=2.0, most=5.0)
    assert spark.bounds("a" * 30, 1400, pace) == (40, 250) and spark.bounds("a" * 30, 100, pace) == (40, 100) and spark.bounds("a", 1400) == (1, 264)
    with pytest.raises(vc.VoiceError, match="room"): spark.bounds("a" * 300, 50, pace)


def damage(folder: Path, what: str):
    "Break a voice folder in one way"
    if what == "speaker": vc.write_tensors(folder / "voice.safetensors", dict(other=np.zeros(3)))
    elif what == "short": vc.write_tensors(folder / "voice.safetensors", dict(speaker=np.zeros(31, np.int16)))
    elif what == "pickle":
        (folder / "LLM" / "model.safetensors").unlink()
        (folder / "LLM" / "pytorch_model.bin").write_bytes(b"no")
    elif what == "vocabulary":
        text = (folder / "LLM" / "tokenizer.json").read_text(encoding="utf-8").replace("<|bicodec_semantic_7|>", "<|seven|>")
        (folder / "LLM" / "tokenizer.json").unlink()  # hard links: never write through
        (folder / "LLM" / "tokenizer.json").write_text(text, encoding="utf-8")
    else: (folder / what).unlink()


@pytest.mark.parametrize("what", ["speaker", "short", "pickle", "vocabulary", "LLM/model.safetensors", "LLM/tokenizer.json", "LLM/config.json", "BiCodec/config.yaml",
                                  "BiCodec/model.safetensors", "voice.safetensors"])
def test_a_damaged_folder_is_one_line(voice, tmp_path, what):
    folder = voice.save(tmp_path / "voice")
    damage(folder, what)
    with pytest.raises(vc.VoiceError) as e: vc.load(folder)
    assert "\n" not in str(e.value) and len(str(e.value)) < 400


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    "The three shortest notes of the demo: (clips, folder of masters)"
    here, rows = tmp_path_factory.mktemp("notes"), []
    texts = dict(line.split("|", 1) for line in (ASSETS / "demo_transcripts.csv").read_text(encoding="utf-8").splitlines())
    with zipfile.ZipFile(ASSETS / "demo_export.zip") as z:
        for name in sorted(set(z.namelist()) & set(texts)):
            data = z.read(name)
            key, length = hashlib.sha256(data).hexdigest()[:16], au.decode(data, 16_000).duration
            rows.append(dict(clip=key, recording=key, start=0.0, end=length, text=texts[name], split="train", kept=True, data=data))
    rows = sorted(rows, key=lambda r: r["end"])[:3]
    for r in rows: au.store(r.pop("data"), here, r["recording"])
    return pd.DataFrame(rows), here


def test_the_whole_proof(base, notes, tmp_path):
    "Demo speech -> tokens -> training until it knows them by heart -> the same tokens again, which stop by themselves"
    clips, audio = notes
    tokens = spark.prepare(clips, audio, tmp_path / "cache", dict(language="en", base=str(base), profile=False))
    voice = spark.fit(tokens, dict(steps=200, lr=5e-3, own=.5, other=0.0, row=1024, bf16=False, threads=1, score_clips=0), tmp_path / "voice")
    texts = tokens.table.text.tolist()
    for kw in (dict(temperature=0), dict(seed=5)):
        said = voice.tokens(texts, tries=1, **kw)
        for i, s in enumerate(said): assert s.ended and np.array_equal(s.semantic, tokens[i]["semantic"]), (i, kw)
    alone = sp.generate(voice.llm, voice.voc, [spark_format.prompt(voice.voc, voice.tokenizer, texts[0], voice.speaker)], temperature=0, most=1000)[0]
    assert alone.ended and np.array_equal(alone.semantic, tokens[0]["semantic"]), "it stops without any bound, too"
    again = vc.load(tmp_path / "voice")
    assert spark_base.check(tmp_path / "voice") == [] and again.pace["least"] <= again.pace["median"] <= again.pace["most"]
    sound = again.say(texts[0], temperature=0)
    with torch.no_grad(): wanted = again.codec.decode(torch.from_numpy(tokens[0]["semantic"].astype(np.int64))[None], torch.from_numpy(voice.speaker.astype(np.int64))[None])
    assert np.abs(sound - wanted[0].numpy()).max() < 1e-5
