"The Spark codec: stored outputs of the reference, an independent float64 reference, batches, streams, weights and what is wrong with them"
import itertools
import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from voicenb.voices.spark_codec import HOP, BiCodec
from voicenb.voices.voice import VoiceError

GOLDEN = Path(__file__).parent / "golden"


def fill(name: str, shape, gain: float = .25) -> torch.Tensor:
    "The golden run's weights: a frozen formula of the name"
    r, last = np.random.RandomState(crc32(name.encode()) & 0x7FFFFFFF), name.rsplit(".", 1)[-1]
    if last in ("num_batches_tracked", "cluster_size"): x = np.zeros(shape)
    elif last == "running_var": x = .5 + r.uniform(size=shape)
    elif last == "running_mean": x = .2 * r.normal(size=shape)
    elif last == "alpha": x = .5 + 1.5 * r.uniform(size=shape)
    elif last == "weight_g": x = (.8 + .4 * r.uniform(size=shape)) * (gain if name.startswith("decoder.") else 1)
    elif last == "gamma": x = .3 + .6 * r.uniform(size=shape)
    elif last == "latents" or name.endswith("codebook.weight"): x = r.normal(size=shape)
    elif last == "bias": x = .05 * r.normal(size=shape)
    elif len(shape) == 1: x = 1 + .1 * r.normal(size=shape)
    else: x = r.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    return torch.tensor(x).float()


def other_fill(name: str, shape) -> torch.Tensor:
    "Weights of another kind: uniform, with offsets, other gains; drawn by the length of the name and its letters"
    r, last = np.random.RandomState(sum(ord(c) * (i + 1) for i, c in enumerate(name)) % 2**31), name.rsplit(".", 1)[-1]
    u = lambda lo, hi: torch.tensor(r.uniform(lo, hi, size=shape)).float()
    if last == "num_batches_tracked": return torch.tensor(7)
    if last in ("running_var", "alpha"): return u(.3, 2.5)
    if last == "weight_g": return u(.2, .9) if name.startswith("decoder.") else u(.5, 2)
    if last in ("bias", "running_mean", "gamma"): return u(-.4, .5) * (.1 if name.startswith("decoder.") else 1)
    if len(shape) == 1: return u(.6, 1.3)
    return u(-1, 1.1) if last == "latents" or "codebook" in name else u(-1.7, 1.7) / np.sqrt(np.prod(shape[1:]))


def codec_of(config: dict, how=fill) -> BiCodec:
    codec = BiCodec.from_config(config)
    codec.load_state_dict({k: how(k, tuple(v.shape)) for k, v in codec.state().items()})
    return codec


def config_of(layers: int = 2, **more) -> dict:
    "Unlike the golden one in every size that may differ"
    net = dict(vocos_dim=24, vocos_intermediate_dim=56, vocos_num_layers=layers)
    c = dict(mel_params=dict(sample_rate=16000, n_fft=1024, win_length=640, hop_length=320, mel_fmin=10, mel_fmax=None, num_mels=128),
             encoder=dict(input_channels=31, out_channels=52, sample_ratios=[1, 1], **net), quantizer=dict(input_dim=52, codebook_size=190, codebook_dim=5, commitment=.25, use_l2_normlize=True),
             speaker_encoder=dict(input_dim=128, out_dim=44, latent_dim=96, token_num=32, fsq_levels=[4] * 6, fsq_num_quantizers=1),
             prenet=dict(input_channels=52, out_channels=44, condition_dim=44, sample_ratios=[1, 1], use_tanh_at_final=False, **net),
             decoder=dict(input_channel=44, channels=48, rates=[8, 5, 4, 2], kernel_sizes=[16, 11, 8, 4]))
    return c | more


@pytest.fixture(scope="module")
def golden():
    z = np.load(GOLDEN / "spark_golden.npz")
    features = np.random.RandomState(1).normal(size=(2, 75, 40)).astype(np.float32)
    wav = (.1 * np.random.RandomState(2).normal(size=(2, 96000))).astype(np.float32)
    return z, codec_of(json.loads(str(z["config"]))), torch.from_numpy(features), torch.from_numpy(wav)


