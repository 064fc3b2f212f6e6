"Pairs: ids, tables and words that meet; faults that are marked; splits that do not leak"
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.data import ingest, layouts
from voicenb.data import pairs as pr

RATE = 16_000


def tone(path, seconds=1.0, hz=200.0, gain=.3, rate=RATE, channels=1):
    import soundfile as sf
    x = gain * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.stack([x] * channels, 1), rate)
    return path


@pytest.fixture
def home(tmp_path):
    "Six good pairs and what a table may get wrong"
    for n in range(6):
        for k, who in enumerate(("src", "tgt")): tone(tmp_path / who / f"{n}.wav", 1 + .2 * k, 150 + 10 * n + 100 * k)
    return tmp_path


def gather(home, lines, **more):
    path = home / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    recordings = ingest.masters(pr.files(path, **more), home / "masters")
    return pr.judge(pr.manifest(path, recordings, **more), home / "masters"), recordings


def test_every_fault_of_a_table_is_a_row_with_its_reason(home):
    tone(home / "src" / "silent.wav", gain=0)
    tone(home / "src" / "tenth.wav", .1)
    tone(home / "src" / "long.wav", 21)
    tone(home / "tgt" / "long.wav", 21, 300)
    tone(home / "tgt" / "twice.wav", 2.5, 320)
    (home / "src" / "text.wav").write_bytes(b"not audio")
    (home / "src" / "nan.wav").write_bytes(b"")
    import soundfile as sf
    sf.write(home / "src" / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    tone(home / "src" / "stereo.wav", 1, 440, rate=8_000, channels=2)
    tone(home / "src" / "full.wav", 1, 460, gain=1.0)
    cases = {"src/0.wav,tgt/0.wav": "", "src/9.wav,tgt/1.wav": "unpaired", "src/1.wav,": "unpaired", "src/silent.wav,tgt/1.wav": "unpaired", "src/tenth.wav,tgt/1.wav": "unpaired",
             "src/long.wav,tgt/long.wav": "too_long", "src/2.wav,tgt/twice.wav": "too_different", "src/text.wav,tgt/1.wav": "unpaired", "src/nan.wav,tgt/1.wav": "unpaired",
             "src/stereo.wav,tgt/2.wav": "", "src/full.wav,tgt/3.wav": "", "src/0.wav,tgt/0.wav ": "duplicate", "src/4.wav,src/4.wav": "same_side", "../x.wav,tgt/1.wav": "unpaired",
             "/etc/hosts,tgt/1.wav": "unpaired", "src/5.wav": "unreadable_row"}
    t, _ = gather(home, ["src_wav,tgt_wav", *cases])
    assert t.reason.tolist() == list(cases.values())
    assert all(t.detail[~t.kept].str.len() > 10) and "line 3" in t.detail[1]
    assert tb.funnel(t).rows.tolist()[0] == len(cases)


def test_all_columns_any_case_and_another_root(home):
    tone(home / "ref.wav", 2, 500)
    lines = ["UTT_ID;SRC_WAV;TGT_WAV;SPK_REF_WAV;SRC_SPK;TGT_SPK;TEXT;SPLIT", "u1;src/0.wav;tgt/0.wav;ref.wav;bdl;slt;At 9, come in.;test", "u2;src/1.wav;tgt/1.wav;gone.wav;bdl;slt;x;",
             "u1;src/2.wav;tgt/2.wav;;bdl;slt;y;", "u3;src/3.wav;tgt/3.wav;;bdl;slt;z;dev"]
    (home / "lists").mkdir()
    path = home / "lists" / "p.csv"
    path.write_text("\n".join(lines))
    recordings = ingest.masters(pr.files(path, root=str(home)), home / "masters")
    t = pr.manifest(path, recordings, root=str(home))
    assert t.reason.tolist() == ["", "unpaired", "another_take", "unreadable_row"] and t.split[0] == "test"
    assert t.ref_recording[0] == recordings.recording[recordings.file == "ref.wav"].item()
    assert t.text[0] == "at nine come in" and t.target_speaker[0] == "slt" and set(recordings.sender) == {"bdl", "slt"}


@pytest.mark.parametrize("text, why", [("", "an empty table"), ("a,b\n1,2\n", "no column src_wav"), ("src_wav,tgt_wav\n", "no row in it"), ("src_wav,tgt_wav\na.wav,b.wav\n", "no row has both files")])
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, text, why):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=why) as e: pr.files(tmp_path / "p.csv")
    assert "\n" not in str(e.value)


