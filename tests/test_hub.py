"""Pushing a dataset to a hub that speaks the client's protocol, fails on request, and keeps the log of what was asked of it."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fake_hub import FakeHub
from voicenb.core.audio import Audio, save
from voicenb.data import hub as hb
from voicenb.data import publish

pytest.importorskip("huggingface_hub")
TESTS = Path(__file__).parent


def clips(notes: int, where: Path, **more) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for n in range(notes):
        x = (rng.standard_normal(16_000) * .05).astype(np.float32)
        if not (where / f"rec{n}.flac").exists(): save(Audio(x, 16_000), where / f"rec{n}.flac")
        rows.append(dict(clip=f"rec{n}_0", recording=f"rec{n}", start=0.0, end=1.0, text=f"note number {n}", text_source="gold", split="test" if n == 0 else "train", kept=True, reason="", detail="") | more)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    "A dataset of five notes and one of six, and consent for private and for public use"
    home = tmp_path_factory.mktemp("hub")
    for n in (5, 6): publish.dataset(clips(n, home / "audio"), home / "audio", home / f"ds{n}", "voice of A", consent="a paper form", exports=publish.EXPORTS)
    for scope in hb.SCOPES: hb.record_consent(home / f"{scope}.json", "Ana López", "a voice for my family", scope, "2025-03-01")
    return home


@pytest.fixture
def hub():
    with FakeHub() as h: yield h


@pytest.fixture
def waits(monkeypatch):
    "No pause is slept, every one is noted: the client's own and ours"
    from huggingface_hub.utils import _http
    out = []
    for module in (_http, hb): monkeypatch.setattr(module, "time", SimpleNamespace(sleep=out.append))
    return out


def push(ready, hub, folder="ds5", repo="ana/voice", **more):
    wish = dict(consent=ready / "private.json", licence="cc-by-nc-4.0", token="secret", endpoint=hub.url, redacted=True) | more
    return hb.push_to_hub(ready / folder if isinstance(folder, str) else folder, repo, **wish)


def refused(ready, hub, **more) -> str:
    with pytest.raises(hb.HubError) as e: push(ready, hub, **more)
    assert "\n" not in str(e.value) and len(str(e.value)) < 300
    return str(e.value)


def local(folder): return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# --- what arrives

def test_everything_arrives_in_one_commit(ready, hub):
    out = push(ready, hub)
    repo, far = hub.repos["ana/voice"], hub.files("ana/voice")
    info = json.loads((ready / "ds5" / "dataset.json").read_text())
    assert repo.private and out["private"] and len(repo.order) == 2 and repo.tags == {f"v-{info['fingerprint']}": repo.head} and out["commit"] == repo.head
    assert set(far) - {".gitattributes"} == local(ready / "ds5") and set(out["uploaded"]) == local(ready / "ds5")
    assert all(far[f] == (ready / "ds5" / f).read_bytes() for f in info["files"] if f not in publish.ABOUT)
    card = far["README.md"].decode()
    assert "license: cc-by-nc-4.0" in card and "**Consent**: reference consent-" in card and "2025-03-01, private use" in card and "my family" not in card and "López" not in card
    assert f"{hub.url}/datasets/ana/voice" in card and "by-nc/4.0" in far["croissant.json"].decode() and f"v-{info['fingerprint']}" in card
    assert "a paper form" in (ready / "ds5" / "README.md").read_text(), "the folder itself stays as it is"
    assert out["message"].startswith(f"ana/voice v-{info['fingerprint']}: {len(info['files']) + 1} files uploaded, 0 removed")


def test_it_loads_back(ready, hub, tmp_path):
    pytest.importorskip("datasets")
    tag = push(ready, hub)["tag"]
    code = f"""
