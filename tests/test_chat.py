"""Chat texts as phones in many languages write them, and as people damage them."""
import random
import time

import pandas as pd
import pytest

from voicenb.data.chat import AUDIO, clean_name, name_key, parse_chat, senders

L, R, NN, NB = "\u200e", "\u200f", "\u202f", "\u00a0"
# name: (text, files, [(time or None, sender, attachment, flags)]); flags: o = omitted, s = system
CASES = {
    "ios en": (f"[31/12/2022, 11:40:26] John Doe: {L}<attached: 00000001-AUDIO-2022-12-31-11-40-26.opus>\n[31/12/2022, 11:41:00] Ana: ok", [],
               [("2022-12-31 11:40:26", "John Doe", "00000001-AUDIO-2022-12-31-11-40-26.opus", ""), ("2022-12-31 11:41:00", "Ana", "", "")]),
    "ios en no comma": ("[31/12/2022 11:40:26] John: hi", [], [("2022-12-31 11:40:26", "John", "", "")]),
    "ios us nnbsp": (f"[1/31/25, 9:05:07{NN}PM] Bob: {L}<attached: 00000003-AUDIO-2025-01-31-21-05-07.opus>\n[2/1/25, 12:00:01{NN}AM] Bob: x", [],
                     [("2025-01-31 21:05:07", "Bob", "00000003-AUDIO-2025-01-31-21-05-07.opus", ""), ("2025-02-01 00:00:01", "Bob", "", "")]),
    "ios us one line": (f"[3/4/25, 9:05:07{NN}PM] Bob: hi", [], [("2025-03-04 21:05:07", "Bob", "", "")]),
    "ios gb one line": (f"[3/4/25, 9:05:07{NN}pm] Bob: hi", [], [("2025-04-03 21:05:07", "Bob", "", "")]),
    "ios de": (f"[18.03.25, 08:13:44] Jörg: {L}<Anhang: 00000009-AUDIO-2025-03-18-08-13-44.opus>\n[18.03.25, 08:14:00] Jörg: {L}Audio weggelassen", [],
               [("2025-03-18 08:13:44", "Jörg", "00000009-AUDIO-2025-03-18-08-13-44.opus", ""), ("2025-03-18 08:14:00", "Jörg", "", "o")]),
    "ios es": (f"[5/11/24, 9:02:20 p.{NB}m.] María José: {L}<adjunto: 00000011-AUDIO-2024-11-05-21-02-20.opus>\n[6/11/24, 9:02:20 a.{NB}m.] Pepe: {L}audio omitido", [],
               [("2024-11-05 21:02:20", "María José", "00000011-AUDIO-2024-11-05-21-02-20.opus", ""), ("2024-11-06 09:02:20", "Pepe", "", "o")]),
    "ios fr": (f"[05/11/2024 21:02:20] Zoé: {L}<pièce jointe : 00000011-AUDIO-2024-11-05-21-02-20.opus>", [],
               [("2024-11-05 21:02:20", "Zoé", "00000011-AUDIO-2024-11-05-21-02-20.opus", "")]),
    "ios pt": (f"[05/11/2024, 21:02:20] João: {L}<anexado: 00000011-AUDIO-2024-11-05-21-02-20.opus>\n[05/11/2024, 21:03:20] João: {L}áudio ocultado", [],
               [("2024-11-05 21:02:20", "João", "00000011-AUDIO-2024-11-05-21-02-20.opus", ""), ("2024-11-05 21:03:20", "João", "", "o")]),
    "ios it": (f"[05/11/24, 21:02:20] Gió: {L}<allegato: 00000011-AUDIO-2024-11-05-21-02-20.opus>\n[05/11/24, 21:03:20] Gió: {L}audio omesso", [],
               [("2024-11-05 21:02:20", "Gió", "00000011-AUDIO-2024-11-05-21-02-20.opus", ""), ("2024-11-05 21:03:20", "Gió", "", "o")]),
    "ios ar digits": (f"{R}[٠٥/١١/٢٠٢٤, ٩:٠٢:٢٠ م] ليلى: {R}<المرفق: 00000011-AUDIO-2024-11-05-21-02-20.opus>\n[٠٦/١١/٢٠٢٤, ٩:٠٢:٢٠ ص] سامي: مرحبا", [],
                      [("2024-11-05 21:02:20", "ليلى", "00000011-AUDIO-2024-11-05-21-02-20.opus", ""), ("2024-11-06 09:02:20", "سامي", "", "")]),
    "ios fi": ("[12.3.2022 klo 14.08.18] Matias Virtanen: moi", [], [("2022-03-12 14:08:18", "Matias Virtanen", "", "")]),
    "ios tr": (f"[5.05.2017 18:01:12] mezun A: Emirço sizi ekledi\n[23.09.2017 17:00:28] Bora: {L}görüntü dahil edilmedi", [],
               [("2017-05-05 18:01:12", "mezun A", "", ""), ("2017-09-23 17:00:28", "Bora", "", "o")]),
    "ios nl dashes": (f"[18-03-2025 08:13:44] Daan: {L}<bijgevoegd: 00000009-AUDIO-2025-03-18-08-13-44.opus>", [],
                      [("2025-03-18 08:13:44", "Daan", "00000009-AUDIO-2025-03-18-08-13-44.opus", "")]),
    "ios ja": ("[2025/03/18 8:13:44] 花子: \u200e<添付ファイル：00000009-AUDIO-2025-03-18-08-13-44.opus>", [],
               [("2025-03-18 08:13:44", "花子", "00000009-AUDIO-2025-03-18-08-13-44.opus", "")]),
    "ios zh half day": ("[2025/3/18, 下午8:13:44] 小明: \u200e<附件：00000009-AUDIO-2025-03-18-20-13-44.opus>", [],
                        [("2025-03-18 20:13:44", "小明", "00000009-AUDIO-2025-03-18-20-13-44.opus", "")]),
    "ios iso": ("[2022-12-31, 11:40:26 AM] Eve: hello", [], [("2022-12-31 11:40:26", "Eve", "", "")]),
    "ios no seconds": ("[31/12/22, 11:40] Eve: hello", [], [("2022-12-31 11:40:00", "Eve", "", "")]),
    "web": ("[11:40, 31/12/2022] Eve: hello\n[11:41 PM, 31/12/2022] Eve: bye", [], [("2022-12-31 11:40:00", "Eve", "", ""), ("2022-12-31 23:41:00", "Eve", "", "")]),
    "old ios": (f"13/01/2016, 11:40:26: Eve\n[13/01/2016, 11:40:26] Eve: 2016-01-13-AUDIO-00000012.opus <{L}attached>", [],
                [(None, "", "", "s"), ("2016-01-13 11:40:26", "Eve", "2016-01-13-AUDIO-00000012.opus", "")]),
    "android de": ("18.03.25, 08:12 - Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.\n18.03.25, 08:13 - Anna Meier: PTT-20250318-WA0002.opus (Datei angehängt)\n"
                   "18.03.25, 08:14 - Ben: <Medien ausgeschlossen>", [],
                   [("2025-03-18 08:12:00", "", "", "s"), ("2025-03-18 08:13:00", "Anna Meier", "PTT-20250318-WA0002.opus", ""), ("2025-03-18 08:14:00", "Ben", "", "o")]),
    "android es": (f"5/11/24, 9:02 p.{NN}m. - Pepe: {L}PTT-20241105-WA0001.opus (archivo adjunto)\n6/11/24, 9:02 a.{NN}m. - Ana: <Multimedia omitido>", [],
                   [("2024-11-05 21:02:00", "Pepe", "PTT-20241105-WA0001.opus", ""), ("2024-11-06 09:02:00", "Ana", "", "o")]),
    "android fr": (f"05/11/2024, 21:02 - Zoé: PTT-20241105-WA0001.opus (fichier joint)\n05/11/2024 à 21:03 - Zoé: <Médias omis>", [],
                   [("2024-11-05 21:02:00", "Zoé", "PTT-20241105-WA0001.opus", ""), ("2024-11-05 21:03:00", "Zoé", "", "o")]),
    "android pt": ("05/11/2024 21:02 - João: PTT-20241105-WA0001.opus (arquivo anexado)\n05/11/2024 21:03 - João: <Mídia oculta>", [],
                   [("2024-11-05 21:02:00", "João", "PTT-20241105-WA0001.opus", ""), ("2024-11-05 21:03:00", "João", "", "o")]),
    "android it": ("05/11/24, 21:02 - Gió: PTT-20241105-WA0001.opus (file allegato)\n05/11/24, 21:03 - Gió: <Media omessi>", [],
                   [("2024-11-05 21:02:00", "Gió", "PTT-20241105-WA0001.opus", ""), ("2024-11-05 21:03:00", "Gió", "", "o")]),
    "android ar": (f"{R}٥‏/١١‏/٢٠٢٤، ٩:٠٢ م - ليلى: {R}PTT-20241105-WA0001.opus (الملف مرفق)\n٦‏/١١‏/٢٠٢٤، ٩:٠٢ ص - سامي: <تم استبعاد الوسائط>", [],
                   [("2024-11-05 21:02:00", "ليلى", "PTT-20241105-WA0001.opus", ""), ("2024-11-06 09:02:00", "سامي", "", "o")]),
    "android us": ("1/31/25, 9:05 PM - Bob: PTT-20250131-WA0003.opus (file attached)\n2/1/25, 12:05 AM - Bob: x", [],
                   [("2025-01-31 21:05:00", "Bob", "PTT-20250131-WA0003.opus", ""), ("2025-02-01 00:05:00", "Bob", "", "")]),
    "android ru": ("18.03.2025, 08:13 - Оля: PTT-20250318-WA0002.opus (файл добавлен)\n18.03.2025, 08:14 - Оля: <Без медиафайлов>", [],
                   [("2025-03-18 08:13:00", "Оля", "PTT-20250318-WA0002.opus", ""), ("2025-03-18 08:14:00", "Оля", "", "o")]),
    "android ko": ("2025. 3. 18. 오후 8:13 - 민수: PTT-20250318-WA0002.opus (파일 첨부됨)", [], [("2025-03-18 20:13:00", "민수", "PTT-20250318-WA0002.opus", "")]),
    "android unknown word": ("18.03.25, 08:13 - Anna: PTT-20250318-WA0002.opus (qwxz)\n18.03.25, 08:14 - Anna: My memo.m4a (qwxz)\n18.03.25, 08:15 - Anna: plan.pdf (page 3)",
                             ["My memo.m4a"], [("2025-03-18 08:13:00", "Anna", "PTT-20250318-WA0002.opus", ""), ("2025-03-18 08:14:00", "Anna", "My memo.m4a", ""),
                                               ("2025-03-18 08:15:00", "Anna", "", "")]),
    "unknown suffix in the export": ("18.03.25, 08:13 - Anna: Voice 001.sln16 (qwxz)", ["Voice 001.sln16"], [("2025-03-18 08:13:00", "Anna", "Voice 001.sln16", "")]),
    "caption below": ("18.03.25, 08:13 - Anna: IMG-20250318-WA0002.jpg (Datei angehängt)\nam See", [], [("2025-03-18 08:13:00", "Anna", "IMG-20250318-WA0002.jpg", "")]),
    "caption before": (f"[18/03/2025, 08:13:01] Anna: the list: tea {L}<attached: 00000002-PHOTO-2025-03-18-08-13-01.jpg>\n[18/03/2025, 08:14:01] Anna: hi", [],
                       [("2025-03-18 08:13:01", "Anna", "00000002-PHOTO-2025-03-18-08-13-01.jpg", ""), ("2025-03-18 08:14:01", "Anna", "", "")]),
    "many lines": ("[18/03/2025, 08:13:01] Anna: one\n\n- two: 2\n* three\n[18/03/2025, 08:14:01] Ben: done", [],
                   [("2025-03-18 08:13:01", "Anna", "", ""), ("2025-03-18 08:14:01", "Ben", "", "")]),
    "crlf": ("[18/03/2025, 08:13:01] Anna: one\r\ntwo\r\n[18/03/2025, 08:14:01] Ben: done\r\n", [],
             [("2025-03-18 08:13:01", "Anna", "", ""), ("2025-03-18 08:14:01", "Ben", "", "")]),
    "phone number": (f"[18/03/2025, 08:13:01] \u202a+49{NB}170{NB}1234567\u202c: hi\n[18/03/2025, 08:14:01] +49 170 1234567: {L}<attached: 1-AUDIO.opus>", [],
                     [("2025-03-18 08:13:01", "+49 170 1234567", "", ""), ("2025-03-18 08:14:01", "+49 170 1234567", "1-AUDIO.opus", "")]),
    "emoji and colon": (f"[18/03/2025, 08:13:01] Dr: Who 🚀: {L}<attached: 1-AUDIO.opus>\n[18/03/2025, 08:14:01] Dr: Who 🚀: list: tea", [],
                        [("2025-03-18 08:13:01", "Dr: Who 🚀", "1-AUDIO.opus", ""), ("2025-03-18 08:14:01", "Dr: Who 🚀", "", "")]),
    "system and deleted": (f"[18/03/2025, 08:13:01] Family: {L}Messages and calls are end-to-end encrypted.\n[18/03/2025, 08:14:01] Ben: {L}This message was deleted.\n"
                           "[18/03/2025, 08:15:01] Ben: ok", [],
                           [("2025-03-18 08:13:01", "Family", "", "s"), ("2025-03-18 08:14:01", "Ben", "", "s"), ("2025-03-18 08:15:01", "Ben", "", "")]),
    "cut at the start": ("opus (file attached)\n18.03.25, 08:14 - Ben: ok", [], [(None, "", "", "s"), ("2025-03-18 08:14:00", "Ben", "", "")]),
    "cut at the end": ("18.03.25, 08:14 - Ben: ok\n18.03.25, 08:1", [], [("2025-03-18 08:14:00", "Ben", "", "")]),
    "impossible date": ("18.03.25, 08:14 - Ben: ok\n18.99.25, 08:15 - Ben: hm\n19.03.25, 28:15 - Ben: hm", [],
                        [("2025-03-18 08:14:00", "Ben", "", ""), (None, "Ben", "", ""), (None, "Ben", "", "")]),
    "pasted quotation": ("\n".join(f"18.03.25, 08:{i:02d} - Ben: n{i}" for i in range(10, 16)) + "\n18.03.25, 09:00 - Ben: you wrote\n[17/03/2025, 08:00:00] Eve: no", [],
                         [(f"2025-03-18 08:{i:02d}:00", "Ben", "", "") for i in range(10, 16)] + [("2025-03-18 09:00:00", "Ben", "", "")]),
    "buddhist year": ("18/3/2568 08:14 - นก: PTT-20250318-WA0001.opus (ไฟล์ที่แนบ)", [], [("2025-03-18 08:14:00", "นก", "PTT-20250318-WA0001.opus", "")]),
    "order by file names": ("3/4/25, 08:14 - Ben: PTT-20250304-WA0001.opus (x)\n5/6/25, 08:14 - Ben: hi", [],
                            [("2025-03-04 08:14:00", "Ben", "PTT-20250304-WA0001.opus", ""), ("2025-05-06 08:14:00", "Ben", "", "")]),
    "order by time": ("11/1/24, 08:14 - Ben: a\n11/5/24, 08:14 - Ben: b\n12/2/24, 08:14 - Ben: c\n1/3/25, 07:00 - Ben: d", [],
                      [("2024-11-01 08:14:00", "Ben", "", ""), ("2024-11-05 08:14:00", "Ben", "", ""), ("2024-12-02 08:14:00", "Ben", "", ""), ("2025-01-03 07:00:00", "Ben", "", "")]),
    "nothing": ("shopping list\nmilk: 2\n", [], []),
    "empty": ("", [], []),
}


