"""What must not leave the house is found wherever it stands, in every column, and comes back exactly."""
import random
import re

import pandas as pd
import pytest

from voicenb.core import table as tb
from voicenb.core.phonemes import split_words
from voicenb.core.text import normalise
from voicenb.data import redact as rd

NAMES = ["José Ángel Pérez", "Anna Müller", "Zoë", "O'Brien", "Łukasz", "أحمد علي", "Will", "Priya"]
FORMS = dict(en="{} {}'s {}’s {}' @{}", es="{} {}", fr="{} d'{} qu’{} l'{}", de="{} {}s", it="{} l'{} dell'{}", pt="{} {}", ar="{} و{} ل{} ب{} ول{} ف{}")
FILLER = dict(en="well we met in 2024 and paid $25 for it at 10:30 near the station", es="bueno el 25/12/2024 pagamos 1.000 € por 21 libros cerca de la estación",
              fr="alors nous avons payé 1 234,50 € à 21h15 près de la gare", de="also am 3.5. haben wir 1.000,50 € bezahlt und dann gegessen", it="allora abbiamo speso 20 € alle 21:15 vicino alla stazione",
              pt="bem pagamos R$ 20,50 no dia 25/12/2024 perto da estação", ar="ثم دفعنا 200 دولار الساعة 10:30 قرب المحطة في 2024")
PHONES = ["+49 170 1234567", "079 123 4567", "(555) 123-4567", "555-123-4567", "0612345678", "06 12 34 56 78", "612 345 678", "4111 1111 1111 1111", "ES91 2100 0418 4502 0005 1332", "00962791234567"]
ADDRESSES = ["ann.lee@example.com", "https://example.org/u/annlee?x=1", "instagram.com/annlee"]


def planted(seed):
    "(clips, names and numbers hidden in them): fillers of a language with secrets at random places"
    rng, rows, hidden = random.Random(seed), [], []
    for k in range(6):
        lang = rng.choice(list(FORMS))
        words = FILLER[lang].split()
        secrets = [rng.choice(FORMS[lang].split(" ")).format(n if rng.random() < .5 else n.split()[0]) for n in rng.sample(NAMES, rng.randint(0, 2))]
        secrets += rng.sample(PHONES + ADDRESSES, rng.randint(0, 2))
        for s in secrets: words.insert(rng.randint(0, len(words)), s + rng.choice(["", "", ",", "!", "؟"]))
        if rng.random() < .2: words = " ".join(words).upper().split() if lang != "ar" else words
        raw = rng.choice([" ", "  ", "\n"]).join(words)
        text = normalise(raw, lang)
        said = [w for w, _ in split_words(text)]
        timed = [dict(word=w, start=i*.5, end=i*.5+.4, score=.9) for i, w in enumerate(said)]
        phones = [dict(phone=p, start=i*.5+j*.2, end=i*.5+j*.2+.2, score=.9) for i, _ in enumerate(said) for j, p in enumerate("ab")]
        rows.append(dict(clip=f"r_{seed}_{k}", language=lang, text_raw=raw, text=text, second_text=text.lower() if rng.random() < .5 else "", words=timed, phones=phones,
                         kept=True, reason="", detail=rng.choice(["", "loud | late"])))
        hidden.append(secrets)
    return pd.DataFrame(rows), hidden


