"Corpora in their real layouts, made of synthetic speech: what is read, what is refused, and that every row is named"
import functools
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from voicenb.core import audio as au
from voicenb.core import manifest as mf
from voicenb.core import table as tb
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.data import corpora, ingest, layouts, publish, segment

OLD = "client_id path sentence up_votes down_votes age gender accent".split()
NEW = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment".split()
ANA, BEN = "a1" * 64, "b2" * 64


@functools.cache
def voice(text, variant):
    return speak(text, "en", variant=variant)


def say(path, text, variant="f2", rate=22_050):
    "Synthetic speech in a file of any kind"
    a = voice(text, variant)
    x = au.resample(a.samples, a.rate, rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp3": sf.write(path, x, rate, format="MP3")
    else: au.save(au.Audio(x, rate), path)
    return path


def release(home, rows, columns=NEW, end="\n", table="validated"):
    "A Common Voice table and its clips; a row is a dict, or a line as it is"
    home.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns)]
    for r in rows:
        if isinstance(r, dict) and r.get("clip", True): say(home / "clips" / r["path"], r.get("said", r["sentence"]), r.get("variant", "f2"), 32_000)
        lines.append(r if isinstance(r, str) else "\t".join(str(r.get(c, "")) for c in columns))
    (home / f"{table}.tsv").write_bytes((end.join(lines) + end).encode())
    return home


def row(path, sentence, who=ANA, up=2, down=0, **more):
    return dict(client_id=who, path=path, sentence=sentence, up_votes=up, down_votes=down, locale="en") | more


def reasons(t):
    assert len(t) == t.kept.sum() + (t.reason != "").sum()
    return t.reason[~t.kept].value_counts().to_dict()


@pytest.fixture
def cv(tmp_path):
    rows = [row("1.mp3", 'He said "no, and left.', gender="female_feminine", accents="England English|London", sentence_id="s1"), row("2.mp3", "A line\u2028break inside, \x85 and more.", up=5),
            row("3.mp3", "We met on the stairs.", BEN, variant="m3", gender="male_masculine", accents="Scottish English"), row("4.mp3", "Nobody liked this one.", BEN, up=1, down=3, variant="m3"),
            row("gone.mp3", "Where is it?", BEN, clip=False), row("5.mp3", "Wir sprechen Deutsch.", BEN, locale="de", variant="m3"),
            f"{BEN}\tcut.mp3\ts9\tThe line ends", row("6.mp3", "Two votes.", BEN, up="two"), row("../../secret.mp3", "Climb.", BEN, clip=False),
            row("/etc/passwd", "Root.", BEN, clip=False), row("7.mp3", "", BEN, said="nothing"), row("8.mp3", "No reader.", "", variant="m3")]
    return release(tmp_path / "cv-corpus-22.0" / "en", rows)


def test_every_row_of_a_release_is_read_or_named(cv):
    t = corpora.common_voice(cv, language="en", least_up=2, most_down=1)
    assert reasons(t) == dict(few_votes=1, missing=1, other_language=1, unreadable_row=4, unsafe=2)
    kept = t[t.kept].set_index("file")
    assert kept.text_raw.to_dict() == {"1.mp3": 'He said "no, and left.', "2.mp3": "A line\u2028break inside, \x85 and more.", "3.mp3": "We met on the stairs."}
    assert kept.sender.tolist() == [ANA[:16], ANA[:16], BEN[:16]] and kept.utterance["1.mp3"] == "s1" and kept.up_votes["2.mp3"] == 5 and (kept.rate == 32_000).all()
    assert kept.accent["1.mp3"] == "England English|London" and kept.gender["3.mp3"] == "male_masculine" and (kept.language == "en").all()
    named = set(t[t.reason.isin(["unreadable_row", "unsafe"])].detail.str.split(":").str[0])
    assert named == {f"line {n}" for n in (8, 9, 10, 11, 12, 13)} and "4 cells where the header has 13" in " ".join(t.detail)
    say(cv / "clips" / "stray.mp3", "in no row")
    assert tb.check(t, "corpora") is t and corpora.unlisted(t, cv / "clips") == ["stray.mp3"]


