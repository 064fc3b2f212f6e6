"""Hostile and damaged exports: each file ends in a row with a reason, or the export in one clear line; nothing else is lost."""
import hashlib
import importlib.util
import io
import os
import random
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from voicenb.core.table import REASONS, check
from voicenb.data import ingest

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000


def sound(seconds=1.0, seed=0, channels=1, rate=RATE):
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    x = np.sin(2 * np.pi * (110 + 20 * seed) * t) * .2 + rng.standard_normal(len(t)) * .05
    return np.repeat(x[:, None], channels, 1).astype(np.float32) if channels > 1 else x.astype(np.float32)


def encode(x, kind="opus", rate=RATE):
    out = io.BytesIO()
    formats = dict(opus=("OGG", "OPUS"), ogg=("OGG", "VORBIS"), wav=("WAV", "PCM_16"), flac=("FLAC", "PCM_16"), mp3=("MP3", "MPEG_LAYER_III"))
    if kind in formats: sf.write(out, x, rate, format=formats[kind][0], subtype=formats[kind][1])
    else:
        import av
        with av.open(out, "w", format="mp4") as box:
            stream = box.add_stream("aac", rate=rate)
            stream.layout = "mono"
            frame = av.AudioFrame.from_ndarray(x[None], format="fltp", layout="mono")
            frame.sample_rate = rate
            for p in [*stream.encode(frame), *stream.encode(None)]: box.mux(p)
    return out.getvalue()


@pytest.fixture(scope="module")
def notes():
    return {k: encode(sound(1.0, i), k) for i, k in enumerate(("opus", "ogg", "wav", "flac", "mp3", "m4a"))}


def write(path, members, chat=None, **kw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are wanted here
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for name, data in members: z.writestr(name, data)
            if chat is None: chat = "".join(f"[01/02/2025, 10:00:{i % 60:02d}] Ana: \u200e<attached: {n if isinstance(n, str) else n.filename}>\n" for i, (n, _) in enumerate(members))
            z.writestr("_chat.txt", chat)
    return path


def sane(t):
    "What holds for every recordings table whatever came in"
    check(t, "ingest", need=("recording", "source", "sender", "sent_at", "duration", "rate", "channels", "kept", "reason"))
    out = t[~t.kept]
    assert (out.reason.isin(REASONS)).all() and (out.detail != "").all() and not out.detail.str.contains("\n").any()
    assert (t.duration >= 0).all() and np.isfinite(t.duration).all() and not t.recording[t.kept].duplicated().any()
    return t


def both(path, folder):
    "Ingest and decode, as a run does"
    t = sane(ingest.whatsapp(path))
    done = sane(ingest.masters(t, folder))
    assert len(done) == len(t)
    kept = done[done.kept]
    for r in kept.itertuples(): assert (Path(folder) / f"{r.recording}.flac").stat().st_size > 0
    return done


def one_line(error):
    text = str(error.value)
    assert text and "\n" not in text and len(text) < 400, text


def mutate(data: bytes, rng: random.Random, times=None) -> bytes:
    out = bytearray(data)
    for _ in range(times or rng.randrange(1, 8)):
        if not out: break
        at, action = rng.randrange(len(out)), rng.randrange(7)
        if action == 0: out[at] ^= 1 << rng.randrange(8)
        elif action == 1: out[at:at + rng.randrange(1, 64)] = b""
        elif action == 2: out[at:at] = rng.randbytes(rng.randrange(1, 64))
        elif action == 3: out[at:at + 8] = bytes(min(8, len(out) - at))
        elif action == 4: del out[at:]
        elif action == 5: out[at:at + 4] = struct.pack("<I", rng.choice([0, 0xFFFFFFFF, 0x7FFFFFFF, 1]))
        else: out[rng.randrange(min(64, len(out)))] = rng.randrange(256)
    return bytes(out)


# ---- mutated notes: 26 exports of 10
@pytest.mark.parametrize("seed", range(26))
def test_mutated_notes(seed, notes, tmp_path):
    rng = random.Random(seed)
    kinds = list(notes)
    members = [("good.opus", notes["opus"])] + [(f"n{i}.{(k := rng.choice(kinds))}", mutate(notes[k], rng)) for i in range(10)]
    t = both(write(tmp_path / "e.zip", members), tmp_path / "a")
    assert sorted(t.file) == sorted(n for n, _ in members) and (t.sender == "Ana").all()
    assert t.kept[t.file == "good.opus"].all() or (t.reason[t.file == "good.opus"] == "duplicate").all()
    assert (t.duration[t.kept] < 60).all(), "a damaged header must not be believed after decoding"


# ---- mutated zips
@pytest.mark.parametrize("seed", range(60))
def test_mutated_zips(seed, notes, tmp_path):
    rng = random.Random(seed)
    path = write(tmp_path / "e.zip", [("a.opus", notes["opus"]), ("b.flac", notes["flac"])])
    path.write_bytes(mutate(path.read_bytes(), rng))
    try: both(path, tmp_path / "a")
    except ValueError as e: assert "\n" not in str(e) and str(e)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, .5, .9, .99])
