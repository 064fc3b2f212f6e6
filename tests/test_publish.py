"""The published folder, read back by the tools that people read such folders with."""
import csv
import hashlib
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile as sf
import yaml

from voicenb.core.audio import Audio, save
from voicenb.core.table import TableError
from voicenb.data import publish

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def made(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for n in range(6):
        rate = 48_000 if n == 5 else 16_000
        save(Audio((rng.standard_normal(2 * rate) * .05).astype(np.float32), rate), tmp_path / "audio" / f"rec{n}.flac")
        for k in range(2):
            rows.append(dict(clip=f"rec{n}_{k}", recording=f"rec{n}", file=f"PTT-{n}.opus", start=.25 + k, end=.75 + k, text=f"say {n} {k} “ünï” كلمة", text_raw=f"Say {n}|{k}\n“ünï” كلمة",
                             text_source="asr" if n % 2 else "gold", score=.8, level="accept", snr_db=30.0, align_score=.7,
                             split="test" if n == 0 else "valid" if n == 1 else "train", kept=n != 4, reason="" if n != 4 else "low_snr", detail=""))
    return pd.DataFrame(rows), tmp_path / "audio", tmp_path / "out"


def hashes(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_ljspeech_reads_back(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    with open(out / "metadata.csv", encoding="utf-8", newline="") as f: rows = list(csv.reader(f, delimiter="|", quoting=csv.QUOTE_NONE))
    assert len(rows) == clips.kept.sum() and all(len(r) == 3 and r[1] and r[2] for r in rows)
    for name, raw, text in rows:
        x, rate = sf.read(out / "wavs" / f"{name}.wav")
        assert rate == 16_000 and abs(len(x) - 8_000) <= 1 and x.ndim == 1 and "\n" not in raw and np.abs(x).max() > .01
    assert {p.stem for p in (out / "wavs").iterdir()} == {r[0] for r in rows} and not any(r[0].startswith("rec4") for r in rows)


def test_json_lines_read_back(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out, language="ar")
    rows = [json.loads(x) for x in (out / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == clips.kept.sum()
    for r in rows:
        assert list(r)[:4] == ["audio_path", "text", "language", "duration"] and r["language"] == "ar" and abs(r["duration"] - sf.info(out / r["audio_path"]).duration) < 1e-3
    assert pd.read_json(out / "data.jsonl", lines=True).split.value_counts().to_dict() == dict(train=6, test=2, valid=2)


def test_datasets_gives_an_audio_feature(made, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {k: len(v) for k, v in loaded.items()} == dict(train=6, validation=2, test=2)
    assert isinstance(loaded["train"].features["audio"], datasets.Audio)
    row = loaded["test"].cast_column("audio", datasets.Audio(decode=False))[0]
    x, rate = sf.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate == 16_000 and len(x) == 8_000 and row["text"] == "say 0 0 “ünï” كلمة" and row["duration"] == .5
    assert not {r for r in loaded["train"]["recording"]} & {r for r in loaded["test"]["recording"]}


def test_parquet_says_audio_to_anyone(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    meta = json.loads(pq.read_schema(out / "data" / "train-00000-of-00001.parquet").metadata[b"huggingface"])
    assert meta["info"]["features"]["audio"] == {"_type": "Audio"}


def test_large_datasets_are_cut_into_files(made, monkeypatch):
    clips, audio, out = made
    monkeypatch.setattr(publish, "SHARD_BYTES", 40_000)
    publish.dataset(clips, audio, out)
    parts = sorted(p.name for p in (out / "data").glob("train-*"))
    assert len(parts) > 1 and parts[-1].endswith(f"-of-{len(parts):05d}.parquet") and sum(pq.read_metadata(out / "data" / p).num_rows for p in parts) == 6


def test_the_same_clips_give_the_same_bytes(made):
    clips, audio, out = made
    a = publish.dataset(clips, audio, out, consent="yes")
    b = publish.dataset(clips.sample(frac=1, random_state=1), audio, out.with_name("b"), consent="yes")
    first, second = hashes(out), hashes(out.with_name("b"))
    assert {k: v for k, v in first.items() if k != "dataset.json"} == {k: v for k, v in second.items() if k != "dataset.json"} and a["fingerprint"] == b["fingerprint"]


def test_nothing_is_written_again_without_need(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    publish.dataset(clips, audio, out)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before
    (out / "wavs" / "rec0_0.wav").unlink()
    publish.dataset(clips, audio, out)
    assert (out / "wavs" / "rec0_0.wav").exists()
    old = publish.dataset(clips, audio, out)["fingerprint"]
    clips.loc[0, "text"] = "another text"
    assert publish.dataset(clips, audio, out)["fingerprint"] != old and "another text" in (out / "metadata.csv").read_text()


def test_a_folder_of_somebody_else_is_left_alone(made):
    clips, audio, out = made
    out.mkdir()
    (out / "thesis.doc").write_text("years of work")
    with pytest.raises(ValueError, match="not our dataset"): publish.dataset(clips, audio, out)
    assert [p.name for p in out.iterdir()] == ["thesis.doc"]


def test_a_failure_leaves_the_old_folder_whole_and_no_rubbish(made, monkeypatch):
    clips, audio, out = made
    publish.dataset(clips, audio, out)
    before = hashes(out)

    def full(*a): raise OSError(28, "No space left on device")
    monkeypatch.setattr(publish, "write_parquet", full)
    with pytest.raises(OSError, match="No space"): publish.dataset(clips, audio, out, consent="changed")
    assert hashes(out) == before and [p.name for p in out.parent.iterdir() if p.name.startswith(".")] == []


def test_the_card_says_what_is_unknown_and_what_is_known(made):
    clips, audio, out = made
    recordings = pd.DataFrame(dict(recording=[f"rec{n}" for n in range(6)], file=[f"PTT-{n}.opus" for n in range(6)], rate=[16_000] * 5 + [48_000], channels=[1] * 5 + [2],
                                   kept=True, reason="", detail=""))
    publish.dataset(clips, audio, out, name="Ana: la voz", language="pt-br", recordings=recordings)
    text = (out / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert "**Consent**: unknown" in text and "**Licence**: unknown" in text and head["license"] == "unknown"
    assert head["pretty_name"] == "Ana: la voz" and head["language"] == ["pt"] and [d["split"] for d in head["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert "opus 16000 Hz mono x 4, opus 48000 Hz stereo x 1" in text and "**Codec history**: opus 16000 Hz mono x 4" in text and "| low_snr | -2 |" in text and "$" not in text
    publish.dataset(clips, audio, out, name="Ana", consent="signed 2025-03-01", licence="CC-BY-4.0", verification="GE2E 0.75, EER 0.4 %")
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "signed 2025-03-01" in text and yaml.safe_load(text.split("---")[1])["license"] == "cc-by-4.0" and "EER 0.4 %" in text
    publish.dataset(clips, audio, out, licence="family only")
    assert yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---")[1])["license_name"] == "family-only" and (out / "LICENSE").read_text() == "family only\n"


def recordings_of(n=6):
    return pd.DataFrame(dict(recording=[f"rec{i}" for i in range(n)], file=[f"PTT-{i}.opus" for i in range(n)], rate=16_000, channels=1, kept=True, reason="", detail="",
                             gender=["female", "male"] * (n // 2), accent="", sent_at=pd.to_datetime([f"2025-0{i + 1}-11 10:00" for i in range(n)])))


# a label of the card -> what a whole run says there
FIELDS = {
    "**Consent**": "reference consent-1", "**Licence**": "family only", "**Terms**": "LICENSE", "**Published at**": "https://example.org/ana/voice",
    "**Source**": "voice messages", "**Upstream dataset**": "mozilla/common", "**Collection**": "6 recordings came in, 6 could be used, 5 recordings are in the dataset; these were sent from 2025-01 to 2025-06", "**Codec history**": "opus 16000 Hz mono x 5",
    "**Device**": "a phone", "**Texts**": "asr 60%, gold 40%", "**Annotation**": "word times by forced alignment; splits: every recording is in one split only", "**Redactions**": "2 names",
    "**Training and evaluation**": "train (6 clips) to learn from", "**Meant for**": "text-to-speech", "**Biases**": "gender: male 60%, female 40%", "**Personal and sensitive**": "a voice identifies",
    "| Who speaks: model, threshold, measured error |": "GE2E 0.75, EER 0.4 %", "| Speech of two people at once |": "kept ones have at most 3%", "| Recogniser |": "whisper small",
    "| Its mean log probability a word |": "median -0.30", "| Agreement with a second recogniser |": "median 0.93", "| Share decided by a person |": "42% (5 of 12 clips decided by a person",
    "| Decisions that affect a model |": "one rate, 16,000 Hz", "| Similarity to the speaker's profile |": "median 0.80", "| Levels of the speaker check |": "accept 100%", "| Signal to noise |": "30 dB",
    "| Alignment of text and sound, 0 to 1 |": "0.70", "| Clip length |": "median 0.5 s"}
YAML = "language license license_name license_link license_details tags annotations_creators language_creators language_details pretty_name size_categories source_datasets task_categories task_ids configs dataset_info".split()


def full(clips):
    return clips.assign(sender=[["Ana", "Bo"][i % 2] for i in range(len(clips))], overlap=.03, agreement=.93, asr_logprob=-.3, review=["accept"] * 3 + ["reject", "edit"] + [""] * 7, words=[[] for _ in range(len(clips))])


def test_a_whole_run_leaves_no_field_unknown(made):
    clips, audio, out = made
    publish.dataset(full(clips), audio, out, name="Ana", language="es-ar", recordings=recordings_of(), consent="reference consent-1", licence="family only", url="https://example.org/ana/voice", device="a phone",
                    source="voice messages", corpus="mozilla/common", verification="GE2E 0.75, EER 0.4 %", recogniser="whisper small", redactions="2 names")
    text = (out / "README.md").read_text(encoding="utf-8")
    for label, said in FIELDS.items():
        line = next(x for x in text.splitlines() if label in x)
        assert said in line, line
    assert "unknown" not in text.replace("reads *unknown*", "") and not re.search(r"\$\w", text)
    head = yaml.safe_load(text.split("---")[1])
    assert [k for k in YAML if k not in head] == [] and head["language_details"] == ["es-ar"] and head["source_datasets"] == ["extended|mozilla/common"]
    assert head["annotations_creators"] == ["expert-generated", "found", "machine-generated"] and head["license_details"] == "family only" and head["license_link"] == "LICENSE"
    assert "| split | speakers | recordings | clips | hours |" in text and "multi-speaker" in head["tags"] and "| Ana | female |" in text


def test_unknown_is_said_only_where_nobody_knows(made):
    clips, audio, out = made
    publish.dataset(clips[["clip", "recording", "start", "end", "text"]], audio, out)
    told = json.loads((out / "dataset.json").read_text())["card"]["fields"]
    assert {k for k, v in told.items() if v == "unknown"} == set("consent licence licence_link corpus source device verification recogniser agreement reviewed codecs text_source levels score asr align snr".split())
    assert all(v not in ("", None) for v in told.values()) and told["url"].startswith("nowhere")
    publish.dataset(clips.assign(text_source="gold"), audio, out, recordings=recordings_of())
    told = json.loads((out / "dataset.json").read_text())["card"]["fields"]
    assert told["source"] == "voice messages of a chat export" and told["corpus"] == "none" and told["recogniser"] == "none: every text was given" and told["asr"] == told["agreement"] == "no recogniser wrote a text"
    assert {k for k, v in told.items() if v == "unknown"} == set("consent licence licence_link device verification reviewed".split())


def card_of(made, clips=None, recordings=None, **facts):
    "The page and its fields, of rows and facts"
    table, audio, out = made
    publish.dataset(table if clips is None else clips, audio, out, recordings=recordings, exports=("json",), **facts)
    return (out / "README.md").read_text(encoding="utf-8"), json.loads((out / "dataset.json").read_text())["card"]["fields"]


def head_of(text): return yaml.safe_load(text.split("---")[1])


def test_the_funnel_counts_recordings_and_clips(made):
    came = pd.concat([recordings_of(), recordings_of().iloc[:3].assign(recording=["x", "y", "rec0"], kept=False, reason=["damaged", "damaged", "duplicate"])], ignore_index=True)
    text, told = card_of(made, recordings=came)
    files, cut = told["funnel"].split("Clips:")
    assert files.startswith("Recordings:") and "| in | 9 |" in files and "| damaged | -2 |" in files and "| duplicate | -1 |" in files and "| kept | 6 |" in files
    assert "| in | 12 |" in cut and "| low_snr | -2 |" in cut and told["funnel"] in text
    assert told["collection"] == "9 recordings came in, 6 could be used, 5 recordings are in the dataset; these were sent from 2025-01 to 2025-06"
    assert "Recordings:" not in card_of(made)[1]["funnel"]


def test_months_and_codecs_are_those_of_the_dataset(made):
    later = recordings_of().assign(sent_at=pd.to_datetime(["2025-03-01"] * 4 + ["2031-01-01", "2025-03-02"]))
    extra = recordings_of(2).assign(recording=["p", "q"], rate=8_000, sent_at=pd.to_datetime(["1999-01-01", "2031-01-01"]))
    told = card_of(made, recordings=pd.concat([later, extra], ignore_index=True))[1]
    assert told["collection"].endswith("sent in 2025-03") and told["codecs"] == "opus 16000 Hz mono x 5"


def test_an_unknown_source_is_not_called_original(made):
    assert "source_datasets" not in head_of(card_of(made)[0])
    assert head_of(card_of(made, corpus="none")[0])["source_datasets"] == ["original"] == head_of(card_of(made, recordings=recordings_of())[0])["source_datasets"]


def test_what_is_said_of_splits_is_counted(made):
    clips = made[0]
    assert "every recording is in one split only; every text is in one split only." in card_of(made)[0].lower()
    shared = clips.assign(text=["One text.", "one text"] * 6, split=["train", "test"] * 6)
    text, told = card_of(made, shared)
    assert told["sides"] == "5 of 5 recordings are in more than one split; 1 of 1 texts are in more than one split." and told["sides"] in text and "one side" not in text
    assert "splits: 5 of 5 recordings are in more" in told["annotation"] and "whole recordings" not in text
    assert card_of(made, clips.assign(split="train"))[1]["sides"] == "All clips are in one split."
    assert card_of(made, full(clips))[1]["sides"].endswith("2 of 2 speakers are in more than one split.")


def test_a_speaker_check_is_only_told_of_where_it_ran(made):
    bare = made[0].drop(columns=["score", "level"])
    assert card_of(made, bare)[1]["overlap"] == "no overlap detector was run" == card_of(made, bare.assign(score=np.nan, level=""))[1]["overlap"]
    assert "speaker check" in card_of(made)[1]["overlap"]
    some = made[0].assign(overlap=[np.nan, .1] * 6)
    assert card_of(made, some)[1]["overlap"] == "measured in 5 of 10 clips; 0 clips are out for it, the kept ones have at most 10%"


def test_the_share_that_people_decided_leaves_out_what_nobody_can_decide(made):
    from voicenb.core.table import decided
    notes = made[0].assign(review=["accept", "reject", "edit", "again"] + [""] * 8)
    notes.loc[1, ["kept", "reason"]] = False, "rejected_by_person"
    others = notes.assign(clip="o" + notes["clip"], recording="o" + notes.recording, kept=False, reason="other_sender", review="")
    both = pd.concat([notes, others, others.assign(clip="d" + notes["clip"], reason="damaged")], ignore_index=True)
    assert decided(both) == (dict(accept=1, edit=1, reject=1), 12)
    assert card_of(made, both)[1]["reviewed"] == "25% (3 of 12 clips decided by a person: accept 1, edit 1, reject 1)"
    assert decided(made[0]) == ({}, 12) and card_of(made)[1]["reviewed"] == "unknown"


def test_who_wrote_the_texts_is_not_made_up(made):
    clips = made[0].assign(text_source="gold")
    who = lambda *a, **k: head_of(card_of(made, *a, **k)[0])["annotations_creators"]
    assert who(clips) == ["found"] and who(clips, recordings_of().assign(up_votes=[2, 0] * 3, down_votes=0)) == ["crowdsourced"]
    assert who(clips, recordings_of().assign(up_votes=0, down_votes=0)) == ["found"]
    assert who(clips.assign(review="edit", text_source="user")) == ["expert-generated"] and who(clips.assign(text_source="asr")) == ["machine-generated"]


def test_nothing_found_is_not_nobody_looked(made):
    from voicenb.data import card
    clips = made[0]
    assert card_of(made)[1]["redactions"] == card.NOT_NOTED
    assert card.redactions(clips[clips.kept], clips, "the names of 3 people, and numbers") == "looked for the names of 3 people, and numbers: none found"
    assert card_of(made, clips.assign(reason=clips.reason.replace("low_snr", "private")))[1]["redactions"] == "2 clips with names or numbers are left out"


def test_every_fact_is_explained_and_used():
    note = (ROOT / "data_cards" / "README.md").read_text()
    for fact in publish.FACTS: assert f"`{fact}`" in note and f"${fact}" in publish.template(), fact


def test_the_licence_in_the_hubs_words():
    from voicenb.data.card import licensing
    assert licensing("CC-BY-NC-SA-4.0") == dict(license="cc-by-nc-sa-4.0", license_link="https://creativecommons.org/licenses/by-nc-sa/4.0/", license_details="CC-BY-NC-SA-4.0")
    assert licensing("Nur für die Familie!", "https://example.org/t")["license_name"] == "nur-f-r-die-familie" and licensing("Nur", "https://example.org/t")["license_link"] == "https://example.org/t"
    for known in ("cc-by-3.0", "cc-by-sa-3.0", "odc-by", "cdla-permissive-2.0", "gpl-3.0"): assert licensing(known)["license"] == known and "license_name" not in licensing(known)
    assert licensing("CC BY 4.0") == dict(license="cc-by-4.0", license_link="https://creativecommons.org/licenses/by/4.0/", license_details="CC BY 4.0")
    assert licensing("CC0")["license"] == "cc0-1.0" and licensing("Apache 2.0")["license"] == "apache-2.0" and licensing("CC BY")["license"] == "other"
    assert licensing("unknown") == dict(license="unknown") and licensing("!!!")["license_name"] == "terms"


def test_who_speaks(made):
    clips, audio, out = made
    two = full(clips)
    publish.dataset(two, audio, out, name="friends")
    rows = [json.loads(x) for x in (out / "data.jsonl").read_text().splitlines()]
    assert {r["speaker"] for r in rows} == {"Ana", "Bo"} and "Speech of 2 people" in (out / "README.md").read_text()
    publish.dataset(two.assign(sender="Ana"), audio, out, name="Ana L.")
    assert "Speech of one person" in (out / "README.md").read_text() and "single-speaker" in (out / "README.md").read_text()
    assert pq.read_table(out / "data" / "train-00000-of-00001.parquet")["speaker"].to_pylist() == ["Ana L."] * 6
    assert publish.dataset(two.assign(speaker=["SPEAKER_00", "", *["SPEAKER_01"] * 10]), audio, out, speaker="speaker")["speakers"] == ["SPEAKER_00", "SPEAKER_01", "unknown"]
    with pytest.raises(ValueError, match="speaker='voice': the clips have no such column"): publish.dataset(two, audio, out, speaker="voice")


def test_lhotse_loads_and_validates(made, monkeypatch):
    lhotse = pytest.importorskip("lhotse")
    from lhotse.qa import validate_recordings_and_supervisions
    from lhotse.recipes.utils import read_manifests_if_cached
    clips, audio, out = made
    words = [[dict(word="say", start=-.01, end=.2, score=.9), dict(word="a", start=.4, end=.7, score=.5)]] * len(clips)
    publish.dataset(full(clips).assign(words=words), audio, out, language="en", recordings=recordings_of())
    found = read_manifests_if_cached(["train", "valid", "test"], out / "lhotse")
    assert {k: len(v["supervisions"]) for k, v in found.items()} == dict(train=6, valid=2, test=2)
    monkeypatch.chdir(out)
    validate_recordings_and_supervisions(found["train"]["recordings"], found["train"]["supervisions"], read_data=True)
    cuts = lhotse.load_manifest(out / "lhotse" / "cuts_train.jsonl.gz")
    lhotse.validate(cuts, read_data=True)
    s = cuts[0].supervisions[0]
    assert cuts[0].load_audio().shape == (1, 8_000) and s.speaker in ("Ana", "Bo") and s.gender in ("female", "male") and s.custom["recording"] == "rec2"
    assert [(w.symbol, w.start, w.end) for w in s.alignment["word"]] == [("say", 0.0, .2), ("a", .4, .5)]
    monkeypatch.chdir(ROOT)
    assert cuts.with_recording_path_prefix(out)[0].load_audio().any()


def test_a_libritts_tree_reads_as_libritts(made, tmp_path):
    pytest.importorskip("lhotse")
    from lhotse.recipes.libritts import prepare_libritts
    clips, audio, out = made
    publish.dataset(full(clips).assign(sender=["Ana María", "x_y"] * 6), audio, out, exports=("libritts",))
    assert not (out / "wavs").exists() and sorted(p.name for p in (out / "libritts").iterdir()) == ["SPEAKERS.txt", "dev", "test", "train"]
    (out / "libritts" / "train").rename(out / "libritts" / "train-clean-100")
    rows = sorted(prepare_libritts(out / "libritts", "train-clean-100")["train-clean-100"]["supervisions"], key=lambda r: r.text)
    assert len(rows) == 6 and {r.speaker for r in rows} == {"Ana-María", "x-y"} and rows[0].text == "say 2 0 “ünï” كلمة" and rows[0].custom["snr"] == 30
    one = sorted((out / "libritts" / "test").rglob("*.wav"))[0]
    assert one.relative_to(out / "libritts").as_posix() == "test/Ana-María/rec0/Ana-María_rec0_0000250_0000750.wav"
    assert one.with_suffix(".original.txt").read_text() == "Say 0 0 “ünï” كلمة" and one.with_suffix(".normalized.txt").read_text() == "say 0 0 “ünï” كلمة"


def test_croissant_is_valid_and_reads_back(made):
    mlc = pytest.importorskip("mlcroissant")
    clips, audio, out = made
    publish.dataset(full(clips), audio, out, exports=publish.EXPORTS, licence="cc-by-4.0", url="https://example.org/ana/voice", source="voice messages")
    d = mlc.Dataset(str(out / "croissant.json"))
    assert not d.metadata.ctx.issues.errors and all("datePublished" in w for w in d.metadata.ctx.issues.warnings)
    meta = json.loads((out / "croissant.json").read_text())
    assert meta["conformsTo"][0].endswith("croissant/1.1") and meta["license"].endswith("by/4.0/") and "voice messages" in d.metadata.data_collection and d.metadata.data_biases
    assert any("identifies" in x for x in d.metadata.personal_sensitive_information)
    files = {f["contentUrl"]: f["sha256"] for f in meta["distribution"] if f["@type"] == "cr:FileObject"}
    assert set(files) >= {"metadata.csv", "data.jsonl", "SHA256SUMS", "lhotse/cuts_train.jsonl.gz", "data/train-00000-of-00001.parquet"}
    assert all(hashlib.sha256((out / f).read_bytes()).hexdigest() == h for f, h in files.items())
    rows = list(d.records("clips"))
    assert len(rows) == 10 and {r["clips/speaker"].decode() for r in rows} == {"Ana", "Bo"}
    assert all(len(sf.read(io.BytesIO(r["clips/audio"]))[0]) == 8_000 for r in rows)
    publish.dataset(clips, audio, out, exports=("json", "croissant"))
    rows = list(mlc.Dataset(str(out / "croissant.json")).records("clips"))
    assert len(rows) == 10 and all((out / r["clips/audio_path"].decode()).exists() for r in rows)


def test_hashes_are_as_sha256sum_wants_them(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out, exports=publish.EXPORTS)
    lines = (out / "SHA256SUMS").read_text().splitlines()
    assert {x[66:] for x in lines} == {f for f in hashes(out) if f not in publish.ABOUT} and all(hashes(out)[x[66:]] == x[:64] for x in lines)


def test_only_what_is_asked_for_is_written(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out, exports=("parquet",))
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "SHA256SUMS", "data", "dataset.json"]
    publish.dataset(clips, audio, out, exports=("ljspeech",))
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "SHA256SUMS", "dataset.json", "metadata.csv", "wavs"] and "data_files" not in (out / "README.md").read_text()
    with pytest.raises(ValueError, match="unknown export 'kaldi'"): publish.dataset(clips, audio, out, exports=("kaldi",))
    with pytest.raises(ValueError, match="at least one that holds data"): publish.dataset(clips, audio, out, exports=("croissant",))


def test_other_facts_change_the_pages_and_nothing_else(made):
    clips, audio, out = made
    info = publish.dataset(clips, audio, out)
    before = hashes(out)
    said = publish.restate(out, licence="family only", consent="reference 7")
    assert sorted(said) == ["LICENSE", "README.md", "croissant.json", "dataset.json"] and hashes(out) == before and b"reference 7" in said["README.md"]
    again = json.loads(said["dataset.json"])
    assert again["fingerprint"] == info["fingerprint"] and again["files"]["README.md"] == len(said["README.md"]) and publish.restate(out)["README.md"] == (out / "README.md").read_bytes()


def test_another_licence_drops_the_old_terms(made):
    clips, audio, out = made
    publish.dataset(clips, audio, out, licence="my terms", licence_link="https://example.org/terms")
    link = lambda **k: head_of(publish.restate(out, **k)["README.md"].decode())["license_link"]
    assert link(licence="cc-by-4.0") == "https://creativecommons.org/licenses/by/4.0/" and link(licence="other words") == "LICENSE"
    assert link() == link(licence="My terms") == "https://example.org/terms" and link(licence="mit", licence_link="https://example.org/mit") == "https://example.org/mit"


def test_card_templates_are_equal():
    assert (ROOT / "data_cards" / "template.md").read_text() == publish.template()


def test_levels_and_rates_on_request(made):
    clips, audio, out = made
    info = publish.dataset(clips, audio, out, rate=24_000, dbfs=-23)
    x, rate = sf.read(out / "wavs" / "rec5_0.wav")
    assert rate == 24_000 == info["rate"] and abs(20 * np.log10(np.sqrt(np.mean(x ** 2))) + 23) < .1


def test_clear_errors(made):
    clips, audio, out = made
    with pytest.raises(ValueError, match="unknown fact 'licence_'"): publish.dataset(clips, audio, out, licence_="x")
    with pytest.raises(TableError, match="nothing is left"): publish.dataset(clips.assign(kept=False, reason="low_snr"), audio, out)
    os.unlink(audio / "rec0.flac")
    with pytest.raises(ValueError, match="rec0.flac"): publish.dataset(clips, audio, out, rate=16_000)
    assert not out.exists()


def test_a_table_with_the_least_columns_is_enough(made):
    clips, audio, out = made
    info = publish.dataset(clips[["clip", "recording", "start", "end", "text"]], audio, out)
    assert info["splits"] == dict(train=12) and (out / "README.md").exists()
