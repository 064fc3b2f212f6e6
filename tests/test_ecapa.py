"ECAPA-TDNN in SpeechBrain's layout, with random weights: loading, batching, stages, and honest thresholds where the model knows nothing"
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from make_models import ecapa_folder
from voicenb.core import audio as au
from voicenb.core import ecapa, packages
from voicenb.core import speaker as se
from voicenb.core import table as tb
from voicenb.core.phonemes import speak
from voicenb.core.run import Run, key_of
from voicenb.data import ingest, segment, verify

FILES = [f.split("|")[0] for f in ecapa.FILES]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    "A small network in the real layout"
    return ecapa_folder(tmp_path_factory.mktemp("ecapa") / "spkrec", channels=64)


@pytest.fixture(scope="session")
def sounds():
    "Speech of different people, lengths (.03 to 33 s) and rates"
    said = [speak("the rain in spain stays mainly in the plain, and nobody told me that the shop was closed", "en", variant=v) for v in ("m3", "f2", "m7", "f4")]
    x = [(s.samples[: int(n * s.rate)], s.rate) for s, n in zip(said, (1.1, 2.5, .03, 4.))]
    y = au.resample(said[0].samples, said[0].rate, 48_000)
    return [*x, (y[: 3 * 48_000], 48_000), (np.tile(y, 8)[: 33 * 48_000], 48_000)]


@pytest.fixture(scope="module")
def segmented(tmp_path_factory, export):
    "Run, recordings and clips of a few notes of Sam and others"
    run = Run(tmp_path_factory.mktemp("run"), jobs=1, progress=False)
    recordings = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, export), me="Sam"))
    return run, recordings, run(segment.speech, recordings)


def test_the_published_size_loads_without_network_and_writes_nothing(tmp_path, sounds, monkeypatch):
    home = ecapa_folder(tmp_path / "full", speakers=7205)
    before = {p: p.stat().st_mtime_ns for p in home.rglob("*")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("the network was asked"))
    out = se.embed(sounds[:2], "ecapa", str(home))
    assert out.shape == (2, 192) and out.dtype == np.float32 and np.abs(np.linalg.norm(out, axis=1) - 1).max() < 1e-5
    assert {p: p.stat().st_mtime_ns for p in home.rglob("*")} == before and sorted(p.name for p in tmp_path.iterdir()) == ["full"]
    assert sum(p.numel() for p in ecapa.classifier(home).mods.embedding_model.parameters()) == 20_767_552


def test_a_batch_is_what_speechbrain_says_of_each_clip_alone(model, sounds):
    import torch
    theirs, short = ecapa.classifier(model), [s for s in sounds if .1 < len(s[0]) / s[1] < 30]
    with torch.inference_mode():
        alone = np.stack([theirs.encode_batch(torch.from_numpy(au.resample(x, r, 16_000))[None])[0, 0].numpy() for x, r in short])
    alone /= np.linalg.norm(alone, axis=1, keepdims=True)
    for batch in (1, 6, 100): np.testing.assert_allclose(ecapa.embed(short, str(model), batch, "float32"), alone, atol=1e-5)
    np.testing.assert_allclose(ecapa.embed(short, str(model), numbers="bfloat16"), alone, atol=5e-3)


def test_company_and_order_change_nothing(model, sounds):
    together, order = ecapa.embed(sounds, str(model), numbers="float32"), [3, 0, 5, 1, 4, 2]
    np.testing.assert_allclose(ecapa.embed([sounds[i] for i in order], str(model), 2, "float32"), together[order], atol=1e-5)
    assert np.isfinite(together).all() and [len(p) / 16_000 for p in ecapa.pieces(*sounds[5])] == [16.5, 16.5]


def test_silence_is_nan_and_spoils_nothing(model, sounds):
    out = ecapa.embed([(np.zeros(16_000, np.float32), 16_000), sounds[0], (np.zeros(0, np.float32), 8_000)], str(model))
    assert np.isnan(out[[0, 2]]).all() and np.isfinite(out[1]).all() and ecapa.embed([], str(model)).shape == (0, 192)


@pytest.mark.parametrize("name", FILES)
def test_an_incomplete_folder_is_named(tmp_path, model, name):
    home = Path(shutil.copytree(model, tmp_path / "half"))
    (home / name).unlink()
    with pytest.raises(packages.ModelError, match=name) as e: se.revision("ecapa", str(home))
    assert "\n" not in str(e.value)
    with pytest.raises(packages.ModelError, match="lacks"): se.embed([(np.ones(9_000, np.float32), 16_000)], "ecapa", str(home))


def refused(home, match):
    with pytest.raises(packages.ModelError, match=match) as e: ecapa.embed([(np.ones(9_000, np.float32), 16_000)], str(home))
    assert "\n" not in str(e.value) and len(str(e.value)) < 350