def test_cut_zips(cut, notes, tmp_path):
    path = write(tmp_path / "e.zip", [("a.opus", notes["opus"])])
    data = path.read_bytes()
    path.write_bytes(data[:int(cut * len(data)) if isinstance(cut, float) else cut])
    with pytest.raises(ValueError) as e: ingest.whatsapp(path)
    one_line(e)


# ---- mutated chats
@pytest.mark.parametrize("seed", range(40))
def test_mutated_chats(seed, notes, tmp_path):
    rng = random.Random(seed)
    names = ["PTT-20250318-WA0001.opus", "PTT-20250318-WA0002.opus", "b.flac"]
    chat = "18.03.25, 08:13 - Ana: PTT-20250318-WA0001.opus (Datei angehängt)\n18.03.25, 08:14 - Jörg: PTT-20250318-WA0002.opus (Datei angehängt)\nhm\n18.03.25, 08:15 - Ana: b.flac (x)\n"
    members = list(zip(names, (notes["opus"], notes["wav"], notes["flac"])))
    t = both(write(tmp_path / "e.zip", members, mutate(chat.encode(rng.choice(["utf-8", "latin-1", "utf-16"])), rng)), tmp_path / "a")
    assert set(names) <= set(t.file) and t[t.file.isin(names)].kept.all()


def test_no_chat_and_strange_chats(notes, tmp_path):
    for i, chat in enumerate([b"", b"\xff\xfe", b"\x00" * 100, "nothing here".encode(), b"\xef\xbb\xbf", os.urandom(2000)]):
        t = both(write(tmp_path / f"{i}.zip", [("a.opus", notes["opus"])], chat), tmp_path / "a")
        assert t.sender[t.file == "a.opus"].tolist() == ["unknown"] and t.kept[t.file == "a.opus"].all()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as z: z.writestr("a.opus", notes["opus"])
    assert both(tmp_path / "x.zip", tmp_path / "a").sender.tolist() == ["unknown"]


# ---- hostile zips
@pytest.mark.parametrize("name", ["../evil.opus", "a/../../evil.opus", "/etc/evil.opus", "C:\\evil.opus", "..\\evil.opus", "\\\\host\\share\\evil.opus"])
def test_names_that_climb_out(name, notes, tmp_path):
    info = zipfile.ZipInfo("x")
    info.filename = name
    before = {p for p in tmp_path.rglob("*")}
    t = both(write(tmp_path / "e.zip", [(info, notes["opus"]), ("good.wav", notes["wav"])], chat=""), tmp_path / "a")
    bad = t[t.reason == "unsafe"]
    assert len(bad) == 1 and "evil" in bad.detail.iloc[0] and t.kept[t.file == "good.wav"].all()
    assert {p.name for p in tmp_path.rglob("*")} - {p.name for p in before} == {"e.zip", "a"} | {f"{r}.flac" for r in t.recording[t.kept]}


def test_links(notes, tmp_path):
    info = zipfile.ZipInfo("link.opus")
    info.external_attr = 0o120777 << 16
    t = both(write(tmp_path / "e.zip", [(info, b"/etc/passwd"), ("good.wav", notes["wav"])]), tmp_path / "a")
    assert t.set_index("file").reason.to_dict() == {"link.opus": "unsafe", "good.wav": ""}
    home = tmp_path / "unpacked"
    home.mkdir()
    (home / "good.wav").write_bytes(notes["wav"])
    (tmp_path / "outside.wav").write_bytes(notes["flac"])
    (home / "link.wav").symlink_to(tmp_path / "outside.wav")
    (home / "loop").symlink_to(home, target_is_directory=True)
    t = both(home, tmp_path / "b")
    assert t.reason[t.file == "link.wav"].tolist() == ["unsafe"] and t.kept.sum() == 1


