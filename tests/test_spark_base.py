"The base of Spark-TTS: its ids, its folder, what is refused, what a voice folder holds, and the rows of ids that it learns from"
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import voicenb  # noqa: F401  (before transformers)
from voicenb.core.packages import ModelError
from voicenb.voices import spark_base as sb
from voicenb.voices import spark_format as sf
from voicenb.voices import spark_vocabulary as sv
from voicenb.voices.voice import VoiceError

IDS = dict(  # as published: first and last of a family, or the one
    globals_=(151665, 155760), semantic=(155761, 163952), pitch_value=(163953, 164953), pitch_var_value=(164954, 164964), pitch_label=(164965, 164969), pitch_var_label=(164970, 164974),
    speed_value=(164975, 164985), speed_label=(164986, 164990), loudness_value=(164991, 165021), loudness_label=(165022, 165026), age=(165027, 165031), gender=(165032, 165034), emotion=(165035, 165135),
    task_vc=165136, task_tts=165137, task_asr=165138, task_s2s=165139, task_t2s=165140, task_cap=165141, task_understand=165142, task_controllable_tts=165143, task_prompt_tts=165144, task_edit=165145,
    start_content=165146, end_content=165152, start_style_label=165147, end_style_label=165153, start_style_prompt=165148, end_style_prompt=165154, start_acoustic=165149, end_acoustic=165155,
    start_global=165150, end_global=165156, start_semantic=165151, end_semantic=165157, im_end=151645, endoftext=151643, size=165158)


@pytest.fixture(scope="module")
def base(tmp_path_factory): return sb.blank(tmp_path_factory.mktemp("spark") / "base")


@pytest.fixture(scope="module")
def tokenizer(base): return sb.load_tokenizer(base)


@pytest.fixture(scope="module")
def voc(tokenizer): return sb.vocabulary(tokenizer)


@pytest.fixture
def copy(base, tmp_path): return Path(shutil.copytree(base, tmp_path / "copy"))


def line(e):
    "The message of an error, which is one line"
    assert "\n" not in str(e.value) and len(str(e.value)) > 20
    return str(e.value)


# ---------------------------------------------------------------- ids

def test_published_ids_and_a_tokenizer_of_that_size(tmp_path):
    "Numbers written down here, the ids from the order of the families, and those looked up in a tokenizer are one"
    found = sv.vocabulary(sv.blank_tokenizer(tmp_path, sv.TEXT, 8192))
    assert found == sv.published() and set(found._fields) == set(IDS)
    for name, ids in IDS.items(): assert getattr(found, name) == (range(ids[0], ids[1] + 1) if isinstance(ids, tuple) else ids), name
    again = sb.load_tokenizer(tmp_path)
    assert again.encode("<|bicodec_semantic_8191|><|end_semantic_token|>").ids == [163952, 165157] and sv.vocabulary(again) == found


def test_another_order_or_another_model_is_one_line(tmp_path, base):
    where = tmp_path / "LLM"
    shutil.copytree(base / "LLM", where)
    data = json.loads((where / "tokenizer.json").read_text())
    def with_names(change, n=None):
        (where / "tokenizer.json").write_text(json.dumps(data | dict(added_tokens=[t | dict(content=change(t["content"])) for t in data["added_tokens"][:n]])))
        with pytest.raises(ModelError) as e: sv.vocabulary(sb.load_tokenizer(tmp_path))
        return line(e)
    swap = {"<|bicodec_semantic_3|>": "<|bicodec_semantic_4|>", "<|bicodec_semantic_4|>": "<|bicodec_semantic_3|>"}
    assert "bicodec_semantic_0|> to <|bicodec_semantic_2" in with_names(lambda t: swap.get(t, t))
    assert "no <|task_tts|>" in with_names(lambda t: t.replace("task_tts", "task_xyz"))
    assert "no <|bicodec_global_0|>" in with_names(lambda t: t, 22)  # Qwen itself


def test_moved_ids_of_the_published_size(tmp_path):
    class Shifted:
        def __init__(self, inner): self.inner = inner
        def get_vocab(self): return {k: v + 1 for k, v in self.inner.get_vocab().items()}
    with pytest.raises(ModelError) as e: sv.vocabulary(Shifted(sv.blank_tokenizer(tmp_path, sv.TEXT, 8192)))
    assert "globals_ at range(151666" in line(e)


