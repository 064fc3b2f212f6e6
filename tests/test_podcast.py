"Transcripts as people write them, their words, their episodes and their provenance"
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.core.text import normalise
from voicenb.data import ingest, podcast, script

VTT = "WEBVTT\n\n"


def cue(start, end, text, comma=False):
    clock = lambda s: f"00:{int(s) // 60:02d}:{s % 60:06.3f}"
    line = f"{clock(start)} --> {clock(end)}\n{text}\n\n"
    return line.replace(".", ",", 2) if comma else line


def srt(*cues):
    return "".join(f"{n}\n{cue(a, b, t, True)}" for n, (a, b, t) in enumerate(cues, 1))


# id, transcript, turns as (named, text)
NAMED = {
    "bar": ("Ann| Hello there.\nBen| Hi, Ann.", [("Ann", "Hello there."), ("Ben", "Hi, Ann.")]),
    "bar spaces": ("Ann Smith |Hello.\n\nBen-Joe | Hi.", [("Ann Smith", "Hello."), ("Ben-Joe", "Hi.")]),
    "bar goes on": ("Ann| Hello\nthere, you.\nBen| Hi.", [("Ann", "Hello there, you."), ("Ben", "Hi.")]),
    "bar with colons": ("Ann| One thing: tea.\nBen| Two: milk.", [("Ann", "One thing: tea."), ("Ben", "Two: milk.")]),
    "bar one line": ("Ann| Hello.", [("Ann", "Hello.")]),
    "bar small names": ("ann| hi\nben| ho\nann| ha", [("ann", "hi"), ("ben", "ho"), ("ann", "ha")]),
    "bar in a text": ("Ann: the sign | is a pipe\nBen: it is\nAnn: yes", [("Ann", "the sign | is a pipe"), ("Ben", "it is"), ("Ann", "yes")]),
    "colon": ("Ann: Hello.\nBen: Hi.\nAnn: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "colon one line": ("Ann: Hello.", [("Ann", "Hello.")]),
    "colon no space": ("Ann:Hello.\nBen:Hi.\nAnn:Bye.\nBen:Ok.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye."), ("Ben", "Ok.")]),
    "colon space before": ("Ann : Bonjour.\nBen : Oui.", [("Ann", "Bonjour."), ("Ben", "Oui.")]),
    "capitals": ("ANN: Hello.\nBEN SMITH: Hi.\nANN: Bye.", [("ANN", "Hello."), ("BEN SMITH", "Hi."), ("ANN", "Bye.")]),
    "case folded": ("Ann: Hello.\nANN: I said.\nAnn : Bye.", [("Ann", "Hello."), ("Ann", "I said."), ("Ann", "Bye.")]),
    "dots": ("Dr. J. Smith: Hello.\nMr. O'Neill: Hi.\nDr. J. Smith: Bye.", [("Dr. J. Smith", "Hello."), ("Mr. O'Neill", "Hi."), ("Dr. J. Smith", "Bye.")]),
    "hyphens": ("Jean-Luc: Hello.\nMary-Ann: Hi.", [("Jean-Luc", "Hello."), ("Mary-Ann", "Hi.")]),
    "digits": ("Speaker 1: Hello.\nSpeaker 2: Hi.\nSpeaker 1: Bye.", [("Speaker 1", "Hello."), ("Speaker 2", "Hi."), ("Speaker 1", "Bye.")]),
    "machine names": ("spk_0: hello\nspk_1: hi\nspk_0: bye", [("spk_0", "hello"), ("spk_1", "hi"), ("spk_0", "bye")]),
    "letters": ("Q: Why?\nA: Because.\nQ: Ah.", [("Q", "Why?"), ("A", "Because."), ("Q", "Ah.")]),
    "small letters": ("ann: hello\nben: hi\nann: bye\nben: ok", [("ann", "hello"), ("ben", "hi"), ("ann", "bye"), ("ben", "ok")]),
    "particles": ("Ludwig van Beethoven: Hello.\nAnn: Hi.\nLudwig van Beethoven: Bye.", [("Ludwig van Beethoven", "Hello."), ("Ann", "Hi."), ("Ludwig van Beethoven", "Bye.")]),
    "accents": ("Zoë: Hello.\nÉmile: Hi.\nZoë: Bye.", [("Zoë", "Hello."), ("Émile", "Hi."), ("Zoë", "Bye.")]),
    "arabic": ("ليلى: مرحبا.\nسامي: أهلا.\nليلى: وداعا.", [("ليلى", "مرحبا."), ("سامي", "أهلا."), ("ليلى", "وداعا.")]),
    "chinese colon": ("王芳：你好。\n李明：再见。\n王芳：好。", [("王芳", "你好。"), ("李明", "再见。"), ("王芳", "好。")]),
    "bold": ("**Ann:** Hello.\n**Ben:** Hi.\n**Ann:** Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "bold inside": ("**Ann**: Hello.\n**Ben**: Hi.\n**Ann**: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "brackets": ("[Ann]: Hello.\n[Ben]: Hi.\n[Ann]: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "arrows": (">> ANN: Hello.\n>> BEN: Hi.\n>> ANN: Bye.", [("ANN", "Hello."), ("BEN", "Hi."), ("ANN", "Bye.")]),
    "dashes": ("- Ann: Hello.\n- Ben: Hi.\n- Ann: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "time behind": ("Ann (00:12): Hello.\nBen (01:02:03): Hi.", [("Ann", "Hello."), ("Ben", "Hi.")]),
    "time before": ("[00:01:02] Ann: Hello.\n[00:01:05] Ben: Hi.", [("Ann", "Hello."), ("Ben", "Hi.")]),
    "bare time before": ("00:01 Ann: Hello.\n00:05 Ben: Hi.\n00:09 Ann: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "time and dash": ("00:01 - Ann: Hello.\n00:05 - Ben: Hi.", [("Ann", "Hello."), ("Ben", "Hi.")]),
    "time range": ("[00:01 - 00:04] Ann: Hello.\n[00:05 - 00:07] Ben: Hi.", [("Ann", "Hello."), ("Ben", "Hi.")]),
    "name and time above": ("Ann Smith  0:03\nHello.\n\nBen  0:12\nHi.\nYes.", [("Ann Smith", "Hello."), ("Ben", "Hi. Yes.")]),
    "name and time above, colon": ("Ann Smith (00:03):\nHello.\n\nBen (00:12):\nHi.", [("Ann Smith", "Hello."), ("Ben", "Hi.")]),
    "direction behind a name": ("Ann (laughs): Hello.\nBen: Hi.\nAnn: Bye.", [("Ann", "[laughs] Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "role behind a name": ("Ann Smith, host: Hello.\nBen (guest): Hi.\nAnn Smith: Bye.", [("Ann Smith", "[host] Hello."), ("Ben", "[guest] Hi."), ("Ann Smith", "Bye.")]),
    "name above": ("Ann Smith\nHello: you.\n\nBen\nHi.\nYes.\n\nAnn Smith\nBye.", [("Ann Smith", "Hello: you."), ("Ben", "Hi. Yes."), ("Ann Smith", "Bye.")]),
    "name above, small": ("ann smith\nHello.\n\nben\nHi.\n\nann smith\nBye.", [("ann smith", "Hello."), ("ben", "Hi."), ("ann smith", "Bye.")]),
    "name above, blank line": ("Ann\n\nHello.\n\nBen\n\nHi.\n\nAnn\n\nBye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "name above, more paragraphs": ("Ann\nHello.\n\nAnd more.\n\nBen\nHi.\n\nAnn\nBye.", [("Ann", "Hello. And more."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "radio": ("ROBERT SMITH, HOST:\n\nAnd so it begins.\n\n(SOUNDBITE OF MUSIC)\n\nUNIDENTIFIED MAN #1: Stop.\n\nSMITH: OK.", [("ROBERT SMITH", "[HOST] And so it begins. (SOUNDBITE OF MUSIC)"), ("UNIDENTIFIED MAN #1", "Stop."), ("SMITH", "OK.")]),
    "text below": ("Ann:\nHello.\n\nBen:\nHi.\n\nAnn:\nBye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "paragraphs go on": ("Ann: Hello.\n\nAnd more.\n\nBen: Hi.\n\nAnn: Bye.", [("Ann", "Hello. And more."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "wrapped": ("Ann: We went to\nthe sea. One thing is\nsure: it rained.\nBen: Hi.\nAnn: Bye.", [("Ann", "We went to the sea. One thing is sure: it rained."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "prose colon at a line": ("Ann: He said one\nword only: no.\nBen: Hi.\nAnn: Bye.", [("Ann", "He said one word only: no."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "however": ("Ann: It rained.\nHowever: we went.\nBen: Hi.\nAnn: Bye.", [("Ann", "It rained. However: we went."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "note": ("Ann: It rained.\nNote: not for long.\nBen: Hi.\nNote: nor here.\nAnn: Bye.", [("Ann", "It rained. Note: not for long."), ("Ben", "Hi. Note: nor here."), ("Ann", "Bye.")]),
    "verse": ("Ann: Read\nMatthew 5:3 now.\nBen: Hi.\nAnn: Bye.", [("Ann", "Read Matthew 5:3 now."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "clock": ("Ann: At\n10:30 we left.\nBen: Hi.\nAnn: Bye.", [("Ann", "At 10:30 we left."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "address": ("Ann: See\nhttps://example.org/a\nBen: Hi.\nAnn: Bye.", [("Ann", "See https://example.org/a"), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "speaks once": ("Ann: Hello.\nBen: Hi.\nAnn: And Carla?\nCarla: Here.\nBen: Good.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "And Carla?"), ("Carla", "Here."), ("Ben", "Good.")]),
    "header": ("Title: Tea\nDate: 2024-05-01\n\nAnn: Hello.\nBen: Hi.\nAnn: Bye.", [("", "Title: Tea Date: 2024-05-01"), ("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "says nothing": ("Ann: Hello.\nBen:\nAnn: Bye.", [("Ann", "Hello."), ("Ben", ""), ("Ann", "Bye.")]),
    "same name twice": ("Ann: I am Ann.\nAnn: So am I.", [("Ann", "I am Ann."), ("Ann", "So am I.")]),
    "hidden line ends": ("Ann: Hello.\u2028Ben: Hi.\x85Ann: Bye.", [("Ann", "Hello."), ("Ben", "Hi."), ("Ann", "Bye.")]),
    "markdown link": ("Ann: See [my page](https://example.org).\nBen: Hi.\nAnn: Bye.", [("Ann", "See my page https://example.org."), ("Ben", "Hi."), ("Ann", "Bye.")]),
}
PLAIN = {
    "paragraphs": ("It rained. One thing is sure:\nnobody came.\n\nWe waited.", ["It rained. One thing is sure: nobody came.", "We waited."]),
    "lines": ("It rained.\nWe waited.\nNobody came.", ["It rained.", "We waited.", "Nobody came."]),
    "prose with colons": ("There are two things: tea and milk.\nI said: stop.\nHe said: no.", ["There are two things: tea and milk.", "I said: stop.", "He said: no."]),
    "dialogue": ("— Hola.\n— Buenas.", ["— Hola.", "— Buenas."]),
    "arrows without names": (">> Hello.\n>> Hi.\nYes.", ["Hello.", "Hi.", "Yes."]),
    "headings": ("The Sea\nIt rained all day. We went.\n\nIt was cold. We left.\n\nNobody came.", ["The Sea It rained all day. We went.", "It was cold. We left.", "Nobody came."]),
    "no punctuation": ("it rained all day\nnobody came\n\nwe waited there\nfor long", ["it rained all day nobody came", "we waited there for long"]),
    "one line": ("Nothing but this", ["Nothing but this"]),
    "no name in a sentence": ("We came at 10:30.\nThe score was 3:1 then.\nIt was late.", ["We came at 10:30.", "The score was 3:1 then.", "It was late."]),
}
CUES = {
    "voices": (VTT + cue(1, 2, "<v Ann>Hello.</v>") + cue(2, 3, "<v Ben Ray>Hi."), [("Ann", "Hello.", 1, 2), ("Ben Ray", "Hi.", 2, 3)]),
    "voice class": (VTT + cue(1, 2, "<v.first.loud Ann>Hello."), [("Ann", "Hello.", 1, 2)]),
    "voices in one cue": (VTT + cue(1, 3, "<v Ann>Hello.\n<v Ben>Hi."), [("Ann", "Hello.", 1, 3), ("Ben", "Hi.", 1, 3)]),
    "voice over two lines": (VTT + cue(1, 3, "<v Ann>Hello\nthere."), [("Ann", "Hello there.", 1, 3)]),
    "after a voice": (VTT + cue(1, 3, "<v Ann>Hello.</v>") + cue(3, 4, "Who is it?"), [("Ann", "Hello.", 1, 3), ("", "Who is it?", 3, 4)]),
    "cues of one": (VTT + cue(1, 2, "<v Ann>Hello") + cue(2, 3, "<v Ann>there."), [("Ann", "Hello there.", 1, 3)]),
    "colons": (VTT + cue(1, 2, "Ann: Hello.") + cue(2, 3, "Ben: Hi.") + cue(3, 4, "and more") + cue(4, 5, "Ann: Bye."), [("Ann", "Hello.", 1, 2), ("Ben", "Hi. and more", 2, 4), ("Ann", "Bye.", 4, 5)]),
    "two names in a cue": (VTT + cue(1, 2, "Ann: Hello.\nBen: Hi.") + cue(2, 3, "Ann: Bye."), [("Ann", "Hello.", 1, 2), ("Ben", "Hi.", 1, 2), ("Ann", "Bye.", 2, 3)]),
    "blocks that are no text": ("WEBVTT - a title\nKind: captions\n\nNOTE\nby hand\nAnn: not this\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\n" + cue(1, 2, "<v Ann>Hello."), [("Ann", "Hello.", 1, 2)]),
    "ids and settings": (VTT + "intro\n00:01.000 --> 00:02.000 align:start position:0%\n<v Ann>Hello.\n\n2\n00:02.000 --> 00:03.000\n<v Ann>there.", [("Ann", "Hello. there.", 1, 3)]),
    "entities": (VTT + cue(1, 2, "<v Ann &amp; Ben>Salt &amp; pepper &lt;3&nbsp;ok"), [("Ann & Ben", "Salt & pepper <3\u00a0ok", 1, 2)]),
    "tags": (VTT + cue(1, 2, "<v Ann><c.red>So</c> <i>very</i> <00:01.500>good <b>x</b>"), [("Ann", "So very good x", 1, 2)]),
    "no names": (VTT + cue(1, 2, "It rained") + cue(2, 3, "all day.") + cue(3, 4, "We waited."), [("", "It rained all day.", 1, 3), ("", "We waited.", 3, 4)]),
    "a pause parts": (VTT + cue(1, 2, "It rained") + cue(9, 10, "we waited"), [("", "It rained", 1, 2), ("", "we waited", 9, 10)]),
    "srt": (srt((1, 2, "Ann: Hello."), (2, 3, "Ben: Hi."), (3, 4, "Ann: Bye.")), [("Ann", "Hello.", 1, 2), ("Ben", "Hi.", 2, 3), ("Ann", "Bye.", 3, 4)]),
    "srt capitals once": (srt((1, 2, "It rained."), (2, 3, "ANN: Hello.")), [("", "It rained.", 1, 2), ("ANN", "Hello.", 2, 3)]),
    "srt tags": (srt((1, 2, "<font color=\"red\">[Ann]: <i>Hello.</i></font>"), (2, 3, "{\\an8}[Ben]: Hi."), (3, 4, "[Ann]: Bye.")), [("Ann", "Hello.", 1, 2), ("Ben", "Hi.", 2, 3), ("Ann", "Bye.", 3, 4)]),
    "srt without blank lines": ("1\n00:00:01,000 --> 00:00:02,000\nAnn: Hello.\n2\n00:00:02,000 --> 00:00:03,000\nAnn: Bye.", [("Ann", "Hello. Bye.", 1, 3)]),
    "srt blank line inside": ("1\n00:00:01,000 --> 00:00:02,000\nAnn: Hello\n\nthere.\n\n2\n00:00:02,000 --> 00:00:03,000\nBen: Hi.", [("Ann", "Hello there.", 1, 2), ("Ben", "Hi.", 2, 3)]),
    "srt numbers said": (srt((1, 2, "Ann: How many?"), (2, 3, "Ben:\n25"), (3, 4, "Ann: Oh.")), [("Ann", "How many?", 1, 2), ("Ben", "25", 2, 3), ("Ann", "Oh.", 3, 4)]),
    "long hours": (VTT + "101:00:01.000 --> 101:00:02.000\n<v Ann>Still here.", [("Ann", "Still here.", 363601, 363602)]),
    "time backwards": (VTT + "00:05.000 --> 00:02.000\n<v Ann>Hello.", [("Ann", "Hello.", np.nan, np.nan)]),
}


@pytest.mark.parametrize("name", NAMED)
def test_names(name):
    text, want = NAMED[name]
    t = podcast.read(text)
    assert list(zip(t.named, t.text)) == want
    assert t.turn.tolist() == list(range(len(t)))


@pytest.mark.parametrize("name", PLAIN)
def test_without_names(name):
    text, want = PLAIN[name]
    t = podcast.read(text)
    assert t.text.tolist() == want and set(t.named) == {""}


@pytest.mark.parametrize("name", CUES)
def test_cues(name):
    text, want = CUES[name]
    for form in (text, text.replace("\n", "\r\n"), "\ufeff" + text):
        t = podcast.read(form)
        assert list(zip(t.named, t.text)) == [w[:2] for w in want]
        assert np.allclose(t[["cue_start", "cue_end"]].to_numpy(float), [w[2:] for w in want], equal_nan=True)


def test_times_of_lines():
    t = podcast.read("[00:00:01] Ann: Hello.\nMore.\n[00:00:05.5] Ben: Hi.\nAnn (00:09): Bye.\nBen: Yes.\n(00:20 - 00:30) Ann: Ok.")
    assert t.named.tolist() == ["Ann", "Ben", "Ann", "Ben", "Ann"]
    assert np.allclose(t.cue_start, [1, 5.5, 9, np.nan, 20], equal_nan=True) and np.allclose(t.cue_end, [5.5, 9, 20, np.nan, 30], equal_nan=True)
    assert t.line.tolist() == [1, 3, 4, 5, 6]


def test_forms_of_one_name_are_said():
    t = podcast.read("Ann: One.\nANN: Two.\n ann : Three.\nBen: Four.\nAnn: Five.")
    assert t.named.tolist() == ["Ann", "Ann", "Ann", "Ben", "Ann"]
    assert t.detail.tolist() == ["", "written 'ANN'", "written 'ann'", "", ""]


def test_the_caller_may_know_the_names():
    text = "It rained. She came:\nthe cook: soup is ready\nand we ate"
    assert set(podcast.read(text).named) == {""}
    assert podcast.read(text, names=("The Cook",)).named.tolist() == ["", "the cook"]


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, code, end):
    text = end.join(["Zoë: It’s “fine”, café – £5.", "Ben: Oui.", "Zoë: Déjà vu…"])
    (tmp_path / "a.txt").write_bytes(text.encode(code))
    t = podcast.read(tmp_path / "a.txt")
    assert t.named.tolist() == ["Zoë", "Ben", "Zoë"] and t.text[0] == "It’s “fine”, café – £5." and t.text[2] == "Déjà vu…"


@pytest.mark.parametrize("data, said", [(b"", "0 bytes"), (b"\xef\xbb\xbf\r\n \n", "no word"), (b"\xff\xfe", "no word"), (b"PK\3\4" + bytes(99), "word processor"), (b"%PDF-1.7 x", "PDF"),
                                        (b"{\\rtf1 hello}", "RTF"), (b"<!DOCTYPE html><p>Ann: hi", "web page"), (bytes(range(1, 32)) * 9, "characters"),
                                        (b"WEBVTT\n\nNOTE nothing\n", "no turn")])
def test_what_is_no_transcript(tmp_path, data, said):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(ValueError, match=said) as e: podcast.read(tmp_path / "a.txt")
    assert "a.txt" in str(e.value) and "\n" not in str(e.value)


# what is written, what is said, what is not
SPOKEN = {
    "brackets": ("Well [laughs] yes.", "Well yes.", ["[laughs]"]),
    "long bracket": ("Well [a door slams, and somebody runs away] yes.", "Well yes.", ["[a door slams, and somebody runs away]"]),
    "inaudible": ("Well [inaudible 00:12:13] yes.", "Well yes.", ["[inaudible 00:12:13]"]),
    "round": ("Well (music) yes (laughter).", "Well yes.", ["(music)", "(laughter)"]),
    "round words": ("Well (phone rings) yes (clears throat) no.", "Well yes no.", ["(phone rings)", "(clears throat)"]),
    "round alone": ("(Everybody stands up.)", "", ["(Everybody stands up.)"]),
    "music line": ("Well.\nMUSIC: the theme of the show", "Well.", ["MUSIC: the theme of the show"]),
    "aside is said": ("Tea (which I like) is hot.", "Tea, which I like, is hot.", []),
    "double round": ("Well ((crosstalk)) yes.", "Well yes.", ["((crosstalk))"]),
    "stars": ("Well *sighs* yes.", "Well yes.", ["*sighs*"]),
    "emphasis is said": ("It was *very* good, **really**.", "It was very good, really.", []),
    "notes": ("♪ la la la ♪ Hello.", "Hello.", ["♪ la la la ♪"]),
    "notes open": ("♪ la la", "", ["♪ la la"]),
    "angle": ("Well <laughs> yes.", "Well yes.", ["<laughs>"]),
    "braces": ("Well {laughs} yes.", "Well yes.", ["{laughs}"]),
    "address": ("See https://example.org/a?b=1, now.", "See, now.", ["https://example.org/a?b=1"]),
    "www": ("See www.example.org.", "See.", ["www.example.org"]),
    "bare address is said": ("Go to bbc.co.uk now.", "Go to bbc dot co dot uk now.", []),
    "emoji": ("Good 😀 day 👩‍👩‍👧 here.", "Good day here.", ["😀", "👩‍👩‍👧"]),
    "emoji at a word": ("Good😀 day.", "Good day.", []),
    "number": ("I am 25 now.", "I am twenty five now.", []),
    "money": ("It cost $20 million then.", "It cost twenty million dollars then.", []),
    "per cent": ("About 3.5% of it.", "About three point five percent of it.", []),
    "dash": ("Well - I think — so.", normalise("Well - I think — so."), []),
    "leading dash": ("— Well, yes.", "Well, yes.", []),
    "ellipsis": ("Well ... yes", normalise("Well ... yes"), []),
    "title": ("Dr. Smith, e.g. him.", "Doctor Smith, for example him.", []),
    "date": ("On 3/4/2020 at 10:30am.", normalise("On 3/4/2020 at 10:30am."), []),
    "nothing but marks": ("... —", "", ["... —"]),
    "glued": ("yes[laughs]no", "yes no", ["[laughs]"]),
    "spanish": ("Bueno (risas) ¿qué? [aplausos]", "Bueno qué?", ["(risas)", "[aplausos]"]),
    "german": ("Ja (lacht) gut (Musik).", "Ja gut.", ["(lacht)", "(Musik)"]),
}


def table(text, **more):
    return pd.DataFrame([dict(recording="r1", text_raw=text, kept=True, reason="", detail="") | more])


@pytest.mark.parametrize("name", SPOKEN)
def test_what_is_said(name):
    raw, said, mute = SPOKEN[name]
    w = podcast.words(table(f"Ann| {raw}\nBen| Yes."), language="en")
    ann = w[w.named == "Ann"]
    assert " ".join(ann.text[ann.kept]) == said
    assert ann.token[~ann.kept].tolist() == mute and set(ann.reason[~ann.kept]) <= {"not_spoken"}
    assert (ann.text[ann.kept] != "").all() and (ann.text[~ann.kept] == "").all()
    assert w["at"].tolist() == list(range(len(w))) and set(tb.check(w).turn) == {0, 1}


def test_every_sign_written_is_in_a_token():
    for raw, *_ in SPOKEN.values():
        w = podcast.words(table(f"Ann| {raw}\nBen| Yes."))
        squeeze = lambda s: sorted("".join(s.split()))
        assert squeeze("".join(w.token)) == squeeze(raw + "Yes."), raw


PIECES = st.lists(st.sampled_from(["tea", "Hello,", "25", "$20", "million", "3.5", "kg", "10:30am", "—", "...", "😀", "[laughs]", "(music)", "https://a.org/x", "Dr.", "3/4/2020", "e.g.", "50%", "-", "*so*",
                                   "Mr.", "1990s", "No. 5", "¿qué?", "\n", "II", "5", "km/h", "½", "&", "+", "=", "O'Neill's", "(aside)", "...yes", "#tag", "@ann", "♪", "a@b.com", "1,000", "–"]), max_size=14)


@settings(max_examples=150, deadline=None)
@given(PIECES, st.sampled_from(["en", "es", "de", "fr", "pt", "it"]))
def test_words_add_up_to_the_turn(parts, language):
    raw = " ".join(parts)
    got = podcast.turn_words(raw, language)
    assert " ".join(text for *_, text, what in got if text) == normalise(script.blanked(raw)[0], language)
    squeeze = lambda s: "".join(sorted("".join(s.split())))
    assert squeeze("".join(t for _, _, t, *_ in got)) == squeeze(raw)
    assert all((text == "") == bool(what) for *_, text, what in got)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_a_line(text):
    try: t = podcast.read(text)
    except ValueError as e:
        assert "\n" not in str(e)
        return
    assert len(t) and t.turn.is_monotonic_increasing
    w = podcast.words(table(text))
    assert (w.kept == (w.text != "")).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Ann", "Ben Ray", "Dr. Fox", "Speaker 1"]), st.sampled_from(["It rained all day.", "Two things: tea and milk.", "At 10:30, I think.", "Yes."])), min_size=4, max_size=20),
       st.sampled_from(["{}| {}", "{}: {}", "**{}:** {}", "[00:00:01] {}: {}", "{} (00:01): {}"]))
def test_layouts_agree(turns, layout):
    turns = [*turns, ("Ann", "So."), ("Ann", "Bye.")]
    t = podcast.read("\n".join(layout.format(*x) for x in turns))
    once = {n for n, _ in turns}
    assert list(zip(t.named, t.text)) == turns, once


def test_words_have_the_times_of_their_cues():
    w = podcast.words(table(VTT + cue(1, 2, "<v Ann>Hello dear") + cue(2, 3, "<v Ann>friend, it is") + cue(3, 4, "<v Ann>$20") + cue(4, 5, "<v Ann>million.") + cue(6, 7, "<v Ben>Oh.")))
    by = w.set_index("token")
    assert set(w.turn) == {0, 1} and tuple(by.loc["dear", ["cue_start", "cue_end"]]) == (1, 2) and tuple(by.loc["friend,", ["cue_start", "cue_end"]]) == (2, 3)
    assert tuple(by.loc["$20 million.", ["text", "cue_start", "cue_end"]]) == ("twenty million dollars.", 3, 5)


def test_languages():
    assert podcast.words(table("Ann| Tengo 25 años."), language="es").text.tolist() == ["Tengo", "veinticinco", "años."]
    with pytest.raises(ValueError, match="no language 'klingon'") as e: podcast.words(table("Ann| Hi."), language="klingon")
    assert "\n" not in str(e.value)
    with pytest.warns(UserWarning, match="numbers are not said out"):
        assert podcast.words(table("Ann| Mam 25 lat."), language="pl").text.tolist() == ["Mam", "25", "lat."]


def test_a_long_turn_stays_fast():
    raw = "Ann| " + "It cost $20 million on 3/4/2020, or so I was told. " * 2000
    w = podcast.words(table(raw))
    assert len(w) == 2000 * 10 and w.kept.all()


# episodes

@pytest.fixture(scope="module")
def sound():
    return speak("It rained all day, and nobody came.", "en")


def put(path, sound, seconds=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.concatenate([sound.samples, np.zeros(int(seconds * sound.rate), np.float32)])
    return au.save(au.Audio(x, sound.rate), path)


TEXT = "Ann: It rained all day.\nBen: And nobody came.\nAnn: No."


def test_a_folder_of_episodes(tmp_path, sound):
    for i, name in enumerate(["ep1.flac", "ep2.wav", "ep3.flac", "ep4.flac", "s2/ep1.flac", "alone/audio.wav", "zero.flac"]): put(tmp_path / name, sound, i / 10)
    for name, text in {"ep1.txt": TEXT, "ep2.en.vtt": VTT + cue(0, 1, "<v Ann>Hello."), "ep2.txt": TEXT, "s2/ep1.srt": srt((0, 1, "Ann: Hi.")), "alone/transcript.txt": TEXT,
                       "zero.txt": "", "gone.srt": srt((0, 1, "Ann: Hi.")), "ep4.txt": "[music]\n\n(applause)"}.items(): (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    t = ingest.podcast(tmp_path).set_index("file")
    assert t.reason.to_dict() == {"alone_audio.wav": "", "cover.jpg": "not_audio", "ep1.flac": "", "ep2.wav": "", "ep3.flac": "no_text", "ep4.flac": "no_text", "gone.srt": "missing",
                                  "s2_ep1.flac": "", "zero.flac": "no_text"}
    assert t.text_raw["ep1.flac"] == TEXT and t.text_raw["ep2.wav"].startswith("WEBVTT") and t.text_raw["s2_ep1.flac"].startswith("1\n")
    assert "Ann 2, Ben 1" in t.detail["ep1.flac"] and "ep2.txt not read" in t.detail["ep2.wav"]
    assert "0 bytes" in t.detail["zero.flac"] and "expected ep3.txt" in t.detail["ep3.flac"] and "nothing in it is said" in t.detail["ep4.flac"]
    assert not any("\n" in d for d in t.detail) and (t.kept == (t.reason == "")).all()


def test_one_episode_and_where_its_transcript_is(tmp_path, sound):
    a = put(tmp_path / "a" / "talk.flac", sound)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "talk.txt").write_text(TEXT)
    (tmp_path / "b" / "words.txt").write_text("Carla: Hi.\nAnn: Oh.")
    assert ingest.podcast(a).reason.tolist() == ["no_text"]
    assert ingest.podcast(a, tmp_path / "b" / "words.txt").text_raw[0].startswith("Carla")
    assert ingest.podcast(a, tmp_path / "b").text_raw[0] == TEXT and ingest.podcast(tmp_path / "a", tmp_path / "b").reason.tolist() == ["", "missing"]
    with pytest.raises(ValueError, match="no such file"): ingest.podcast(tmp_path / "nowhere.mp3")
    with pytest.raises(ValueError, match="no such file"): ingest.podcast(a, tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match="one transcript for a folder"): ingest.podcast(tmp_path / "a", tmp_path / "b" / "talk.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no file in it"): ingest.podcast(tmp_path / "empty")


def test_the_transcript_of_another_episode_is_not_taken(tmp_path, sound):
    for name in ("ep1", "ep2"): put(tmp_path / f"{name}.flac", sound, int(name[-1]) / 10)
    (tmp_path / "ep2.txt").write_text(TEXT)
    assert ingest.podcast(tmp_path / "ep1.flac").reason.tolist() == ["no_text"] and ingest.podcast(tmp_path / "ep2.flac").kept.all()
    (tmp_path / "ep2.flac").unlink()
    assert ingest.podcast(tmp_path).reason.tolist() == ["no_text", "missing"]
    (tmp_path / "ep2.txt").rename(tmp_path / "transcript.txt")
    assert ingest.podcast(tmp_path).kept.all()
    (tmp_path / "ep1.flac").rename(tmp_path / "audio.flac")
    assert ingest.podcast(tmp_path).kept.all() and ingest.podcast(tmp_path / "audio.flac").kept.all()


def test_bytes_that_are_no_audio_or_text(tmp_path, sound):
    put(tmp_path / "ep1.flac", sound)
    (tmp_path / "ep1.txt").write_bytes(b"PK\3\4" + bytes(50))
    (tmp_path / "ep2.mp3").write_bytes(b"not audio at all")
    (tmp_path / "ep2.txt").write_text(TEXT)
    t = ingest.podcast(tmp_path).set_index("file")
    assert t.reason.to_dict() == {"ep1.flac": "no_text", "ep2.mp3": "damaged"} and "save it as .txt" in t.detail["ep1.flac"]


def test_a_table_of_episodes(tmp_path, sound):
    put(tmp_path / "x" / "one.flac", sound)
    (tmp_path / "x" / "t.txt").write_text(TEXT)
    (tmp_path / "list.csv").write_text("Audio;Transcript;url;license\nx/one.flac;x/t.txt;https://example.org;CC0\nx/two.flac;x/t.txt;;\n../up.flac;x/t.txt;;\n;x/t.txt;;\nx/one.flac;x/no.txt;;\n")
    t = ingest.podcast(tmp_path / "list.csv", licence="own")
    by = {r.file + r.reason: r for r in t.itertuples()}
    assert by["x_one.flac"].url == "https://example.org" and by["x_one.flac"].licence == "CC0" and by["x_two.flacmissing"].licence == "own"
    assert set(t.reason) == {"", "missing", "unsafe", "no_text"} and "x/two.flac is not there" in by["x_two.flacmissing"].detail and "line 5: no audio" in by["list.csv line 5missing"].detail
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="needs the columns audio and transcript; it has a, b"): ingest.podcast(tmp_path / "odd.csv")


def test_a_zip_of_episodes(tmp_path, sound):
    put(tmp_path / "ep1.flac", sound)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as z:
        z.write(tmp_path / "ep1.flac", "show/ep1.flac")
        z.writestr("show/ep1.txt", TEXT)
        z.writestr("show/metadata.json", json.dumps(dict(group="rain")))
    t = ingest.podcast(tmp_path / "all.zip")
    assert t.kept.all() and t.text_raw[0] == TEXT and t.group[0] == "rain"


def test_provenance(tmp_path, sound):
    for name in ("ep1", "ep2"):
        put(tmp_path / f"{name}.flac", sound, len(name) + int(name[-1]) / 10)
        (tmp_path / f"{name}.txt").write_text(TEXT)
    (tmp_path / "metadata.json").write_text(json.dumps(dict(url="https://example.org", group="rain", files={"ep2.flac": dict(url="https://example.org/2", license="CC-BY")})))
    t = ingest.podcast(tmp_path, captured="2024-05-01", url="not used").set_index("file")
    assert t.loc["ep1.flac", ["url", "captured", "group", "licence"]].tolist() == ["https://example.org", "2024-05-01", "rain", ""]
    assert t.loc["ep2.flac", ["url", "captured", "group", "licence"]].tolist() == ["https://example.org/2", "2024-05-01", "rain", "CC-BY"]
    assert len(t) == 2 and t.sender.tolist() == ["unknown"] * 2
    (tmp_path / "metadata.json").write_text(json.dumps([dict(url="https://example.org/1", filename="ep1.html", group="rain"), dict(url="https://example.org/2", filename="ep2.html"), "clean=false"]))
    assert ingest.podcast(tmp_path).url.tolist() == ["https://example.org/1", "https://example.org/2"]
    for bad in ("{", "3", '{"files": [1, 2], "url": {}}', '{"files": {"a": 3}}'):
        (tmp_path / "metadata.json").write_text(bad)
        with pytest.raises(ValueError, match="metadata.json: ") as e: ingest.podcast(tmp_path)
        assert "\n" not in str(e.value)


def test_a_run_remembers_until_a_file_changes(tmp_path, sound):
    put(tmp_path / "in" / "ep1.flac", sound)
    (tmp_path / "in" / "ep1.txt").write_text(TEXT)
    (tmp_path / "list.csv").write_text("audio,transcript\nin/ep1.flac,in/ep1.txt\n")
    run = Run(tmp_path / "run", jobs=1, progress=False)
    for source in (tmp_path / "in", tmp_path / "list.csv"):
        first = run(ingest.podcast, source)
        assert run(ingest.podcast, source).equals(first) and run.log[-1]["cached"]
    t = run(ingest.masters, first)
    w = run(podcast.words, t, language="en")
    assert w.token.tolist() == "It rained all day. And nobody came. No.".split() and w.named.tolist() == ["Ann"] * 4 + ["Ben"] * 3 + ["Ann"]
    (tmp_path / "in" / "ep1.txt").write_text(TEXT + "\nBen: Nobody at all.")
    changed = run(ingest.podcast, tmp_path / "list.csv")
    assert not run.log[-1]["cached"] and len(run(podcast.words, run(ingest.masters, changed))) == len(w) + 3


def test_recordings_that_are_out_have_no_words():
    t = pd.concat([table(TEXT), table(TEXT, recording="r2", kept=False, reason="damaged")], ignore_index=True)
    assert set(podcast.words(t).recording) == {"r1"}
    none = podcast.words(t[1:])
    assert len(none) == 0 and list(none) == list(podcast.COLUMNS) and tb.check(none) is none
    with pytest.raises(tb.TableError, match="text_raw"): podcast.words(t.drop(columns="text_raw"))


def test_one_speaker_a_channel_is_one_recording(tmp_path, sound):
    x = np.zeros((2 * len(sound.samples), 2), np.float32)
    x[:len(sound.samples), 0], x[len(sound.samples):, 1] = sound.samples, sound.samples
    sf.write(tmp_path / "ep1.wav", x, sound.rate)
    (tmp_path / "ep1.txt").write_text(TEXT)
    t = ingest.masters(ingest.podcast(tmp_path), audio=tmp_path / "audio")
    mono = au.read(tmp_path / "audio", t.recording[0]).samples
    assert t.kept.all() and t.channels[0] == 2
    for half in (mono[:len(sound.samples)], mono[len(sound.samples):]): assert np.corrcoef(half, sound.samples)[0, 1] > .999


def test_channels_that_cancel_are_out_with_a_reason(tmp_path, sound):
    sf.write(tmp_path / "ep1.wav", np.stack([sound.samples, -sound.samples], 1), sound.rate)
    (tmp_path / "ep1.txt").write_text(TEXT)
    t = ingest.masters(ingest.podcast(tmp_path), audio=tmp_path / "audio")
    if not t.kept[0]: assert t.reason[0] == "silent" and t.text_raw[0] == TEXT
    else: assert np.sqrt(np.mean(au.read(tmp_path / "audio", t.recording[0]).samples ** 2)) > .3 * np.sqrt(np.mean(sound.samples ** 2))


def test_an_episode_that_never_was(tmp_path):
    make = pytest.importorskip("make_episode")
    e = make.episode(minutes=1.5, seed=3, speakers=3)
    for layout in ("bar", "colon", "vtt", "srt"):
        home = tmp_path / layout
        audio, text = e.write(home, layout)
        t = ingest.podcast(audio, text)
        assert t.kept.all(), t.detail[0]
        w = podcast.words(t)
        assert w.token[w.kept].tolist() == e.words.token.tolist() and w.named[w.kept].tolist() == e.words.named.tolist(), layout