def rows(chat):
    flags = ["o" * o + "s" * s for o, s in zip(chat.omitted, chat.system)]
    return list(zip([None if pd.isna(t) else str(t) for t in chat.sent_at], chat.sender, chat.attachment, flags))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("code", ["str", "utf-8", "utf-8-sig", "utf-16"])
def test_layouts(name, code):
    text, files, expected = CASES[name]
    chat = parse_chat(text if code == "str" else text.encode(code), files)
    assert rows(chat) == expected
    assert list(chat.columns) == ["sent_at", "sender", "text", "attachment", "omitted", "system", "line"]
    assert str(chat.sent_at.dtype).startswith("datetime64") and chat.line.is_monotonic_increasing


def test_multi_line_text_is_kept_whole():
    chat = parse_chat(CASES["many lines"][0])
    assert chat.text[0] == "one\n\n- two: 2\n* three" and chat.line.tolist() == [1, 5]


def test_senders_that_differ_by_marks_are_one():
    chat = parse_chat(f"[18/03/2025, 08:13:01] {L}Zoé: a\n[18/03/2025, 08:14:01] Zoe\u0301{R}: b\n[18/03/2025, 08:15:01] \u202aZoé\u202c: c")
    assert chat.sender.unique().tolist() == ["Zoé"] and senders(chat).messages.tolist() == [3]


