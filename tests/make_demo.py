"""Make the demo export, and small exports in other languages for the tests.

    python tests/make_demo.py            writes voicenb/assets/demo_export.zip and voicenb/assets/demo_transcripts.csv

The demo is synthetic: four flite voices play four people of a group chat. flite is needed here only; the zip is committed.
`android_export` needs nothing but the package: espeak-ng speaks, in any of the languages below. Same arguments, same bytes (with one libopus).
"""
import datetime as dt
import io
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

RATE = 16_000  # Hz, what the messenger records
HERE = Path(__file__).resolve().parent.parent
PEOPLE = dict(Sam="slt", Alex="awb", Robin="rms", Kim="kal16")  # flite voices; Sam is "me"

# One string a note: what Sam says. Plain talk, written for this demo; numbers and names are kept rare so that any recogniser knows the words.
SAM = """Good morning, I just woke up and the kitchen is freezing again. I think the heating is broken.
Could you bring the blue jacket with you? It should be hanging behind the bathroom door.
We had a lovely time at the beach yesterday. The water was cold, but the children jumped in anyway.
I forgot my umbrella on the bus, so now I am standing under a tree and waiting for the rain to stop.
Thank you for the birthday present. How did you know that I collect old maps?
The train was late by half an hour. I read three chapters of my book on the platform.
Let us cook something simple tonight. Maybe rice with mushrooms, garlic and a little cheese.
My neighbour plays the violin every evening. At first it was awful, but she is getting much better.
I looked at the flat near the river. It is small, but the view from the bedroom is wonderful.
Please do not worry about the money. You can pay me back whenever you like.
The doctor said it is only a cough. I should drink tea, rest, and stay away from cigarettes.
Have you heard the news about George? He is moving to Norway with his whole family.
I have to choose between the job at the museum and the one at the newspaper. Both are interesting, but neither pays well.
There is a strange noise coming from the engine. It sounds like somebody is shaking a box of keys.
Our dog ate the cushion again. There were feathers all over the living room.
I would rather leave on Thursday than on Friday. The roads are usually empty then.
Did you manage to fix the wheel of your bicycle? I still have a spare one in the garage.
The soup needs a pinch of salt and more pepper. Otherwise, it is perfect.
I watched the moon rise over the mountains. It was huge and yellow, like an enormous orange.
When I was young, we used to fish in that lake with my uncle. He never caught anything.
They finally opened the new bridge. Now it takes me only ten minutes to get to the office.
I am afraid I cannot join you this weekend. My sister is visiting with her twins.
The teacher asked each child to draw a house. One boy drew a ship with a chimney and a garden.
Could we talk about the holiday plans soon? If we wait much longer, the cheap tickets will be gone.
He put the letter in his pocket, forgot about it, and washed his trousers. You can guess the rest.
I tried the bakery on the corner. Their bread is brown and crisp, and it smells like heaven.
We should water the plants before we go. Both the roses and the tomatoes look thirsty.
Yes, I found your glasses. They were in the fridge, right beside the butter.
She laughed so loudly that everyone in the theatre turned around. I wanted to vanish.
It is a pleasure to hear your voice. I usually just get short messages with too many pictures.
The judge gave a short speech and shook my hand. I was so nervous that I dropped the cup.
Would you mind feeding the cat on Wednesday? The key is under the flower pot, as always.
My phone fell into the bath. I put it in a bowl of rice, but I doubt that it will survive.
We walked through thick fog for two hours. Then suddenly the sun broke through, and we saw the whole valley.
I bought a pair of leather gloves at the market. The man wanted twenty, but I paid fifteen.
What do you usually do on a quiet Sunday? I love doing nothing at all.
The boy next door is learning to juggle. Every few seconds I hear something crash.
Careful with that old ladder! The third step is loose, and the fifth one is missing.
I will pick you up at the station around noon. Look for a dusty green car with a broken mirror.
Nothing beats a hot shower after a long day in the snow. My toes were completely numb.
They showed a film about whales at school. Now my daughter wants to live on a boat.
I am not sure whether the shop is open today. Give them a quick call before you drive there.
The orchestra played beautifully, though the singer was ill. A young woman from the choir took her place.
Just leave the package with the people upstairs. They are at home all day and very kind.
Whose turn is it to wash the dishes? I cooked, so it surely is not mine.
I measured the shelf twice, and it still does not fit. Perhaps the wall is crooked.
Honestly, the best thing about this town is the library. It is warm, it is free, and nobody shouts.
First we hang the curtains, and then we paint the ceiling. After that, the worst is over. Bring old clothes, because this paint is impossible to wash out.
There was a fox in our yard at dawn. It looked straight at me, yawned, and trotted off. I have never seen one so close to the house.
Guess who I met at the airport! Our old coach from the swimming club. He has a grey beard now, and he still shouts at everybody.
Mum asked for your recipe. She knows about the flour, the eggs and the sugar, but which spice did you use? Was it ginger or something else?
I enjoyed the exhibition, although the rooms were far too crowded. The huge painting with the horses was my favourite. I bought you a small copy of it.
We could rent a van for the move. Hugh owes me a favour, and he is as strong as an ox. Together we should be done by three o'clock.
The power went out during the storm. We lit candles, told ghost stories, and went to bed early. Oddly enough, it was the nicest evening of the week.
You were right about that author. The beginning is rather dull, but then the plot thickens. I stayed up until two to find out who had stolen the jewels.
Goodbye for now. I have got to catch the last ferry, and the wind is picking up.""".splitlines()

