"Folders of models with random weights in their real layouts: what loads them is the code that loads the published ones"
from pathlib import Path

ECAPA = """# Feature parameters
n_mels: 80

# Pretrain folder (HuggingFace)
pretrained_path: speechbrain/spkrec-ecapa-voxceleb

# Output parameters
out_n_neurons: {speakers}

# Model params
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>

mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False

embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [{c}, {c}, {c}, {c}, {c3}]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 128
    lin_neurons: 192

classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 192
    out_neurons: !ref <out_n_neurons>

mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False

modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def ecapa_folder(path: Path,  # where to write it
                 seed: int = 0,
                 channels: int = 1024,  # 1024 is the published size, 20.8 M parameters
                 speakers: int = 10,  # outputs of the classifier; 7205 in the published one
                 ) -> Path:
    "`spkrec-ecapa-voxceleb` with random weights: hyperparams.yaml, three .ckpt and label_encoder.txt, each written by speechbrain's own savers"
    import torch
    import voicenb  # noqa: F401  a torchaudio that loads
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
    from speechbrain.processing.features import InputNormalization
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / "hyperparams.yaml").write_text(ECAPA.format(c=channels, c3=3 * channels, speakers=speakers))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = ECAPA_TDNN(80, channels=[channels] * 4 + [3 * channels], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1], attention_channels=128, lin_neurons=192)
        for name, b in net.named_buffers():  # batch norms that have seen something, as in a trained model
            if name.endswith("running_mean"): b.normal_(.3, .2)
            if name.endswith("running_var"): b.uniform_(.3, 1.)
        for name, w in net.named_parameters():  # and that learnt to turn a few channels around
            if "norm.norm.weight" in name: w.data.normal_(.8, .4)
        torch.save(net.state_dict(), path / "embedding_model.ckpt")
        torch.save(Classifier(192, out_neurons=speakers).state_dict(), path / "classifier.ckpt")
        norm = InputNormalization(norm_type="global", std_norm=False)
        norm(torch.randn(4, 20, 192), torch.ones(4))
        norm._save(path / "mean_var_norm_emb.ckpt")
    labels = CategoricalEncoder()
    labels.update_from_iterable([f"id{10001 + k}" for k in range(speakers)])
    labels.save(path / "label_encoder.txt")
    return path


def whisper_folder(path: Path,  # where to write it
                   seed: int = 0,
                   width: int = 32, layers: int = 2,  # 768 and 12 are the size of whisper-small
                   vocabulary: int = 2_000,  # words; 50,257 in the published one
                   english: bool = False,  # a model without languages
                   quantization: str = "int8",
                   ) -> Path:
    "A Whisper with random weights as CTranslate2 holds it, converted by CTranslate2's own converter; its special tokens are the published one's, its words are syllables"
    import itertools
    import shutil
    import torch
    import voicenb  # noqa: F401  a torchaudio that loads
    from ctranslate2.converters import TransformersConverter
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from voicenb.core.asr import WHISPER
    path = Path(path)
    raw = path.with_name(f"{path.name}-torch")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    made = (a + "".join(s) for a in ("Ġ", "") for n in (1, 2, 3) for s in itertools.product(syllables, repeat=n))
    words = [*letters, *itertools.islice(made, vocabulary - 1 - len(letters)), *([] if english else [""])]  # the empty word is how CTranslate2 knows a multilingual one
    special = ["<|endoftext|>", "<|startoftranscript|>", *([] if english else [f"<|{c}|>" for c in WHISPER]), "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
               "<|nospeech|>", "<|notimestamps|>", *(f"<|{i * .02:.2f}|>" for i in range(1501))]
    t = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[]))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True) for s in special])
    end, start, size = t.token_to_id(special[0]), t.token_to_id(special[1]), t.get_vocab_size()
    PreTrainedTokenizerFast(tokenizer_object=t, bos_token=special[0], eos_token=special[0], unk_token=special[0]).save_pretrained(raw)
    WhisperFeatureExtractor().save_pretrained(raw)
    heads = max(2, width // 64)
    config = WhisperConfig(vocab_size=size, d_model=width, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
                           decoder_ffn_dim=4 * width, bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start, suppress_tokens=None, begin_suppress_tokens=[end],
                           init_std=.2 if width < 256 else .02)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WhisperForConditionalGeneration(config)
        for rows in (slice(0, len(letters)), slice(t.token_to_id("<|0.00|>"), None)): model.model.decoder.embed_tokens.weight.data[rows] *= .3  # syllables come first, as words do
    model.generation_config._from_model_config = False
    if not english: model.generation_config.lang_to_id = {f"<|{c}|>": t.token_to_id(f"<|{c}|>") for c in WHISPER}
    model.save_pretrained(raw)
    TransformersConverter(str(raw), copy_files=["tokenizer.json", "preprocessor_config.json"]).convert(str(path), quantization=quantization, force=True)
    shutil.rmtree(raw)
    return path


LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")  # in the order of wav2vec2-base-960h


def wav2vec_folder(path: Path,  # where to write it
                   seed: int = 0,
                   symbols: tuple = LETTERS,
                   norm: str = "group",  # first layers: "group" as the base models, "layer" as the large ones and MMS
                   normalise: bool = True,  # as preprocessor_config.json says of what it hears
                   width: int = 32, layers: int = 2,  # 768 and 12 are the size of wav2vec2-base
                   channels: int = 32,  # 512 in the published ones
                   adapters: dict = {},  # language: its symbols, as MMS has them
                   deaf: bool = False,  # attention that adds nothing: what one frame sees has an end
                   net=None,  # these weights instead of random ones
                   ) -> Path:
    "A wav2vec 2.0 with a CTC head as on the hub: configs, vocabulary, model.safetensors with the names of older checkpoints, adapters"
    import json
    import torch
    from safetensors.torch import save_file
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    first = next(iter(adapters.values()), symbols)
    config = Wav2Vec2Config(vocab_size=len(first), hidden_size=width, num_hidden_layers=layers, num_attention_heads=max(2, width // 64), intermediate_size=4 * width, conv_dim=(channels,) * 7,
                            feat_extract_norm=norm, do_stable_layer_norm=norm == "layer", conv_bias=norm == "layer", num_conv_pos_embedding_groups=16, pad_token_id=0,
                            adapter_attn_dim=16 if adapters else None)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = net or Wav2Vec2ForCTC(config)
        torch.nn.init.normal_(net.lm_head.weight, std=1.) if net.config is config else None
        if deaf:
            for block in net.wav2vec2.encoder.layers: torch.nn.init.zeros_(block.attention.out_proj.weight)
        for tongue, its in adapters.items():
            head = torch.nn.Linear(width, len(its))
            weights = {k: torch.randn_like(w) * .3 for k, w in net._get_adapters().items() if "lm_head" not in k}
            save_file(weights | {f"lm_head.{k}": w.detach() for k, w in head.state_dict().items()}, path / f"adapter.{tongue}.safetensors", metadata=dict(format="pt"))
    net.config.architectures = ["Wav2Vec2ForCTC"]
    net.config.save_pretrained(path)
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    rename = lambda k: next((k.replace(a, b) for a, b in old.items() if a in k), k)
    save_file({rename(k): w.contiguous() for k, w in net.state_dict().items() if "masked_spec_embed" not in k}, path / "model.safetensors", metadata=dict(format="pt"))
    Wav2Vec2FeatureExtractor(do_normalize=normalise, return_attention_mask=norm == "layer").save_pretrained(path)
    number = lambda its: {s: i for i, s in enumerate(its)}
    (path / "vocab.json").write_text(json.dumps({t: number(its) for t, its in adapters.items()} if adapters else number(symbols)), encoding="utf-8")
    Wav2Vec2CTCTokenizer(path / "vocab.json", target_lang=next(iter(adapters), None)).save_pretrained(path)
    return path


def pyannote_folder(path: Path, seed: int = 0) -> Path:
    "A diarization pipeline in the layout of pyannote/speaker-diarization-community-1: a tiny PyanNet, a WeSpeaker ResNet34, a PLDA"
    import numpy as np
    import torch
    import voicenb  # noqa: F401  telemetry off, and a torchaudio that loads
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding.wespeaker import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet
    torch.manual_seed(seed)
    path = Path(path)
    (path / "plda").mkdir(parents=True)
    (path / "config.yaml").write_text("""dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
