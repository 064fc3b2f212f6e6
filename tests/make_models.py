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
        torch.save(net.state_dict(), path / "embedding_model.ckpt")
        torch.save(Classifier(192, out_neurons=speakers).state_dict(), path / "classifier.ckpt")
        norm = InputNormalization(norm_type="global", std_norm=False)
        norm(torch.randn(4, 20, 192), torch.ones(4))
        norm._save(path / "mean_var_norm_emb.ckpt")
    labels = CategoricalEncoder()
    labels.update_from_iterable([f"id{10001 + k}" for k in range(speakers)])
    labels.save(path / "label_encoder.txt")
    return path