def test_bombs(notes, tmp_path):
    t = both(write(tmp_path / "e.zip", [("bomb.opus", bytes(40 * 2**20)), ("good.wav", notes["wav"])]), tmp_path / "a")
    assert t.set_index("file").reason.to_dict() == {"bomb.opus": "unsafe", "good.wav": ""}
    chat = b"18.03.25, 08:13 - Ana: hi\n" + b"a" * (30 * 2**20)
    t = both(write(tmp_path / "f.zip", [("good.wav", notes["wav"])], chat), tmp_path / "a")
    assert t.kept[t.file == "good.wav"].all()


def test_a_lying_size_does_not_help_a_bomb(notes, tmp_path):
    path = write(tmp_path / "e.zip", [("bomb.opus", bytes(8 * 2**20)), ("good.wav", notes["wav"])])
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        where = data.find(magic)
        while where >= 0:
            if struct.unpack_from("<I", data, where + at)[0] == 8 * 2**20: struct.pack_into("<I", data, where + at, 1000)
            where = data.find(magic, where + 4)
    path.write_bytes(bytes(data))
    t = both(path, tmp_path / "a")
    assert not t.kept[t.file == "bomb.opus"].any() and t.kept[t.file == "good.wav"].all()


def test_names_twice_and_by_case(notes, tmp_path):
    t = both(write(tmp_path / "e.zip", [("a.opus", notes["opus"]), ("A.OPUS", notes["flac"]), ("a.opus", notes["wav"]), ("ok.mp3", notes["mp3"])]), tmp_path / "a")
    assert len(t) == 4 and t.reason.value_counts().to_dict() == {"": 2, "unsafe": 2}
    assert t.kept[t.file == "ok.mp3"].all() and t.detail[t.reason == "unsafe"].str.len().min() > 5


def test_a_name_twice_never_reads_the_other_entry(notes, tmp_path):
    members = [("a.opus", notes["opus"]), ("a.opus", bytes(40 * 2**20)), ("b.opus", notes["ogg"]), ("b.opus", notes["wav"]), ("ok.mp3", notes["mp3"])]
    t = both(write(tmp_path / "e.zip", members), tmp_path / "a")
    assert len(t) == 5 and t.reason[t.file == "a.opus"].tolist() == ["unsafe"] * 2, "an entry is opened by name, and a zip opens the last of its name"
    first = hashlib.sha256(notes["ogg"]).hexdigest()[:16]
    assert set(t.recording[t.kept & (t.file == "b.opus")]) <= {first} and t.kept[t.file == "ok.mp3"].all()


def test_nested_zip_is_not_opened(notes, tmp_path):
    inner = write(tmp_path / "inner.zip", [("x.opus", notes["opus"])]).read_bytes()
    t = both(write(tmp_path / "e.zip", [("inner.zip", inner), ("trick.opus", inner), ("good.wav", notes["wav"])]), tmp_path / "a")
    assert t.set_index("file").reason.to_dict() == {"inner.zip": "not_audio", "trick.opus": "damaged", "good.wav": ""}


def test_encrypted_entry(notes, tmp_path):
    path = write(tmp_path / "e.zip", [("a.opus", notes["opus"]), ("good.wav", notes["wav"])])
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(magic) + at] |= 1  # the first entry is a.opus
    path.write_bytes(bytes(data))
    t = both(path, tmp_path / "a")
    assert t.set_index("file").reason.to_dict() == {"a.opus": "unsafe", "good.wav": ""} and "password" in t.detail[t.file == "a.opus"].iloc[0]


