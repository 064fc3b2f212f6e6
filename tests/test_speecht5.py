"SpeechT5 with random weights: the same in any company, learning what it should, converting whatever comes"
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from voicenb.core import packages, pieces, xvector
from voicenb.core.audio import Audio, read, resample, save
from voicenb.core.phonemes import speak
from voicenb.voices import speecht5, speecht5_data, speecht5_loss, trainer, voice
from voicenb.voices import speecht5_model as sm
from voicenb.voices.voice import VoiceError

RATE = 16_000
TEXTS = ["The shop was closed today.", "It rained all night long.", "Nobody had told me.", "She sat by the river for a while.", "He opened the window.", "What a fine day it is.",
         "They sold the old boat.", "My brother works at night.", "A dog ran after the cart.", "We came home late."]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    "Converter, vocoder and x-vectors of one folder"
    return str(sm.blank(tmp_path_factory.mktemp("t5") / "blank"))


@pytest.fixture(scope="module")
def model(parts): return sm.load(sm.sources(parts)[0])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    "Ten sentences by two voices of espeak-ng: pairs table, masters' folder"
    home, rows = tmp_path_factory.mktemp("pairs"), []
    for i, text in enumerate(TEXTS):
        for side, variant in (("a", "m3"), ("b", "f2")):
            s = speak(text, "en", variant=variant)
            save(Audio(resample(s.samples, s.rate, RATE), RATE), home / f"{side}{i}.flac")
        ends = [read(home, f"{side}{i}").duration for side in "ab"]
        rows.append(dict(pair=f"s{i}", text=text, recording=f"a{i}", start=0.0, end=ends[0], speaker="m3", target_recording=f"b{i}", target_start=0.0, target_end=ends[1], target_speaker="f2", ref_recording="",
                         split="valid" if i in (3, 6) else "test" if i == 9 else "train", kept=True, reason="", detail=""))
    return pd.DataFrame(rows), home


PARAMS = dict(steps=30, lr=8e-3, budget=8.0, threads=1, log_every=1, valid_every=15, score_at=(1.0,), warmup=.1, ema=.5, dropout=0.0, layerdrop=0.0, bf16=False)


@pytest.fixture(scope="module")
def trained(parts, pairs, tmp_path_factory):
    "Features, voice and folder of a training of 30 steps"
    home, params = tmp_path_factory.mktemp("trained"), PARAMS | dict(base=parts)
    features = speecht5.prepare(*pairs, home / "cache", params)
    return features, speecht5.fit(features, params, home / "voice"), home / "voice"


@pytest.fixture(scope="module")
def said():
    s = speak("Nobody told me that the shop was closed, so I walked on.", "en", variant="m3")
    return Audio(s.samples, s.rate)


def noise(n: int, seed: int = 0) -> torch.Tensor: return torch.randn(n, generator=torch.Generator().manual_seed(seed)) * .1


def batch_of(sizes: list, rows=None) -> dict:  # (samples, mel frames) of each clip; rows: which of them, without more padding than they need
    "A batch of noise in which a clip is the same whoever stands beside it"
    rows, pad = range(len(sizes)) if rows is None else rows, torch.nn.utils.rnn.pad_sequence
    n = torch.tensor([sizes[i][1] for i in rows])
    return dict(wave=pad([noise(sizes[i][0], i) for i in rows], batch_first=True), size=torch.tensor([sizes[i][0] for i in rows]), mels=n, count=n.sum(),
                mel=pad([noise(sizes[i][1] * 80, i + 50).view(-1, 80) * 10 for i in rows], batch_first=True), who=torch.stack([noise(512, i + 90) for i in rows]), seed=torch.tensor(list(rows)))


SIZES = [(9_000, 40), (16_000, 62), (5_555, 20), (12_345, 58), (20_000, 80), (7_000, 30), (15_000, 52), (11_111, 44)]


# the network

