"""Training Spark: packed loss, exact accumulation, resuming, stopping, a full disk, adapters, held-out choice, bad input."""
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from voicenb.core.audio import Audio, resample, save
from voicenb.core.phonemes import speak
from voicenb.voices import spark_base, spark_cache, spark_fit
from voicenb.voices import voice as vc

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from voicenb.voices import spark_pack as pack
from voicenb.voices.trainer import Plan, train

SAID = ["The boat has left the harbour.", "Nobody saw it go.", "A dog is barking in the night.", "He said nobody knew.", "Well, is it late?", "Bring the lamp."]
SMALL = dict(steps=8, row=256, lr=2e-3, bf16=False, save_every=3, valid_every=4, score_clips=0, threads=1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    "Six clips, the last held out, and a tiny base: (table, folder)"
    here, rows = tmp_path_factory.mktemp("notes"), []
    for i, text in enumerate(SAID):
        s = speak(text, "en", "f2")
        save(Audio(resample(s.samples, s.rate, 16_000), 16_000), here / f"note{i}.flac")
        rows.append(dict(clip=f"note{i}", recording=f"note{i}", start=0.0, end=len(s.samples) / s.rate - .001, text=text, language="en", kept=True, split="valid" if i == 5 else "train"))
    table = pd.DataFrame(rows)
    spark_base.blank(here / "base")
    table.to_parquet(here / "clips.parquet")
    return table, here


def prepared(corpus, **change):
    table, here = corpus
    return spark_cache.prepare(table.assign(**change), here, here / "cache", dict(base=str(here / "base"), profile=False))


@pytest.fixture(scope="module")
def tokens(corpus): return prepared(corpus)


def weights(voice_folder):
    from safetensors.numpy import load_file
    return load_file(voice_folder / "LLM" / "model.safetensors")


def curve(folder, kind="train"):
    rows = [json.loads(s) for s in (folder / "training" / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k != "seconds"} for r in rows if r["kind"] == kind]


# --- packing

def network(**more):
    torch.manual_seed(2)
    shape = dict(vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, initializer_range=.3)
    return Qwen2ForCausalLM(Qwen2Config(**shape | more))


def clips(n, seed=0, low=5, high=90):
    rng = np.random.default_rng(seed)
    return [(ids := rng.integers(0, 300, k), np.where(np.arange(k) >= k // 3, ids, -100)) for k in rng.integers(low, high, n)]


def separate(llm, some):
    "The loss of each clip alone, by transformers' own forward over all logits: the mean over all that is judged"
    total = sum(F.cross_entropy(llm(torch.from_numpy(i)[None]).logits[0, :-1], torch.from_numpy(y)[1:], ignore_index=-100, reduction="sum") for i, y in some)
    return total / sum(int((y[1:] != -100).sum()) for _, y in some)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("way", ["clips", "mask"])
def test_packed_loss_and_gradient_are_those_of_separate_clips(way, tied):
    some, llm = clips(9), network(tie_word_embeddings=tied)
    alone = separate(llm, some)
    alone.backward()
    want = {k: v.grad.clone() for k, v in llm.named_parameters()}
    llm.zero_grad()
    batch = pack.flat(some, row=700, pad=1, segments=20)
    assert batch["ids"].shape == (1, 700) and int(batch.pop("count")) == sum(int((y[1:] != -100).sum()) for _, y in some)
    together = pack.Packed(llm, way=way)(**batch)["ce"]
    together.backward()
    assert abs(together.item() - alone.item()) < 1e-5 * alone.item()
    for k, v in llm.named_parameters(): assert torch.allclose(v.grad, want[k], atol=1e-5 * float(want[k].abs().max()) + 1e-7), k


def test_a_neighbour_is_not_heard():
    "Other ids in one clip change nothing of what is computed for the others, to the bit"
    llm, some = network(), clips(4)
    batch = pack.flat(some)
    model, a = pack.Packed(llm), int(batch["bounds"][1])
    before = model.hidden(batch["ids"], batch["positions"], batch["bounds"])
    batch["ids"][0, :a] = (batch["ids"][0, :a] + 7) % 300
    after = model.hidden(batch["ids"], batch["positions"], batch["bounds"])
    assert torch.equal(before[a:], after[a:]) and not torch.equal(before[:a], after[:a])


def test_the_loss_in_pieces_is_the_loss():
    torch.manual_seed(0)
    h, w, t = torch.randn(37, 16, dtype=torch.double, requires_grad=True), torch.randn(90, 16, dtype=torch.double, requires_grad=True), torch.randint(90, (37,))
    want = torch.autograd.grad(3 * F.cross_entropy(h @ w.T, t), (h, w))
    for rows in (1, 10, 0):
        found = torch.autograd.grad(3 * pack.cross_entropy(h, w, t, rows), (h, w))
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(want, found))


@pytest.mark.parametrize("n, row, step", [(40, 4096, 1), (400, 4096, 1), (400, 2048, 4), (2000, 8192, 8), (3, 4096, 1)])
def test_every_clip_once_an_epoch_in_full_rows(n, row, step):
    lengths = np.clip(np.random.default_rng(n).gamma(3, 130, n), 60, 1100).astype(int)
    p = pack.Packing(lengths, row, step)
    for e in range(3):
        rows = p.epoch(e)
        assert sorted(k for r in rows for k in r) == list(range(n)) and max(p.loads(rows)) <= p.row and len(rows) % step == 0
    assert p.waste <= .01 and p.row <= max(row, lengths.max()) * 1.02
    assert p[5] == pack.Packing(lengths, row, step)[5] and (n < 10 or p.epoch(0) != p.epoch(1))
    assert n < 10 or pack.Packing(lengths, row, step, seed=1).epoch(0) != p.epoch(0)


def test_waste_on_the_demo(tmp_path):
    "The demo's notes as they are cut for this backend; text at four tokens a second"
    from conftest import DEMO
    from voicenb.data import ingest, segment
    notes = ingest.choose(ingest.whatsapp(DEMO), me="Sam")
    cut = segment.speech(ingest.masters(notes, tmp_path), tmp_path, **vc.lengths("spark"))
    cut = cut[cut.kept]
    lengths = np.array([int((e - s) * 54) + 46 for s, e in zip(cut.start, cut.end)])
    assert len(lengths) > 10 and all(pack.Packing(lengths, row).waste <= .01 for row in (2048, 4096))


# --- the loop

def line(i, n=None):
    rng = np.random.default_rng([5, i])
    n = n or int(rng.integers(1, 9))
    x = torch.from_numpy(rng.normal(size=(n, 3)).astype(np.float32))
    return dict(x=x, y=x.sum(1, keepdim=True) + 1, count=torch.tensor(n))


def error(model, b): return dict(error=(model(b["x"]) - b["y"]).pow(2).mean())


def linear():
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_loss_per_thing_is_exact_under_accumulation(tmp_path):
    "Four batches of unequal size a step are one batch of all their rows"
    def joined(i):
        parts = [line(4 * i + k) for k in range(4)]
        return dict(x=torch.cat([p["x"] for p in parts]), y=torch.cat([p["y"] for p in parts]), count=sum(p["count"] for p in parts))
    same = dict(steps=12, lr=.05, bf16=False, ema=0.0, valid_every=6)
    a, b, c = linear(), linear(), linear()
    one = train(a, error, joined, tmp_path / "a", Plan(**same), valid=[line(1000, 3), line(1001, 9)])
    four = train(b, error, line, tmp_path / "b", Plan(accumulate=4, **same), valid=[line(1000, 3), line(1001, 9)])
    assert torch.allclose(a.weight, b.weight, atol=1e-6) and abs(one.loss["error"] - four.loss["error"]) < 1e-5
    with torch.no_grad(): held = torch.cat([(a(line(1000, 3)["x"]) - line(1000, 3)["y"]).pow(2), (a(line(1001, 9)["x"]) - line(1001, 9)["y"]).pow(2)]).mean()
    assert abs(one.valid["error"] - float(held)) < 1e-5  # over things, not over batches
    train(c, error, lambda i: {k: v for k, v in line(i).items() if k != "count"}, tmp_path / "c", Plan(accumulate=4, **same))
    assert not torch.allclose(a.weight, c.weight, atol=1e-4)  # the mean of means is another thing


def test_early_stop_on_held_out_loss(tmp_path):
    "A schedule that makes things worse is left after `patience` measurements; the best weights are kept"
    worse = lambda model, b: dict(error=-(model(b["x"]) - b["y"]).pow(2).mean().clamp(max=50)) if model.training else error(model, b)
    r = train(linear(), worse, line, tmp_path, Plan(steps=400, lr=.05, bf16=False, ema=0.0, valid_every=5, patience=2, score_at=(.01,)), valid=[line(1000, 9)])
    assert r.steps == 15 and r.best_step == 4
    assert not list(tmp_path.glob("checkpoint-*"))


def test_without_a_running_mean_there_is_no_second_copy(tmp_path):
    seen = []
    train(linear(), error, line, tmp_path, Plan(steps=4, lr=.05, bf16=False, ema=0.0, save_every=2), saved=lambda folder, step: seen.extend(p.name for p in folder.iterdir()))
    assert "mean.safetensors" not in seen and {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "done"} <= set(seen)


def test_checkpoints_are_counted_as_numbers_and_kept(tmp_path):
    steps = []
    train(linear(), error, line, tmp_path, Plan(steps=12, lr=.05, bf16=False, save_every=2, keep=3),
          saved=lambda folder, step: steps.append(sorted(int(p.name.split("-")[1]) for p in tmp_path.glob("checkpoint-*"))))
    assert steps == [[2], [2, 4], [2, 4, 6], [4, 6, 8], [6, 8, 10]]


def test_checkpoints_by_the_minute(tmp_path):
    steps = []
    def slow(i):
        time.sleep(.02)
        return line(i)
    train(linear(), error, slow, tmp_path, Plan(steps=40, lr=.05, bf16=False, save_every=10_000, save_minutes=.2 / 60), saved=lambda folder, step: steps.append(step))
    assert 2 <= len(steps) <= 6 and all(b - a >= 5 for a, b in zip(steps, steps[1:]))


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    from voicenb.voices.voice import VoiceError
    broken = lambda model, b: dict(error=error(model, b)["error"] * (float("nan") if len(b["x"]) > 7 else 1))
    with pytest.raises(VoiceError, match="not a number") as e: train(linear(), broken, line, tmp_path, Plan(steps=400, bf16=False))
    assert "\n" not in str(e.value)


SCRIPT = """
import os, signal, sys, numpy as np, torch
torch.set_num_threads(1)
from torch import nn
from voicenb.voices.trainer import Plan, train
sys.path.insert(0, {tests!r})
from test_spark_fit import line, error
{before}
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, {wide}), nn.Linear({wide}, 1))
train(net, error, {batches}, {out!r}, Plan(steps=60, lr=.01, bf16=False, save_every=5))
"""


def run(tmp_path, before="", batches="line", wide=8):
    code = SCRIPT.format(tests=str(os.path.dirname(__file__)), before=before, batches=batches, out=str(tmp_path / "out"), wide=wide)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)


def goes_on(tmp_path, wide=8):
    "The same training again, here; it begins where the other process ended"
    begun = []
    def seen(i):
        begun.append(i)
        return line(i)
    r = train(nn.Sequential(nn.Linear(3, wide), nn.Linear(wide, 1)), error, seen, tmp_path / "out", Plan(steps=60, lr=.01, bf16=False, save_every=5))
    logged = [json.loads(x)["step"] for x in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines() if '"train"' in x]
    assert logged == list(range(10, 61, 10))
    return r


def test_sigterm_saves_and_ends_with_an_error(tmp_path):
    before = "def asked(i):\n    if i == 22: os.kill(os.getpid(), signal.SIGTERM)\n    return line(i)"
    ended = run(tmp_path, before, "asked")
    assert ended.returncode == 1 and "checkpoint-" in ended.stderr and "run again" in ended.stderr and "Traceback" not in ended.stderr
    saved = max(int(p.parent.name.split("-")[1]) for p in (tmp_path / "out").glob("checkpoint-*/done"))
    assert saved not in (0, 60) and f"checkpoint-{saved} is whole" in ended.stderr and not (tmp_path / "out" / "report.json").exists()
    assert goes_on(tmp_path).steps == 60 and (tmp_path / "out" / "report.json").exists()


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    "Files may grow to 200 kB only from step 12 on: the checkpoint of step 15 cannot be written"
    before = ("import resource\ndef limited(i):\n"
              "    if i == 12: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n    return line(i)")
    ended = run(tmp_path, before, "limited", wide=4000)
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1 and "step 15: the checkpoint could not be written" in last and "checkpoint-10 is whole" in last
    assert [p.name for p in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-10"]
    assert goes_on(tmp_path, wide=4000).steps == 60


def test_an_error_says_what_was_saved(tmp_path):
    def breaks(i):
        if i == 33: raise KeyError("gone")
        return line(i)
    with pytest.raises(KeyError) as e: train(linear(), error, breaks, tmp_path, Plan(steps=60, bf16=False, save_every=5))
    assert "checkpoint-30 is whole" in e.value.__notes__[0]


# --- fit

def test_a_voice_is_a_whole_folder(tokens, tmp_path):
    voice = spark_fit.fit(tokens, SMALL | dict(speaker="Ana", consent="a paper form"), tmp_path / "v")
    assert spark_base.check(tmp_path / "v") == []
    t = voice.info["training"]
    assert str(tmp_path) not in json.dumps(voice.info) and str(tokens.base) not in json.dumps(voice.info)  # no places of this machine
    assert t["steps"] == 8 and t["format"] == "spark" and t["learnt"] == sum(v.size for v in weights(tmp_path / "v").values())
    assert 0 < t["pace"]["least"] <= t["pace"]["median"] <= t["pace"]["most"] and voice.info["speaker"] == "Ana" and voice.info["licence"] == spark_base.LICENCE
    assert np.array_equal(vc.read_tensors(tmp_path / "v")["speaker"], tokens.speaker)
    assert not list((tmp_path / "v" / "training").glob("checkpoint-*")) and not (tmp_path / "v" / "training" / "best.safetensors").exists()
    assert {"train", "valid", "score"} == {json.loads(s)["kind"] for s in (tmp_path / "v" / "training" / "metrics.jsonl").read_text().splitlines()}
    stamp = (tmp_path / "v" / "LLM" / "model.safetensors").stat().st_mtime_ns
    spark_fit.fit(tokens, SMALL | dict(speaker="Ana", consent="a paper form"), tmp_path / "v")
    assert (tmp_path / "v" / "LLM" / "model.safetensors").stat().st_mtime_ns == stamp  # finished: nothing is repeated


def test_killed_training_has_the_curve_of_an_uninterrupted_one(corpus, tokens, tmp_path):
    p = SMALL | dict(steps=12, log_every=1)
    spark_fit.fit(tokens, p, tmp_path / "whole")
    here = corpus[1]
    code = f"""
import os, signal, pandas as pd, torch
torch.set_num_threads(1)
from voicenb.voices import spark_cache, spark_fit, spark_pack
t = spark_cache.prepare(pd.read_parquet({str(here / 'clips.parquet')!r}), {str(here)!r}, {str(here / 'cache')!r}, dict(base={str(here / 'base')!r}, profile=False))
calls, plain = [0], spark_pack.cross_entropy
def dies(*a):
    calls[0] += 1
    if calls[0] == 10: os.kill(os.getpid(), signal.SIGKILL)
    return plain(*a)
spark_pack.cross_entropy = dies
spark_fit.fit(t, {p!r}, {str(tmp_path / 'cut')!r})
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -signal.SIGKILL
    assert list((tmp_path / "cut" / "training").glob("checkpoint-*/done")) and not (tmp_path / "cut" / "voice.json").exists()
    spark_fit.fit(tokens, p, tmp_path / "cut")
    for kind in ("train", "valid"):
        a, b = curve(tmp_path / "whole", kind), curve(tmp_path / "cut", kind)
        assert len(a) == len(b) > 0 and all(abs(x["ce"] - y["ce"]) <= 1e-6 and x["step"] == y["step"] for x, y in zip(a, b))
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(np.allclose(a[k], b[k], atol=1e-6) for k in a)


def test_same_seed_same_weights(tokens, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)): spark_fit.fit(tokens, SMALL | dict(steps=4, seed=seed), tmp_path / name)
    a, b, c = (weights(tmp_path / n) for n in "abc")
    assert all(np.array_equal(a[k], b[k]) for k in a) and any(not np.array_equal(a[k], c[k]) for k in a)


def test_adapters_are_merged(tokens, tmp_path):
    voice = spark_fit.fit(tokens, SMALL | dict(lora=4, lr=5e-3), tmp_path / "v")
    base, made = weights(__import__("pathlib").Path(tokens.base)), weights(tmp_path / "v")
    assert set(base) == set(made) and spark_base.check(tmp_path / "v") == []
    changed = {k for k in base if not np.array_equal(base[k], made[k])}
    assert changed and all(any(s in k for s in spark_fit.SEVEN) and k.endswith(".weight") for k in changed)
    assert voice.info["training"]["learnt"] < sum(v.size for v in base.values()) / 4
    assert curve(tmp_path / "v")[-1]["ce"] < curve(tmp_path / "v", "train")[0]["ce"] or len(curve(tmp_path / "v")) == 1


def test_going_on_from_a_voice(tokens, tmp_path):
    spark_fit.fit(tokens, SMALL, tmp_path / "first")
    spark_fit.fit(tokens, SMALL | dict(steps=1, lr=1e-9, continue_from=str(tmp_path / "first")), tmp_path / "second")
    a, b = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert max(float(np.abs(a[k] - b[k]).max()) for k in a) < 1e-6
    with pytest.raises(Exception, match="no such folder"): spark_fit.fit(tokens, SMALL | dict(continue_from=str(tmp_path / "nowhere")), tmp_path / "third")


def test_tokens_of_another_codec_are_refused(tokens, tmp_path):
    spark_base.blank(tmp_path / "other", seed=5)
    with pytest.raises(ValueError, match="codec") as e: spark_fit.fit(tokens, SMALL | dict(base=str(tmp_path / "other")), tmp_path / "v")
    assert "\n" not in str(e.value)


def test_the_unsloth_recipe_learns_from_everything(tokens, tmp_path):
    "Its format and its numbers, on a processor with another optimizer: text and speaker tokens are in the loss, clips are not packed"
    voice = spark_fit.fit(tokens, dict(preset="unsloth", optim="adamw", steps=3, score_clips=0, threads=1), tmp_path / "v")
    t = voice.info["training"]
    assert t["format"] == "unsloth" and t["params"]["lr"] == 2e-4 and t["params"]["batch"] == 2 and t["params"]["accumulate"] == 4
    voc, tokenizer = spark_base.vocabulary(spark_base.load_tokenizer(tokens.base)), spark_base.load_tokenizer(tokens.base)
    ids, labels, _ = spark_fit.encode(tokens, tokens.rows("train"), voc, tokenizer, spark_fit.settings(dict(preset="unsloth", optim="adamw")))
    assert all((y != -100).mean() > .95 for y in labels) and all(i[-1] == voc.im_end and i[-2] == voc.end_semantic for i in ids)
    ids, labels, _ = spark_fit.encode(tokens, tokens.rows("train"), voc, tokenizer, spark_fit.settings())
    assert all(int((y != -100).sum()) == int(((i >= voc.semantic.start) & (i < voc.semantic.stop)).sum()) + 2 for i, y in zip(ids, labels))


def test_speaker_tokens_are_drawn(tokens):
    voc, tokenizer = spark_base.vocabulary(spark_base.load_tokenizer(tokens.base)), spark_base.load_tokenizer(tokens.base)
    ids, labels, _ = spark_fit.encode(tokens, tokens.rows("train"), voc, tokenizer, spark_fit.settings())
    who = np.arange(32) + 5
    s = pack.Samples(ids, labels, voc, who, own=.3, other=.2)
    own = [np.asarray(tokens[i]["globals"]) + voc.globals_.start for i in tokens.rows("train")]
    drawn = [s.draw(1, e)[0][s.where[1]] for e in range(300)]
    shares = [np.mean([np.array_equal(d, x) for d in drawn]) for x in (own[1], who + voc.globals_.start)]
    assert .22 < shares[0] < .42 and .4 < shares[1] < .6
    assert all(any(np.array_equal(d, x) for x in [*own, who + voc.globals_.start]) for d in drawn)
    assert all(np.array_equal(s.draw(1, e)[1], labels[1]) for e in range(20))  # the speaker is given, not learnt


def test_clips_beyond_the_limit_are_left_out_with_a_reason(corpus, tokens, tmp_path):
    table = tokens.table.copy()
    long = spark_cache.Tokens(**{k: getattr(tokens, k) for k in ("folder", "language", "base", "audio", "speaker", "profile", "dropped")},
                              table=table.assign(text=[t if i else "one two " * 800 for i, t in enumerate(table.text)]))
    voice = spark_fit.fit(long, SMALL | dict(steps=2), tmp_path / "v")
    said = voice.info["training"]["left_out"]
    assert list(said) == [table["clip"].iloc[0]] and "1500" in said[table["clip"].iloc[0]]


def test_push_in_the_background(tokens, tmp_path):
    far = tmp_path / "far"
    spark_fit.fit(tokens, SMALL | dict(push=f"file:{far}"), tmp_path / "v")
    assert spark_base.check(far) == [] and (far / "voice.json").exists() and (far / "checkpoint" / "optimizer.pt").exists()
    stamp = (far / "voice.json").stat().st_mtime_ns
    spark_fit.fit(tokens, SMALL | dict(push=f"file:{far}"), tmp_path / "v")
    assert (far / "voice.json").stat().st_mtime_ns == stamp  # finished and sent: nothing is repeated
    assert not (far / "training").exists() and not list((tmp_path / "v").rglob(".push-*")) and not list(tmp_path.glob(".push-*"))


@pytest.mark.parametrize("params, words", [
    (dict(stepz=3), "stepz"), (dict(preset="best"), "preset"), (dict(engine="jax"), "engine"), (dict(format="control"), "format"),
    (dict(optim="lion"), "adamw"), (dict(engine="unsloth"), "unsloth"), (dict(preset="unsloth"), "CUDA"), (dict(push="nowhere"), "owner/name")])
def test_bad_parameters_are_one_line(tokens, tmp_path, params, words):
    if "CUDA" in words and torch.cuda.is_available(): pytest.skip("there is a card")
    with pytest.raises((ValueError, RuntimeError), match=words) as e: spark_fit.fit(tokens, SMALL | params, tmp_path / "v")
    assert "\n" not in str(e.value) and not (tmp_path / "v" / "voice.json").exists()


def test_nothing_to_train_on(corpus, tmp_path):
    only = prepared(corpus, split="valid")
    with pytest.raises(ValueError, match="training split"): spark_fit.fit(only, SMALL, tmp_path / "v")


def test_adapters_by_themselves_only_where_they_help():
    "Under an hour on a large network"
    class Fake(nn.Module):
        def __init__(self, n): super().__init__(); self.n = n
        def num_parameters(self): return self.n
    p = spark_fit.settings()
    assert [spark_fit.rank(p, Fake(n), s) for n, s in ((500_000_000, 600), (500_000_000, 7200), (9_000_000, 600))] == [64, 0, 0]
    assert spark_fit.rank(p | dict(lora=0), Fake(500_000_000), 600) == 0