# ---------------------------------------------------------------- a blank base

def test_a_blank_base_is_the_same_every_time(base, tmp_path):
    same, other = sb.blank(tmp_path / "same"), sb.blank(tmp_path / "other", seed=1)
    files = lambda home: {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    a, b, c = files(base), files(same), files(other)
    assert a == b and sorted(k for k in a if a[k] != c[k]) == ["BiCodec/model.safetensors", "LLM/model.safetensors", f"{sb.EARS}/model.safetensors"]
    assert sum(map(len, a.values())) < 40e6 and not any(k.endswith(".bin") for k in a)


def test_its_parts_can_be_of_other_sizes(tmp_path):
    home = sb.blank(tmp_path / "odd", dict(llm=dict(num_hidden_layers=3), codec=dict(codes=128, layers=1), ears=dict(hidden_size=32)))
    assert sb.load_llm(home).config.num_hidden_layers == 3 and len(sb.vocabulary(sb.load_tokenizer(home)).semantic) == 128 and sb.check(home) == []


def test_published_loaders_read_it(base, tokenizer, voc):
    "transformers' own classes, given the folders alone, read what ours read; every tensor finds its place"
    from transformers import AutoModelForCausalLM, AutoTokenizer, Wav2Vec2Model
    text = "How many people? <|task_tts|><|bicodec_semantic_17|> كم 23's"
    assert AutoTokenizer.from_pretrained(base / "LLM")(text).input_ids == tokenizer.encode(text).ids
    theirs, ours = AutoModelForCausalLM.from_pretrained(base / "LLM", dtype=torch.float32).eval(), sb.load_llm(base, "cpu")
    ids = torch.tensor([[voc.task_tts, 5, 9]])
    with torch.no_grad(): assert torch.equal(theirs(ids).logits, ours(ids).logits)
    assert ours.config.rope_parameters["rope_theta"] == 1e6 and ours.dtype == torch.float32 and ours.lm_head.weight is ours.model.embed_tokens.weight
    _, told = Wav2Vec2Model.from_pretrained(base / sb.EARS, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]


def test_its_codec_makes_a_sound_and_tokens_that_differ(base):
    from voicenb.voices.spark_codec import BiCodec
    codec = BiCodec.load(base / "BiCodec")
    rng = np.random.default_rng(0)
    wav = codec.decode(torch.from_numpy(rng.integers(0, 256, (1, 100))), torch.from_numpy(rng.integers(0, 4096, (1, 32))))
    assert wav.shape == (1, 32_000) and .02 < float(wav.std()) < .5 and float(wav.abs().max()) < 1
    t = np.arange(96_000) / 16_000
    high, low = (torch.tensor(.3 * np.sin(2 * np.pi * f * t), dtype=torch.float32)[None] for f in (300, 2500))
    assert (codec.global_tokens(high) != codec.global_tokens(low)).any()


def test_a_cutting_tokenizer_does_not_cut(copy, tokenizer):
    data = json.loads((copy / "LLM" / "tokenizer.json").read_text())
    data["truncation"] = dict(direction="Right", max_length=2, strategy="LongestFirst", stride=0)
    (copy / "LLM" / "tokenizer.json").write_text(json.dumps(data))
    assert sb.load_tokenizer(copy).encode("how many people would go").ids == tokenizer.encode("how many people would go").ids


# ---------------------------------------------------------------- folders that are refused

@pytest.mark.parametrize("name", [f.split("|")[0] for f in sb.FILES])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError) as e: sb.folder(copy)
    assert name in line(e) and sb.check(copy) == [str(e.value)]


@pytest.mark.parametrize("part", ["LLM", "BiCodec"])
def test_a_pickle_is_refused_by_its_name(copy, part):
    (copy / part / "model.safetensors").rename(copy / part / "pytorch_model.bin")
    with pytest.raises(ModelError) as e: sb.folder(copy)
    assert f"{part}/pytorch_model.bin is not read" in line(e)


def test_a_missing_shard_is_named(copy):
    (copy / "LLM" / "model.safetensors").rename(copy / "LLM" / "model-00001-of-00002.safetensors")
    (copy / "LLM" / "model.safetensors.index.json").write_text(json.dumps(dict(weight_map={"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"})))
    with pytest.raises(ModelError) as e: sb.folder(copy)
    assert line(e).count("of-00002") == 1 and "LLM/model-00002-of-00002" in str(e.value)


