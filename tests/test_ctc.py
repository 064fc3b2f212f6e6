"CTC alignment: the search against a plain one over the whole trellis, windows without seams, texts the model cannot write, models it must not load"
import json
import math
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from make_models import LETTERS, wav2vec_folder
from voicenb.core import audio as au
from voicenb.core import ctc, packages, wav2vec
from voicenb.core.phonemes import speak

ROMAN = ("<blank>", "<pad>", "</s>", "<unk>", *"aieonutsrmkludghybpwcvjzf'qx")  # 29 letters at most and no sign between words, as romanised aligners have
ENGLISH = wav2vec.Vocabulary({s: i for i, s in enumerate(LETTERS) if i > 4}, 0, 4, len(LETTERS), "")


def plain(logp, ids, blank, stars, star, skip, low=None, width=None):
    """Every state of every frame, one at a time. Of equal ways staying comes before the state before, that before the label before;
    at the end the blank comes before the label; a skip must be better by more than 0.001."""
    frames, size, none = len(logp), 2 * len(ids) + 1, -math.inf
    low, width = (low if low is not None else [0] * frames), width or len(ids)
    letter = lambda s: ids[s // 2] if s % 2 else None

    def emit(t, s):
        row = [float(v) for v in logp[t]]
        if letter(s) is None: return max(row[blank], max(row) - star) if s // 2 in stars else row[blank]
        return row[letter(s)] if letter(s) >= 0 else max(v for k, v in enumerate(row) if k != blank)

    value, came = {}, {}
    for t in range(frames):
        inside = [s for s in range(size) if low[t] <= s // 2 < low[t] + width + (s % 2 == 0)]
        for s in inside:
            ways = [s, s - 1] + ([s - 2] if s % 2 and s > 1 and (letter(s) != letter(s - 2) or letter(s) < 0) else [])
            if t == 0: best, way = (0.0, None) if s < 2 else (none, None)
            else: best, way = max(((value.get((t - 1, w), none), w) for w in ways), key=lambda v: v[0])  # max keeps the first of equals
            value[t, s], came[t, s] = best + emit(t, s), (t - 1, way)
        for a, b in zip(stars, stars[1:]):
            if value.get((t, 2 * a), none) - skip * (b - a) > value.get((t, 2 * b), none) + .001 and 2 * b in inside:
                value[t, 2 * b], came[t, 2 * b] = value[t, 2 * a] - skip * (b - a), (t, 2 * a)
    if not frames: return None if len(ids) else []
    ends = [size - 1, size - 2] if len(ids) else [0]
    s = max(ends, key=lambda s: value.get((frames - 1, s), none))
    if value.get((frames - 1, s), none) == none: return None
    path, t = [0] * frames, frames - 1
    while t >= 0:
        path[t] = s  # written again where a skip began in the same frame
        t, s = came[t, s]
    return path


def puzzle(seed):
    "Random emissions and labels; every third with many equal values, every second with hardly enough frames"
    rng = np.random.default_rng(seed)
    size, symbols = int(rng.integers(0, 10)), int(rng.integers(2, 6))
    frames, blank = int(rng.integers(0, 18)) if seed % 2 else int(rng.integers(size, 2 * size + 3)), int(rng.integers(0, symbols))
    x = rng.normal(size=(frames, symbols)) * 2
    logp = (x - np.log(np.exp(x).sum(1, keepdims=True))).astype(np.float32)
    if seed % 3 == 0: logp = np.round(logp)
    ids = rng.choice([i for i in [ctc.WILD, *range(symbols)] if i != blank], size)
    stars = [i for i in range(size + 1) if rng.random() < .5]
    return rng, logp, ids, blank, stars, float(rng.choice([.5, 1, 2])), float(rng.choice([math.inf, 1, 2]))


@pytest.mark.parametrize("part", range(4))
def test_the_path_is_that_of_the_whole_trellis(part):
    seen = dict(none=0, stars=0, wild=0, twice=0, skipped=0, tight=0)
    for seed in range(part * 250, part * 250 + 250):
        _, logp, ids, blank, stars, star, skip = puzzle(seed)
        true = plain(logp, ids, blank, stars, star, skip)
        for budget in (1, 5, 10**6):
            got = ctc.viterbi(logp, ids, blank, stars, star=star, skip=skip, budget=budget)
            assert (got if got is None else got.tolist()) == true, (seed, budget)
        seen["none"] += true is None
        if true is None: continue
        labels = {s // 2 for s in true if s % 2}
        seen["stars"] += any(s % 2 == 0 and s // 2 in stars for s in true)
        seen["wild"] += ctc.WILD in ids
        seen["twice"] += any(a == b >= 0 for a, b in zip(ids, ids[1:]))
        seen["skipped"] += len(labels) < len(ids)
        seen["tight"] += len(logp) - len(ids) in (0, 1) and len(labels) == len(ids) > 2
    assert min(seen.values()) > 0, seen


def test_the_band_is_that_of_the_whole_trellis():
    found = 0
    for seed in range(400):
        rng, logp, ids, blank, stars, star, skip = puzzle(seed)
        if len(ids) < 4 or not len(logp): continue
        near = np.clip(np.linspace(0, len(ids), len(logp)) + rng.normal(size=len(logp)), 0, len(ids)).astype(int)
        low, width = ctc.rails(near, 1, len(ids), len(logp))
        true = plain(logp, ids, blank, stars, star, skip, low.tolist(), width)
        for budget in (2, 10**6):
            got = ctc.viterbi(logp, ids, blank, stars, near, 1, star, skip, budget=budget)
            assert (got if got is None else got.tolist()) == true, (seed, budget)
        found += true is not None and true != plain(logp, ids, blank, stars, star, skip)
    assert found > 20


def test_hours_of_loss_change_nothing():
    "The same constant more a frame: a sum of two million, of which float32 keeps quarters, would lose sixty-fourths"
    rng = np.random.default_rng(3)
    logp, ids = -rng.integers(0, 512, (4_000, 6)).astype(np.float32) / 64, rng.integers(1, 6, 600)
    near = ctc.viterbi(logp, ids, 0, range(0, 601, 6), skip=4)
    assert (ctc.viterbi(logp - 512, ids, 0, range(0, 601, 6), skip=4) == near).all()


def test_labels_and_stars_out_of_range_are_refused():
    for bad in (dict(ids=[7]), dict(ids=[-2]), dict(ids=[1], stars=[2])):
        with pytest.raises(ValueError): ctc.viterbi(np.zeros((4, 3), np.float32), **bad)


def synthetic(said, gap=12, seed=0, noise=1.0):
    "Emissions of a list of words or None for a stretch of letters that no text has; and frames (first, last + 1) of the words"
    rng, line, times = np.random.default_rng(seed), [0] * gap, []
    for word in said:
        if word is None: line += rng.choice([0, *range(5, 31)], 120).tolist(); continue
        begin = len(line)
        for c in word: line += [ENGLISH.ids[c.upper()], *[0] * int(rng.integers(1, 5))]
        while not line[-1]: line.pop()
        times.append((begin, len(line)))
        line += [0, 4] + [0] * int(rng.integers(1, gap))
    x = rng.normal(-6, noise, (len(line), len(LETTERS)))
    x[np.arange(len(line)), line] = 2
    logp = (x - np.log(np.exp(x).sum(1, keepdims=True))).astype(np.float32)
    return wav2vec.Emissions(logp, .02, 0.0, logp[:, 1:].max(1), logp.max(1), np.arange(len(LETTERS)), 0), times


def test_known_times_are_found_between_sounds_nobody_wrote_down():
    text = "all people will be speaking here and nobody needs a better feeling".split()
    e, times = synthetic([None, *text[:5], None, *text[5:], None])
    L = ctc.labels([(w, int(i > 4)) for i, w in enumerate(text)], ENGLISH, "turn")
    words = ctc.spans(ctc.viterbi(e.logp, L.ids, 0, L.stars), e, L)
    assert [(round(w["start"] / .02), round(w["end"] / .02)) for w in words] == times
    assert all(w["post"] > .9 and -.05 < w["margin"] <= 0 and w["wild"] == 0 for w in words)
    bare = ctc.spans(ctc.viterbi(e.logp, L.ids, 0), e, L)
    assert min(w["margin"] for w in bare) < min(w["margin"] for w in words)


def test_words_that_nobody_says_are_none():
    said = "good morning to everyone who listens today".split()
    asked = said[:3] + "unbelievable nonsense written afterwards".split() + said[3:]
    e, times = synthetic(said)
    for stars, turns in (("word", [0] * 11), ("turn", [0] * 3 + [1] * 4 + [2] * 4)):
        L = ctc.labels(list(zip(asked, turns)), ENGLISH, stars)
        words = ctc.spans(ctc.viterbi(e.logp, L.ids, 0, L.stars, skip=ctc.SKIP), e, L)
        assert words[3:7] == [None] * 4 and [(round(w["start"] / .02), round(w["end"] / .02)) for w in words if w] == times


def test_a_letter_the_model_lacks_is_a_wildcard():
    e, times = synthetic(["who", "knows", "me"])
    L = ctc.labels([("who", 0), ("kжows", 0), ("жж", 0), ("?!", 0)], ENGLISH)
    words = ctc.spans(ctc.viterbi(e.logp, L.ids, 0, L.stars), e, L)
    assert L.lacks == {"ж": 3} and [round(w["wild"], 2) for w in words[:3]] == [0, .2, 1] and words[3] is None
    assert [(round(w["start"] / .02), round(w["end"] / .02)) for w in words[:3]] == times and math.isnan(words[2]["post"]) and words[1]["post"] > .9


def test_spelling():
    small = wav2vec.Vocabulary({s: i for i, s in enumerate(ROMAN) if i > 3}, 0, -1, len(ROMAN), "")
    write = lambda word, v: "".join({i: s for s, i in v.ids.items()}.get(i, "·") for i in ctc.spell(word, v)[0])
    table = [("Hello", "HELLO", "hello"), ("don’t", "DON'T", "don't"), ("naïve", "NAIVE", "naive"), ("Straße,", "STRASSE", "strasse"), ("Ærø", "AERO", "aero"), ("ﬁ", "FI", "fi"),
             ("İstanbul", "ISTANBUL", "istanbul"), ("ñandú", "NANDU", "nandu"), ("ça—là", "CALA", "cala"), ("no. 4", "NO·", "no·"), ("дом", "···", "···"), ("łódź", "LODZ", "lodz"), ("…", "", "")]
    for word, big, little in table: assert (write(word, ENGLISH), write(word, small)) == (big, little)
    spanish = small._replace(ids=small.ids | {"ñ": 40, "ú": 41})
    assert write("ÑANDÚ", spanish) == "ñandú" and write("n\u0303", spanish) == "ñ"
    vowels = wav2vec.Vocabulary({"ك": 5, "ت": 6, "ب": 7}, 0, 4, 8, "")
    assert ctc.spell("كَتَبَ", vowels) == ([5, 6, 7], [])


def test_labels_of_a_transcript():
    texts = [("", 0), ("twenty five", 0), ("is", 0), ("—", 1), ("ok", 2)]
    L = ctc.labels(texts, ENGLISH, "turn")
    letter = {i: s for s, i in ENGLISH.ids.items()} | {4: "|"}
    assert "".join(letter[i] for i in L.ids) == "TWENTY|FIVE|IS|OK" and L.stars.tolist() == [0, 14, 17]
    assert L.owner.tolist() == [1] * 11 + [-1, 2, 2, -1, 4, 4] and np.isnan(L.wild).tolist() == [True, False, False, True, False]
    assert ctc.labels(texts, ENGLISH).stars.tolist() == [0, 11, 14, 17] and ctc.labels([], ENGLISH).stars.tolist() == [0]
    none = ctc.labels(texts, ENGLISH._replace(space=-1), "turn")
    assert "".join(letter[i] for i in none.ids) == "TWENTYFIVEISOK" and none.stars.tolist() == [0, 12, 14]
    with pytest.raises(ValueError, match="'word' or 'turn'"): ctc.labels(texts, ENGLISH, "none")


def test_memory_stays_in_its_budget():
    rng = np.random.default_rng(0)
    ids, line = rng.integers(5, 31, 1_800), np.zeros(6_000, int)
    at = np.sort(rng.choice(3_000, 1_800, replace=False)) * 2
    line[at] = ids
    logp = rng.normal(-8, 1, (6_000, 32)).astype(np.float32)
    logp[np.arange(6_000), line] = 0
    stars = np.arange(0, 1_801, 5)
    tracemalloc.start()
    small = ctc.viterbi(logp, ids, 0, stars, skip=ctc.SKIP, budget=1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
    assert (small == ctc.viterbi(logp, ids, 0, stars, skip=ctc.SKIP)).all() and (small[at] == 2 * np.arange(1_800) + 1).all()
    assert (small == ctc.viterbi(logp, ids, 0, stars, np.searchsorted(at, np.arange(6_000)), 200, skip=ctc.SKIP)).all()


@pytest.fixture(scope="module")
def sound():
    said = speak("the rain in spain stays mainly in the plain, and nobody told me that the shop was closed today", "en", "m3")
    return au.Audio(said.samples, said.rate).to(16_000)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    "One of each kind: group norm, layer norm, both also with attention that adds nothing"
    home = tmp_path_factory.mktemp("wav2vec")
    return {(n, d): wav2vec_folder(home / f"{n}{int(d)}", norm=n, deaf=d, normalise=not d, layers=1) for n in ("group", "layer") for d in (False, True)}


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_short_sound_is_what_transformers_says(models, sound, norm):
    "With its own preprocessor, and its attention mask where the model wants one"
    import torch
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC
    home = models[norm, False]
    net, ears = Wav2Vec2ForCTC.from_pretrained(home).eval(), Wav2Vec2FeatureExtractor.from_pretrained(home)
    with torch.inference_mode(): theirs = net(**ears(sound.samples, sampling_rate=16_000, return_tensors="pt")).logits.log_softmax(-1)[0].numpy()
    e = wav2vec.emissions(sound, model=str(home))
    assert e.step == .02 and e.shift == .0025 and e.blank == 0 and e.logp.dtype == np.float32
    np.testing.assert_allclose(e.logp, theirs, atol=2e-4)
    some = wav2vec.emissions(sound, model=str(home), symbols=[0, 5, 9])
    assert (some.logp == e.logp[:, [0, 5, 9]]).all() and (some.top == e.logp.max(1)).all() and (some.any == e.logp[:, 1:].max(1)).all()


def test_windows_have_no_seams(models, sound, tmp_path):
    "Where 2 s cover all that a frame sees (layer norm, attention that adds nothing) to 1e-4 nats; with group norm over the window, nearly"
    one = lambda home, **kw: wav2vec.emissions(sound, model=str(home), **kw).logp
    whole = one(models["layer", True])
    for window in (1.0, 1.7, 2.5):
        parts = one(models["layer", True], window=window)
        assert parts.shape == whole.shape and np.abs(parts - whole).max() < 1e-4
    assert np.abs(one(models["layer", True], window=1.0, context=.1) - whole).max() > .1
    assert np.abs(one(models["layer", True], window=1.0, batch=3) - whole).max() < 1e-4
    group = np.exp(one(models["group", True], window=2.5)) - np.exp(one(models["group", True]))
    assert np.abs(group).mean() < .002
    au.save(sound.to(48_000), tmp_path / "r1.flac")  # as a master, at another rate, a window at a time
    read = wav2vec.emissions(tmp_path, "r1", sound.duration, str(models["layer", True]), window=1.7)
    assert read.logp.shape == whole.shape and np.abs(np.exp(read.logp) - np.exp(whole)).mean() < .01


def test_windows_cover_every_frame_once():
    for frames in (1, 749, 750, 2249, 2250, 90_000):
        cuts = list(wav2vec.windows(frames, 1500, 100))
        assert [i for *_, a, b in cuts for i in (a, b)][1:-1:2] == [a for *_, a, _ in cuts][1:] and cuts[0][2] == 0 and cuts[-1][3] == frames
        assert all(0 <= f <= a < b <= t <= frames and b - a <= 2250 for f, t, a, b in cuts)


def test_nothing_and_silence(models):
    home = str(models["group", False])
    for n in (0, 399): assert ctc.align(au.Audio(np.zeros(n, np.float32), 16_000), "", 0, [("hello", 0), ("", 0)], model=home) == [None, None]
    assert np.isfinite(wav2vec.emissions(au.Audio(np.zeros(16_000, np.float32), 16_000), model=home).logp).all()
    one = au.Audio(np.zeros(400, np.float32), 16_000)
    assert wav2vec.emissions(one, model=home).logp.shape == (1, 32)
    assert ctc.align(one, "", 0, [("hello", 0)], model=home, skip=math.inf) == [None] and ctc.align(one, "", 0, [("—", 0)], model=home) == [None]


SENTENCES = ["the birch canoe slid on the smooth planks", "glue the sheet to the dark blue background", "it is easy to tell the depth of a well", "rice is often served in round bowls"]


@pytest.fixture(scope="module")
def episode(tmp_path_factory):
    "A master of four sentences, and a small network that has learnt in a few seconds what its letters are, window by window"
    import torch
    home, rng = tmp_path_factory.mktemp("episode"), np.random.default_rng(0)
    sounds, words, now = [], [], 0.0
    for k, text in enumerate(SENTENCES):
        said = speak(text, "en", ("m3", "f2")[k % 2])
        x = au.resample(said.samples, said.rate, 16_000)
        words += [(w, k, now + a, now + b) for w, a, b in said.words]
        sounds += [x, np.zeros(6_400, np.float32)]
        now += len(x) / 16_000 + .4
    x = np.concatenate(sounds)
    x = (x + rng.normal(0, .002, len(x))).astype(np.float32)
    au.save(au.Audio(x, 16_000), home / "r1.flac")
    frames = (len(x) - 400) // 320 + 1
    middle, goal = np.arange(frames) * .02 + .0125, np.zeros(frames, int)
    for w, _, a, b in words:
        at = np.flatnonzero((middle >= a) & (middle < b))
        for k, part in enumerate(np.array_split(at[:-1], len(w))):
            goal[part] = LETTERS.index(w[k].upper())
            if k and w[k - 1] == w[k]: goal[part[0]] = 0
        goal[at[-1]] = 4
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    net = wav2vec.load(str(wav2vec_folder(home / "random", width=64, channels=48))).net
    net.requires_grad_(True)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    cuts = [(a, b) for a, b, *_ in wav2vec.windows(frames, 200, 100)]
    for _ in range(60):
        for a, b in cuts:
            part = x[a * 320:(b - 1) * 320 + 400]
            heard = net(torch.from_numpy((part - part.mean()) / np.sqrt(part.var() + 1e-7))[None]).logits[0]
            loss = torch.nn.functional.cross_entropy(heard, torch.from_numpy(goal[a:b]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if loss.item() < .02: break
    torch.set_num_threads(threads)
    return home, len(x) / 16_000, words, str(wav2vec_folder(home / "model", net=net))


def off(found, words):
    return max(abs(f[k] - t) for f, w in zip(found, words, strict=True) for k, t in (("start", w[2]), ("end", w[3])))


def test_words_of_a_master_are_right_within_two_frames(episode):
    home, seconds, words, model = episode
    found = ctc.align(home, "r1", seconds, [w[:2] for w in words], model=model, window=4.0)
    assert off(found, words) <= .045 and all(f["post"] > .5 and f["margin"] > -.5 for f in found)
    anchors = [w[2] + 1.5 * math.sin(i) for i, w in enumerate(words)]
    assert ctc.align(home, "r1", seconds, [w[:2] for w in words], model=model, window=4.0, anchors=anchors, band=30) == found
    wrong = [3.0 if k < 20 else None for k in range(len(words))]
    assert ctc.align(home, "r1", seconds, [w[:2] for w in words], model=model, window=4.0, anchors=wrong, band=12) == found  # the band grows until the path is free


def test_half_a_transcript_and_one_with_too_much(episode):
    home, seconds, words, model = episode
    less = [w for w in words if w[1] != 1]
    assert off(ctc.align(home, "r1", seconds, [w[:2] for w in less], model=model, window=4.0), less) <= .045
    extra = [(t, 9) for t in "somebody wrote a long sentence which never was recorded".split()]
    at = sum(w[1] < 2 for w in words)
    more = ctc.align(home, "r1", seconds, [w[:2] for w in words[:at]] + extra + [w[:2] for w in words[at:]], model=model, window=4.0)
    missing = more[at:at + len(extra)]
    assert off(more[:at] + more[at + len(extra):], words) <= .065 and sum(m is None for m in missing) >= len(extra) - 2
    assert all(m["margin"] < -.3 for m in missing if m)


def test_languages_of_one_model(tmp_path, sound):
    own = dict(eng=("<pad>", "<s>", "</s>", "<unk>", "|", *"abc"), spa=("<pad>", "<s>", "</s>", "<unk>", "|", *"abcñé"))
    home = wav2vec_folder(tmp_path / "mms", norm="layer", adapters=own)
    english, spanish, again = (wav2vec.emissions(sound, model=str(home), language=n).logp for n in ("en", "es-MX", "eng"))
    assert english.shape[1] == 8 and spanish.shape[1] == 10 and (english == again).all() and np.abs(english[:, 5] - spanish[:, 5]).max() > .1
    assert wav2vec.load(str(home), "es").vocab.tongue == "spa"
    refused(home, "no vocabulary for 'fr'; it has eng, spa", "fr")
    (home / "adapter.spa.safetensors").rename(home / "adapter.spa.bin")
    refused(home, "lacks adapter.spa.safetensors", "es")


def test_a_text_the_model_cannot_write_is_refused(models, sound):
    with pytest.raises(ValueError, match="cannot write .*take a model for 'ru'") as e: ctc.align(sound, "", 0, [("привет", 0), ("ok", 0)], "ru", str(models["layer", False]))
    assert "\n" not in str(e.value)


def test_the_blank_and_the_letters(tmp_path):
    home = wav2vec_folder(tmp_path / "roman", symbols=(*ROMAN, "*"), layers=1)
    v = wav2vec.vocabulary(home)
    assert (v.blank, v.space, v.size) == (0, -1, 33) and set(v.ids) == set(ROMAN[4:])


def refused(home, match, language="en"):
    with pytest.raises(packages.ModelError, match=match) as e: wav2vec.load(str(home), language)
    assert "\n" not in str(e.value) and len(str(e.value)) < 400


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "vocab.json", "model.safetensors"])
def test_an_incomplete_folder_is_named(tmp_path, models, name):
    home = Path(shutil.copytree(models["group", False], tmp_path / "half"))
    (home / name).unlink()
    refused(home, f"lacks .*{name}")


def test_a_pickle_is_not_read(tmp_path, models):
    import torch
    home = Path(shutil.copytree(models["group", False], tmp_path / "pickle"))
    (home / "model.safetensors").unlink()
    torch.save({}, home / "pytorch_model.bin")
    refused(home, "pytorch_model.bin is not read")


def test_models_of_another_kind_are_refused(tmp_path, models):
    from safetensors.torch import load_file, save_file
    def changed(name, **files):
        home = Path(shutil.copytree(models["group", False], tmp_path / name))
        for file, change in files.items():
            path = home / f"{file}.json"
            path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
        return home
    def weights(name, keep):
        home = changed(name)
        save_file({k: w for k, w in load_file(home / "model.safetensors").items() if keep(k)}, home / "model.safetensors", metadata=dict(format="pt"))
        return home
    refused(weights("head", lambda k: "lm_head" not in k), "without a CTC head")
    refused(weights("part", lambda k: "feature_projection" not in k), "its weights lack wav2vec2.feature_projection")
    refused(changed("whisper", config=dict(model_type="whisper")), "'whisper' model, not wav2vec")
    refused(changed("wide", config=dict(hidden_size=64)), "cannot load it")
    refused(changed("slow", config=dict(add_adapter=True)), "add_adapter")
    refused(changed("text", config="{not"), "not JSON")
    refused(changed("list", vocab="[1]"), "not a JSON object")
    refused(changed("empty", vocab="{}"), "vocab.json")
    refused(changed("other", vocab=dict(ж=99)), "100 symbols in vocab.json and 32 in the network")
    refused(changed("rate", preprocessor_config=dict(sampling_rate=8000)), "hears 8000 Hz")
    cut = changed("cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:2000])
    refused(cut, "cannot load it")


def test_names_and_revisions(tmp_path, models):
    for bad, match in ((dict(language="ar"), "no CTC model is set for 'ar'"), (dict(model="large"), "no CTC model is called 'large'"), (dict(model="facebook/mms-1b-all"), "20 GB of adapters")):
        with pytest.raises(packages.ModelError, match=match): wav2vec.source(**bad)
    assert wav2vec.source("a/b@c") == ("a/b", "c") and len(wav2vec.source()[1]) == 40
    home = Path(shutil.copytree(models["group", False], tmp_path / "a"))
    first = ctc.revision(str(home))
    assert ctc.revision(str(Path(shutil.copytree(home, tmp_path / "b")))) == first
    (home / "vocab.json").write_text((home / "vocab.json").read_text().replace('"A"', '"Ä"'))
    assert ctc.revision(str(home)) != first