def test_what_is_no_zip(tmp_path):
    for name, data in (("text.zip", b"hello"), ("empty.zip", b""), ("note.opus", b"OggS" + bytes(50))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError) as e: ingest.whatsapp(tmp_path / name)
        one_line(e)
    with pytest.raises(ValueError) as e: ingest.whatsapp(tmp_path / "absent.zip")
    one_line(e)
    with zipfile.ZipFile(tmp_path / "void.zip", "w"): pass
    with pytest.raises(ValueError) as e: ingest.whatsapp(tmp_path / "void.zip")
    one_line(e)


# ---- bad audio
def test_bad_audio(notes, tmp_path):
    x = sound(1.5, 9)
    wav_header_only = notes["wav"][:44]
    members = [("good.opus", notes["opus"]), ("empty.opus", b""), ("truncated.opus", notes["opus"][:200]), ("half.opus", encode(sound(4, 5))[:4000]), ("text.opus", b"only text\n" * 50),
               ("mp3_called.opus", notes["mp3"]), ("wav_called.m4a", notes["wav"]), ("silent.opus", encode(np.zeros(2 * RATE, np.float32))),
               ("clipped.wav", encode(np.clip(x * 50, -1, 1), "wav")), ("one_sample.wav", encode(x[:1], "wav")), ("no_samples.wav", wav_header_only),
               ("eight.wav", encode(sound(1.2, 3, channels=8), "wav")), ("stereo.opus", encode(sound(1.2, 4, channels=2))), ("nan.wav", nan_wav()),
               ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(64)), ("tiny_rate.wav", encode(sound(1.0, 6, rate=1_000), "wav", 1_000)), ("high_rate.flac", encode(sound(1.0, 7, rate=192_000), "flac", 192_000))]
    t = both(write(tmp_path / "e.zip", members), tmp_path / "a").set_index("file")
    assert len(t) == len(members)
    assert {f: t.reason[f] for f in ("empty.opus", "truncated.opus", "text.opus", "silent.opus", "one_sample.wav", "no_samples.wav", "photo.jpg")} == {
        "empty.opus": "empty", "truncated.opus": "damaged", "text.opus": "damaged", "silent.opus": "silent", "one_sample.wav": "too_short_file", "no_samples.wav": "empty", "photo.jpg": "not_audio"}
    assert t.kept[["good.opus", "mp3_called.opus", "wav_called.m4a", "clipped.wav", "eight.wav", "stereo.opus", "high_rate.flac"]].all()
    assert t.channels["eight.wav"] == 8 and abs(t.duration["eight.wav"] - 1.2) < .01
    for f in t.index[t.kept]:
        y, rate = sf.read(tmp_path / "a" / f"{t.recording[f]}.flac")
        assert y.ndim == 1 and np.isfinite(y).all() and abs(len(y) / rate - t.duration[f]) < .05, f


def nan_wav():
    out = io.BytesIO()
    sf.write(out, np.full(RATE, np.nan, np.float32), RATE, format="WAV", subtype="FLOAT")
    return out.getvalue()