def test_files_that_change_are_read_again(home):
    from voicenb.core.run import key_of
    (home / "pairs.csv").write_text("src_wav,tgt_wav\nsrc/0.wav,tgt/0.wav\n")
    key = lambda: key_of(pr.files, dict(path=home / "pairs.csv", root="", language="en"))
    before = key()
    assert key() == before
    tone(home / "src" / "0.wav", 1.3)
    assert key() != before


def test_arctic_sentences_meet_by_their_ids(tmp_path):
    for who, ids in dict(bdl="1234", slt="1345").items():
        base = tmp_path / f"cmu_us_{who}_arctic"
        for n in ids: tone(base / "wav" / f"arctic_a000{n}.wav", 1, 100 + 10 * int(n) + len(who) * (who == "slt"))
        (base / "etc").mkdir()
        (base / "etc" / "txt.done.data").write_text("".join(f'( arctic_a000{n} "Sentence number {n}." )\n' for n in "12345"))
    recordings = layouts.arctic(tmp_path)
    t = pr.alike(recordings, "bdl", "slt")
    assert t[t.kept].pair.tolist() == ["arctic_a0001", "arctic_a0003", "arctic_a0004"] == layouts.pairs(recordings, "bdl", "slt").utterance.tolist()
    assert t.detail[t.pair == "arctic_a0002"].item().startswith("slt: missing") and len(t) == 5
    assert t.text[0] == "sentence number one"
    with pytest.raises(ValueError, match="nobody is called 'clb'; there are bdl, slt"): pr.alike(recordings, "clb", "slt")
    with pytest.raises(ValueError, match="both source and target"): pr.alike(recordings, "slt", "slt")


def clip(who, text, n=0, start=0.0, kept=True):
    return dict(recording=f"{who}{n}", start=start, end=start + 2, sender=who, text=text, kept=kept, reason="" if kept else "low_snr", detail="")


def test_parallel_reading_is_found_in_ones_own_clips():
    said = ["the tide is out", "come in and sit down", "we leave at nine"]
    t = pd.DataFrame([clip("Ana", s, n) for n, s in enumerate(said)] + [clip("Ben", s.title() + "!", n) for n, s in enumerate(said[:2])] + [clip("Ben", said[0], 9), clip("Cem", said[2], 0, kept=False), clip("Cem", "yes")])
    assert pr.couples(t)[["source", "target", "sentences"]].values.tolist() == [["Ana", "Ben", 2]]
    out = pr.alike(t, target="Ana")
    assert out[out.kept].speaker.tolist() == ["Ben", "Ben"] and set(out.reason) == {"", "another_take", "unpaired"}
    with pytest.raises(ValueError, match="Cem and Ana share no sentence; most are shared by Ana and Ben"): pr.alike(t, "Cem", "Ana")
    with pytest.raises(ValueError, match="no two people say the same sentence"): pr.alike(t[t.sender == "Ana"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=40, unique=True), st.integers(0, 5))
@pytest.mark.filterwarnings("ignore:split")
def test_no_split_shares_a_sentence_or_a_sound(rows, seed):
    t = pr.table([dict(pair=f"p{a}", recording=f"s{b}", start=float(n), end=n + 2.0, target_recording=f"t{c}", target_start=float(n), target_end=n + 2.0) for n, (a, b, c) in enumerate(rows)])
    s = pr.split(t, seed, .2, .2)
    for column in ("pair", "recording", "target_recording"): assert (s[s.kept].groupby(column).split.nunique() == 1).all()
    assert s.kept.all() and (s.split != "").all() and (s.split == "train").any()
    assert s.split.tolist() == pr.split(t, seed, .2, .2).split.tolist()


def test_shares_caps_and_splits_that_are_given():
    row = lambda n, **k: dict(pair=f"p{n:03d}", recording=f"s{n}", end=2.0, target_recording=f"t{n}", target_end=2.0) | k
    t = pr.split(pr.table([row(n) for n in range(100)]), valid=.05, test=.1, most=50)
    assert t.split.value_counts().to_dict() == {"train": 50, "": 35, "test": 10, "valid": 5} and (t.reason[t.split == ""] == "not_chosen").all()
    t = pr.split(pr.table([row(0, split="valid"), row(0, split="train", recording="z"), *(row(n) for n in range(1, 20))]), valid=.1, test=.1)
    assert t.reason.tolist().count("leaks") == 1 and t.split[0] == "valid" and (t.split == "valid").sum() == 1 and (t.split == "test").sum() == 2
    with pytest.raises(ValueError, match="together under 1"): pr.split(t, valid=.5, test=.5)
    with pytest.warns(UserWarning, match="1 group"): pr.split(pr.table([row(n, recording="one", start=2.0 * n, end=2.0 * n + 2) for n in range(4)]))