@pytest.mark.parametrize("code", ["latin-1", "cp1252"])
def test_old_code_pages(code):
    chat = parse_chat(CASES["ios de"][0].replace(L, "").encode(code))
    assert chat.sender.tolist() == ["Jörg", "Jörg"] and chat.attachment[0].endswith(".opus")


def test_cut_inside_a_character():
    data = "18.03.25, 08:14 - Jörg: schön\n18.03.25, 08:15 - Jörg: schö".encode()
    for cut in range(1, len(data) + 1):
        chat = parse_chat(data[:cut])
        assert set(chat.sender) <= {"Jörg", ""} or len(chat) == 1, cut


def test_any_bytes_end_in_a_table():
    rng = random.Random(0)
    seeds = [c[0].encode() for c in CASES.values()]
    for _ in range(300):
        data = bytearray(rng.choice(seeds) + b"\n" + rng.choice(seeds))
        for _ in range(rng.randrange(1, 12)):
            at = rng.randrange(len(data) + 1)
            action = rng.randrange(3)
            if action == 0: data[at:at + 1] = bytes([rng.randrange(256)])
            elif action == 1: del data[at:at + rng.randrange(20)]
            else: data[at:at] = rng.choice([b"\r", b"\n", b"[", b":", b"<", b"\x00", b"\xff", b"99/99/9999", "\u200e".encode(), b".opus"])
        chat = parse_chat(bytes(data), ["a.opus"])
        assert chat.line.is_unique and chat.sender.map(lambda s: s == clean_name(s)).all()