FRIENDS = dict(
    Alex="""That sounds great. I will bring the salad and a bottle of juice.
The meeting was moved to Tuesday afternoon, because the manager is still travelling.
I cannot find the charger anywhere. Did you take it by accident?
We climbed the tower and counted every single step. My legs still hurt.
If the weather holds, we could have breakfast in the garden tomorrow.""".splitlines(),
    Robin="""Hello everyone, I am at the airport and my flight has been delayed again.
Please send me the address of the restaurant. I always get lost in that area.
My brother built a table from old doors. It is heavy, but it looks amazing.
The goalkeeper made a terrible mistake in the final minute, and we lost the match.
Thanks for waiting. I had to change a flat tyre in the middle of the road.""".splitlines(),
    Kim="""I think we should buy a bigger tent before the summer begins.
The painter finished the hallway today. The colour is much brighter than I expected.
Could somebody explain the rules of that card game to me once more?
My grandmother sends her regards. She baked two cakes and ate one of them alone.
There is a concert in the park this evening, and the entrance is free.""".splitlines())
BORROWED = "Hi, this is Alex speaking. I am using this phone, because my battery died an hour ago."  # Sam's phone, another voice


def opus(samples: np.ndarray, rate: int = RATE, kbps: int = 24) -> bytes:
    "Ogg/Opus as a phone makes it: mono, voip mode; the same samples give the same bytes"
    import av
    from fractions import Fraction
    out = io.BytesIO()
    with av.open(out, "w", format="ogg", options=dict(fflags="+bitexact")) as box:
        stream = box.add_stream("libopus", rate=rate, options=dict(application="voip", b=f"{kbps}k"))
        stream.layout = "mono"
        pcm = (np.clip(samples, -1, .9999) * 32768).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        for packet in [*stream.encode(frame), *stream.encode(None)]: box.mux(packet)
    return out.getvalue()


def flite(text: str, voice: str) -> np.ndarray:
    "One sentence by a flite voice, float32 at 16 kHz"
    import soundfile as sf
    import soxr
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, timeout=60)
        x, rate = sf.read(path, dtype="float32")
    return soxr.resample(x, rate, RATE, quality="HQ") if rate != RATE else x


def sentences(text: str) -> list[str]:
    "A note's text, cut where its speaker takes a breath"
    import re
    return [s for s in re.split(r"(?<=[.!?؟])\s+", text.strip()) if s]