def test_nothing_there(tmp_path):
    for what in (tmp_path / "none", "none", "./none"):
        with pytest.raises(ModelError) as e: sb.folder(what)
        assert "no such folder" in line(e)


def test_the_hub_by_commit_and_no_hub(base, tmp_path):
    "A commit that the cache holds needs no network, and its licence is said; without network the error is one line"
    commit = "0123456789abcdef" * 2 + "01234567"
    shutil.copytree(base, tmp_path / "hub" / "models--ana--spark" / "snapshots" / commit)
    (tmp_path / "hub" / "models--ana--spark" / "refs").mkdir()
    code = ("from voicenb.voices import spark_base as sb\nfrom voicenb.core.packages import ModelError\nimport sys\n"
            "print(sb.revision(sys.argv[1]))\ntry: print(sb.folder(sys.argv[1]).name)\nexcept ModelError as e: print('ERROR', e)")
    env = dict(os.environ, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    env.pop("HF_TOKEN", None)
    say = lambda what: subprocess.run([sys.executable, "-c", code, what], env=env, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    found = say(f"ana/spark@{commit}")
    assert found[0] == f"ana/spark@{commit}" and found[-1] == commit and sb.LICENCE in found[1] and "not for commercial use" in found[1]
    lost = say(f"ana/other@{commit}")
    assert len(lost) == 2 and lost[1].startswith("ERROR ana/other")


def test_revision_follows_the_weights_and_nothing_else(copy):
    before = sb.revision(copy)
    (copy / "training").mkdir()
    (copy / "training" / "note").write_text("x")
    (copy / "voice.json").write_text("{}")
    assert sb.revision(copy) == before == sb.revision(str(copy))
    data = bytearray((copy / "LLM" / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "LLM" / "model.safetensors").write_bytes(data)
    assert sb.revision(copy) != before


def test_damaged_language_models(copy):
    from safetensors.torch import load_file, save_file
    path, good = copy / "LLM" / "model.safetensors", load_file(copy / "LLM" / "model.safetensors")
    def fails(state=None, data=b""):
        save_file(state, path, metadata=dict(format="pt")) if state else path.write_bytes(data)
        with pytest.raises(ModelError) as e: sb.load_llm(copy)
        return line(e)
    assert "lack model.layers.1.mlp.up_proj.weight" in fails({k: v for k, v in good.items() if k != "model.layers.1.mlp.up_proj.weight"})
    assert "cannot load" in fails(good | {"model.norm.weight": torch.ones(7)})
    assert "cannot load" in fails(data=b"\x07" * 500)
    (copy / "LLM" / "config.json").write_text('{"model_type": "llama"}')
    assert "'llama'" in fails(good)
    (copy / "LLM" / "config.json").write_text("no json")
    assert "LLM/config.json" in fails(good)


def test_parts_of_different_models(copy, tmp_path):
    from safetensors.torch import load_file, save_file
    other = sb.blank(tmp_path / "other", dict(codec=dict(codes=128), ears=dict(hidden_size=32)))
    for name in ("config.yaml", "model.safetensors"): shutil.copy(other / "BiCodec" / name, copy / "BiCodec" / name)
    found = sb.check(copy)
    assert len(found) == 2 and "128 codes for 256" in found[0] and "48 numbers" in found[1]
    state = load_file(copy / "LLM" / "model.safetensors")
    save_file(state | {"model.norm.weight": torch.full_like(state["model.norm.weight"], float("nan"))}, copy / "LLM" / "model.safetensors", metadata=dict(format="pt"))
    assert any("not finite" in s for s in sb.check(copy))
    for part in ("BiCodec", sb.EARS): (copy / part / "model.safetensors").write_bytes(b"\x09" * 99)
    found = sb.check(copy)
    assert len(found) == 3 and all("\n" not in s for s in found) and sum("BiCodec" in s for s in found) == sum(sb.EARS in s for s in found) == 1
    with pytest.raises(VoiceError, match="tiny, small, real"): sb.blank(tmp_path / "x", "huge")


# ---------------------------------------------------------------- voice folders

def trained(base):
    llm = sb.load_llm(base, "cpu")
    with torch.no_grad(): llm.model.norm.weight.mul_(1.5)
    return llm


def test_a_voice_is_a_base_with_other_weights(base, tokenizer, tmp_path):
    llm, out = trained(base), tmp_path / "voice"
    (out / "training").mkdir(parents=True)
    (out / "training" / "kept").write_text("x")
    sb.write(out, llm, tokenizer, base, info=dict(backend="spark"), tensors=dict(speaker=np.arange(32)))
    assert sb.check(out) == [] and sb.folder(out) == out and (out / "training" / "kept").exists() and not list(out.glob(".*"))
    assert {k: torch.equal(v, sb.load_llm(out, "cpu").state_dict()[k]) for k, v in llm.state_dict().items()} == dict.fromkeys(llm.state_dict(), True)
    for name in ("LLM/config.json", "LLM/tokenizer.json", "BiCodec/model.safetensors"): assert os.path.samefile(base / name, out / name)
    assert json.loads((out / "LLM" / "config.json").read_text())["rope_theta"] == 1e6  # where every transformers looks for it
    assert json.loads((out / "token_map.json").read_text())["semantic"] == [4630, 256] and "NonCommercial" in (out / "LICENCE").read_text()
    size = (out / "LLM" / "model.safetensors").stat()
    assert size.st_mode & 0o044 and size.st_nlink == 1


def test_a_voice_written_onto_itself_and_from_shards(base, tokenizer, tmp_path):
    from safetensors.torch import load_file, save_file
    home, out = Path(shutil.copytree(base, tmp_path / "shards")), tmp_path / "voice"
    state = load_file(home / "LLM" / "model.safetensors")
    halves = {f"model-0000{i + 1}-of-00002.safetensors": dict(list(state.items())[i::2]) for i in range(2)}
    for name, half in halves.items(): save_file(half, home / "LLM" / name, metadata=dict(format="pt"))
    (home / "LLM" / "model.safetensors").unlink()
    (home / "LLM" / "model.safetensors.index.json").write_text(json.dumps(dict(metadata={}, weight_map={k: n for n, half in halves.items() for k in half})))
    (home / "LLM" / "optimizer.pt").write_bytes(b"left by a trainer")
    sb.write(out, trained(home), tokenizer, home)
    assert sorted(p.name for p in (out / "LLM").glob("*.safetensors*")) == ["model.safetensors"] and not (out / "LLM" / "optimizer.pt").exists()
    sb.write(out, trained(out), tokenizer, out, info={})
    assert sb.check(out) == [] and not list(out.glob(".*"))
    assert float(sb.load_llm(out, "cpu").model.norm.weight.detach().mean()) == pytest.approx(2.25)
    sb.write(home, trained(home), tokenizer, home)  # over the shards themselves
    assert sb.check(home) == [] and not (home / "LLM" / "model.safetensors.index.json").exists()


def test_another_base_than_the_trained_one(base, tokenizer, tmp_path):
    llm = trained(base)
    deeper, coarser = sb.blank(tmp_path / "deeper", dict(llm=dict(num_hidden_layers=3))), sb.blank(tmp_path / "coarser", dict(codec=dict(codes=128)))
    with pytest.raises(ModelError) as e: sb.write(tmp_path / "v", llm, tokenizer, deeper)
    assert "num_hidden_layers is 3" in line(e)
    with pytest.raises(ModelError) as e: sb.write(tmp_path / "v", llm, tokenizer, coarser)
    assert "tokenizer" in line(e) and not (tmp_path / "v").exists()


FULL = """
import resource, signal, sys, torch
from voicenb.voices import spark_base as sb
from voicenb.voices.voice import VoiceError
out, base = sys.argv[1:]
llm = sb.load_llm(base, "cpu")
with torch.no_grad(): llm.model.norm.weight.mul_(9)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try: sb.write(out, llm, sb.load_tokenizer(base), base, info=dict(backend="other"))
except VoiceError as e: print(e)
"""


def test_a_full_disk_leaves_the_earlier_voice(base, tokenizer, tmp_path):
    out = sb.write(tmp_path / "voice", trained(base), tokenizer, base, info=dict(backend="spark"))
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    said = subprocess.run([sys.executable, "-c", FULL, out, base], capture_output=True, text=True, check=True).stdout.strip()
    assert "cannot be written" in said and "\n" not in said
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


# ---------------------------------------------------------------- rows of ids

@pytest.fixture(scope="module")
def clip(voc):
    rng = np.random.default_rng(0)
    return rng.integers(0, len(voc.semantic), 70).astype(np.int16), rng.integers(0, 4096, 32).astype(np.int16)


HOW = dict(gender="male", pitch="very_low", speed="high", pitch_value=210, speed_value=5)
BODY = {  # as Spark-TTS and unsloth write them; ^ is where the loss begins
    "spark": "<|task_tts|><|start_content|>{text}<|end_content|><|start_global_token|>{G}<|end_global_token|>^<|start_semantic_token|>{S}<|im_end|>",
    "control": "<|task_controllable_tts|><|start_content|>{text}<|end_content|><|start_style_label|><|gender_1|><|pitch_label_0|><|speed_label_3|><|end_style_label|>^<|start_acoustic_token|>"
               "<|pitch_value_210|><|speed_value_5|><|end_acoustic_token|><|start_global_token|>{G}<|end_global_token|><|start_semantic_token|>{S}<|im_end|>",
    "unsloth": "^<|task_tts|><|start_content|>Sam: {text}<|end_content|><|start_global_token|>{G}<|end_global_token|><|start_semantic_token|>{S}<|end_semantic_token|><|im_end|>"}


def only(format): return dict(source="Sam") if format == "unsloth" else dict(attributes=HOW) if format == "control" else {}


@pytest.mark.parametrize("format", sf.FORMATS)
@pytest.mark.parametrize("text", ["How many people, he said?", "كم من الناس", "  x "])
def test_a_row_is_the_written_one(voc, tokenizer, clip, format, text):
    "Ids put together are those that the tokenizer reads in the whole string; the loss begins at ^"
    ids, labels = sf.sample(voc, tokenizer, text, *clip, format, **only(format))
    fill = dict(text=text.strip(), G="".join(f"<|bicodec_global_{g}|>" for g in clip[1]), S="".join(f"<|bicodec_semantic_{s}|>" for s in clip[0]))
    given, made = (tokenizer.encode(part.format(**fill), add_special_tokens=False).ids for part in BODY[format].split("^"))
    assert ids.tolist() == given + made and labels.tolist() == [-100] * len(given) + made and ids.dtype == labels.dtype == np.int64


def test_a_prompt_is_the_beginning_of_a_row(voc, tokenizer, clip):
    semantic, globals_ = clip
    row = {f: sf.sample(voc, tokenizer, "how many", *clip, f, **only(f))[0].tolist() for f in sf.FORMATS}
    begins = lambda p, f: row[f][:len(p)] == p.tolist() and row[f][len(p)]
    ask = {k: HOW[k] for k in ("gender", "pitch", "speed")}
    assert begins(sf.prompt(voc, tokenizer, "how many", globals_), "spark") == voc.start_semantic
    assert begins(sf.prompt(voc, tokenizer, "how many", format="control", attributes=ask), "control") == voc.start_acoustic
    assert begins(sf.prompt(voc, tokenizer, "how many", format="unsloth", source="Sam"), "unsloth") == voc.globals_[globals_[0]]
    assert begins(sf.prompt(voc, tokenizer, "how many", globals_, "unsloth", source="Sam"), "unsloth") == voc.start_semantic
    for before, text, whole in (("How many.", "People go.", "How many. People go."), ("你好。", "再见", "你好。再见"), ("hello", "再见", "hello再见"), ("سلام", "يا", "سلام يا")):
        long = sf.prompt(voc, tokenizer, text, globals_, prompt_text=before, prompt_semantic=semantic)
        assert long.tolist() == sf.sample(voc, tokenizer, whole, semantic, globals_)[0].tolist()[:-1]


def test_transformers_tokenizer_gives_the_same_row(base, voc, tokenizer, clip):
    from transformers import AutoTokenizer
    theirs = AutoTokenizer.from_pretrained(base / "LLM")
    assert sb.vocabulary(theirs) == voc
    assert sf.sample(voc, theirs, "how many", *clip)[0].tolist() == sf.sample(voc, tokenizer, "how many", *clip)[0].tolist()
    assert sf.split_ratio(theirs, "كم من") == sf.split_ratio(tokenizer, "كم من") == pytest.approx(9 / 5)


def test_the_limit_refuses_and_never_cuts(voc, tokenizer, clip):
    semantic = lambda n: np.zeros(n, np.int16)
    around = len(sf.sample(voc, tokenizer, "how many", semantic(1), clip[1])[0]) - 1
    assert len(sf.sample(voc, tokenizer, "how many", semantic(sf.LIMIT - around), clip[1])[0]) == sf.LIMIT == 1500
    with pytest.raises(sf.TooLong) as e: sf.sample(voc, tokenizer, "how many", semantic(sf.LIMIT - around + 1), clip[1])
    assert line(e).startswith("1501 tokens")
    with pytest.raises(sf.TooLong): sf.prompt(voc, tokenizer, "Ж" * 800, clip[1])
    assert len(sf.sample(voc, tokenizer, "how many", semantic(3000), clip[1], most=4000)[0]) == 3000 + around


WRONG = {  # what is wrong -> arguments of `sample`, word of the message
    "no text": (dict(text=""), "empty"), "blank text": (dict(text=" \n "), "empty"), "not a text": (dict(text=None), "empty"),
    "an end in the text": (dict(text="so<|im_end|>"), "<|im_end|>"), "a token in the text": (dict(text="<|bicodec_semantic_1|>"), "bicodec_semantic_1"),
    "Qwen's own mark": (dict(text="a <tool_call> b"), "<tool_call>"),
    "3 globals": (dict(globals_=np.arange(3)), "3 global tokens, not 32"), "a global too high": (dict(globals_=np.full(32, 4096)), "4096"),
    "a negative code": (dict(semantic=np.array([1, -2])), "-2"), "a code too high": (dict(semantic=np.array([256])), "256"),
    "no speech": (dict(semantic=np.array([], np.int16)), "no semantic"), "fractions": (dict(semantic=np.array([1.5])), "whole numbers"),
    "another format": (dict(format="axolotl"), "axolotl"), "a name in format spark": (dict(source="Sam"), "Sam"), "attributes in format spark": (dict(attributes=HOW), "attributes"),
    "no gender": (dict(format="control", attributes=dict(pitch_value=1, speed_value=1)), "female, male"),
    "a level": (dict(format="control", attributes=HOW | dict(pitch="shrill")), "very_low, low"),
    "an attribute": (dict(format="control", attributes=HOW | dict(mood="glad")), "mood"),
    "no value": (dict(format="control", attributes=dict(gender="male")), "pitch_value"), "a value": (dict(format="control", attributes=HOW | dict(speed_value=11)), "11")}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_sample_is_one_line(voc, tokenizer, clip, what):
    how, word = WRONG[what]
    with pytest.raises(VoiceError) as e: sf.sample(voc, tokenizer, **dict(text="how many", semantic=clip[0], globals_=clip[1]) | how)
    assert word in line(e)


@pytest.mark.parametrize("how, word", [(dict(), "32 global tokens"), (dict(globals_=np.zeros(32, int), prompt_text="so"), "belong together"), (dict(globals_=np.zeros(32, int), prompt_semantic=[1]), "belong together"),
                                       (dict(format="control", attributes=dict(gender="male"), globals_=np.zeros(32, int)), "makes its own voice"), (dict(globals_=np.zeros(31, int)), "31"),
                                       (dict(format="unsloth", prompt_text="so", prompt_semantic=[1]), "32 global tokens"), (dict(globals_=np.zeros(32, int), text=""), "empty"),
                                       (dict(globals_=np.zeros(32, int), text=" ", prompt_text="so", prompt_semantic=[1]), "empty")])
def test_a_wrong_prompt_is_one_line(voc, tokenizer, how, word):
    with pytest.raises(VoiceError) as e: sf.prompt(voc, tokenizer, **dict(text="how many") | how)
    assert word in line(e)


def test_a_script_that_falls_apart_is_said(tokenizer):
    assert sf.warn_script(tokenizer, "How many people would go by water?") == "" == sf.warn_script(tokenizer, []) == sf.warn_script(tokenizer, "")
    said = sf.warn_script(tokenizer, ["ሰላም ለዓለም", "እንዴት ነህ"])
    ratio = len(tokenizer.encode("ሰላም ለዓለም እንዴት ነህ").ids) / len("ሰላም ለዓለም እንዴት ነህ")
    assert ratio > 2 and f"{ratio:.2f} tokens a character" in said and "\n" not in said