def test_the_library_still_has_no_loss_and_still_takes_full_scale_for_padding(model):
    x, mel = torch.ones(1, 8_000), torch.zeros(1, 20, 80)
    x[:, :4_000] = noise(4_000)
    out = model(input_values=x, attention_mask=torch.ones(1, 8_000, dtype=torch.long), labels=mel, speaker_embeddings=torch.ones(1, 512))
    assert out.loss is None  # where this fails the library has learnt it: compare it with ours
    frames = int(sm.lengths(model.config, torch.tensor([8_000])))
    for mask in (None, torch.ones(1, 8_000, dtype=torch.long)):
        _, seen = model.generate_speech(x, torch.ones(1, 512), attention_mask=mask, minlenratio=.5, maxlenratio=.5, output_cross_attentions=True)
        heard = int((seen.amax((0, 1, 2)) > 1e-9).sum())
        assert heard == frames if mask is not None else heard < .6 * frames
    ours = sm.generate(model, [sm.hear(model, x, torch.tensor([8_000]))[0]], np.ones((1, 512)), [0], .5, .5)[0][0]
    half = sm.generate(model, [sm.hear(model, x[:, :4_000], torch.tensor([4_000]))[0]], np.ones((1, 512)), [0], 1, 1)[0][0]
    assert ours.shape == half.shape and (ours - half).abs().max() > 1e-3  # what is at full scale is heard