def test_three_hours_are_decoded_in_blocks(tmp_path):
    home = tmp_path / "h"
    home.mkdir()
    with sf.SoundFile(home / "long.flac", "w", 8_000, 1, format="FLAC", subtype="PCM_16") as f:
        block = (sound(60, 1, rate=8_000) * 30_000).astype(np.int16)
        for _ in range(180): f.write(block)
    code = ("import resource, sys; from voicenb.data import ingest; t = ingest.folder(sys.argv[1]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "t = ingest.masters(t, sys.argv[2]); print(bool(t.kept.all()), float(t.duration[0]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)")
    done = subprocess.run([sys.executable, "-c", code, str(home), str(tmp_path / "a")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    kept, seconds, grown = done.stdout.split()
    assert kept == "True" and abs(float(seconds) - 10_800) < 1
    assert int(grown) / 1024 < 120, f"{int(grown) / 1024:.0f} MB for three hours, which are 345 MB as floats: the file was held whole"


# ---- the rest of the brief
def test_missing_omitted_duplicates_and_other_media(notes, tmp_path):
    chat = ("[01/02/2025, 10:00:01] Ana: \u200e<attached: a.opus>\n[01/02/2025, 10:00:02] Ben: \u200e<attached: b.opus>\n[01/02/2025, 10:00:03] Ana: \u200e<attached: gone.opus>\n"
            "[01/02/2025, 10:00:04] Ana: \u200eaudio omitted\n[01/02/2025, 10:00:05] Ana: \u200e<attached: p.jpg>\n")
    t = both(write(tmp_path / "e.zip", [("b.opus", notes["opus"]), ("a.opus", notes["opus"]), ("p.jpg", b"jpg"), ("stray.wav", notes["wav"])], chat), tmp_path / "a")
    assert t.reason.value_counts().to_dict() == {"": 2, "duplicate": 1, "missing": 1, "omitted": 1, "not_audio": 1}
    first = t[t.file == "a.opus"].iloc[0]
    assert first.kept and first.sender == "Ana" and len(first.sources) == 2 and t.sender[t.file == "stray.wav"].tolist() == ["unknown"]


def test_transcripts_that_name_absent_notes_and_broken_ones(notes, tmp_path):
    home = tmp_path / "h"
    home.mkdir()
    (home / "a.opus").write_bytes(notes["opus"])
    (tmp_path / "t.csv").write_bytes("a.opus|schön\nabsent.opus|hm\n".encode("latin-1"))
    t = sane(ingest.folder(home, tmp_path / "t.csv")).set_index("file")
    assert t.text_raw["a.opus"] == "schön" and t.reason["absent.opus"] == "missing"
    (tmp_path / "t.csv").write_text("no bar here\n")
    assert sane(ingest.folder(home, tmp_path / "t.csv")).kept.tolist() == [True]  # a line without a bar is listed, not fatal
    with pytest.raises(ValueError) as e: ingest.folder(home, tmp_path / "none.csv")
    one_line(e)


def test_me_misspelt(notes, tmp_path):
    t = ingest.whatsapp(write(tmp_path / "e.zip", [("a.opus", notes["opus"]), ("b.wav", notes["wav"])],
                              "[01/02/2025, 10:00:01] Ana Lucía: \u200e<attached: a.opus>\n[01/02/2025, 10:00:02] Ben: \u200e<attached: b.wav>\n"))
    with pytest.raises(ValueError, match="did you mean 'Ana Lucía'") as e: ingest.choose(t, "ana lucia")
    one_line(e)
    with pytest.raises(ValueError, match="Ben") as e: ingest.choose(t, "")
    one_line(e)


def test_same_input_same_table(notes, tmp_path):
    path = write(tmp_path / "e.zip", [(f"{k}.{k}", v) for k, v in notes.items()])
    pd.testing.assert_frame_equal(ingest.whatsapp(path), ingest.whatsapp(path))


def test_unpacked_folder_gives_the_same_notes(notes, tmp_path):
    path = write(tmp_path / "e.zip", [(f"202445/{k}.{k}", v) for k, v in notes.items()])
    with zipfile.ZipFile(path) as z: z.extractall(tmp_path / "u")
    a, b = ingest.whatsapp(path), ingest.whatsapp(tmp_path / "u")
    cols = ["recording", "file", "sender", "sent_at", "duration", "kept", "reason"]
    assert "202445_opus.opus" in set(a.file)
    pd.testing.assert_frame_equal(a[cols].sort_values("file", ignore_index=True), b[cols].sort_values("file", ignore_index=True))


def test_the_demo_export(tmp_path):
    t = both(ROOT / "voicenb" / "assets" / "demo_export.zip", tmp_path)
    counts = t.reason.value_counts().to_dict()
    assert counts == {"": 72, "damaged": 2, "duplicate": 1, "empty": 1, "missing": 1, "not_audio": 1, "silent": 1}
    who = ingest.senders(t).set_index("sender")
    assert who.minutes["Sam"] > 6 and set(who.index) == {"Sam", "Alex", "Robin", "Kim"}


@pytest.mark.parametrize("language", ["de", "es", "ar"])
def test_android_exports_of_other_languages(language, tmp_path):
    spec = importlib.util.spec_from_file_location("make_demo", ROOT / "tests" / "make_demo.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    path, gold, me = tool.android_export(tmp_path / "e.zip", language, notes=6)
    t = both(path, tmp_path / "a")
    assert set(f for f, _ in gold) == set(t.file[t.kept]) and ingest.senders(t).sender[0] == me
    assert ingest.choose(t, me).kept.sum() == 6 and t.sent_at.notna().all() and (t.sent_at.dt.year == 2025).all()