def test_a_model_that_runs_code_is_not_loaded(tmp_path, model, monkeypatch):
    import torch
    class Bad:
        def __reduce__(self): return os.mkdir, (str(tmp_path / "ran"),)
    for k, tag in enumerate(("!apply:os.mkdir [%s]", "!!python/object/apply:os.mkdir [%s]", "!new:os.mkdir [%s]", "!name:os.mkdir {path: %s}")):
        home = Path(shutil.copytree(model, tmp_path / f"yaml{k}"))
        with open(home / "hyperparams.yaml", "a") as f: f.write("\nextra: " + tag % (tmp_path / "ran") + "\n")
        refused(home, "mkdir")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    for name in FILES[1:4]:
        home = Path(shutil.copytree(model, tmp_path / name))
        torch.save(Bad(), home / name)
        refused(home, "cannot load this model")
    assert not (tmp_path / "ran").exists() and os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"


def test_weights_that_do_not_fit_are_not_used(tmp_path, model):
    import torch
    def changed(name, change):
        home = Path(shutil.copytree(model, tmp_path / name))
        change(home)
        return home
    def fewer(home):
        w = torch.load(home / "embedding_model.ckpt", weights_only=True)
        torch.save({k: v for k, v in w.items() if "mfa" not in k}, home / "embedding_model.ckpt")
    def edit(old, new): return lambda h: (h / "hyperparams.yaml").write_text((h / "hyperparams.yaml").read_text().replace(old, new))
    refused(changed("names", fewer), "mfa")
    refused(changed("sizes", edit("channels: [64, 64", "channels: [32, 32")), "cannot load")
    refused(changed("cut", lambda h: (h / "embedding_model.ckpt").write_bytes((model / "embedding_model.ckpt").read_bytes()[:5000])), "cannot load")
    refused(changed("text", lambda h: (h / "hyperparams.yaml").write_text("a: [1, {")), "not YAML")
    refused(changed("none", lambda h: (h / "hyperparams.yaml").write_text("a: 1")), "cannot load")
    refused(changed("other", edit("lin_neurons: 192", "lin_neurons: 192\n    dilations: [1, 2, 3, 4, 1]")), "cannot load")


def test_a_network_of_another_shape_is_found_out(tmp_path):
    "The weights fit, but the layers are wired differently: compared with SpeechBrain's own numbers at loading"
    home = ecapa_folder(tmp_path / "odd", channels=64)
    text = (home / "hyperparams.yaml").read_text()
    (home / "hyperparams.yaml").write_text(text.replace("norm_type: sentence\n    std_norm: False", "norm_type: batch\n    std_norm: True"))
    assert np.isfinite(ecapa.embed([(np.ones(9_000, np.float32) * .1, 16_000)], str(home))).all()  # another normalisation is SpeechBrain's own module: the same numbers
    (home / "hyperparams.yaml").write_text(text.replace("lin_neurons: 192", "lin_neurons: 192\n    activation: !name:torch.nn.Tanh"))
    refused(home, "torch.nn.Tanh")


def test_the_revision_is_the_content(tmp_path, model, segmented):
    a = Path(shutil.copytree(model, tmp_path / "a"))
    one, moved = se.revision("ecapa", str(a)), se.revision("ecapa", str(Path(shutil.copytree(model, tmp_path / "b"))))
    key = lambda: key_of(verify.embed, dict(clips=segmented[2], audio=Path(), engine="ecapa", model=str(a)))
    before = key()
    for p in a.iterdir(): os.utime(p, (0, 0))
    assert one == moved and key() == before
    ecapa_folder(a, seed=1, channels=64)
    assert se.revision("ecapa", str(a)) != one and key() != before
    assert se.revision("ecapa").startswith("ecapa speechbrain/spkrec-ecapa-voxceleb@") and len(se.revision("ecapa").split("@")[1]) == 40


def test_stages_store_only_kept_clips_and_follow_the_weights(tmp_path, model, segmented):
    run, recordings, clips = segmented
    home = Path(shutil.copytree(model, tmp_path / "m"))
    go = lambda: run(verify.embed, clips, engine="ecapa", model=str(home))
    first = go()
    assert (first.embedding.map(len) == np.where(first.kept, 192, 0)).all() and (~first.kept).any()
    assert go().equals(first) and run.log[-1]["cached"]
    ecapa_folder(home, seed=5, channels=64)
    second = go()
    assert not run.log[-1]["cached"] and run.log[-1]["computed"] == len(clips) and second.embedding[0] != first.embedding[0]
    out = run(verify.speaker, second, recordings=recordings, engine="ecapa", model=str(home))
    whole = run(verify.speaker, clips, recordings=recordings, engine="ecapa", model=str(home))
    assert "embedding" not in out and np.allclose(out.score, whole.score, atol=1e-3) and (out.score.notna() == whole.score.notna()).all()
    for p in run.folder.rglob("*.parquet"):  # nobody else's voice is on the disk
        t = tb.load(p)
        if "embedding" in t: assert (t.embedding.map(len) == 0)[t.reason == "other_sender"].all()
    with pytest.raises(ValueError, match="192 numbers, ge2e makes 256"): verify.speaker(second, run.audio, recordings)


