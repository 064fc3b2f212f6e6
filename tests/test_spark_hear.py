"Spark's ears against an independent network, batches against single clips, and the token cache"
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from voicenb.core.audio import Audio, resample, save
from voicenb.core.phonemes import speak
from voicenb.voices import spark_base, spark_cache
from voicenb.voices.spark_hear import FOLDER, REFERENCE, Ears, Tokeniser, batches, reference, taken, volume
from voicenb.voices.voice import VoiceError

SAID = ["Well, is it late?", "The boat has left the harbour.", "Nobody saw it go.", "Two more people were waiting near the water, and the first of them began to sing."]


@pytest.fixture(scope="module")
def base(tmp_path_factory): return spark_base.blank(tmp_path_factory.mktemp("spark") / "base")


@pytest.fixture(scope="module")
def ears(base): return Tokeniser.load(base, "cpu")


@pytest.fixture(scope="module")
def waves():
    found = [speak(t, "en", v) for t, v in zip(SAID, ("f2", "m1", "f2", "m3"))]
    return [volume(resample(s.samples, s.rate, 16_000)) for s in found]


def masters(folder, waves):
    folder.mkdir()
    for i, x in enumerate(waves): save(Audio(x / 2, 16_000), folder / f"note{i}.flac")
    return pd.DataFrame([dict(clip=f"note{i}", recording=f"note{i}", start=0.0, end=len(x) / 16_000, text=t, split="valid" if i == 2 else "train", kept=True)
                         for i, (x, t) in enumerate(zip(waves, SAID))])


def test_volume():
    rng = np.random.default_rng(0)
    for scale in (1e-5, 4e-4, .004, .03, .2, 2.0, 40.0):
        x = (rng.normal(size=20_000) * scale).astype(np.float32)
        x[:50] = 0
        y, size = x.astype(np.float64), sorted(abs(float(v)) for v in x)  # said once more, slowly
        if size[-1] < .1: y = y / max(size[-1], .001) * .1
        loud = [v for v in size if v > .01]
        if len(loud) > 10:
            part = loud[int(len(loud) * .9):int(len(loud) * .99)]
            y = y * min(10, max(.1, .2 / (sum(part) / len(part))))
            if abs(y).max() > 1: y = y / abs(y).max()
        assert volume(x).dtype == np.float32
        np.testing.assert_allclose(volume(x), y, rtol=2e-5, atol=1e-8)
    assert not volume(np.zeros(900)).any() and len(volume(np.zeros(0))) == 0


def test_reference():
    x = np.arange(50_000, dtype=np.float32)
    assert np.array_equal(reference(x), np.concatenate([x, x])[:96_000]) and REFERENCE == 96_000
    assert np.array_equal(reference(np.arange(100_000)), np.arange(96_000))
    with pytest.raises(VoiceError, match="without samples"): reference(np.zeros(0, np.float32))