def left(row, secret):
    "Is any word of a planted name, or a planted number, still in a row?"
    texts = [row["text_raw"], row["text"], " ".join(w["word"] for w in row["words"])] + ([row["second_text"]] if "Will" not in secret else [])
    if any(c.isdigit() for c in secret) or "example" in secret or "@" in secret[1:] or "/" in secret:
        return re.sub(r"\W", "", secret) in re.sub(r"\W", "", row["text_raw"]) or normalise(secret, row["language"]) in row["text"]
    names = {w for n in NAMES for w in re.findall(r"[^\W\d_]{2,}", rd._fold(n)) if w in rd._fold(secret)}
    return any(re.search(rf"(?<![^\W_]){w}(?![^\W_])", rd._fold(t)) for w in names for t in texts)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_planted_is_left_and_all_comes_back(seed):
    clips, hidden = planted(seed)
    found = rd.find(clips, NAMES)
    masked, dropped = rd.redact(clips, found, "mask"), rd.redact(clips, found)
    for row, secrets in zip(masked.to_dict("records"), hidden):
        for s in secrets: assert not left(row, s), (s, row["language"], row["text_raw"], row["text"])
    assert dropped.kept.tolist() == [not s for s in hidden], "clips with a secret go, the others stay"
    assert (dropped.text == clips.text).all() and len(dropped) == len(clips)
    for out in (masked, dropped): pd.testing.assert_frame_equal(rd.restore(out, found), clips)
    again = rd.find(masked, NAMES)
    assert not len(again), again
    tb.check(dropped)


def test_the_list_survives_a_file(tmp_path):
    clips, _ = planted(3)
    clips.loc[0, "text_raw"] = clips.loc[0, "text"] = 'so "Anna",\nor \r ‘Priya’; NaN'
    found = rd.find(clips, NAMES)
    path = rd.save(found, tmp_path / "private" / "redactions.csv")
    assert path.stat().st_mode & 0o077 == 0
    pd.testing.assert_frame_equal(rd.load(path), found)
    pd.testing.assert_frame_equal(rd.restore(rd.redact(clips, found, "mask"), rd.load(path)), clips)


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"clip,column,kind,start,end,text,replacement\nx,text,name,one,2,Ann,[name]\n"])
def test_a_bad_list_is_one_line(tmp_path, data):
    (tmp_path / "list.csv").write_bytes(data)
    with pytest.raises(ValueError) as e: rd.load(tmp_path / "list.csv")
    assert "list.csv" in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("language", list(FILLER))
def test_ordinary_numbers_stay(language):
    "Dates, years, amounts and times are no secrets."
    for raw in (FILLER[language], "1998 1999 2000", "2010-2015", "1.000.000", "100 000", "25/12/2024 10:30", "3,5 + 4,5", "12 345", "20 000 000"):
        for t in (raw, normalise(raw, language)): assert not rd.search(t, NAMES, language), (raw, t)


@pytest.mark.parametrize("language", list(FORMS))
@pytest.mark.parametrize("phone", ["+49 170 1234567", "079 123 4567", "555-123-4567"])
def test_spoken_numbers_are_found(language, phone):
    said = normalise(phone, language)
    for text in (said, f"{said}.", said.replace(" ", ", "), f"aha {said} aha"):
        at = rd.search(text, (), language)
        assert len(at) == 1 and at[0][2] == "number" and text[at[0][0]:at[0][1]].strip(" .,") in text and len(at[0]) == 3, (text, at)
        assert at[0][1] - at[0][0] >= len(said), (text, at)


LEAKS = [("en", "555–123–4567"), ("en", "612.345.678"), ("es", "612.345.678"), ("en", "2125551000"), ("en", "5550001000"), ("es", "600 123 000"), ("pt", "912 345 000"), ("en", "555,123,4567"),
         ("en", "555_123_4567"), ("en", "X1234567"), ("en", "+1 (555) 123‑4567"), ("es", "12.345.678"), ("de", "15552012"), ("en", "55–51-23–45"), ("ar", "رقمي0791234567"), ("en", "5551234567"), ("en", "06, 12, 34, 56, 78")]


@pytest.mark.parametrize("language, number", LEAKS)
def test_a_number_is_found_however_it_is_written(language, number):
    for raw in (f"call {number}", f"{number}!", f"tel:{number},5 days", f"call me,{number} tonight"):
        at = rd.search(raw, (), language)
        digits = lambda s: re.sub(r"\D", "", s)
        assert any(digits(number) in digits(raw[a:b]) for a, b, _ in at), (raw, at)
        clips = pd.DataFrame(dict(clip=["a"], text_raw=[raw], text=[normalise(raw, language)], language=[language]))
        assert set(rd.find(clips).column) == {"text_raw", "text"}