def test_only_what_is_chosen_is_opened(cv):
    for n in (3, 4): (cv / "clips" / f"{n}.mp3").write_bytes(b"no audio at all")
    t = corpora.common_voice(cv, speakers=ANA)  # the full client id
    assert t.kept.sum() == 2 and "damaged" not in reasons(t) and reasons(t)["not_chosen"] == 3
    assert corpora.common_voice(cv, speakers="a1a1a1").kept.sum() == 2
    assert reasons(corpora.common_voice(cv))["damaged"] == 2


@pytest.mark.parametrize("choice, files", [(dict(gender="male"), ["3.mp3"]), (dict(gender="female"), ["1.mp3"]), (dict(accent="scottish"), ["3.mp3"]), (dict(accent="London"), ["1.mp3"]),
                                           (dict(least_up=5), ["2.mp3"]), (dict(language="DE"), ["5.mp3"]), (dict(top=1, least_up=2, language="en"), ["1.mp3", "2.mp3"])])
def test_choices(cv, choice, files):
    t = corpora.choose(corpora.listed(cv), **choice)
    assert sorted(t.file[t.kept]) == files and (t.detail[t.reason.isin(["not_chosen", "few_votes", "other_language"])] != "").all()


def test_who_reads_before_anything_is_opened(cv):
    (cv / "clip_durations.tsv").write_text("clip\tduration[ms]\n1.mp3\t60000\n3.mp3\t30000\nodd line\n")
    who = corpora.readers(corpora.listed(cv))
    assert who.sender.tolist() == [ANA[:16], BEN[:16]] and who.minutes.tolist() == [1.0, .5] and who.clips.tolist() == [2, 3] and who.gender.tolist() == ["female_feminine", "male_masculine"]


def test_old_releases_windows_lines_and_the_release_folder(tmp_path):
    home = release(tmp_path / "cv" / "es", [row("1.mp3", "Uno."), row("2", "Dos.", clip=False, accent="andino")], OLD, "\r\n", "train")
    say(home / "clips" / "2.mp3", "dos")
    t = corpora.common_voice(tmp_path / "cv", table="train.tsv", accent="andin")
    assert t.kept.sum() == 1 and t.text_raw[t.kept].item() == "Dos." and (t.language == "es").all()
    release(tmp_path / "cv" / "fr", [row("1.mp3", "Un.")], OLD, table="train")
    with pytest.raises(ValueError, match=r"several languages \(es, fr\); set language"): corpora.common_voice(tmp_path / "cv", table="train")
    assert corpora.common_voice(tmp_path / "cv", language="fr", table="train").text_raw.tolist() == ["Un."]


@pytest.mark.parametrize("make, said", [
    (lambda h: (h / "validated.tsv").write_text("id\ttext\n1\thello\n"), "validated.tsv: not a table of Common Voice: it lacks client_id, path, sentence; it has id, text"),
    (lambda h: (h / "validated.tsv").write_text("client_id,path,sentence\n1,2,3\n"), "it lacks client_id, path, sentence; it has client_id,path,sentence"),
    (lambda h: (h / "test.tsv").write_text("client_id\tpath\tsentence\n"), "no validated.tsv in it; there is test.tsv"),
    (lambda h: None, "no table at all")])