def double(config, state, x):
    "The mean of the three hidden states, float64, one clip, written on its own"
    w = {k: v.double() for k, v in state.items()}
    F, x = torch.nn.functional, torch.from_numpy(x).double()
    y = ((x - x.mean()) / (x.var(correction=0) + 1e-7).sqrt())[None, None]
    for i, s in enumerate(config["conv_stride"]):
        at = f"feature_extractor.conv_layers.{i}"
        y = F.conv1d(y, w[f"{at}.conv.weight"], w[f"{at}.conv.bias"], stride=s).transpose(1, 2)
        y = F.gelu(F.layer_norm(y, y.shape[-1:], w[f"{at}.layer_norm.weight"], w[f"{at}.layer_norm.bias"])).transpose(1, 2)
    norm = lambda y, k: F.layer_norm(y, y.shape[-1:], w[f"{k}.weight"], w[f"{k}.bias"])
    lin = lambda y, k: y @ w[f"{k}.weight"].T + w[f"{k}.bias"]
    h = lin(norm(y.transpose(1, 2)[0], "feature_projection.layer_norm"), "feature_projection.projection")
    at = "encoder.pos_conv_embed.conv"
    v = w[f"{at}.weight_v"]
    place = F.conv1d(h.T[None], v * w[f"{at}.weight_g"] / (v**2).sum((0, 1), keepdim=True).sqrt(), w[f"{at}.bias"], padding=64, groups=config["num_conv_pos_embedding_groups"])
    h, states = h + F.gelu(place[0, :, :-1]).T, []
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layers.{i}"
        q, k, v = (lin(norm(h, f"{at}.layer_norm"), f"{at}.attention.{n}_proj").unflatten(1, (config["num_attention_heads"], -1)).transpose(0, 1) for n in "qkv")
        h = h + lin((torch.softmax(q @ k.transpose(1, 2) / q.shape[-1]**.5, -1) @ v).transpose(0, 1).flatten(1), f"{at}.attention.out_proj")
        h = h + lin(F.gelu(lin(norm(h, f"{at}.final_layer_norm"), f"{at}.feed_forward.intermediate_dense")), f"{at}.feed_forward.output_dense")
        states.append(h)
    return sum(states[k - 1] for k in taken(len(states))) / 3


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    "Ears of six layers, another width, biased and unlike the blank base's; the published file's names, with what is not for us"
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
    torch.manual_seed(4)
    c = Wav2Vec2Config(hidden_size=32, intermediate_size=80, num_hidden_layers=6, num_attention_heads=2, conv_dim=[16, 24, 16, 16, 16, 24, 16], do_stable_layer_norm=True,
                       feat_extract_norm="layer", conv_bias=True, proj_codevector_dim=16, codevector_dim=16)
    net = Wav2Vec2ForPreTraining(c)
    with torch.no_grad():
        for p in net.parameters(): p.add_(torch.randn_like(p) * .15)
    folder = tmp_path_factory.mktemp("ears")
    (folder / "config.json").write_text(json.dumps(c.to_dict(), default=str))
    state = {k.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): v.contiguous() for k, v in net.state_dict().items()}
    torch.save(state, folder / "pytorch_model.bin")
    return folder, c.to_dict(), state, net.wav2vec2.eval()


def test_ears_equal_an_independent_network(other, waves):
    folder, config, state, net = other
    heard = Ears.load(folder, "cpu")
    assert heard.taken == (3, 4, 4) and len(heard.layers) == 4 and taken(24) == (11, 14, 16)
    got, lengths = heard.features(waves)
    plain = {k.removeprefix("wav2vec2."): v for k, v in state.items()}
    for g, n, x in zip(got, lengths, waves):
        want = double(config, plain, x)
        assert len(want) == n == (len(x) - 400) // 320 + 1
        assert (g[:n] - want).abs().max() < 1e-5 * want.abs().max() and not g[n:].any()
        z = torch.from_numpy((x - x.mean()) / np.sqrt(x.var() + 1e-7))[None]
        with torch.inference_mode(): states = net(z, output_hidden_states=True).hidden_states  # as upstream hears
        assert (g[:n] - (states[3] + 2 * states[4])[0] / 3).abs().max() < 1e-5 * want.abs().max()


def test_new_names_and_safetensors(other, waves, tmp_path):
    folder, config, state, _ = other
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    new = {k.replace("conv.weight_g", "conv.parametrizations.weight.original0").replace("conv.weight_v", "conv.parametrizations.weight.original1"): v for k, v in state.items()}
    save_file({k: v.clone() for k, v in new.items()}, tmp_path / "model.safetensors")
    assert torch.equal(Ears.load(tmp_path, "cpu").features(waves[:1])[0], Ears.load(folder, "cpu").features(waves[:1])[0])


def test_batched_is_single(ears, waves):
    cut = [*waves, waves[3][:400], waves[3][:719], waves[3][1_000:9_000], waves[0][:-1]]
    together, lengths = ears.ears.features(cut)
    for x, t, n in zip(cut, together, lengths): assert (ears.ears.features([x])[0][0] - t[:n]).abs().max() < 5e-6
    made = ears.tokens(cut)
    for x, (semantic, who) in zip(cut, made):
        alone = ears.tokens([x])[0]
        assert semantic.dtype == who.dtype == np.int16 and np.array_equal(alone[0], semantic) and np.array_equal(alone[1], who)
        assert len(semantic) == (len(x) - 400) // 320 + 1 and who.shape == (32,)
    assert len({t for s, _ in made for t in s.tolist()}) > 20


def test_blocks_change_nothing(base, waves, monkeypatch):
    e = Ears.load(base / FOLDER, "cpu")
    whole = e.features(waves)[0]
    monkeypatch.setattr("voicenb.voices.spark_hear.BLOCK", 7 * e.config["conv_dim"][0])
    assert torch.allclose(e.features(waves)[0], whole, atol=2e-6)