@pytest.mark.parametrize("raw", ["$1,234,567", "1.234.567 €", "12 345 678 dollars", "100.000.000 people", "1, 2, 3, 4, 5, 6, 7", "15, 20, 25 minutes", "in 2019, 2020, 2021", "1.000,50", "12345.5%", "300 000 km", "the 123,456 of 2024"])
def test_amounts_are_no_numbers_of_people(raw): assert not rd.search(raw, ()), raw


@pytest.mark.parametrize("who", ["Al", "Le", "Abu", "San", "Bin", "Del"])
def test_a_name_that_is_a_particle_elsewhere(who):
    for text in (f"then {who} came and left", f"{who} came"): assert [text[a:b] for a, b, _ in rd.search(text, [who])] == [who]
    assert not rd.search(f"then {who.lower()} came", [who]) and not rd.search(f"the {who} Nowhere", [f"Zed {who} Lopez"])
    assert not rd.search("You and the unknown me", ["You", "unknown", "me", "the"])


def test_words_that_only_look_like_names():
    assert not rd.search("I will go. Annan, Zoe-like? pricing, Annapolis", ["Will", "Anna", "Pric"], "en")
    assert [t for t in ("Mark came", "mark it") if rd.search(t, ["Mark Twain"], "en")] == ["Mark came"]
    assert not rd.search("the von der bin", ["Otto von der Bin"], "en")
    assert not rd.search("anything", ["😀", "", "+49 170 1234567"], "en")


def test_an_edited_text_is_searched_alone():
    clips = pd.DataFrame(dict(clip=["a"], text_raw=["call @ann 555 123 4567"], text=["please call Priya, zero seven nine one two three"]))
    found = rd.find(clips, ["Priya"])
    assert found[found.column == "text"].text.tolist() == ["Priya", "zero seven nine one two three"]
    assert found[found.column == "text_raw"].text.tolist() == ["@ann", "555 123 4567"]
    pd.testing.assert_frame_equal(rd.restore(rd.redact(clips, found, "mask"), found), clips)


def test_errors_are_one_line_and_nothing_is_half_done():
    clips, _ = planted(5)
    found = rd.find(clips, NAMES)
    before = clips.copy(deep=True)
    other = clips.assign(text=clips.text + " x", text_raw="y " + clips.text_raw)
    for bad in (lambda: rd.redact(other, found), lambda: rd.redact(clips.iloc[:0], found), lambda: rd.redact(clips, found, "hide"), lambda: rd.restore(clips, found)):
        with pytest.raises(ValueError) as e: bad()
        assert "\n" not in str(e.value).replace("\\n", "")
    pd.testing.assert_frame_equal(clips, before)


def test_only_kept_clips_are_searched_and_taken_rows_stay():
    clips, _ = planted(7)
    clips.loc[0, ["kept", "reason"]] = False, "too_short"
    found = rd.find(clips, NAMES)
    assert clips["clip"][0] not in set(found["clip"])
    part = found[found.kind != "name"]
    assert set(rd.redact(clips, part).query("reason == 'private'")["clip"]) == set(part["clip"])


def test_suggestions_are_read_not_applied():
    clips = pd.DataFrame(dict(text_raw=["Then Tom and Priya came by.", "We saw Priya.", "In the Station, the station.", "Yes. Maybe."]))
    assert rd.suggest(clips, "en", ["Tom"]).name.tolist() == ["Priya"]
    german = pd.DataFrame(dict(text_raw=["Gestern war Frau Schmidt im Garten.", "Die Blume"]))
    assert rd.suggest(german, "de").name.tolist() == ["Schmidt"]
    assert rd.suggest(pd.DataFrame(dict(text_raw=["قلت يا سامي تعال"])), "ar").name.tolist() == ["سامي"]
