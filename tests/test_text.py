"""What text, locales and phonemes promise beyond their notebooks: tables of traps, processes and threads."""
import hashlib
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from voicenb.core.locales import LOCALES
from voicenb.core.phonemes import check_language, phonemize, speak, split_words
from voicenb.core.text import normalise, pair, tokens

SAID = [
    ("en", "1998 2001 2000 1900 1,000 3.5 42 21st", "nineteen ninety eight two thousand and one two thousand nineteen hundred one thousand three point five forty two twenty first"),
    ("en", "10am 50p -8 +3 60% 2020s '90s", "ten AM fifty p minus eight plus three sixty percent twenty twenties nineties"),
    ("en", "$25", "twenty five dollars"),
    ("en", "£25.50, €1, $0.05", "twenty five pounds and fifty pence, one euro, five cents"),
    ("en", "$3 million at 5 km/h, 1 kg, 20°C", "three million dollars at five kilometers per hour, one kilogram, twenty degrees Celsius"),
    ("en", "We'll see Mr. Ng at 10:05 — or 13:00...", "We'll see Mister Ng at ten oh five, or thirteen hundred."),
    ("en", "12/25/2024, 25/12/2024 and 2024-12-25", "December twenty fifth twenty twenty four, December twenty fifth twenty twenty four and December twenty fifth twenty twenty four"),
    ("en-gb", "3/11/2024", "November third twenty twenty four"),
    ("en", "pp. 10-20 and 3-2", "pp. ten to twenty and three two"),
    ("es", "1.234,5 y 21 €, 1ª, 3er, 31", "mil doscientos treinta y cuatro coma cinco y veintiún euros, primera, tercer, treinta y uno"),
    ("es", "¿A las 10:30 el 1/5/2024?", "A las diez y treinta el primero de mayo de dos mil veinticuatro?"),
    ("fr", "1 000 €, 80e, 1er, 21h15", "mille euros, quatre vingtième, premier, vingt et une heures quinze"),
    ("fr", "3,5 kg à 1,50 €", "trois virgule cinq kilos à un euro et cinquante centimes"),
    ("de", "1.000,50 € am 3. Mai 1998", "eintausend Euro und fünfzig Cent am dritten Mai neunzehnhundertachtundneunzig"),
    ("de", "1 kg, 21 km, z.B. um 9:05 Uhr", "ein Kilo, einundzwanzig Kilometer, zum Beispiel um neun Uhr fünf"),
    ("it", "il 3° posto, 1.000 €, 23", "il terzo posto, mille euro, ventitré"),
    ("pt", "2ª vez, R$ 1,01", "segunda vez, um real e um centavo"),
    ("pt-br", "16", "dezesseis"), ("pt", "16", "dezasseis"),
    ("ar", "٢٠٠٠ و 200 و 3.5", "ألفان و مئتان و ثلاثة فاصلة خمسة"),
    ("ar", "مَرْحَبًا ــ كيــف؟", "مَرْحَبًا كيف؟"),
]


@pytest.mark.parametrize("language,raw,said", SAID)
def test_said(language, raw, said): assert normalise(raw, language) == said


@pytest.mark.parametrize("language", LOCALES)
def test_any_text_survives(language):
    "400 random texts a language: no exception, no digit left, the written words keep their order, saying it twice changes nothing."
    rng = random.Random(7)
    bits = ["1", "23", "1998", "1.5", "1,5", "1.234", "½", "٣", "$", "€", "%", "°", "-", "–", "+", ":", "/", ".", ",", " ", " ", "\u202f", "\n", "h", "am", "st", "kg", "😀", "’", "'",
            "(", ")", "«", "a", "Señor", "كتاب", "word", "Mr.", "z.B.", "\u200e", "@", "#", "_", "*", "&", "\0", "10:30", "3/4/2024", "…", "?!", "999999999999999999999"]
    for _ in range(400):
        raw = "".join(rng.choice(bits) for _ in range(rng.randint(1, 12)))
        said = normalise(raw, language)
        assert not re.search(r"\d", said), (raw, said)
        assert said == normalise(said, language) or re.search(r"\b[A-Za-z.]+\.", said), (raw, said)
        parts = pair(raw, language)
        assert [w for w, _ in parts] == raw.split() and " ".join(s for _, s in parts if s) == (said if parts else ""), (raw, parts)
        assert all(w["phones"] for w in phonemize(said, language)), raw


def test_tokens_ignore_what_is_not_spoken():
    assert tokens("Don't — stop-gap, ŠTO?") == ["don't", "stop", "gap", "što"] and tokens("😀 …") == []


def test_same_phones_and_samples_in_every_process():
    code = ("from voicenb.core.phonemes import phonemize, speak; import hashlib; [speak(t, 'en') for t in {warm}];"
            "s = speak('One of the apples, please.', 'en', 'f2'); print(hashlib.sha256(s.samples.tobytes()).hexdigest(), s.phones, phonemize('of the end', 'en'))")
    out = [subprocess.run([sys.executable, "-c", code.format(warm=w)], capture_output=True, text=True, check=True).stdout for w in ("[]", "['Something else', 'was said']")]
    assert out[0] == out[1] and out[0]


def test_threads_share_one_library():
    texts = {"en": "Of the people", "es": "Hola, ¿qué tal?", "de": "Guten Morgen", "fr": "Les enfants"}
    alone = {k: (phonemize(t, k), hashlib.sha256(speak(t, k).samples.tobytes()).hexdigest()) for k, t in texts.items()}
    with ThreadPoolExecutor(8) as pool:
        for k, got in [(k, pool.submit(lambda k=k: (phonemize(texts[k], k), hashlib.sha256(speak(texts[k], k).samples.tobytes()).hexdigest()))) for k in list(texts)*8]:
            assert got.result() == alone[k], k


@pytest.mark.parametrize("language", [*LOCALES, "en-us", "es-419", "pt-br", "ru", "hi"])
def test_speech_and_phones_agree(language):
    "The phones with times are phonemize's, the words too."
    text = {"ar": "مرحبا بكم في مدينة القاهرة، كيف حالكم؟", "ru": "Привет, как дела сегодня?", "hi": "नमस्ते, आप कैसे हैं?"}.get(language.split("-")[0], "Paris, Roma: la casa, the end of it!")
    words, spoken = phonemize(text, language), speak(text, language)
    assert [p for p, *_ in spoken.phones if p != "sil"] == [p for w in words for p in w["phones"]]
    assert [w for w, *_ in spoken.words] == [w["word"] for w in words] == [w for w, _ in split_words(text)]
    assert all(a[2] == b[1] for a, b in zip(spoken.phones, spoken.phones[1:]))


def test_unknown_language_is_one_line():
    with pytest.raises(ValueError) as e: check_language("klingon")
    assert "\n" not in str(e.value) and "klingon" in str(e.value)
