"""Pushing folders in the background: to a hub that fails on request, and to a disk."""
import json
import os
import shutil
import time

import pytest

from fake_hub import FakeHub
from voicenb.core.packages import ModelError
from voicenb.core.upload import Uploader

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub():
    with FakeHub() as h: yield h


def folder(where, step, size=2000):
    here = where / f"checkpoint-{step}"
    (here / "LLM").mkdir(parents=True)
    (here / "state.json").write_text(json.dumps(dict(step=step)))
    (here / "LLM" / "model.safetensors").write_bytes(bytes([step % 256]) * size)
    return here


def to(hub, repo="ana/voice", **more): return Uploader(repo, **dict(token="secret", endpoint=hub.url, wait=.01) | more)


def test_a_folder_arrives_in_a_private_repository(hub, tmp_path):
    u = to(hub)
    u.push(folder(tmp_path, 3), "step 3", "checkpoint")
    assert u.finish() == dict(target="ana/voice", sent=1)
    files = hub.files("ana/voice")
    assert hub.repos["ana/voice"].private and files["checkpoint/LLM/model.safetensors"] == bytes([3]) * 2000
    assert json.loads(files["checkpoint/state.json"]) == dict(step=3)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-3"]  # no snapshot is left behind


def test_what_is_sent_is_the_state_at_the_time_of_the_push(hub, tmp_path):
    u = to(hub)
    hub.fault("POST", "/commit/", slow=.3)
    for step in range(4):
        here = folder(tmp_path, step)
        u.push(here, f"step {step}", "checkpoint")
        shutil.rmtree(here)  # as a training does once there is a newer one
        time.sleep(.05)
    sent = u.finish()["sent"]
    assert json.loads(hub.files("ana/voice")["checkpoint/state.json"]) == dict(step=3) and 1 <= sent <= 4
    assert not list(tmp_path.iterdir())


def test_push_does_not_wait_for_the_hub(hub, tmp_path):
    u = to(hub)
    hub.fault("POST", "/preupload/", slow=1.0)
    began = time.perf_counter()
    u.push(folder(tmp_path, 1))
    assert time.perf_counter() - began < .3
    u.finish()
    assert "state.json" in hub.files("ana/voice") and time.perf_counter() - began > .9


@pytest.mark.parametrize("fault", [dict(status=503), dict(status=429), dict(cut=True), dict(lost=True), dict(status=412)])
def test_a_fault_that_passes_is_tried_again(hub, tmp_path, fault):
    u = to(hub)
    hub.fault("POST", "/commit/", times=2, **fault)
    u.push(folder(tmp_path, 1))
    u.finish()
    assert hub.files("ana/voice")["LLM/model.safetensors"] == bytes([1]) * 2000
    assert hub.count("POST", "/commit/") == (1 if "lost" in fault else 3)  # what was done and never answered is found done


def test_the_fallback_sends_file_by_file(hub, tmp_path):
    "A folder that never goes in one commit arrives all the same"
    u = to(hub, tries=2)
    hub.fault("POST", "/commit/", status=400)
    u.push(folder(tmp_path, 1))
    u.finish()
    assert set(hub.files("ana/voice")) >= {"state.json", "LLM/model.safetensors"}
    assert len(hub.repos["ana/voice"].order) == 3  # the first, and one a file


def test_what_did_not_arrive_is_an_error_at_the_end(hub, tmp_path):
    u = to(hub, tries=2)
    hub.fault("POST", "/commit/", times=99, status=503)
    u.push(here := folder(tmp_path, 1))
    with pytest.raises(ModelError, match="2 files did not arrive") as e: u.finish()
    assert "\n" not in str(e.value) and (here / "state.json").exists() and [p.name for p in tmp_path.iterdir()] == ["checkpoint-1"]


def test_refusals_come_before_the_work(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ModelError, match="token"): to(hub, token="wrong")
    with pytest.raises(ModelError, match="may not write"): to(hub, "bob/voice")
    with pytest.raises(ModelError, match="owner/name"): to(hub, "voice")
    from fake_hub import Repo
    hub.repos["ana/open"] = Repo(False)
    with pytest.raises(ModelError, match="public"): to(hub, "ana/open")


def test_a_hub_that_cannot_be_reached_does_not_stop_the_work(tmp_path, capsys):
    with FakeHub() as gone: pass
    u = to(gone, tries=2, timeout=2.0)
    assert "the training goes on" in capsys.readouterr().err
    u.push(folder(tmp_path, 1))
    with pytest.raises(ModelError, match="did not arrive"): u.finish()
    assert (tmp_path / "checkpoint-1" / "state.json").exists()


def test_no_token(monkeypatch, hub):
    from voicenb.core import packages
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert packages.token() == ""
    with pytest.raises(ModelError, match="no token"): Uploader("ana/voice", endpoint=hub.url)


def test_another_disk(tmp_path):
    u = Uploader(f"file:{tmp_path / 'far' / 'voice'}")
    for step in (1, 2): u.push(folder(tmp_path, step), under="checkpoint")
    u.push(folder(tmp_path, 7), skip=("LLM",))
    u.finish()
    far = tmp_path / "far" / "voice"
    assert json.loads((far / "checkpoint" / "state.json").read_text()) == dict(step=2) and (far / "state.json").exists() and not (far / "LLM").exists()
    assert not [p for p in far.rglob(".*")]


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/dev/full"), reason="root writes everywhere")
def test_a_disk_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError) as e: Uploader(f"file:{tmp_path / 'file' / 'below'}")
    assert "\n" not in str(e.value)


def test_the_client_is_as_before(hub, tmp_path):
    from huggingface_hub import constants
    from huggingface_hub.utils import _http, are_progress_bars_disabled
    before = constants.HF_HUB_DISABLE_XET, are_progress_bars_disabled(), _http._GLOBAL_CLIENT_FACTORY
    u = to(hub)
    u.push(folder(tmp_path, 1))
    u.finish()
    assert (constants.HF_HUB_DISABLE_XET, are_progress_bars_disabled(), _http._GLOBAL_CLIENT_FACTORY) == before