def room(parts: list[np.ndarray], rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    "Sentences in a room: pauses between them, a level of its own, a quiet noise floor"
    quiet = lambda low, high: np.zeros(int(rng.uniform(low, high) * rate), np.float32)
    x = np.concatenate([quiet(.25, .6)] + [p for i, s in enumerate(parts) for p in ((quiet(.1, .5), s) if i else (s,))] + [quiet(.3, .7)])
    x = x / max(float(np.abs(x).max()), 1e-6) * 10 ** (-rng.uniform(3, 9) / 20)
    noise = np.convolve(rng.standard_normal(len(x) + 15), np.hanning(16) / np.hanning(16).sum(), "valid")
    return (x + noise[:len(x)] * 10 ** (-60 / 20)).astype(np.float32)


def note(text: str, person: str, seed: int) -> bytes:
    "A voice note of the demo"
    return opus(room([flite(s, PEOPLE[person]) for s in sentences(text)], np.random.default_rng(seed)))


def write_zip(path: str | Path, members: list[tuple[str, bytes]]) -> Path:
    "A zip whose bytes depend on nothing but its members"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, (2025, 6, 1, 12, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".txt") else zipfile.ZIP_STORED
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
    return path


def jpeg() -> bytes:
    "A small photo"
    from PIL import Image
    out = io.BytesIO()
    Image.fromarray((np.indices((48, 64)).sum(0)[..., None] * [2, 1, 1]).astype(np.uint8)).save(out, "JPEG")
    return out.getvalue()


def demo(assets: Path) -> dict:
    "Write the demo export and its gold transcripts; returns what went in"
    rng = random.Random(7)
    queue = [("Sam", t) for t in SAM]
    for person, texts in FRIENDS.items():
        for i, t in enumerate(texts): queue.insert(rng.randrange(len(queue)), (person, t))
    chats = iter(["on my way,\nsee you soon", "ok 👍", "who has the keys?", "sounds good: seven o'clock", "haha", "call me later", "thanks!"] * 20)
    at, number = dt.datetime(2025, 3, 3, 9, 12, 5), 2
    lines = [(at, "The four of us", "\u200eMessages and calls are end-to-end encrypted.")]
    members, gold = [], []

    def send(person, data, kind="AUDIO", suffix="opus"):
        nonlocal at, number
        at += dt.timedelta(minutes=rng.randrange(7, 190), seconds=rng.randrange(60))
        if at.hour >= 22 or at.hour < 8: at = at.replace(hour=9) + dt.timedelta(days=1)
        name = f"{number:08d}-{kind}-{at:%Y-%m-%d-%H-%M-%S}.{suffix}"
        number += 1
        lines.append((at, person, f"\u200e<attached: {name}>"))
        if data is not None: members.append((name, data))
        return name

    for i, (person, text) in enumerate(queue):
        data = note(text, person, i)
        gold.append((send(person, data), text))
        if person == "Sam" and i == 20: twin = data
        if i % 4 == 2: lines.append((at + dt.timedelta(seconds=40), rng.choice(list(PEOPLE)), next(chats)))
        if i == 30: send("Kim", jpeg(), "PHOTO", "jpg")
        if i == 36: send("Alex", b"")
        if i == 40: send("Sam", data[:300])
        if i == 44: send("Robin", b"This is a text file that somebody renamed.\n")
        if i == 48: send("Sam", opus(np.zeros(3 * RATE, np.float32)))
        if i == 52: send("Sam", None)
        if i == 56: gold.append((send("Sam", opus(room([flite(s, PEOPLE["Alex"]) for s in sentences(BORROWED)], np.random.default_rng(99)))), BORROWED))
        if i == 60: send("Alex", twin)
    chat = "".join(f"[{t:%d/%m/%Y, %H:%M:%S}] {who}: {text}\n" for t, who, text in sorted(lines, key=lambda x: x[0]))
    path = write_zip(assets / "demo_export.zip", [*members, ("_chat.txt", chat.encode())])
    (assets / "demo_transcripts.csv").write_text("".join(f"{name}|{text}\n" for name, text in gold), encoding="utf-8")
    return dict(path=str(path), bytes=path.stat().st_size, notes=len(gold), members=len(members))


# ---- other languages, spoken by espeak-ng: who does what, with whom or where, when. Every combination is a sentence.
WORLD = dict(
    de=dict(attached="Datei angehängt", omitted="Medien ausgeschlossen", system="Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.", people=["Anna", "Jörg"],
            who=["Ich glaube,", "Weißt du,", "Meine Schwester sagt,", "Ehrlich gesagt,", "Gestern hieß es,", "Der Nachbar meint,", "Übrigens,", "Stell dir vor,"],
            what=["der Zug nach Köln fährt heute nicht", "wir brauchen noch Äpfel und frisches Brot", "das Fahrrad steht im Keller", "die Kinder spielen gern im Garten",
                  "der Chef kommt erst um zwölf", "das Wasser im See ist noch kalt", "ich habe den Schlüssel vergessen", "die Suppe schmeckt nach Pfeffer"],
            when=["und morgen regnet es bestimmt.", "aber das macht überhaupt nichts.", "also bleiben wir einfach zu Hause.", "deshalb rufe ich dich später an.",
                  "und jetzt weiß ich nicht weiter.", "trotzdem freue ich mich sehr."]),
    es=dict(attached="archivo adjunto", omitted="Multimedia omitido", system="Los mensajes y las llamadas están cifrados de extremo a extremo.", people=["Lucía", "Íñigo"],
            who=["Mira,", "La verdad,", "Mi hermana dice que", "Ayer me contaron que", "Creo que", "Parece que", "El vecino jura que", "Ya sabes que"],
            what=["el tren llega siempre tarde", "hay que comprar pan y queso", "la bicicleta está en el garaje", "los niños juegan en el jardín", "el jefe viene mañana al mediodía",
                  "el agua del lago está muy fría", "he perdido las llaves otra vez", "la sopa necesita un poco de sal"],
            when=["y mañana va a llover.", "pero no pasa nada.", "así que nos quedamos en casa.", "por eso te llamo más tarde.", "y ahora no sé qué hacer.", "aunque estoy muy contento."]),
    ar=dict(attached="الملف مرفق", omitted="تم استبعاد الوسائط", system="الرسائل والمكالمات مشفرة تمامًا بين الطرفين.", people=["ليلى", "سامي"],
            who=["أظن أن", "أختي تقول إن", "سمعت أمس أن", "أعرف أن", "يبدو أن", "جارنا يقول إن", "قالت أمي إن", "صديقي يرى أن"],
            what=["القطار يصل متأخرا كل يوم", "الخبز في المطبخ ساخن", "الدراجة خلف البيت الكبير", "الأطفال يلعبون في الحديقة", "المدير يأتي غدا صباحا", "الماء في البحيرة بارد جدا",
                  "المفتاح ضاع مرة أخرى", "الطعام يحتاج قليلا من الملح"],
            when=["وغدا ينزل المطر.", "ولكن لا بأس.", "لذلك نبقى في البيت.", "ولهذا أتصل بك لاحقا.", "والآن لا أعرف ماذا أفعل.", "ومع ذلك أنا سعيد."]))


def texts(language: str, n: int, seed: int = 0) -> list[str]:
    "n different sentences of a language"
    w = WORLD[language]
    every = [f"{a} {b} {c}" for a in w["who"] for b in w["what"] for c in w["when"]]
    return random.Random(seed).sample(every, n)


def arabic_digits(text: str) -> str:
    "The digits an Arabic phone writes"
    return text.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))