def test_a_hundred_thousand_lines():
    text = "\n".join(f"{1 + i // 2000 % 28:02d}.03.25, {i // 60 % 24:02d}:{i % 60:02d} - {'Anna' if i % 3 else 'Ben'}: PTT-20250318-WA{i:04d}.opus (Datei angehängt)" for i in range(100_000))
    start = time.process_time()
    chat = parse_chat(text)
    print(f"{time.process_time() - start:.1f} s for {len(chat):,} messages")
    assert len(chat) == 100_000 and (chat.attachment != "").all()


def test_hostile_lines_do_not_stall():
    for line in ("[" * 50_000, "1" * 50_000, "18.03.25, 08:14 - " + ": " * 50_000, "18.03.25, 08:14 - a: " + "<" * 20_000, "18.03.25, 08:14 - a: " + "(" * 20_000 + ".opus",
                 "18.03.25, 08:14 - a: " + "x.opus (" * 5_000, "18.03.25, 08:14 - a: " + "<a:" * 20_000):
        start = time.process_time()
        parse_chat(line + "\n18.03.25, 08:15 - b: hi")
        assert time.process_time() - start < 20, line[:40]


def test_file_names_match_across_spellings():
    assert name_key(f"{L}PTT-1.OPUS") == name_key("media\\ptt-1.opus") and "opus" in AUDIO