def test_bf16_is_near(base, ears, waves):
    near = Tokeniser.load(base, "cpu", "bf16")
    a, b = ears.ears.features(waves)[0], near.ears.features(waves)[0]
    assert b.dtype == torch.float32 and 0 < (a - b).norm() / a.norm() < .03


def test_batches():
    rng = np.random.default_rng(0)
    size = rng.integers(30, 900, 300).tolist()
    out = batches(size, 1_500)
    assert sorted(i for b in out for i in b) == list(range(300))
    padded = sum(max(size[i] for i in b) * len(b) for b in out)
    assert all(max(size[i] for i in b) * len(b) <= 1_500 for b in out) and padded / sum(size) - 1 < .03
    assert batches([5_000, 10], 100) == [[0], [1]] and batches([], 100) == []


def test_speaker(ears, waves):
    x = np.concatenate([*waves, *waves])
    who = ears.speaker([*waves, *waves])
    assert who.dtype == np.int16 and who.shape == (32,) and len(x) > REFERENCE
    assert np.array_equal(who, ears.codec.global_tokens(torch.from_numpy(x[None])).numpy().reshape(-1))
    assert np.array_equal(ears.speaker(waves[:1]), ears.tokens(waves[:1])[0][1])  # shorter than six seconds: as a clip


@pytest.mark.parametrize("change, said", [
    (lambda d: (d / "config.json").unlink(), "lacks config.json"),
    (lambda d: (d / "config.json").write_text("{"), "not JSON"),
    (lambda d: (d / "config.json").write_text(json.dumps(json.loads((d / "config.json").read_text()) | dict(feat_extract_norm="group"))), "feat_extract_norm is 'group'"),
    (lambda d: (d / "config.json").write_text(json.dumps(json.loads((d / "config.json").read_text()) | dict(model_type="hubert"))), "model_type is 'hubert'"),
    (lambda d: (d / "config.json").write_text(json.dumps(json.loads((d / "config.json").read_text()) | dict(intermediate_size=97))), r"is \(.*\), and config.json says \(97"),
    (lambda d: (d / "model.safetensors").unlink(), "lacks model.safetensors or pytorch_model.bin"),
    (lambda d: (d / "model.safetensors").write_bytes(b"no weights"), "not readable"),
    (lambda d: save_file({k: v for k, v in load_file(d / "model.safetensors").items() if not k.endswith("layers.1.attention.k_proj.bias")}, d / "model.safetensors"), "lack encoder.layers.1.attention.k_proj.bias"),
    (lambda d: ((d / "model.safetensors").unlink(), (d / "pytorch_model.bin").write_bytes(b"\x80\x04junk")), "pytorch_model.bin: not readable")])
def test_damaged_ears(base, tmp_path, change, said):
    for p in (base / FOLDER).iterdir(): (tmp_path / p.name).write_bytes(p.read_bytes())
    change(tmp_path)
    with pytest.raises(VoiceError, match=said) as e: Ears.load(tmp_path, "cpu")
    assert "\n" not in str(e.value)


def test_a_pickle_with_code_is_not_run(base, tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self): return os.mkdir, (str(tmp_path / "ran"),)
    (tmp_path / "config.json").write_bytes((base / FOLDER / "config.json").read_bytes())
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    import zipfile
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin") as z: files = {n: z.read(n) for n in z.namelist()}
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as z:
        for n, data in files.items(): z.writestr(n, pickle.dumps(Evil()) if n.endswith("data.pkl") else data)
    with pytest.raises(VoiceError, match="not readable"): Ears.load(tmp_path, "cpu")
    assert not (tmp_path / "ran").exists()