def test_the_incremental_prenet_is_the_librarys_loop_with_linear_work(model):
    x, v, seen = noise(32_000)[None], noise(512)[None], []
    count = model.speecht5.decoder.prenet.final_layer.register_forward_hook(lambda m, i, o: seen.append(o.shape[1]))
    with sm.without_dropout(model): slow = model.generate_speech(x, v, attention_mask=torch.ones(1, 32_000, dtype=torch.long), minlenratio=2.5, maxlenratio=2.5)
    theirs, seen[:] = sum(seen), []
    fast = sm.generate(model, [sm.hear(model, x, torch.tensor([32_000]))[0]], v.numpy(), [0], 2, 2, dropout=0)[0][0]
    count.remove()
    assert slow.shape == fast.shape and (slow - fast).abs().max() <= 1e-5 and (theirs, sum(seen)) == (123 * 124 // 2, 123)  # frames that went through the pre-net
    assert "_consistent_dropout" not in vars(model.speecht5.decoder.prenet)


def test_dropout_keeps_what_it_says_and_belongs_to_the_seed(model):
    for p in (.2, .5, .8):
        m = sm.Masks(model.config, [3], p)(0, 1_000)
        assert abs(float((m > 0).float().mean()) - (1 - p)) < .02 and abs(float(m.mean()) - 1) < .05
    a = sm.Masks(model.config, [1, 2])(60, 70)
    assert torch.equal(a[:, 1], sm.Masks(model.config, [2])(0, 130)[:, 0, 60:70]) and not torch.equal(a[:, 0], a[:, 1])
    assert sm.Masks(model.config, [1], 0)(0, 5) is None


def test_generation_is_bounded_and_does_not_hear_its_neighbours(model):
    waves = [noise(n, k) for k, n in enumerate((6_000, 20_000, 11_000, 4_800))]
    ears, who = [sm.hear(model, w[None], torch.tensor([len(w)]))[0] for w in waves], np.stack([noise(512, k).numpy() for k in range(4)])
    for threshold in (1.3, 3.0):  # some find an end; none does
        mels, ended = sm.generate(model, ears, who, [7, 8, 9, 10], .5, 1.5, threshold)
        for i, (m, e) in enumerate(zip(mels, ended)):
            (alone,), (end,) = sm.generate(model, ears[i:i + 1], who[i:i + 1], [7 + i], .5, 1.5, threshold)
            assert alone.shape == m.shape and (alone - m).abs().max() <= 1e-5 and e == end
            assert .5 * len(waves[i]) / 256 - 4 <= len(m) <= 1.5 * len(waves[i]) / 256 + 2
    assert not any(ended)
    long = sm.bounds(model.config, torch.tensor([50 * 3600]))
    assert int(long[1]) < model.config.max_speech_positions  # an hour at once would pass the network's last position


@pytest.mark.parametrize("named", [True, False])
def test_checkpoints_of_the_family_that_convert_nothing_are_refused(tmp_path, parts, named):
    from transformers import SpeechT5Config, SpeechT5ForSpeechToText, SpeechT5ForTextToSpeech
    for cls, what in ((SpeechT5ForTextToSpeech, "speaks text"), (SpeechT5ForSpeechToText, "writes text")):
        cls(SpeechT5Config(**sm.TINY, max_speech_positions=100, max_text_positions=20)).save_pretrained(tmp_path / cls.__name__)
        config = json.loads((tmp_path / cls.__name__ / "config.json").read_text())
        if not named: (tmp_path / cls.__name__ / "config.json").write_text(json.dumps(config | dict(architectures=None)))
        with pytest.raises(packages.ModelError, match=f"does not convert voices: it {what}.*take microsoft/speecht5_vc") as e: sm.load(str(tmp_path / cls.__name__))
        assert "\n" not in str(e.value)
    with pytest.raises(packages.ModelError, match="a 'speecht5' model, not hifigan"): sm.load_vocoder(sm.sources(parts)[0])


def test_what_lies_in_a_folder_is_told(tmp_path, parts, model):
    home = tmp_path / "x"
    shutil.copytree(sm.sources(parts)[0], home)
    torch.save(load_file(home / "model.safetensors"), home / "pytorch_model.bin")  # how the published folders hold their weights
    whole = (home / "model.safetensors").read_bytes()
    (home / "model.safetensors").unlink()
    assert torch.equal(sm.load(str(home)).speech_decoder_postnet.prob_out.weight, model.speech_decoder_postnet.prob_out.weight)
    (home / "pytorch_model.bin").unlink()
    with pytest.raises(packages.ModelError, match="lacks model.safetensors"): sm.load(str(home))
    (home / "model.safetensors").write_bytes(whole[:5_000])
    with pytest.raises(packages.ModelError, match="cannot load it"): sm.load(str(home))
    vocoder = tmp_path / "h"
    shutil.copytree(sm.sources(parts)[1], vocoder)
    config = json.loads((vocoder / "config.json").read_text())
    (vocoder / "config.json").write_text(json.dumps(config | dict(model_type="hifigan")))  # the name that older releases of the library wrote
    assert sm.load_vocoder(str(vocoder)).config.model_in_dim == 80


# x-vectors

def test_xvectors_are_speechbrains(tmp_path, said):
    pytest.importorskip("speechbrain")
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.Xvector import Xvector
    from speechbrain.processing.features import InputNormalization
    home = xvector.blank(tmp_path, channels=(512, 512, 512, 512, 1500))
    net = Xvector(in_channels=24).eval()
    net.load_state_dict(torch.load(home / "embedding_model.ckpt", weights_only=True))
    for n in (RATE // 3, RATE, 40_001):
        x = resample(said.samples, said.rate, RATE)[:n]
        with torch.inference_mode(): v = net(InputNormalization(norm_type="sentence", std_norm=False)(Fbank(n_mels=24)(torch.from_numpy(x)[None]), torch.ones(1)))[0, 0].numpy()
        assert np.abs(xvector.embed([(x, RATE)], str(home))[0] - v / np.linalg.norm(v)).max() < 1e-4


def test_an_xvector_folder_is_read_and_never_run(tmp_path, parts, said):
    source, home = sm.sources(parts)[2], tmp_path / "x"
    shutil.copytree(source, home)
    assert xvector.name(str(home)) == xvector.name(source)  # a copy elsewhere is the same network
    text, here = (home / "hyperparams.yaml").read_text(), [(said.samples, said.rate)]
    (home / "hyperparams.yaml").write_text(text + f"x: !apply:pathlib.Path.touch [!apply:pathlib.Path ['{tmp_path / 'ran'}']]\n")
    assert np.isfinite(xvector.embed(here, str(home))).all() and not (tmp_path / "ran").exists()
    for old, new, told in (("Xvector.Xvector", "ECAPA_TDNN.ECAPA_TDNN", "known shape"), ("std_norm: False", "std_norm: True", "std_norm"), ("n_mels: 24", "n_mels: [24", "not YAML")):
        (home / "hyperparams.yaml").write_text(text.replace(old, new))
        with pytest.raises(packages.ModelError, match=told): xvector.embed(here, str(home))
    (home / "hyperparams.yaml").write_text(text)
    (home / "embedding_model.ckpt").write_bytes(b"no weights")
    with pytest.raises(packages.ModelError, match="not weights"): xvector.embed(here, str(home))


# learning

def test_every_batch_is_its_clips(model):
    whole, terms = batch_of(SIZES), speecht5_loss.losses(model, batch_of(SIZES))
    single = [speecht5_loss.losses(model, batch_of(SIZES, [i])) for i in range(len(SIZES))]
    for k, v in terms.items(): assert abs(sum(float(s[k]) * n for s, (_, n) in zip(single, SIZES)) / int(whole["count"]) - float(v)) <= 1e-5
    wide = {k: torch.nn.functional.pad(v, (0, 3_000)) if k == "wave" else torch.nn.functional.pad(v, (0, 0, 0, 30)) if k == "mel" else v for k, v in whole.items()}
    for k, v in speecht5_loss.losses(model, wide).items(): assert abs(float(v - terms[k])) <= 1e-5  # more padding is no more


def test_for_one_clip_the_loss_is_the_one_the_library_has_for_speech_from_text(model):
    from transformers.models.speecht5.modeling_speecht5 import SpeechT5SpectrogramLoss
    one = batch_of(SIZES, [1])
    out = speecht5_loss.forward(model, one)
    how = SimpleNamespace(use_guided_attention_loss=True, guided_attention_loss_num_heads=2, guided_attention_loss_sigma=.4, guided_attention_loss_scale=10.0, reduction_factor=2)
    theirs = SpeechT5SpectrogramLoss(how)(torch.ones(1, int(out["sources"])), out["before"], out["after"], out["ends"], one["mel"], out["attentions"])
    ours = speecht5_loss.losses(model, one)
    assert abs(float(theirs) - float(ours["before"] + ours["after"] + ours["stop"] + 10 * ours["guided"])) <= 1e-5


def test_eight_batches_of_one_are_one_batch_of_eight(parts, tmp_path):
    base, p = sm.sources(parts)[0], speecht5.settings(dict(dropout=0.0, layerdrop=0.0, frozen=False))
    for m in ("a", "b"):
        net = speecht5.trainable(sm.load(base), p)
        for d in (d for d in net.modules() if isinstance(d, torch.nn.Dropout)): d.p = 0.0  # the post-net's and the positions'
        plan = trainer.Plan(steps=2, lr=1e-3, ema=0, accumulate=1 if m == "a" else 8, bf16=False, threads=1, log_every=1, clip=.05)
        trainer.train(net, speecht5_loss.losses, (lambda i: batch_of(SIZES)) if m == "a" else (lambda i: batch_of(SIZES, [i % 8])), tmp_path / m, plan, speecht5_loss.WEIGHTS)
    lines = [[json.loads(s) for s in (tmp_path / m / "metrics.jsonl").read_text().splitlines()] for m in "ab"]
    for x, y in zip(*([d for d in part if d["kind"] == "train"] for part in lines)): assert abs(x["total"] - y["total"]) <= 1e-5
    one, two = (load_file(tmp_path / m / "best.safetensors") for m in "ab")
    start = dict(sm.load(base).state_dict())
    assert max(float((one[k] - two[k]).abs().max()) for k in one) <= 1e-5 < max(float((one[k] - start[k]).abs().max()) for k in one)


def test_every_part_learns_and_what_is_frozen_does_not(parts):
    for frozen in (True, False):
        net = speecht5.trainable(sm.load(sm.sources(parts)[0]), speecht5.settings(dict(frozen=frozen, layerdrop=0.0))).train()
        sum(speecht5_loss.losses(net, batch_of(SIZES, [0, 1])).values()).backward()
        dead = [k for k, v in net.named_parameters() if v.grad is None or not v.grad.abs().sum() > 0]
        dead = [k for k in dead if not k.endswith(("k_proj.bias", "masked_spec_embed"))]  # softmax does not see a key's bias
        assert bool(dead) == frozen and all("feature_encoder" in k for k in dead)


def test_thirty_steps_halve_the_loss_and_measuring_draws_nothing(trained, tmp_path):
    features, made, home = trained
    log = pd.read_json(home / "training" / "metrics.jsonl", lines=True)
    total = log[log.kind == "train"].set_index("step").total
    assert total.iloc[-1] <= .5 * total.iloc[0] and len(total) == 30
    assert set(made.info["metrics"]) == {"score", "mcd", "length", "ended"} and (home / "training" / "samples").is_dir()
    net = speecht5.trainable(sm.load(sm.sources(features.base)[0]), speecht5.settings(dict(spec_augment=True)))
    keep = trainer.Keeper(trainer._Task(net, speecht5_loss.losses, speecht5_loss.WEIGHTS), trainer.Plan(), tmp_path, speecht5.held_out(features, features.rows("valid")), None)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # where the library's SpecAugment draws
        keep.measure(seed)
        found.append(dict(keep.report.valid))
    assert found[0] == found[1]


def test_a_saved_voice_is_the_voice(trained, said, tmp_path):
    features, made, home = trained
    again, moved = voice.load(home), shutil.copytree(home, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("training"))
    one = made.convert(said, seed=4)
    for v in (again, voice.load(moved)): np.testing.assert_array_equal(v.convert(said, seed=4).samples, one.samples)
    assert not np.array_equal(made.convert(said, seed=5).samples[:8_000], one.samples[:8_000])
    info = (home / "voice.json").read_text()
    assert str(features.folder.parent) not in info and json.loads(info)["base"] == "blank" and json.loads(info)["speaker"] == "f2"
    with pytest.raises(VoiceError, match="does not know 'nobody'; it knows f2"): made.convert(said, speaker="nobody")
    with pytest.raises(VoiceError, match="cannot speak text"): made.speak("Hello there.")


def test_a_finished_training_is_not_repeated_and_other_parameters_start_over(trained, parts):
    features, _, home = trained
    before = (home / "training" / "best.safetensors").stat().st_mtime_ns
    speecht5.fit(features, PARAMS | dict(base=parts), home)
    assert (home / "training" / "best.safetensors").stat().st_mtime_ns == before


def test_parameters_that_make_no_sense_are_told(trained, tmp_path):
    features, _, _ = trained
    for params, told in ((dict(stpes=3), "does not know stpes"), (dict(preset="fast"), "choose one of: none, published, quick"), (dict(mode="best"), "average or utterance"),
                         (dict(frozen=False), "prepare again with the same parameters")):
        with pytest.raises(VoiceError, match=told): speecht5.fit(features, params, tmp_path)
    other = str(sm.blank(tmp_path / "other", seed=5))
    with pytest.raises(VoiceError, match="prepared with another base"): speecht5.fit(features, dict(base=other, xvector=sm.sources(features.base)[2]), tmp_path / "v")
    with pytest.raises(VoiceError, match="x-vectors of two networks"): speecht5.fit(features, dict(xvector=other + "/xvector"), tmp_path / "v")
    p = speecht5.settings(dict(preset="published", steps=7))
    assert (p["steps"], p["batch"], p["accumulate"], p["lr"], p["seed"]) == (7, 2, 8, 1e-5, 42)


# pairs

def test_pairs_are_prepared_once_and_bad_ones_say_why(pairs, parts, tmp_path):
    table, audio = pairs
    bad = [dict(table.iloc[0], pair="far", target_end=table.target_end[0] * .3), dict(table.iloc[1], pair="half", target_recording=None), dict(table.iloc[1], pair="half", recording="other", target_recording=""), dict(table.iloc[2], pair="gone", recording="nowhere"),
           dict(table.iloc[4], pair="out", kept=False), dict(table.iloc[5], pair="short", end=.2)]
    save(Audio(np.zeros(2 * RATE, np.float32), RATE), audio / "hush.flac")
    bad.append(dict(table.iloc[7], pair="quiet", recording="hush", end=1.5))
    mixed = pd.concat([table, pd.DataFrame(bad)], ignore_index=True)
    found = speecht5.prepare(mixed, audio, tmp_path / "c", dict(base=parts))
    assert len(found) == 9 and "s9" not in set(found.table.pair)  # the test split is never learnt from
    told = {k: v for k, v in found.skipped.items()}
    assert set(told) == {"far", "half", "half (other)", "gone", "short", "quiet"}
    assert "more than 2 times" in told["far"] and "side is missing" in told["half"] and "nowhere.flac is missing" in told["gone"] and "0.20" in told["short"] and "silent" in told["quiet"]
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    again = speecht5.prepare(mixed, audio, tmp_path / "c", dict(base=parts))
    assert again.fingerprint == found.fingerprint and {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()} == files
    with pytest.raises(VoiceError, match="no pair could be prepared: one side is missing"): speecht5.prepare(mixed[mixed.pair == "half"], audio, tmp_path / "c", dict(base=parts))
    with pytest.raises(VoiceError, match="no pair is kept"): speecht5.prepare(mixed[mixed.pair == "out"], audio, tmp_path / "c", dict(base=parts))


def test_what_the_convolutions_heard_is_stored_as_they_hear_it(trained, pairs, parts, tmp_path, model):
    table, audio = pairs
    features, plain = trained[0], speecht5.prepare(table, audio, tmp_path, dict(base=parts, frozen=False))
    x = read(audio, "a0", rate=RATE).samples
    with torch.inference_mode(): heard = sm.hear(model, torch.from_numpy(x)[None], torch.tensor([len(x)]))[0].numpy()
    np.testing.assert_allclose(features.source(0), heard, atol=2e-3 * np.abs(heard).max())
    np.testing.assert_allclose(plain.source(0), x, atol=2**-15)
    two = [speecht5_loss.losses(model, speecht5_data.collate(f, [0, 1], [f.speaker("f2")] * 2, [1, 2])) for f in (features, plain)]
    for k in two[0]: assert abs(float(two[0][k] - two[1][k])) < 2e-3


def test_speakers_of_pairs(pairs, parts, tmp_path):
    table, audio = pairs
    table = table.assign(ref_recording=["b8" if i == 2 else "" for i in range(len(table))])
    f = speecht5.prepare(table, audio, tmp_path, dict(base=parts))
    at, rng = {p: i for i, p in enumerate(f.table.pair)}, np.random.default_rng(0)
    own = lambda k: f.vector(f.table.target.iloc[at[k]])
    other = [speecht5_data.speaker_of(f, at["s0"], "utterance", rng) for _ in range(60)]
    assert not any(np.array_equal(v, own("s0")) for v in other) and len({v.tobytes() for v in other}) == 6  # seven are trained on, one of them is the clip itself
    mean = np.mean([own(k) for k in at if f.table.split.iloc[at[k]] == "train"], 0)
    np.testing.assert_allclose(speecht5_data.speaker_of(f, at["s0"]), mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(speecht5_data.speaker_of(f, at["s2"]), own("s8"), atol=1e-6)  # a given reference


def test_batches_hold_every_clip_once_an_epoch():
    t = np.random.default_rng(0).uniform(1, 10, 101)
    b = speecht5_data.Buckets(t, 30, 3)
    n = [len(b.epoch(e)) for e in range(3)]
    for e in range(3): assert sorted(np.concatenate([b[i] for i in range(sum(n[:e]), sum(n[:e + 1]))])) == list(range(101))
    assert [list(b[i]) for i in range(20)] == [list(speecht5_data.Buckets(t, 30, 3)[i]) for i in range(20)] and all(len(b[i]) * t[b[i]].max() <= 30 for i in range(20))


# anything that comes

def test_many_are_converted_as_each_alone(trained, said):
    made = trained[1]
    sources = [said, Audio(np.tile(said.samples, 4), said.rate), Audio(said.samples[:said.rate], said.rate), Audio(np.zeros(8_000, np.float32), 8_000)]
    for a, b in zip(made.convert_many(sources, seed=2, longest=.7), [made.convert(s, seed=2, longest=.7) for s in sources]):
        assert len(a.samples) == len(b.samples) and np.abs(a.samples - b.samples).max(initial=0) < 1e-4


def test_bad_sources(trained, said):
    made, x = trained[1], resample(said.samples, said.rate, 8_000)
    full = np.sign(x).astype(np.float32)  # every sample at full scale
    for audio in (Audio(x, 8_000), Audio(full, 8_000), Audio(resample(x, 8_000, 44_100), 44_100), Audio(x[:800], 8_000), Audio(x[:1], 8_000)):
        y = made.convert(audio)
        assert y.rate == RATE and len(y.samples) and np.isfinite(y.samples).all() and np.abs(y.samples).max() <= 1 and y.duration <= 2 * max(.3, audio.duration) + .1
    hush = made.convert(Audio(np.zeros(12_345, np.float32), 8_000))
    assert len(hush.samples) == 24_690 and not hush.samples.any()
    broken = x.copy()
    broken[7] = np.nan
    for audio, told in ((Audio(broken, 8_000), "1 samples that are not numbers"), (Audio(x[:0], 8_000), "is empty"), (Audio(np.stack([x, x]), 8_000), "mono")):
        with pytest.raises(VoiceError, match=told) as e: made.convert(audio)
        assert "\n" not in str(e.value)
    with pytest.raises(VoiceError, match="choose 0 <= shortest"): made.convert(said, shortest=3.0)


def test_half_an_hour(trained, said):
    x = resample(said.samples, said.rate, RATE)
    day = np.zeros(1800 * RATE, np.float32)
    for at in (0, 600, 1790): day[at * RATE:at * RATE + len(x)] = x
    y = trained[1].convert(Audio(day, RATE), shortest=1.0, longest=1.0)
    assert abs(y.duration - 1800) < .2 and np.isfinite(y.samples).all()
    loud = [np.abs(y.samples[at * RATE:at * RATE + len(x)]).max() for at in (0, 600, 1790)]
    assert min(loud) > 1e-3 and not y.samples[10 * RATE:590 * RATE].any()
    found = pieces.pieces(np.concatenate([np.tile(x, 12), np.zeros(3 * RATE, np.float32), x]))  # forty seconds without a pause of a second
    assert found[0][0] == 0 and all(a[1] == b[0] for a, b in zip(found, found[1:])) and max(e - s for s, e, _ in found) <= 12 * RATE and sum(not s for *_, s in found) == 1


def test_references_of_another_network_and_voices_for_nobody(trained, parts, said, tmp_path):
    made, other = trained[1], xvector.blank(tmp_path / "x", seed=9)
    one = made.convert(said, said, seed=1)
    assert not np.array_equal(one.samples, made.convert(said, seed=1).samples)
    np.testing.assert_array_equal(voice.load(trained[2]).convert(said, said, seed=1, xvector=sm.sources(parts)[2]).samples, one.samples)
    with pytest.raises(VoiceError, match="came from a folder: give xvector="): voice.load(trained[2]).convert(said, said)
    with pytest.raises(VoiceError, match="x-vectors of another network"): made.convert(said, said, xvector=str(other))
    with pytest.raises(VoiceError, match="the reference is silent"): made.convert(said, Audio(np.zeros(RATE, np.float32), RATE))
    nobody = speecht5.begin(parts)
    with pytest.raises(VoiceError, match="not trained for anybody: give ref="): nobody.convert(said)
    nobody.save(tmp_path / "zero")
    np.testing.assert_array_equal(voice.load(tmp_path / "zero").convert(said, said, xvector=sm.sources(parts)[2]).samples, nobody.convert(said, said).samples)