""")
    heard = PyanNet(sincnet=dict(stride=10), lstm=dict(hidden_size=16, num_layers=1, bidirectional=True, monolithic=True), linear=dict(hidden_size=16, num_layers=1))
    heard.specifications = Specifications(Problem.MONO_LABEL_CLASSIFICATION, Resolution.FRAME, 10.0, classes=["a", "b", "c"], powerset_max_classes=2, permutation_invariant=True)
    voice = WeSpeakerResNet34()
    voice.specifications = Specifications(Problem.REPRESENTATION, Resolution.CHUNK, 5.0, min_duration=2.0)
    for name, net in (("segmentation", heard), ("embedding", voice)):
        net.build()
        if name == "segmentation": torch.nn.init.normal_(net.classifier.weight, std=8)  # so that many voices come and go
        file = {"state_dict": net.state_dict(), "hyper_parameters": dict(net.hparams), "pytorch-lightning_version": "2.5.0", "epoch": 0}
        net.on_save_checkpoint(file)
        file["pyannote.audio"]["versions"]["torch"] = torch.torch_version.TorchVersion(torch.__version__)
        (path / name).mkdir()
        torch.save(file, path / name / "pytorch_model.bin")
    rng = np.random.default_rng(seed)
    square = lambda n: np.linalg.qr(rng.standard_normal((n, n)))[0]
    np.savez(path / "plda" / "xvec_transform.npz", mean1=np.zeros(256), mean2=np.zeros(128), lda=square(256)[:, :128])
    np.savez(path / "plda" / "plda.npz", mu=np.zeros(128), tr=square(128), psi=np.sort(rng.uniform(.1, 5, 128))[::-1].copy())
    return path