def test_prepare(base, ears, waves, tmp_path):
    clips = masters(tmp_path / "audio", waves)
    more = pd.concat([clips, clips.iloc[[0]].assign(clip="long", end=clips.end.iloc[0] + 0., start=-30.), clips.iloc[[0]].assign(clip="silent", text="  "),
                      clips.iloc[[0]].assign(clip="short", end=.02), clips.iloc[[0]].assign(clip="gone", recording="nowhere"), clips.iloc[[1]].assign(clip="again"),
                      clips.iloc[[1]].assign(clip="other", kept=False), clips.iloc[[1]].assign(clip="secret", split="test")], ignore_index=True)
    t = spark_cache.prepare(more, tmp_path / "audio", tmp_path / "cache", dict(base=str(base), language="en"))
    assert t.table["clip"].tolist() == ["note0", "note1", "note2", "note3", "again"] and t.rows("valid") == [2] and t.rows("test") == []
    assert set(t.dropped) == {"long", "silent", "short", "gone"} and "longer than 28 s" in t.dropped["long"] and t.dropped["silent"] == "no text"
    assert "too short" in t.dropped["short"] and "nowhere.flac is missing" in t.dropped["gone"]
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 4  # the same samples under two names are heard once
    for i in range(5):
        want = ears.tokens([t.samples(i)])[0]
        got = t[i]
        assert sorted(got) == ["globals", "semantic"] and got["semantic"].dtype == got["globals"].dtype == np.int16
        assert np.array_equal(got["semantic"], want[0]) and np.array_equal(got["globals"], want[1]) and t.table.semantic[i] == len(want[0])
    assert t.speaker.shape == (32,) and t.speaker.dtype == np.int16 and abs(np.linalg.norm(t.profile) - 1) < 1e-3 and t.base == str(base)
    hear = spark_cache.cleanest(t.table.to_dict("records"))
    assert np.array_equal(t.speaker, ears.speaker([t.samples(i) for i in hear])) and 2 not in hear


def test_nothing_is_heard_twice_and_another_codec_is(base, waves, tmp_path, monkeypatch):
    clips, p = masters(tmp_path / "audio", waves), dict(base=str(base), profile=False)
    a = spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", p)
    stamps = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "cache").iterdir()}
    renamed = clips.assign(clip=[f"c{i}" for i in range(4)])
    b = spark_cache.prepare(renamed, tmp_path / "audio", tmp_path / "cache", p)
    assert stamps == {f.name: f.stat().st_mtime_ns for f in (tmp_path / "cache").iterdir()} and a.fingerprint == b.fingerprint
    assert spark_cache.prepare(clips.assign(text="x"), tmp_path / "audio", tmp_path / "cache", p).fingerprint != a.fingerprint
    other = spark_base.blank(tmp_path / "other", seed=1)
    c = spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", dict(p, base=str(other)))
    assert not set(c.table.key) & set(a.table.key)
    d = spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", dict(p, precision="bf16"))
    assert not set(d.table.key) & set(a.table.key)


def test_two_processes_write_the_same(base, waves, tmp_path):
    clips = masters(tmp_path / "audio", waves)
    one, two = (spark_cache.prepare(clips, tmp_path / "audio", tmp_path / f"jobs{n}", dict(base=str(base), jobs=n, threads=1, profile=False)) for n in (1, 2))
    for i in range(4):
        assert all(np.array_equal(one[i][k], two[i][k]) for k in ("semantic", "globals"))
    assert one.fingerprint == two.fingerprint


def test_errors(base, waves, tmp_path):
    clips, p = masters(tmp_path / "audio", waves), dict(base=str(base))
    with pytest.raises(VoiceError, match="no clip can be learnt from: 0.*longer than 0.1 s|no clip can be learnt from: .* longer than 0.1 s"):
        spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", dict(p, longest=.1))
    with pytest.raises(VoiceError, match="none is kept"): spark_cache.prepare(clips.assign(kept=False), tmp_path / "audio", tmp_path / "cache", p)
    with pytest.raises(VoiceError, match="does not know f0"): spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", dict(p, f0="dio"))
    with pytest.raises(VoiceError, match="precision='fp16'"): spark_cache.prepare(clips, tmp_path / "audio", tmp_path / "cache", dict(p, precision="fp16"))


def test_the_cleanest():
    rows = [dict(split="train", start=0., end=20., snr_db=5.), dict(split="train", start=0., end=20., snr_db=30.), dict(split="valid", start=0., end=20., snr_db=60.),
            dict(split="train", start=0., end=25., snr_db=30.), dict(split="train", start=0., end=9., snr_db=float("nan"))]
    assert spark_cache.cleanest(rows) == [1, 3] and spark_cache.cleanest(rows, 1.) == [3] and spark_cache.cleanest(rows, 100.) == [0, 1, 3, 4]
    assert spark_cache.cleanest([dict(split="valid", start=0., end=3.)]) == [0]