@pytest.fixture(scope="module")
def codec(): return codec_of(config_of(), other_fill)


def test_it_gives_what_the_reference_gave(golden):
    z, codec, features, wav = golden
    semantic, globals_ = codec.semantic_tokens(features), codec.global_tokens(wav)
    assert semantic.dtype == torch.int64 and np.array_equal(semantic, z["semantic"]) and np.array_equal(globals_, z["global_tokens"][:, 0])
    assert semantic[0, :5].tolist() == [177, 117, 126, 168, 99] and globals_[0, :4].tolist() == [2727, 1975, 2938, 2733]
    mel, d = codec.mel(wav), codec.d_vector(z["global_tokens"])
    assert mel.shape == (2, 128, 301) and (np.abs(mel[0, :, :40].numpy() - z["mel"]) / np.abs(z["mel"])).max() <= 1e-4
    assert np.abs(codec.encoder(features.transpose(1, 2))[0].numpy() - z["z"]).max() <= 1e-5 and np.abs(d.numpy() - z["d_vector"]).max() <= 1e-5
    assert np.abs(codec.speaker_encoder.listen(mel).numpy() - z["perceiver"]).max() <= 1e-5
    assert np.abs(codec.prenet(codec.quantizer.decode(semantic), d)[0].numpy() - z["prenet"]).max() <= 1e-5
    said = codec.decode(semantic, globals_)
    assert said.shape == (2, 24000) and said.dtype == torch.float32 and np.abs(said.numpy() - z["wav"]).max() <= 1e-5


# A second implementation in numpy and float64, with loops where the module has layers


def conv(x, w, b=0, dilation=1, groups=1):  # x [C, T]
    half, (n, _, k) = (w.shape[2] - 1) // 2 * dilation, w.shape
    p, b = np.pad(x, ((0, 0), (half, half))), np.broadcast_to(np.asarray(b, float), n)[:, None]
    taps = [p[:, i * dilation:i * dilation + x.shape[1]] for i in range(k)]
    if groups > 1: return b + sum(w[:, 0, i, None] * t for i, t in enumerate(taps))
    return b + sum(w[:, :, i] @ t for i, t in enumerate(taps))


def grow(x, w, b, rate):  # x [Cin, T], w [Cin, Cout, k]
    k, t = w.shape[2], x.shape[1]
    out, cut = np.zeros((w.shape[1], (t - 1) * rate + k)), (k - rate) // 2
    for i, j in itertools.product(range(t), range(k)): out[:, i * rate + j] += w[:, :, j].T @ x[:, i]
    return (out[:, cut:-cut] if cut else out) + b[:, None]


def erf_gelu(x):
    from scipy.special import erf
    return x * (1 + erf(x / np.sqrt(2))) / 2


def standard(x):  # over channels, [C, T]
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6)