def android_export(path: str | Path,  # the zip to write
                   language: str = "de",  # de, es or ar
                   notes: int = 24,  # notes of the first person ("me"); the second sends a third as many
                   seed: int = 0,
                   ) -> tuple[Path, list[tuple[str, str]], str]:
    "Write an Android-layout export spoken by espeak-ng; returns (path, [(file name, text)], name of me)"
    import soxr
    from voicenb.core.phonemes import speak
    w, rng = WORLD[language], np.random.default_rng(seed)
    me, other = w["people"]
    plan = [(me, t) for t in texts(language, 2 * notes + 2 * (notes // 3), seed)[:2 * notes]]
    rest = texts(language, 2 * notes + 2 * (notes // 3), seed)[2 * notes:]
    plan = [(me, plan[2 * i][1] + " " + plan[2 * i + 1][1]) for i in range(notes)]
    for i in range(notes // 3): plan.insert(3 * i + 2 + i, (other, rest[2 * i] + " " + rest[2 * i + 1]))
    variants = {me: ("f2", 165, 55), other: ("m3", 180, 35)}
    at = dt.datetime(2025, 3, 18, 8, 12)
    stamp = dict(de=lambda t: f"{t:%d.%m.%y, %H:%M}", es=lambda t: f"{t.day}/{t.month}/{t:%y}, {(t.hour - 1) % 12 + 1}:{t:%M} {'a' if t.hour < 12 else 'p'}.\u202fm.",
                 ar=lambda t: arabic_digits(f"{t.day}\u200f/{t.month}\u200f/{t.year}، {(t.hour - 1) % 12 + 1}:{t:%M} ") + ("ص" if t.hour < 12 else "م"))[language]
    lines, members, gold = [f"{stamp(at)} - {w['system']}"], [], []
    for i, (person, text) in enumerate(plan):
        at += dt.timedelta(minutes=int(rng.integers(20, 300)))
        variant, rate, pitch = variants[person]
        parts = []
        for s in sentences(text):
            said = speak(s, language, variant=variant, rate=rate + int(rng.integers(-6, 7)), pitch=pitch + int(rng.integers(-3, 4)))
            parts.append(soxr.resample(np.asarray(said.samples, np.float32), said.rate, RATE, quality="HQ"))
        name = f"PTT-{at:%Y%m%d}-WA{i:04d}.opus"
        members.append((name, opus(room(parts, rng))))
        lines.append(f"{stamp(at)} - {person}: \u200e{name} ({w['attached']})")
        gold.append((name, text))
    lines.append(f"{stamp(at)} - {other}: <{w['omitted']}>")
    return write_zip(path, [*members, (f"WhatsApp Chat - {other}.txt", "\n".join(lines).encode())]), gold, me


if __name__ == "__main__":
    assets = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "voicenb" / "assets"
    print(demo(assets))