def test_random_weights_are_called_what_they_are(model, segmented):
    run, recordings, clips = segmented
    out = run(verify.speaker, clips, recordings=recordings, engine="ecapa", model=str(model), choice="ecapa")
    found = verify.thresholds(out, "ecapa", "ecapa", str(model))
    assert (out.score.dropna() > .9).all() and found["far"] == 1.0 and found["accept"] == .5  # 0.5 accepts everybody here, and the report says so
    mine = out[out.reason != "other_sender"]
    own, foreign = mine.score.dropna().to_numpy(), out.score[out.reason == "other_sender"].dropna().to_numpy()
    learnt = verify.thresholds(out, "calibrated", "ecapa", str(model))
    assert learnt["source"] == "calibrated" and learnt["eer"] == round(verify.eer(own, foreign)[0], 4) and learnt["accept"] > .5
    assert learnt["engine"] == se.revision("ecapa", str(model)) and learnt["far"] == round(float((foreign >= learnt["accept"]).mean()), 4)


def test_ten_notes_more_are_ten_notes_of_work(tmp_path, segmented):
    run, _, clips = segmented
    mine = clips[clips.kept].reset_index(drop=True)
    few, last = mine[mine.recording != mine.recording.iloc[-1]], mine.recording == mine.recording.iloc[-1]
    other = Run(tmp_path, jobs=1, progress=False)
    a = other(verify.embed, few.reset_index(drop=True), audio=run.audio)
    b = other(verify.embed, mine, audio=run.audio)
    assert other.log[-1]["computed"] == int(last.sum()) and b.embedding[~last].tolist() == a.embedding.tolist()
    assert other(verify.speaker, b, audio=run.audio).level.isin(["accept", "review", "reject"]).all()


def test_every_sender_has_a_profile(tmp_path, export):
    run = Run(tmp_path, jobs=1, progress=False)
    clips = run(segment.speech, run(ingest.masters, run(ingest.whatsapp, export)))
    clips = clips[clips.kept].reset_index(drop=True)
    wrong = clips[clips.sender == "Kim"].recording.iloc[0]
    clips.loc[clips.recording == wrong, "sender"] = "Sam"  # two people with one name
    out = run(verify.speaker, clips, per="sender")
    strange = out.recording == wrong
    right = out[~strange & out.sender.isin(["Sam"])]
    assert (out.score[strange] < right.score.min()).all() and not (out.level[strange] == "accept").any() and out.detail[strange].str.contains("nearer to Kim").all()
    assert (right.level == "accept").mean() > .8 and out.foreign[out.score.notna()].notna().all()
    found = verify.thresholds(out)
    assert found["foreign"] == int(out.score.notna().sum()) == found["own"] and found["eer"] < .2
    one = clips[clips.sender != "Kim"].groupby("sender", sort=False).head(1).reset_index(drop=True)
    alone = run(verify.speaker, one, per="sender")
    assert alone.score.isna().all() and (alone.level == "").all() and alone.kept.all()
    with pytest.raises(ValueError, match="an anchor is one person's"): verify.speaker(clips, run.audio, anchor=next(run.audio.glob("*.flac")), per="sender")


def test_wrong_names_are_one_line(model):
    clip = [(np.ones(9_000, np.float32), 16_000)]
    with pytest.raises(ValueError, match="no speaker engine is called 'xvector'; take ge2e or ecapa"): se.embed(clip, "xvector")
    with pytest.raises(ValueError, match="brings its own model"): se.embed(clip, "ge2e", str(model))
    with pytest.raises(packages.ModelError, match="no such folder"): se.embed(clip, "ecapa", "./nowhere")
    with pytest.raises(ValueError, match="give 'sender'"): verify.speaker(None, None, per="clip")


def test_a_missing_package_and_an_unreachable_hub_are_one_line(tmp_path):
    code = """
import sys
if sys.argv[1] == "package": sys.modules["speechbrain"] = None
import numpy as np
from voicenb.core import speaker
try: speaker.embed([(np.ones(9_000, np.float32), 16_000)], "ecapa")
except RuntimeError as e: print(type(e).__name__, e)
"""
    env = os.environ | dict(HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    say = lambda what: subprocess.run([sys.executable, "-c", code, what], capture_output=True, text=True, env=env).stdout.strip()
    assert say("package") == "ModelError speechbrain is not installed: pip install 'voicenb[diarize]'"
    assert say("hub").startswith("ModelError speechbrain/spkrec-ecapa-voxceleb: the hub cannot be reached")