class Reference:
    "Everything from the state dict in public names"
    def __init__(self, state: dict, config: dict): self.s, self.c = {k: v.double().numpy() for k, v in state.items()}, config

    def weight(self, name):
        if name + ".weight" in self.s: return self.s[name + ".weight"]
        g, v = self.s[name + ".weight_g"], self.s[name + ".weight_v"]
        return g * v / np.sqrt((v**2).sum((1, 2), keepdims=True))

    def linear(self, name, x):  # [C, T]
        return (self.weight(name) @ x.T.T) + (self.s[name + ".bias"][:, None] if name + ".bias" in self.s else 0)

    def conv(self, name, x, **how): return conv(x, self.weight(name), self.s[name + ".bias"], **how)

    def norm(self, name, x, d):
        if name + ".weight" in self.s: return standard(x) * self.s[name + ".weight"][:, None] + self.s[name + ".bias"][:, None]
        return standard(x) * self.linear(name + ".scale", d[:, None]) + self.linear(name + ".shift", d[:, None])

    def backbone(self, name, x, d=None):
        x = self.norm(f"{name}.norm", self.conv(f"{name}.embed", x), d)
        for i in itertools.count():
            b = f"{name}.convnext.{i}"
            if b + ".gamma" not in self.s: return self.norm(f"{name}.final_layer_norm", x, d)
            y = self.norm(f"{b}.norm", self.conv(f"{b}.dwconv", x, groups=2), d)
            x = x + self.s[b + ".gamma"][:, None] * self.linear(f"{b}.pwconv2", erf_gelu(self.linear(f"{b}.pwconv1", y)))

    def staged(self, name, x):
        for i in range(2): x = self.backbone(f"{name}.downsample.{i}.1", x + x + x)
        return x

    def semantic(self, features):  # [T, C]
        z = self.linear("encoder.project", self.staged("encoder", self.backbone("encoder.encoder", features.T)))
        e, book = self.conv("quantizer.in_project", z).T, self.s["quantizer.codebook.weight"]
        unit = lambda a: a / np.sqrt((a**2).sum(1, keepdims=True))
        return z, ((unit(e)[:, None] - unit(book)[None]) ** 2).sum(2).argmin(1)

    def mel(self, x):
        m = self.c["mel_params"]
        n, win, hop, bands, fs = m["n_fft"], m["win_length"], m["hop_length"], m["num_mels"], m["sample_rate"]
        to = lambda f: 3 * f / 200 if f < 1000 else 15 + np.log(f / 1000) / (np.log(6.4) / 27)
        back = lambda s: 200 * s / 3 if s < 15 else 1000 * np.exp((np.log(6.4) / 27) * (s - 15))
        edges = [back(s) for s in np.linspace(to(m["mel_fmin"]), to(m["mel_fmax"] or fs / 2), bands + 2)]
        freq = np.arange(n // 2 + 1) * fs / n
        bank = np.array([np.interp(freq, edges[i:i + 3], [0, 2 / (edges[i + 2] - edges[i]), 0], 0, 0) for i in range(bands)])
        window = np.pad(.5 - .5 * np.cos(2 * np.pi * np.arange(win) / win), (n - win) // 2)
        x = np.pad(x, n // 2, mode="reflect")
        return bank @ np.array([np.abs(np.fft.rfft(x[i:i + n] * window)) for i in range(0, len(x) - n + 1, hop)]).T

    def batch(self, name, x):
        s = {k: self.s[f"{name}.{k}"][:, None] for k in ("weight", "bias", "running_mean", "running_var")}
        return (x - s["running_mean"]) / np.sqrt(s["running_var"] + 1e-5) * s["weight"] + s["bias"]

    def crb(self, name, x): return self.batch(f"{name}.bn", np.maximum(0, self.conv(f"{name}.conv", x)))

    def listen(self, x):
        p = "speaker_encoder.speaker_encoder."
        x, outs = self.crb(p + "layer1", self.mel(x)), []
        for n, dilation in zip((2, 3, 4), (2, 3, 4)):
            b, was = f"{p}layer{n}.se_res2block.", x
            bands = np.split(self.crb(b + "0", x), 8)
            for i in range(7):
                if i: bands[i] = bands[i] + bands[i - 1]
                bands[i] = self.batch(f"{b}1.bns.{i}", np.maximum(0, self.conv(f"{b}1.convs.{i}", bands[i], dilation=dilation)))
            x = self.crb(b + "2", np.concatenate(bands))
            g = self.linear(b + "3.linear2", np.maximum(0, self.linear(b + "3.linear1", x.mean(1, keepdims=True))))
            x = was + x / (1 + np.exp(-g))
            outs.append(x)
        return self.perceive(np.maximum(0, self.conv(p + "conv", np.concatenate(outs))))

    def perceive(self, heard):  # [C, T] -> [D, 32]
        p = "speaker_encoder.perceiver_sampler."
        context, x = self.linear(p + "proj_context", heard), self.s[p + "latents"].T
        for i in range(2):
            b = f"{p}layers.{i}."
            q, (k, v) = self.linear(b + "0.to_q", x), np.split(self.linear(b + "0.to_kv", np.concatenate([x, context], 1)), 2)
            heads = []
            for h in range(8):
                a = np.exp(q[h * 64:h * 64 + 64].T @ k[h * 64:h * 64 + 64] / 8)
                heads.append(v[h * 64:h * 64 + 64] @ (a / a.sum(1, keepdims=True)).T)
            x = x + self.linear(b + "0.to_out", np.concatenate(heads))
            value, gate = np.split(self.linear(b + "1.0", x), 2)
            x = x + self.linear(b + "1.2", value * erf_gelu(gate))
        return x / np.sqrt((x**2).sum(0)) * np.sqrt(len(x)) * self.s[p + "norm.gamma"][:, None]

    def globals_(self, x):
        z, levels = self.linear("speaker_encoder.quantizer.project_in", self.listen(x)), self.c["speaker_encoder"]["fsq_levels"]
        index, step = 0, 1
        for row, n in zip(z, levels):
            h, off = (n - 1) * 1.001 / 2, 0 if n % 2 else .5
            index, step = index + step * (np.round(np.tanh(row + np.arctanh(off / h)) * h - off) + n // 2), step * n
        return index.astype(int)

    def vector(self, tokens):
        digits, left = [], np.asarray(tokens)
        for n in self.c["speaker_encoder"]["fsq_levels"]:
            digits.append((left % n - n // 2) / (n // 2))
            left = left // n
        return self.linear("speaker_encoder.project", self.linear("speaker_encoder.quantizer.project_out", np.array(digits)).reshape(-1, 1))[:, 0]

    def speak(self, semantic, tokens):
        d, c = self.vector(tokens), self.c["decoder"]
        x = self.conv("quantizer.out_project", self.s["quantizer.codebook.weight"][semantic].T)
        x = self.staged("prenet", self.linear("prenet.linear_pre", x))
        x = self.linear("prenet.linear", self.backbone("prenet.vocos_backbone", x, d))
        if self.c["prenet"].get("use_tanh_at_final"): x = np.tanh(x)
        snake = lambda n, y: y + np.sin(self.s[n + ".alpha"][0] * y) ** 2 / (self.s[n + ".alpha"][0] + 1e-9)
        x = self.conv("decoder.model.0", x + d[:, None])
        for i, rate in enumerate(c["rates"], 1):
            b = f"decoder.model.{i}.block."
            x = grow(snake(b + "0", x), self.weight(b + "1"), self.s[b + "1.bias"], rate)
            for j, dilation in zip((2, 3, 4), (1, 3, 9)):
                u = f"{b}{j}.block."
                x = x + self.conv(u + "3", snake(u + "2", self.conv(u + "1", snake(u + "0", x), dilation=dilation)))
        return np.tanh(self.conv(f"decoder.model.{i + 2}", snake(f"decoder.model.{i + 1}", x)))[0]


@pytest.mark.parametrize("config", [
    config_of(),
    config_of(3, mel_params=dict(sample_rate=16000, n_fft=512, win_length=400, hop_length=160, mel_fmin=50, mel_fmax=7000, num_mels=40),
              speaker_encoder=dict(input_dim=40, out_dim=44, latent_dim=72, token_num=8, fsq_levels=[8, 5, 3, 4]), decoder=dict(input_channel=44, channels=40, rates=[5, 4, 3], kernel_sizes=[11, 8, 3]))],
    ids=["published structure", "other structure"])
def test_it_is_the_mathematics_written_down_a_second_time(config):
    state = {k: v for k, v in codec_of(config, other_fill).state().items()}
    config["prenet"]["use_tanh_at_final"] = config["speaker_encoder"]["token_num"] == 8
    codec, ref, r = BiCodec.from_config(config).load_state_dict(state), Reference(state, config), np.random.RandomState(5)
    features, wav = r.normal(size=(2, 47, 31)), .2 * r.normal(size=(2, 20_000))
    semantic = codec.semantic_tokens(torch.tensor(features).float())
    globals_ = codec.global_tokens(torch.tensor(wav).float())
    for i in range(2):
        z, codes = ref.semantic(features[i])
        assert np.array_equal(semantic[i], codes) and len(set(codes)) > 3 and np.array_equal(globals_[i], ref.globals_(wav[i])) and len(set(globals_[i].tolist())) > 3
        assert np.abs(codec.encoder(torch.tensor(features[i].T[None]).float())[0].numpy() - z).max() <= 1e-5 * max(1, np.abs(z).max())
        mel = ref.mel(wav[i])
        assert (np.abs(codec.mel(torch.tensor(wav[i:i + 1]).float())[0].numpy() - mel) / mel.max()).max() <= 1e-5
        d = ref.vector(globals_[i].numpy())
        assert np.abs(codec.d_vector(globals_)[i].numpy() - d).max() <= 1e-5
        said = ref.speak(codes, globals_[i].numpy())
        assert np.abs(codec.decode(semantic, globals_)[i].numpy() - said).max() <= 1e-5 and .01 < said.std() < .9
        assert np.abs(codec.double().decode(semantic, globals_)[i].numpy() - said).max() <= 1e-7  # weight norm is folded in float32
        codec.float()


def test_names_and_shapes_are_those_of_the_published_file():
    known = json.loads((GOLDEN / "bicodec_state_dict.json").read_text())
    with torch.device("meta"): codec = BiCodec.from_config(dict(audio_tokenizer=known["config"]))
    ours = {k: list(v.shape) for k, v in codec.state().items()}
    theirs = {k: v["shape"] for k, v in known["tensors"].items()}
    unused = {k for k in theirs if k.startswith(("postnet.", "mel_transformer.")) or k == "quantizer.cluster_size" or k.split("speaker_encoder.speaker_encoder.")[-1].startswith(("pool.", "bn.", "linear."))}
    assert ours == {k: v for k, v in theirs.items() if k not in unused} and codec.reach == 67 and codec.hop == HOP and codec.codebook_size == 8192
    assert sum(np.prod(theirs[k], dtype=int) for k in ours) == sum(p.numel() for p in codec.state().values())


def test_a_batch_gives_what_each_gives_alone(golden, codec):
    for codec, wide in ((codec, 31), (golden[1], 40)):
        g, lengths, samples = torch.Generator().manual_seed(1), [90, 31, 57, 1], [30_000, 17_111, 24_000, 9_000]
        features, wav = 2 * torch.randn(4, 90, wide, generator=g) + 1, .1 * torch.randn(4, 30_000, generator=g)
        semantic, voices = codec.semantic_tokens(features, lengths), codec.global_tokens(wav, samples)
        said, at_once = codec.decode(semantic, voices, torch.tensor(lengths)), codec._wave(semantic, codec.d_vector(voices), lengths)  # one by one as on a CPU, at once as on a GPU
        assert (said - at_once).abs().max() < 1e-6
        for i, (n, m) in enumerate(zip(lengths, samples)):
            assert torch.equal(semantic[i, :n], codec.semantic_tokens(features[i:i + 1, :n])[0]) and not semantic[i, n:].any()
            assert torch.equal(voices[i], codec.global_tokens(wav[i:i + 1, :m])[0])
            assert (said[i, :n * HOP] - codec.decode(semantic[i:i + 1, :n], voices[i:i + 1])[0]).abs().max() < 1e-6 and not said[i, n * HOP:].any()
        assert not torch.equal(codec.semantic_tokens(features)[1, :31], semantic[1, :31])  # without lengths the tail hears the padding
        assert (codec.decode(semantic, voices[:1]) - codec.decode(semantic, voices[:1].expand(4, -1))).abs().max() < 1e-6  # one voice for all
        assert not codec.decode(semantic, voices, [90, 0, 57, 1])[1].any()


def test_a_stream_is_the_whole_at_the_published_depth():
    config = config_of(12)
    codec, g = codec_of(config, other_fill).double(), torch.Generator().manual_seed(2)
    ids, voice = torch.randint(190, (330,), generator=g), torch.randint(4096, (32,), generator=g)
    whole = codec.decode(ids[None], voice[None])[0]
    assert codec.reach == 67
    for cut in ([25] * 13 + [5], [330], [1, 1, 200, 3, 70, 55], [100, 0, 130, 100]):
        parts = list(codec.stream(ids.split(cut), voice))
        assert torch.cat(parts).shape == whole.shape and (torch.cat(parts) - whole).abs().max() < 1e-12 and all(len(p) % HOP == 0 for p in parts)
    first = next(codec.stream(iter([ids[:25].tolist(), ids[25:50].tolist(), ids[50:].tolist()]), voice[None]))
    assert len(first) == (330 - 67) * HOP  # nothing before 67 more are known
    error = [float((torch.cat(list(codec.stream(ids.split(25), voice, look))) - whole).abs().max()) for look in (0, 10, 60)]
    assert error[0] > error[1] > error[2]  # fewer tokens ahead: the same length, not the same samples
    assert [len(p) for p in codec.stream(ids.split(25), voice, 0)] == [25 * HOP] * 13 + [5 * HOP]
    assert list(codec.stream([], voice)) == [] and list(codec.stream([[]], voice)) == []
    short = torch.cat(list(codec.stream([ids[:3]], voice)))
    assert torch.allclose(short, codec.decode(ids[None, :3], voice[None])[0], atol=1e-12)


def test_a_sample_depends_on_67_tokens_on_each_side_and_no_more():
    codec = codec_of(config_of(12), other_fill)
    codec.quantizer.codebook.weight[189] = float("nan")
    ids = torch.zeros(1, 300, dtype=int)
    ids[0, 150] = 189
    lost = codec.decode(ids, torch.zeros(1, 32, dtype=int)).isnan().view(300, HOP).any(1)
    assert lost.nonzero()[:, 0].tolist() == list(range(150 - 67, 150 + 68))


def test_speech_depends_on_what_is_said_and_on_who_says_it(codec):
    g = torch.Generator().manual_seed(1)
    (a, b), (v, w) = torch.randint(190, (2, 1, 60), generator=g), torch.randint(4096, (2, 1, 32), generator=g)
    said = codec.decode(a, v)
    assert .02 < said.std() < .5 and min((said - codec.decode(b, v)).std(), (said - codec.decode(a, w)).std()) > .3 * said.std()


def test_autocast_around_it_changes_nothing_and_fast_changes_little(codec):
    g = torch.Generator().manual_seed(3)
    features, wav, voice = torch.randn(1, 80, 31, generator=g), .1 * torch.randn(1, 32_000, generator=g), torch.randint(4096, (1, 32), generator=g)
    run = lambda: (codec.semantic_tokens(features), codec.global_tokens(wav), codec.decode(codec.semantic_tokens(features), voice))
    plain = run()
    with torch.autocast("cpu", torch.bfloat16): assert all(torch.equal(a, b) for a, b in zip(plain, run()))
    try:
        codec.fast = True
        quick = run()
    finally: codec.fast = False
    assert torch.equal(quick[0], plain[0]) and torch.equal(quick[1], plain[1]) and quick[2].dtype == torch.float32
    assert 0 < float((quick[2] - plain[2]).std() / plain[2].std()) < .1


def test_a_folder_is_written_and_read(codec, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(dict(audio_tokenizer=codec.config)))
    extra = {"postnet.linear.weight": torch.ones(2, 2), "quantizer.cluster_size": torch.ones(190), "mel_transformer.spectrogram.window": torch.ones(640), "speaker_encoder.speaker_encoder.linear.bias": torch.ones(3)}
    save_file(codec.state() | extra, tmp_path / "model.safetensors")
    again = BiCodec.load(tmp_path)
    ids, voice = torch.arange(40)[None], torch.arange(32)[None]
    assert torch.allclose(again.decode(ids, voice), codec.decode(ids, voice), atol=1e-6) and again.config == codec.config and again.device.type == "cpu"
    assert not again.training and not any(p.requires_grad for p in again.parameters()) and again.to("cpu") is again


def test_weights_are_taken_under_any_of_their_names_and_refused_by_name(codec):
    state, ids, voice = codec.state(), torch.arange(40)[None], torch.arange(32)[None]
    renamed = {k.replace(".weight_g", ".parametrizations.weight.original0").replace(".weight_v", ".parametrizations.weight.original1"): v for k, v in state.items()}
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    for names, far in ((renamed, 1e-6), (codec.state_dict(), 1e-6), (half, .05)):
        other = BiCodec.from_config(codec.config).load_state_dict(names)
        assert (other.decode(ids, voice) - codec.decode(ids, voice)).abs().max() <= far and next(other.parameters()).dtype == torch.float32
    without = lambda name: {k: v for k, v in state.items() if k != name}
    name = "decoder.model.1.block.1"
    for wrong, says in (
        (without("prenet.linear.bias"), "lack prenet.linear.bias"), (without(f"{name}.weight_g"), f"{name}.weight_v"), (without(f"{name}.weight_v"), f"{name}.weight_g has no"),
        (state | {"prenet.extra": torch.ones(1)}, "prenet.extra"), (state | {"encoder.project.bias": torch.ones(3)}, r"encoder.project.bias is \[3\]"),
        (state | {f"{name}.weight_g": torch.ones(1, 24, 1)}, f"{name}.weight_g is"), (without("decoder.model.0.weight_v") | {"decoder.model.0.weight_v": torch.ones(48, 44, 5)}, "decoder.model.0.weight_v is")):
        with pytest.raises(VoiceError, match=says) as e: BiCodec.from_config(codec.config).load_state_dict(wrong)
        assert "\n" not in str(e.value)


def test_a_folder_that_lacks_or_breaks_a_file_is_told(codec, tmp_path):
    with pytest.raises(VoiceError, match="lacks config.yaml"): BiCodec.load(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(codec.config))
    with pytest.raises(VoiceError, match="lacks model.safetensors"): BiCodec.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(VoiceError, match="cannot be read") as e: BiCodec.load(tmp_path)
    save_file({k: v for k, v in codec.state().items() if "latents" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(VoiceError, match="latents") as e: BiCodec.load(tmp_path)
    assert str(tmp_path) in str(e.value) and "\n" not in str(e.value)
    for text, says in (("a: [", "cannot be read"), ("- 1", "no 'mel_params'"), (yaml.safe_dump(codec.config | dict(encoder=dict(input_channels=3))), "BiCodec config")):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(VoiceError, match=says) as e: BiCodec.load(tmp_path)
        assert "\n" not in str(e.value)


def test_a_config_it_cannot_be_is_refused(codec):
    for part, change in (("encoder", dict(sample_ratios=[2, 1])), ("speaker_encoder", dict(fsq_num_quantizers=2)), ("quantizer", dict(input_dim=50)), ("prenet", dict(condition_dim=40)),
                         ("decoder", dict(kernel_sizes=[16, 10, 8, 4])), ("speaker_encoder", dict(input_dim=80)), ("decoder", dict(unheard=1))):
        with pytest.raises(VoiceError, match="BiCodec config"): BiCodec.from_config(codec.config | {part: codec.config[part] | change})


def test_tokens_that_no_voice_has_are_refused(codec):
    ids, voice = torch.zeros(1, 9, dtype=int), torch.zeros(1, 32, dtype=int)
    for call, says in (
        (lambda: codec.decode(ids + 190, voice), "0 to 189"), (lambda: codec.decode(ids - 1, voice), "0 to 189"), (lambda: codec.decode(ids, voice + 4096), "0 to 4095"), (lambda: codec.decode(ids, voice[:, :31]), "exactly 32"),
        (lambda: codec.decode(ids, voice.expand(2, -1)), "2 voices for 1"), (lambda: codec.decode(ids[0], voice), "batch, time"), (lambda: codec.decode(ids[:, :0], voice), "at least one"),
        (lambda: codec.d_vector([3, 1, 2]), "exactly 32"), (lambda: next(codec.stream([ids], voice, -1)), "look-ahead"), (lambda: next(codec.stream([[200]], voice)), "0 to 189"),
        (lambda: codec.global_tokens(torch.zeros(1, 300)), "too short")):
        with pytest.raises(VoiceError, match=says): call()