def test_another_table_is_one_line(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(ValueError) as e: corpora.common_voice(tmp_path)
    assert said in str(e.value) and "\n" not in str(e.value)
    (tmp_path / "cv.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match="unpack the release"): corpora.common_voice(tmp_path / "cv.tar.gz")


def test_wrong_choices_are_one_line(cv, tmp_path):
    with pytest.raises(ValueError, match=r"no reader is called 'nobody'; there are b2b2b2b2b2b2b2b2 \(3 clips\), a1"): corpora.common_voice(cv, speakers="nobody")
    home = release(tmp_path / "plain", [row("1.mp3", "One.")], ["client_id", "path", "sentence"])
    with pytest.raises(ValueError, match="has no votes"): corpora.common_voice(home, least_up=1)
    assert corpora.common_voice(home).kept.all() and "up_votes" not in corpora.common_voice(home)


@pytest.mark.parametrize("choice", [dict(top=-1), dict(least_up=-2), dict(most_down=-5)])
def test_numbers_that_choose_nothing_are_one_line(cv, choice):
    (name, v), = choice.items()
    with pytest.raises(ValueError, match=f"^{name}={v}: give a number from (0|-1), which takes all$"): corpora.common_voice(cv, **choice)


def test_a_header_alone_utf_16_and_clips_that_are_none(tmp_path):
    home = release(tmp_path / "en", [])
    with pytest.raises(ValueError, match="^validated.tsv: no row in it$"): corpora.common_voice(home)
    home = release(home, [row("1.mp3", "Señor Núñez said it."), row("2.mp3", "Nobody.", clip=False), row("3.mp3", "A folder.", clip=False), row("4.mp3", "Odd votes.", up="\u00b2")])
    text = (home / "validated.tsv").read_bytes().decode()
    (home / "clips" / "2.mp3").write_bytes(b"notmp3" * 50)
    (home / "clips" / "3.mp3").mkdir()
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        (home / "validated.tsv").write_bytes(text.encode(encoding))
        t = corpora.common_voice(home).set_index("text_raw")
        assert t.index[t.kept].tolist() == ["Señor Núñez said it."], encoding
        assert t.reason.to_dict() == {"Señor Núñez said it.": "", "Nobody.": "damaged", "A folder.": "unsafe", "Odd votes.": "unreadable_row"}
        assert t.detail["Nobody."] == "damaged: not audio that can be decoded" and t.detail["A folder."] == "3.mp3: not a regular file"


def test_quotes_of_a_program_go_and_those_of_a_writer_stay(tmp_path):
    said = ['He said "no".', '"Really?"', "Plain words."]
    home = release(tmp_path / "en", [row(f"{n}.mp3", s) for n, s in enumerate(said)])
    original = (home / "validated.tsv").read_bytes()
    texts = lambda: [corpora.listed(home).text_raw.tolist(), layouts.table(home, "validated.tsv").sort_values("file").text_raw.tolist()]
    assert texts() == [said] * 2
    pd.read_csv(home / "validated.tsv", sep="\t", dtype=str, keep_default_na=False, quoting=3).to_csv(home / "validated.tsv", sep="\t", index=False)
    assert b'"He said ""no""."' in (home / "validated.tsv").read_bytes() and texts() == [said] * 2
    (home / "validated.tsv").write_bytes(original.replace(b'He said "no".', b'"No," he said.'))  # wrapped cells alone prove nothing
    assert texts() == [['"No," he said.', *said[1:]]] * 2


def test_copies_collapse_and_links_are_refused(tmp_path):
    home = release(tmp_path / "en", [row("1.mp3", "The same sound."), row("2.mp3", "The same sound.", BEN), row("3.mp3", "Other words.", BEN, said="The same sound."), row("4.mp3", "A link.", clip=False)])
    (home / "clips" / "4.mp3").symlink_to("/etc/hostname")
    t = corpora.common_voice(home)
    assert reasons(t) == dict(duplicate=2, unsafe=1) and len(t.sources[t.kept].item()) == 3
    assert t.detail.tolist()[1:] == ["same bytes as 1.mp3", "same bytes as 1.mp3, with another text", "4.mp3: a link"]


def test_broken_bytes_never_take_more_than_their_rows(cv):
    data, rng = (cv / "validated.tsv").read_bytes(), random.Random(0)
    head = data.index(b"\n") + 1
    for _ in range(30):
        x = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(head, len(x))
            x[at:at + rng.randint(0, 3)] = bytes(rng.choice(b'\t\n\r\0"\xff\x80A/') for _ in range(rng.randint(0, 3)))
        (cv / "validated.tsv").write_bytes(x)
        t = corpora.common_voice(cv)
        assert reasons(t) is not None and t.kept.sum() >= 1 and all(Path(s).parent == cv / "clips" for s in t.source[t.kept])


HEADERS = {",": ("file_name", "transcription", "speaker_id"), ";": ("Audio", "Sentence", "client_id"), "\t": ("path", "text", "speaker"), "|": ("wav", "normalized_text", "speaker")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", HEADERS)
def test_any_table_beside_audio(tmp_path, separator, encoding):
    for n in ("uno", "dos"): say(tmp_path / "audio" / f"{n}.wav", n)
    cell = '"mañana, sí; claro"' if separator in ",;" else 'mañana, "sí'
    lines = [separator.join(HEADERS[separator]), separator.join(("audio/uno.wav", cell, "Ana")), separator.join(("dos", "¿qué?", "Ben")), separator.join(("tres.wav", "no", "Ben"))]
    (tmp_path / "list.csv").write_bytes("\r\n".join(lines).encode(encoding))
    t = layouts.table(tmp_path, language="es")
    assert t.text_raw[t.kept].tolist() == ["¿qué?", cell.strip('"') if separator in ",;" else cell] and t.sender[t.kept].tolist() == ["Ben", "Ana"] and reasons(t) == dict(missing=1)


def test_json_tables(tmp_path):
    for n in "ab": say(tmp_path / f"{n}.wav", f"this is {n}")
    rows = [dict(audio=dict(path="a.wav"), text="this is a", speaker=1, age=None), dict(audio="b.wav", text="this is b", speaker=2)]
    for name, text in (("x.json", json.dumps(rows)), ("y.json", json.dumps(dict(version=1, data=rows))), ("z.jsonl", "\n".join([*map(json.dumps, rows), "{broken", "[1]"])), ("m.json", json.dumps({"a.wav": "this is a", "b.wav": "this is b"}))):
        (tmp_path / name).write_text(text)
        t = layouts.table(tmp_path, name)
        assert t.kept.sum() == 2 and t.text_raw[t.kept].tolist() == ["this is a", "this is b"], name
        if name == "z.jsonl": assert reasons(t) == dict(unreadable_row=2) and sorted(t.file[~t.kept]) == ["z.jsonl line 3", "z.jsonl line 4"]
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="x.json: not JSON"): layouts.table(tmp_path, "x.json")
    (tmp_path / "x.json").write_text("[" * 50_000)
    with pytest.raises(ValueError, match="x.json: not JSON"): layouts.table(tmp_path, "x.json")
    with pytest.raises(ValueError, match="a.wav: not text"): mf.read(tmp_path / "a.wav")


def test_a_table_leads_nowhere_else(tmp_path):
    inside, outside = say(tmp_path / "in" / "a.wav", "inside"), say(tmp_path / "b.wav", "outside")
    (tmp_path / "in" / "link.wav").symlink_to(outside)
    cells = ["a.wav", "../b.wav", str(outside), str(inside), r"..\b.wav", "C:\\b.wav", "link.wav", "", "x/../../b.wav"]
    (tmp_path / "in" / "t.csv").write_text("file,text\n" + "".join(f"{c},words {n}\n" for n, c in enumerate(cells)))
    t = layouts.table(tmp_path / "in")
    assert t.source[t.kept].tolist() == [str(inside.resolve())] and reasons(t) == dict(unsafe=6, missing=1, unreadable_row=1)
    assert "the file of line 2 again, with another text" in " ".join(t.detail)


def test_names_that_fit_two_files_and_columns_that_fit_none(tmp_path):
    for n in ("x/1.wav", "y/1.wav", "2.wav"): say(tmp_path / n, n[0])
    (tmp_path / "t.csv").write_text("file,text\n1.wav,which\nx/1.wav,this\n2.wav,two\n2.wav,two\n")
    t = layouts.table(tmp_path)
    assert reasons(t) == dict(unreadable_row=1, duplicate=1) and t.kept.sum() == 2 and "fits x/1.wav and y/1.wav" in " ".join(t.detail)
    (tmp_path / "t.csv").write_text("nombre,frase\n2.wav,dos\n")
    with pytest.raises(ValueError, match="t.csv: .*columns=dict"): layouts.table(tmp_path)
    assert layouts.table(tmp_path, columns=dict(audio="nombre", text="frase")).text_raw.tolist() == ["dos"]
    assert layouts.table(tmp_path, columns=dict(audio="nombre", text="")).text_raw.tolist() == [""]
    with pytest.raises(ValueError, match="no column satz; it has frase, nombre"): layouts.table(tmp_path, columns=dict(audio="nombre", text="satz"))
    for text, want in (("2.wav,two words\n", "two words"), ("2|written|spoken\n", "spoken")):  # no header, and certain
        (tmp_path / "t.csv").write_text(text)
        assert layouts.table(tmp_path).text_raw.tolist() == [want]
    (tmp_path / "t.csv").write_text("2.wav,two words,Ana\n")
    with pytest.raises(ValueError, match="columns=dict"): layouts.table(tmp_path)
    assert layouts.table(tmp_path, columns=dict(audio=0, text=1, speaker=2)).sender.tolist() == ["Ana"]
    (tmp_path / "u.csv").write_text("file,text\n")
    with pytest.raises(ValueError, match="which table"): layouts.table(tmp_path)
    (tmp_path / "t.csv").write_text("file,text\nnone.wav,a\nnada.wav,b\n")
    with pytest.raises(ValueError, match="none of its 2 files is in"): layouts.table(tmp_path, "t.csv")


def test_a_quote_that_nobody_closes_ends_with_its_line():
    lines = ['a.wav,"open', "b.wav,two", 'c.wav,"two', 'lines"', 'd.wav,5" tall', 'e.wav,"say ""hi"""']
    assert [(n, c[1]) for n, c in mf.cells(lines, ",", 2, True)] == [(1, '"open'), (2, "two"), (3, "two\nlines"), (5, '5" tall'), (6, 'say "hi"')]


def test_ljspeech_and_what_calls_itself_so(tmp_path):
    for n in ("LJ1", "LJ2"): say(tmp_path / "LJ" / "wavs" / f"{n}.wav", n)
    (tmp_path / "LJ" / "metadata.csv").write_text('LJ1|Mr. Ng, "so|mister Ng, "so\nLJ2.wav|only two\nLJ3|x|y\na|b|c|d\n\n|no id|no id\n')
    t = layouts.ljspeech(tmp_path / "LJ")
    assert t.text_raw[t.kept].tolist() == ['mister Ng, "so', "only two"] and (t.sender == "LJ").all() and reasons(t) == dict(missing=1, unreadable_row=2)
    assert layouts.ljspeech(tmp_path / "LJ", written=True, speaker="Linda").set_index("file").text_raw["wavs_LJ1.wav"] == 'Mr. Ng, "so'
    (tmp_path / "LJ" / "metadata.csv").write_text("file_name,transcription\nwavs/LJ1.wav,hello\n")
    with pytest.raises(ValueError, match="use layouts.table"): layouts.ljspeech(tmp_path / "LJ")
    assert layouts.table(tmp_path / "LJ").text_raw.tolist() == ["hello"]


def test_arctic_is_paired_by_sentence(tmp_path):
    said = {"arctic_a0001": "Author of the danger trail.", "arctic_a0002": "Not at this particular case.", "arctic_b0001": 'He said \\"no\\".'}
    for who, variant in dict(bdl="m3", slt="f2", xyz="f4").items():
        home = tmp_path / f"cmu_us_{who}_arctic"
        for n, text in list(said.items())[who == "slt":]: say(home / "wav" / f"{n}.wav", text, variant, 16_000)
        (home / "etc").mkdir()
        (home / "etc" / "txt.done.data").write_text("".join(f'( {n} "{t}" )\n' for n, t in said.items()) + "( broken\n")
    t = layouts.arctic(tmp_path)
    assert reasons(t) == dict(missing=1, unreadable_row=3) and t.file.is_unique and set(t.sender) == {"bdl", "slt", "xyz"}
    both = layouts.pairs(t, "bdl", "slt")
    assert both.utterance.tolist() == ["arctic_a0002", "arctic_b0001"] and both.text_raw.tolist()[1] == 'He said "no".' and both.file_a[0] == "bdl_arctic_a0002.wav"
    assert t.gender[t.sender == "slt"].unique().tolist() == ["female"] and layouts.arctic(tmp_path / "cmu_us_bdl_arctic").kept.sum() == 3
    assert set(layouts.arctic(tmp_path, "bdl,slt").sender[lambda s: s != ""]) == {"bdl", "slt", "xyz"} and layouts.arctic(tmp_path, "bdl").kept.sum() == 3
    with pytest.raises(ValueError, match="no sentence of 'rms'; there are bdl, slt, xyz"): layouts.pairs(t, "bdl", "rms")


def test_one_voice_of_arctic_in_two_folders(tmp_path):
    for k, text in (("v1", "One two three."), ("v2", "Four five six.")):
        home = tmp_path / k / "cmu_us_bdl_arctic"
        say(home / "wav" / "arctic_a0001.wav", text, rate=16_000)
        (home / "etc").mkdir()
        (home / "etc" / "txt.done.data").write_text(f'( arctic_a0001 "{text}" )\n( broken\n')
    t = layouts.arctic(tmp_path)
    assert t.file.is_unique and (t.sender == "bdl").all() and t.kept.sum() == 2 and "cmu" not in "".join(layouts.arctic(tmp_path / "v1").file)
    assert corpora.texts(t) == {f"{k}_cmu_us_bdl_arctic_wav_arctic_a0001.wav": text for k, text in (("v1", "One two three."), ("v2", "Four five six."))}


def test_trees_of_libritts_and_librispeech(tmp_path):
    home = tmp_path / "LibriTTS" / "train-clean-100"
    for n in range(2): say(home / "19" / "198" / f"19_198_{n}.wav", f"number {n}", rate=24_000)
    (home / "19" / "198" / "19_198_0.normalized.txt").write_text("number zero\n")
    (home / "19" / "198" / "19_198_0.original.txt").write_text("number 0")
    (home / "19" / "198" / "19_198_9.normalized.txt").write_text("gone")
    say(home / "26" / "1" / "26-1-0000.flac", "a quiet day", "m3", 16_000)
    (home / "26" / "1" / "26-1.trans.txt").write_text("26-1-0000 A QUIET DAY\n26-1-0001 GONE\n")
    (tmp_path / "LibriTTS" / "SPEAKERS.txt").write_text(";ID  |SEX| SUBSET           |MINUTES| NAME\n19   | F | train-clean-100 | 25.19 | Kara\n26 | M | x | 1 | Denny\n")
    t = layouts.libritts(home)
    assert t[t.kept].set_index("sender").text_raw.to_dict() == {"19": "number zero", "26": "A QUIET DAY"} and reasons(t) == dict(missing=2, unreadable_row=1)
    assert t[t.kept].set_index("sender").gender.to_dict() == {"19": "female", "26": "male"} and layouts.libritts(home, written=True).text_raw[lambda s: s == "number 0"].size == 1
    assert layouts.libritts(tmp_path / "LibriTTS", "26").kept.sum() == 1


def test_what_we_publish_can_be_read_back(tmp_path):
    rows = []
    for n in range(4):
        say(tmp_path / "audio" / f"rec{n}.flac", f"sentence number {n}", "f2" if n % 2 else "m3", 48_000 if n == 3 else 22_050)  # mixed sample rates
        rows.append(dict(clip=f"rec{n}_0", recording=f"rec{n}", file=f"{n}.wav", sender="Ana" if n % 2 else "Ben", start=0.0, end=1.0, text=f"sentence number {n}", text_raw=f"Sentence no. {n}",
                         text_source="gold", split="train" if n else "test", kept=True, reason="", detail=""))
    publish.dataset(pd.DataFrame(rows), tmp_path / "audio", tmp_path / "out", exports=("ljspeech", "json", "libritts"))
    for t in (layouts.table(tmp_path / "out"), layouts.libritts(tmp_path / "out" / "libritts")):
        assert t.kept.all() and sorted(t.sender) == ["Ana", "Ana", "Ben", "Ben"] and (t.rate == 22_050).all() and sorted(t.text_raw) == [f"sentence number {n}" for n in range(4)]
    assert layouts.ljspeech(tmp_path / "out").kept.all()


def test_two_people_with_one_name(tmp_path):
    for k, variant in (("one", "f2"), ("two", "m3")):
        for n in range(2): say(tmp_path / k / f"{n}.wav", f"{k} {n}", variant, 16_000 if k == "one" else 44_100)
        (tmp_path / k / "t.csv").write_text(f"file,text,speaker\n0.wav,{k} zero,Ana\n1.wav,{k} one,{k}\n")
    tables = {k: layouts.table(tmp_path / k) for k in ("one", "two")}
    t = corpora.together(tables)
    assert set(t.sender) == {"one/Ana", "two/Ana", "one", "two"} and set(t.file) == {"one_0.wav", "one_1.wav", "two_0.wav", "two_1.wav"} and corpora.texts(t)["two_0.wav"] == "two zero"
    assert set(corpora.together(tables, same=["Ana"]).sender) == {"Ana", "one", "two"}
    assert set(corpora.together(dict(one=tables["one"])).sender) == {"Ana", "one"}  # nothing collides, nothing is renamed
    run = Run(tmp_path / "run", jobs=1, progress=False)
    stored = run(ingest.masters, run(corpora.together, tables))
    assert sorted(stored.rate) == [16_000, 16_000, 44_100, 44_100] and all(sf.info(run.audio / f"{r.recording}.flac").samplerate == r.rate for r in stored.itertuples())


def test_stages_are_remembered_and_a_new_clip_is_seen(cv, tmp_path):
    run = Run(tmp_path / "run", jobs=1, progress=False)
    first = run(corpora.common_voice, cv)
    assert run(corpora.common_voice, str(cv)).equals(first) and run.log[-1]["cached"]
    with open(cv / "validated.tsv", "a") as f: f.write("\t".join(str(row("9.mp3", "One more.").get(c, "")) for c in NEW) + "\n")
    say(cv / "clips" / "9.mp3", "one more", "f4")
    again = run(corpora.common_voice, cv)
    assert not run.log[-1]["cached"] and set(again.file[again.kept]) - set(first.file[first.kept]) == {"9.mp3"}


def test_one_long_recording(tmp_path):
    "A lecture is one file; it is cut like any other"
    text = " ".join(["And then the river turned south, past the mill and the old stone bridge."] * 6)
    a = voice(text, "f2")
    x = np.concatenate([np.pad(au.resample(a.samples, a.rate, 16_000), 8_000) for _ in range(4)])
    path = au.save(au.Audio(x, 16_000), tmp_path / "lecture.wav")
    run = Run(tmp_path / "run", jobs=1, progress=False)
    t = run(ingest.masters, run(ingest.folder, path))
    clips = run(segment.speech, t)
    assert t.kept.all() and t.file.tolist() == ["lecture.wav"] and abs(t.duration[0] - len(x) / 16_000) < .01
    assert clips.kept.sum() >= 8 and (clips.end - clips.start).max() <= 15.01 and clips.end.max() > t.duration[0] - 5
    (tmp_path / "notes.zip").write_bytes(b"PK")
    for wrong in ("none.wav", "notes.zip"):
        with pytest.raises(ValueError, match="or one audio file"): ingest.folder(tmp_path / wrong)
    assert ingest.folder(Path(__file__)).reason.tolist() == ["not_audio"]