import io, json, datasets, soundfile as sf
from huggingface_hub import snapshot_download
d = datasets.load_dataset("ana/voice", revision="{tag}", token="secret")
row = d["test"].cast_column("audio", datasets.Audio(decode=False))[0]
where = snapshot_download("ana/voice", repo_type="dataset", revision="{tag}", token="secret", local_dir="snap")
print(json.dumps([{{k: len(v) for k, v in d.items()}}, len(sf.read(io.BytesIO(row["audio"]["bytes"]))[0]), row["text"], isinstance(d["train"].features["audio"], datasets.Audio)]))
"""
    env = os.environ | dict(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "home"), HF_HUB_DISABLE_XET="1", HF_HUB_OFFLINE="0", HF_DATASETS_OFFLINE="0")
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [dict(train=4, test=1), 16_000, "note number 0", True]
    sums = (tmp_path / "snap" / "SHA256SUMS").read_text().splitlines()
    assert sums and publish.sums(tmp_path / "snap").items() >= {x[66:]: x[:64] for x in sums}.items()


def test_the_same_version_uploads_nothing(ready, hub):
    push(ready, hub)
    before = len(hub.log)
    out = push(ready, hub)
    assert out["message"].endswith("already there, nothing uploaded") and out["uploaded"] == [] and {m for m, _ in hub.log[before:]} == {"GET"}


def test_more_notes_upload_only_what_is_new(ready, hub):
    old = push(ready, hub, "ds6")
    puts, kept = hub.count("PUT", "^/lfs/"), hub.files("ana/voice")
    new = push(ready, hub, "ds5")
    changed = [f for f in new["uploaded"] if f.startswith(("wavs/", "libritts/"))]
    assert changed == ["libritts/SPEAKERS.txt"] and set(new["removed"]) == {"wavs/rec5_0.wav", *(f for f in kept if "/rec5/" in f)}
    assert hub.count("PUT", "^/lfs/") - puts == 4, "the train shard and its three manifests"
    assert set(hub.files("ana/voice")) - {".gitattributes"} == local(ready / "ds5") and hub.files("ana/voice", old["tag"]) == kept
    assert set(hub.repos["ana/voice"].tags) == {old["tag"], new["tag"]}
    again = push(ready, hub, "ds6")
    assert hub.count("PUT", "^/lfs/") - puts == 4 and hub.files("ana/voice") == kept and hub.repos["ana/voice"].tags[old["tag"]] == again["commit"], "what the hub has once goes up no more"


def test_another_licence_is_the_same_version(ready, hub):
    first = push(ready, hub)
    puts = hub.count("PUT", "^/lfs/")
    out = push(ready, hub, licence="only the family")
    assert out["uploaded"] == ["LICENSE", "README.md", "croissant.json", "dataset.json"] and hub.count("PUT", "^/lfs/") == puts and out["tag"] == first["tag"]
    assert hub.repos["ana/voice"].tags == {out["tag"]: out["commit"]} and hub.files("ana/voice")["LICENSE"] == b"only the family\n"


def test_a_sound_with_two_names_goes_up_once(ready, hub):
    push(ready, hub)
    asked = [p for m, p in hub.log if m == "PUT"]
    assert len(asked) == len(set(asked)) and len({f for f in hub.files("ana/voice") if f.endswith(".wav")}) == 10 and sum(len(v) == 32_044 for v in hub.objects.values()) == 5


def test_large_files_go_in_parts(ready):
    with FakeHub(chunk=20_000, page=7) as hub:
        push(ready, hub)
        assert hub.count("PUT", r"^/lfs/\w+/\d+$") > 10 and hub.count("GET", "/tree/") == 1 and all(hub.files("ana/voice")[f] == (ready / "ds5" / f).read_bytes() for f in local(ready / "ds5") if f.endswith(".wav"))
        assert push(ready, hub)["uploaded"] == [] and hub.count("GET", "/tree/") > 5, "a long list comes in pages"


def test_a_hub_with_xet(ready, tmp_path, monkeypatch):
    pytest.importorskip("hf_xet")
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with FakeHub(xet=str(tmp_path)) as hub:
        out = push(ready, hub)
        stored = sum(p.stat().st_size for p in (tmp_path / "xet" / "xorbs").rglob("*") if p.is_file())
        assert hub.count("PUT", "/lfs/") == 0 and hub.count("POST", "/objects/batch") == 0 and stored > 5 * 32_000
        head = hub.repos["ana/voice"].commits[out["commit"]]
        info = json.loads((ready / "ds5" / "dataset.json").read_text())
        assert all(head[f][0] == h and head[f][2] == info["files"][f] for f, h in publish.sums(ready / "ds5").items() if f.endswith((".wav", ".parquet", ".gz")))
        assert push(ready, hub)["uploaded"] == []


def test_public_with_a_public_consent(ready, hub):
    out = push(ready, hub, private=False, consent=ready / "public.json")
    assert not out["private"] and not hub.repos["ana/voice"].private


def test_the_client_is_as_before(ready, hub, monkeypatch):
    import httpx
    from huggingface_hub import constants, get_session, set_client_factory
    from huggingface_hub.utils import _http, are_progress_bars_disabled
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    mine = lambda: httpx.Client(event_hooks=dict(request=[_http.hf_request_event_hook]), headers={"X-Mine": "1"})
    set_client_factory(mine)
    try:
        push(ready, hub)
        assert constants.HF_HUB_DISABLE_XET is False and _http._GLOBAL_CLIENT_FACTORY is mine and get_session().headers["X-Mine"] == "1" and not are_progress_bars_disabled()
        assert hub.count("GET", "xet-write-token") == 1
    finally: set_client_factory(_http.default_client_factory)


# --- what is refused before the first byte

def test_no_consent_no_push(ready, hub, tmp_path):
    write = lambda **d: (tmp_path / "c.json").write_text(json.dumps(json.loads((ready / "private.json").read_text()) | d)) and tmp_path / "c.json"
    assert "no consent record: pass consent=" in refused(ready, hub, consent="")
    assert "no consent record there" in refused(ready, hub, consent=tmp_path / "none.json")
    assert "does not say agreed, scope" in refused(ready, hub, consent=write(agreed=" ", scope=None))
    assert "not YYYY-MM-DD" in refused(ready, hub, consent=write(date="1 March"))
    assert "yet to come" in refused(ready, hub, consent=write(date="2999-01-01"))
    assert "is none of private, public" in refused(ready, hub, consent=write(scope="world"))
    assert "was withdrawn (2025-05-01)" in refused(ready, hub, consent=write(withdrawn="2025-05-01"))
    assert "is for private use; a public push needs scope public" in refused(ready, hub, private=False)
    for text in ("{", "[1]", '"yes"', "\xff"):
        (tmp_path / "c.json").write_bytes(text.encode("latin-1"))
        assert "c.json: not" in refused(ready, hub, consent=tmp_path / "c.json")
    assert hub.log == []


def test_consent_is_written_as_it_is_read(tmp_path):
    told = hb.record_consent(tmp_path / "c.json", "Ana\nLópez", "yes", date="2025-03-01")
    assert hb.consent(tmp_path / "c.json") == told and told["who"] == "Ana López" and told["reference"] == hb.record_consent(tmp_path / "d.json", "Ana López", "yes", date="2025-03-01")["reference"]
    with pytest.raises(hb.HubError, match="does not say who"): hb.record_consent(tmp_path / "e.json", "", "yes")
    assert not (tmp_path / "e.json").exists()


def test_no_licence_no_push(ready, hub):
    assert "no licence; say licence=" in refused(ready, hub, licence="") and "no licence" in refused(ready, hub, licence="Unknown") and hub.log == []


def test_only_a_whole_dataset_of_ours(ready, hub, tmp_path):
    ds = tmp_path / "ds"
    def fresh():
        shutil.rmtree(ds, ignore_errors=True)
        shutil.copytree(ready / "ds5", ds)
    fresh()
    (ds / "WhatsApp chat.txt").write_text("Bo: hi")
    (ds / ".DS_Store").write_text("x")
    assert refused(ready, hub, folder=ds) == "WhatsApp chat.txt: not part of the dataset; move it out of ds/ (1 such files)"
    fresh()
    (ds / "wavs" / "rec0_0.wav").unlink()
    assert "wavs/rec0_0.wav: is missing" in refused(ready, hub, folder=ds)
    fresh()
    with open(ds / "metadata.csv", "a") as f: f.write("x|y|z\n")
    assert "metadata.csv: was changed after it was written" in refused(ready, hub, folder=ds)
    (ds / "dataset.json").write_text("{}")
    assert "older voicenb" in refused(ready, hub, folder=ds)
    (ds / "dataset.json").unlink()
    assert "not a dataset folder" in refused(ready, hub, folder=ds) and "not a dataset folder" in refused(ready, hub, folder=tmp_path / "none") and hub.log == []


@pytest.mark.parametrize("exports", [("ljspeech",), ("parquet",), ("lhotse",), ("libritts",)])
def test_no_path_of_a_machine_leaves(ready, hub, tmp_path, exports):
    publish.dataset(clips(2, ready / "audio", text="see /home/ana/notes.txt"), ready / "audio", tmp_path / "ds", exports=exports)
    said = refused(ready, hub, folder=tmp_path / "ds")
    assert "holds a path of this machine (/home/ana/notes.txt)" in said and hub.log == []
    publish.dataset(clips(2, ready / "audio"), ready / "audio", tmp_path / "ds", source=r"C:\Users\ana\voice")
    assert "README.md: would hold a path" in refused(ready, hub, folder=tmp_path / "ds")


def test_what_the_hub_cannot_take(ready, hub, monkeypatch):
    monkeypatch.setattr(hb, "FOLDER_LIMIT", 5)
    assert "lhotse/ holds 6 files, the hub takes 5 a folder" in refused(ready, hub)
    for name in ("voice", "a/b/c", "ana/", "https://x/y"): assert "owner/name" in refused(ready, hub, repo=name)
    assert hub.log == []


def test_no_token(ready, hub, monkeypatch, tmp_path):
    import huggingface_hub
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert "no token; set HF_TOKEN" in refused(ready, hub, token="") and hub.log == []
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert push(ready, hub, token="")["uploaded"]


@pytest.mark.parametrize("exports", [("json",), ("parquet",)])
def test_private_words_stop_a_push(ready, hub, tmp_path, exports):
    from voicenb.data import redact
    table = clips(3, ready / "audio")
    table.loc[:1, "text"] = ["call Marta on +34 612 345 678", "Marta says it rains"]
    publish.dataset(table, ready / "audio", tmp_path / "ds", exports=exports)
    said = refused(ready, hub, folder=tmp_path / "ds", redacted=False, names=["Marta Ruiz"])
    assert "2 clips hold private words (name 4, number 2)" in said and "612" not in said and "Marta" not in said and hub.log == []
    assert "1 clips hold private words (number 2)" in refused(ready, hub, folder=tmp_path / "ds", redacted=False)
    assert push(ready, hub, folder=tmp_path / "ds", redacted=True, repo="ana/looked")["uploaded"] and push(ready, hub, redacted=False)["uploaded"]
    gone = redact.redact(table, redact.find(table, names=["Marta Ruiz"]), mode="drop")
    publish.dataset(gone, ready / "audio", tmp_path / "clean", exports=exports)
    push(ready, hub, folder=tmp_path / "clean", redacted=False, names=["Marta Ruiz"], repo="ana/clean")
    assert b"Marta" not in b"".join(v for k, v in hub.files("ana/clean").items() if not k.endswith((".wav", ".parquet"))) and b"**Redactions**: 2 clips with names or numbers are left out" in hub.files("ana/clean")["README.md"]


def test_speakers_are_names_too(ready, hub, tmp_path):
    table = clips(3, ready / "audio").assign(sender=["Marta Ruiz", "Bo", "Bo"])
    publish.dataset(table, ready / "audio", tmp_path / "ds")
    for names in ((), ["Marta Ruiz", "Bo"]):
        said = refused(ready, hub, folder=tmp_path / "ds", redacted=False, names=names)
        assert "2 speakers go by names or numbers" in said and "Marta" not in said and hub.log == []
    publish.dataset(table.assign(sender=["+49 170 1234567", "Bo", "Bo"]), ready / "audio", tmp_path / "ds")
    assert "2 speakers go by" in refused(ready, hub, folder=tmp_path / "ds", redacted=False)
    for n, ids in enumerate((["p225", "84", "1089"], ["SPEAKER_00", "SPEAKER_01", "unknown"], ["123456" + "ab" * 61, "f" * 128, "0" * 128])):
        publish.dataset(table.assign(sender=ids, text=["rain", "some rain", "more rain"]), ready / "audio", tmp_path / "ds", speaker="sender")
        assert push(ready, hub, folder=tmp_path / "ds", redacted=False, repo=f"ana/ids{n}")["uploaded"]
    told = table.assign(text=["Marta said no", "yes", "no"], sender=["Marta Ruiz", "B1", "B1"])
    publish.dataset(told, ready / "audio", tmp_path / "ds")
    assert "1 clips hold private words (name" in refused(ready, hub, folder=tmp_path / "ds", redacted=False), "a speaker's name is looked for in the texts of all"


def test_nothing_of_the_consent_but_its_reference_goes_up(ready, hub, tmp_path):
    hb.record_consent(tmp_path / "c.json", "Ana López", "Ana López, +34 612 345 678: my voice", date="2025-03-01")
    out = push(ready, hub, consent=tmp_path / "c.json", redacted=False)
    sent = b"".join(v for k, v in hub.files("ana/voice").items() if not k.endswith((".wav", ".parquet", ".gz")))
    assert all(x not in sent for x in (b"pez", b"Ana ", b"612 345", b"my voice")) and b"consent-" in sent and "no names were given" in out["message"]
    assert "no names were given" not in push(ready, hub, redacted=False, names=["Marta"])["message"]
    card = hub.files("ana/voice")["README.md"].decode()
    assert "**Redactions**: numbers, addresses and 2 names were looked for in the texts before they were published; none were found" in card


@pytest.mark.parametrize("facts, where", [(dict(name="Ana López"), "the title"), (dict(source="notes of Marta"), "the fact source of the card"), (dict(device="ask 612 345 678"), "the fact device of the card"),
                                          (dict(collection="by ana@example.org"), "the fact collection of the card"), (dict(licence="ask Marta first"), "the fact licence of the card")])
def test_title_and_card_are_searched(ready, hub, tmp_path, facts, where):
    publish.dataset(clips(2, ready / "audio"), ready / "audio", tmp_path / "ds", **facts)
    said = refused(ready, hub, folder=tmp_path / "ds", redacted=False, names=["Marta"], licence=facts.get("licence", "mit"))
    assert f"ds/: {where} holds private words" in said and hub.log == []
    assert push(ready, hub, folder=tmp_path / "ds")["uploaded"], "looked at, and it may stay"


@pytest.mark.parametrize("exports", [("json",), ("parquet",)])
def test_a_masked_text_does_not_go_up_with_its_sound(ready, hub, tmp_path, exports):
    from voicenb.data import redact
    table = clips(3, ready / "audio")
    table.loc[0, "text"] = "call Marta on +34 612 345 678"
    masked = redact.redact(table, redact.find(table, names=["Marta"]), mode="mask")
    publish.dataset(masked, ready / "audio", tmp_path / "ds", exports=exports)
    assert "1 texts are masked and their sound still says it" in refused(ready, hub, folder=tmp_path / "ds", redacted=False, names=["Marta"]) and hub.log == []


def test_a_record_is_not_written_over_what_it_is_not(tmp_path):
    path, made = tmp_path / "c.json", lambda p, **k: hb.record_consent(p, "Ana", "yes", **k)
    told = made(path)
    assert made(path, scope="public")["scope"] == "public", "a record that holds may be written anew"
    for other in (json.dumps(told | dict(withdrawn="2026-01-01")), "my diary", "[]"):
        path.write_text(other)
        with pytest.raises(hb.HubError, match="c.json: exists and is not a record that can be written over") as e: made(path, scope="public")
        assert path.read_text() == other and "\n" not in str(e.value)
    for bad, said in ((".", "is a folder"), (tmp_path, "is a folder"), (tmp_path / "none" / "c.json", "there is no folder")):
        with pytest.raises(hb.HubError, match=said): made(bad)
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


def test_a_public_push_does_not_end_in_a_private_place(ready, hub):
    push(ready, hub)
    before = hub.files("ana/voice")
    assert "is private, and a push does not change that" in refused(ready, hub, folder="ds6", private=False, consent=ready / "public.json") and hub.files("ana/voice") == before


@pytest.mark.parametrize("page", ["README.md", "LICENSE", "croissant.json"])
def test_a_page_that_was_edited_by_hand_is_not_replaced(ready, hub, tmp_path, page):
    publish.dataset(clips(2, ready / "audio"), ready / "audio", tmp_path / "ds", licence="family only")
    text = (tmp_path / "ds" / page).read_text()
    (tmp_path / "ds" / page).write_text(text[:-1] + "!")
    assert f"{page}: was changed by hand" in refused(ready, hub, folder=tmp_path / "ds") and hub.log == []


@pytest.mark.parametrize("endpoint", ["foo", "ftp://x", "http://", "https:///x"])
def test_an_endpoint_is_an_address(ready, hub, endpoint):
    assert f"endpoint={endpoint}: not the http(s) address of a hub" in refused(ready, hub, endpoint=endpoint)


def test_what_was_pushed_can_be_pushed_again(ready, hub, tmp_path):
    push(ready, hub)
    for name, data in hub.files("ana/voice").items():
        (tmp_path / "down" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "down" / name).write_bytes(data)
    assert push(ready, hub, folder=tmp_path / "down", repo="ana/copy")["uploaded"]


def test_texts_that_cannot_be_checked(ready, hub, tmp_path):
    publish.dataset(clips(2, ready / "audio"), ready / "audio", tmp_path / "ds", exports=("lhotse",))
    assert "no texts to check" in refused(ready, hub, folder=tmp_path / "ds", redacted=False) and hub.log == []


# --- what is already there

def test_a_repository_of_others_is_left_alone(ready, hub):
    push(ready, hub)
    repo = hub.repos["ana/voice"]
    repo.commit({".gitattributes": (None, b"", 0), "thesis.tex": (None, b"years of work", 13)})
    assert "holds something that is not a dataset of ours" in refused(ready, hub) and list(hub.files("ana/voice")) == [".gitattributes", "thesis.tex"]


def test_a_public_repository_gets_no_private_voice(ready, hub):
    hub.create(dict(name="voice", organization="ana", visibility="public"))
    assert "is public; make it private" in refused(ready, hub) and list(hub.files("ana/voice")) == [".gitattributes"]


# --- a hub that fails

def test_refusals_are_asked_once(ready, hub, waits):
    assert "does not accept the token (401)" in refused(ready, hub, token="wrong")
    assert "may not write there (403); use a write token of bob" in refused(ready, hub, repo="bob/voice")
    push(ready, hub)
    hub.fault("POST", "/preupload/", times=99, status=403)
    assert "(403)" in refused(ready, hub, folder="ds6") and hub.count("POST", "/preupload/") == 3 and waits == []


@pytest.mark.parametrize("method, path, times, status", [
    ("GET", r"/api/datasets/ana/voice$", 2, 500), ("POST", "/api/repos/create", 2, 503), ("GET", "/tree/", 2, 500), ("POST", "/preupload/", 3, 429), ("POST", "/objects/batch", 3, 500), ("PUT", "/lfs/", 5, 503),
    ("POST", "/commit/", 2, 504), ("POST", "/commit/", 1, 429), ("GET", "/refs", 2, 502), ("POST", "/tag/", 1, 500), ("POST", "/validate-yaml", 1, 503)])
def test_a_stumble_is_waited_out(ready, hub, waits, method, path, times, status):
    hub.fault(method, path, times=times, status=status)
    out = push(ready, hub)
    assert set(hub.files("ana/voice")) - {".gitattributes"} == local(ready / "ds5") == set(out["uploaded"]) and len(hub.repos["ana/voice"].order) == 2 and len(hub.repos["ana/voice"].tags) == 1
    assert 0 < len(waits) <= 5 and max(waits) <= 8


def test_a_hub_that_is_down_is_left_after_a_few_tries(ready, hub, waits):
    hub.fault("GET", "/api/datasets/", times=999, status=502)
    said = refused(ready, hub)
    assert said == f"ana/voice: {hub.url} answers 502, again and again; call again later" and hub.count("GET", "/api/datasets/") == 3 and waits == [2.0, 4.0]
    with FakeHub() as gone: pass
    assert "the connection broke or cannot be made; check the network" in refused(ready, gone)


@pytest.mark.parametrize("method, path, asked", [("GET", "/api/datasets/ana/voice$", 3), ("POST", "/api/repos/create", 3), ("GET", "/tree/", 3), ("GET", "/refs", 3), ("POST", "/commit/", 3), ("POST", "/objects/batch", 18)])
def test_a_slow_hub_has_a_limit(ready, hub, waits, method, path, asked):
    hub.fault(method, path, times=999, slow=1.0)
    assert "no answer in time; check the network and call again" in refused(ready, hub, timeout=.3) and hub.count(method, path) == asked


@pytest.mark.parametrize("fault", [dict(status=500), dict(cut=True)])
def test_an_upload_that_broke_goes_on(ready, hub, waits, monkeypatch, fault):
    monkeypatch.setattr(hb, "PART", 4)
    push(ready, hub, "ds5")
    old, head = hub.files("ana/voice"), hub.repos["ana/voice"].head
    publish.dataset(clips(12, ready / "audio"), ready / "audio", ready / "ds12", "voice of A")
    hub.fault("PUT", "^/lfs/", times=9_999, after=6, **fault)
    said = refused(ready, hub, folder="ds12")
    assert ("answers 500" if "status" in fault else "the connection broke") in said and "files are up, main shows what it did before, the same call goes on from there" in said
    done = int(said.split(" of ")[0].split()[-1])
    assert hub.repos["ana/voice"].head == head and hub.files("ana/voice") == old and len(hub.repos["ana/voice"].tags) == 1 and 0 < done < int(said.split(" of ")[1].split()[0])
    assert sum(waits) <= 3 * 4 * 23 + 6, "three tries, four uploads at once, the client's own five pauses each"
    hub.faults.clear()
    there, puts = set(hub.objects), hub.count("PUT", "^/lfs/")
    out = push(ready, hub, "ds12")
    assert hub.count("PUT", "^/lfs/") - puts == len(set(hub.objects) - there) > 0, "only what was missing"
    assert set(hub.files("ana/voice")) - {".gitattributes"} == local(ready / "ds12") and hub.repos["ana/voice"].tags[out["tag"]] == hub.repos["ana/voice"].head


def test_a_killed_push_goes_on(ready, tmp_path):
    with FakeHub(chunk=9_000) as hub:
        hub.fault("PUT", "^/lfs/", times=9_999, after=8, slow=30)
        code = f"import sys; sys.path.insert(0, {str(TESTS)!r})\nfrom voicenb.data import hub\nhub.push_to_hub({str(ready / 'ds5')!r}, 'ana/voice', {str(ready / 'private.json')!r}, 'mit', token='secret', endpoint={hub.url!r}, redacted=True)"
        job = subprocess.Popen([sys.executable, "-c", code])
        end = time.time() + 60
        while hub.count("PUT", "^/lfs/") < 9 and job.poll() is None and time.time() < end: time.sleep(.05)
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        assert hub.count("PUT", "^/lfs/") >= 9 and list(hub.files("ana/voice")) == [".gitattributes"] and hub.repos["ana/voice"].tags == {}
        hub.faults.clear()
        out = push(ready, hub, licence="mit")
        assert set(hub.files("ana/voice")) - {".gitattributes"} == local(ready / "ds5") == set(out["uploaded"])


def test_an_answer_that_was_lost(ready, hub, waits):
    hub.fault("POST", "/commit/", lost=True)
    out = push(ready, hub)
    assert len(hub.repos["ana/voice"].order) == 2 and set(out["uploaded"]) == local(ready / "ds5") and hub.repos["ana/voice"].tags == {out["tag"]: hub.repos["ana/voice"].head}


def test_two_who_push_at_once(ready, hub, waits):
    push(ready, hub)
    real = hub.do_commit

    def between(*a):  # another push lands before ours is committed
        hub.do_commit = real
        files = dict(hub.repos["ana/voice"].commits[hub.repos["ana/voice"].head])
        hub.repos["ana/voice"].commit(files | {"extra.txt": (None, b"x", 1)})
        return real(*a)
    hub.do_commit = between
    out = push(ready, hub, "ds6")
    assert hub.count("POST", "/commit/") == 3 and set(hub.files("ana/voice")) - {".gitattributes"} == local(ready / "ds6") and out["tag"] in hub.repos["ana/voice"].tags
    hub.do_commit = lambda *a: (412, dict(error="A commit has happened since"))
    assert "somebody else changes it at the same time (412)" in refused(ready, hub)


def test_a_kill_between_commit_and_tag(ready, hub, waits):
    hub.fault("POST", "/tag/", times=99, status=403)
    refused(ready, hub)
    assert hub.repos["ana/voice"].tags == {}
    hub.faults.clear()
    out = push(ready, hub)
    assert hub.repos["ana/voice"].tags == {out["tag"]: hub.repos["ana/voice"].head} and hub.count("POST", "/commit/") == 1


def test_a_card_the_hub_does_not_like(ready, hub, waits):
    hub.fault("POST", "/validate-yaml", times=99, status=400)
    assert "the hub refuses" in refused(ready, hub) and hub.count("PUT", "^/lfs/") == 0 or hub.count("POST", "/commit/") == 0
