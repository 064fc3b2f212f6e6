"""Podcast episodes that never were, with exact truth: who says each word of the transcript, and when.

    python tests/make_episode.py folder --minutes 10 --seed 1 --layout vtt --faults deleted swapped

espeak-ng speaks (always there), or flite (voices awb, rms, slt, kal16). The same arguments make the same samples. Faults change the transcript only, never the sound.
"""
import argparse
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
from scipy.signal import butter, lfilter, sosfiltfilt

from voicenb.core.audio import Audio, level, resample, save
from voicenb.core.phonemes import match_phones, speak, split_words
from voicenb.data import turns as tn

# What people say. {a|b} is one of several, <place> one of PLACES, 25~twenty_five is written 25 and said twenty five.

SLOTS = dict(
    friend="Tom|Julia|Martin|Sophie|Oscar|Helen|Peter|Maria|Simon|Laura|Victor|Nina".split("|"),
    place="London|Paris|Berlin|Boston|Madrid|Vienna|Dublin|Chicago|Oslo|Sydney".split("|"),
    day="Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday".split("|"),
    kin="brother|sister|mother|father|uncle|cousin|neighbour|daughter|grandmother".split("|"),
    number="12~twelve|15~fifteen|20~twenty|25~twenty_five|30~thirty|34~thirty_four|40~forty|48~forty_eight|50~fifty|60~sixty|75~seventy_five|90~ninety".split("|"))

TALK = """We went down to the market and bought a whole bag of oranges.
I do not know why the train was so late this morning.
The kitchen needs a new coat of paint before the summer.
She found an old photograph at the back of the drawer.
Nobody expected the meeting to last for such a long time.
The coffee in that little shop is better than anything at home.
He kept the letter for years and never opened it.
You can see the whole valley from the top of that hill.
My first job was in a bakery, and I had to get up before dawn.
The dog barked at the postman until he crossed the street.
I always write my best ideas on the back of an envelope.
It rained so hard that the garden turned into a lake.
They built the house with their own hands over two summers.
The museum was closed, so we sat in the park and talked.
A good story begins with a problem that nobody can solve.
I burned the soup twice before I understood the recipe.
The teacher asked us to read the first chapter aloud.
Most people never look up when they walk through a city.
We missed the last bus and had to walk home in the dark.
The boat was smaller than it looked in the picture.
I think about that conversation almost every day.
The children painted the fence while nobody was watching.
It took me months to learn how to hold the brush properly.
The old bridge was closed after the storm in the spring.
He speaks four languages, but he is shy in all of them.
I left my umbrella on the train again, of course.
The window was open, and the papers flew across the room.
She plays the violin every evening after dinner.
There is a small cinema behind the station that shows only old films.
We planted tomatoes, beans and a single apple tree.
The doctor told me to walk more and to worry less.
I have never seen so many stars as on that night.
The engine made a strange noise, and then everything went quiet.
My grandmother kept all her recipes in a blue tin box.
It was the first time that I spoke in front of a crowd.
The cheese was wonderful, but the bread was a little dry.
You cannot learn to swim by reading a book about water.
The neighbours moved away, and the street feels empty now.
I bought this jacket in a second hand shop near the harbour.
The lights went out just before the final song.
He repaired the clock with a spoon and a piece of wire.
We counted the steps of the tower, and then we lost count.
The river was frozen, so we walked straight across it.
I still remember the smell of that classroom.
They cancelled the flight, and we slept on the airport floor.
A friend of mine collects maps of places that do not exist.
The answer was hidden in the very last sentence.
She laughed so loudly that the whole table turned around.
The shop sells nothing but buttons, needles and thread.
I promised to call her back, and then I forgot.
Our cat sleeps in the sink whenever it gets hot.
The plan looked simple on paper and terrible in real life.
We drove through the fog for hours without seeing a single car.
The actor forgot his words and invented new ones.
It is easier to start a fire than to keep it burning.
I asked three people for the way and got four answers.
The library is the only warm place in this town in winter.
He put salt in his tea and drank it without a word.
The mountains look close, but it takes a day to reach them.
We had a long argument about the colour of the curtains.
The farmer showed us how to make butter from fresh cream.
I would rather walk than wait for a taxi in the rain.
The music was so soft that we could hear the clock.
She wrote her first novel on the train to work.
The boy sold lemonade in front of his house for a week.
Everything changed when the new road was built.
I kept the broken cup because it reminded me of home.
The wind pulled the tent right out of my hands.
They gave us a map, but it was older than my father.
The hardest part was to say no to a friend.
We ate dinner on the roof and watched the ships come in.
The piano was out of tune, and nobody seemed to mind.
I spent the whole afternoon looking for my glasses.
The bird came back every morning at the same time.
He paints only doors, and every door is a different blue.
The price went up, so we decided to do it ourselves.
She knew every tree in that forest by its shape.
The queue went around the corner and down to the river.
I learned more in that kitchen than in four years of school.
The snow covered the road before we reached the village.
A quiet room is worth more to me than a big one.
We lost the game, but it was the best day of the season.
The carpenter refused to use a single nail.
I had to borrow a pair of shoes for the wedding.
The radio in the car played the same song all night.
You get used to the noise after a week or so.
The bakery opens at six, and by seven the bread is gone.
My suitcase went to another country without me.
The trick is to cut the onions very slowly.
They painted a giant fish on the wall of the swimming pool.
I never understood the rules of that card game.
The judge smiled and closed the book.
We found a message in a bottle, but the ink was gone.
The elevator stopped between two floors for an hour.
He waters the plants every evening and talks to them.
The moon was so bright that we did not need a lamp.
I was too tired to be afraid.
The first version was ugly, but it worked.
She keeps bees on the roof of her office.
The bill came to more than we had in our pockets.
Sometimes the best advice is to wait and listen.
The camera was cheap, but the pictures were beautiful.
We wrote down every word, and it took a month.
The old man fed the pigeons from a paper bag.
I could not stop laughing during the whole speech.
The path was steep, narrow and covered with leaves.
They open the gates at noon and close them at sunset.
My hands were cold, so I kept them in my pockets.
The train crossed the border in the middle of the night.
A stranger helped us to push the car up the hill.
The room smelled of wood, paint and fresh coffee.
I read the letter again and again until I knew it by heart.
The fish was so fresh that it needed only salt and lemon.
We took the wrong turn and found the best beach of the island.
The carpet in the hall is older than both of us.
She carried the box up all the stairs without a break.
The news reached us a day later, by telephone.
It was raining, the shop was closed, and I had lost my key.
The tall chair by the window was always his.
I keep telling people that sleep is part of the work.
The ferry leaves early, so we should pack tonight.
He learned to cook because he was tired of sandwiches.
The little theatre survived because the whole town paid for the roof.
My favourite part of the day is the hour before breakfast.
The class was full, so I sat on the floor and took notes.
We recorded the sound of the rain on an old tin roof.
They said it could not be done, and then a child did it.
The garden gate has been broken since the autumn.
I met her again by accident, in a hospital corridor.
The bread has to rest for a night under a cloth.
You should have seen his face when the cake fell down.
The island has one road, one school and no traffic lights.
I like the smell of old books more than the books.
The tourists left, and the town belonged to us again.
She taught me how to fold a paper boat.
The soup was far too hot, and I was far too hungry.
We painted the boat green, because green was what we had.
The concert ended with a song that everybody knew.
He found the ring in the pocket of an old coat.
The storm broke two windows and most of the flower pots.
I always thought that history was boring, until I met him.
The machine is loud, slow and very hard to clean.
We shared one blanket and complained about the cold.
The answer is usually somewhere in the middle.
It was a long winter, and we ran out of firewood.
The photographer waited nine days for the right light.
I grew up in a house without a television.
The path along the river is closed for repairs.
My neighbour builds tiny ships inside glass bottles.
The waiter brought us the wrong plates, and we ate them anyway.
She sold her car and bought a very good bicycle.
The view is nice, but the beds are terrible.
They sing in the kitchen, in the car and even in the lift.
I tried to learn the guitar, but my fingers gave up first.
The letter came back with a foreign stamp on it.
We stood on the bridge and watched the water rise.
The recipe asks for butter, sugar and a great deal of patience.
He is the kind of person who reads the manual first.
The road ends at a small white church.
I woke up because the house was completely silent.
The whole village came to help with the harvest.
She drew the plan on a napkin, and we still use it.""".splitlines()

PATTERNS = """My <kin> moved to <place> last {spring|autumn|winter|year} and {loves|hates|misses} {the weather|the food|the noise|the people} there.
On <day> I met <friend> in front of the {station|theatre|library|bakery}.
I told <friend> that the {trip|party|concert|lesson} was {wonderful|much too long|a complete surprise|really worth the money}.
About <number> people came to the {show|meeting|wedding|workshop} in <place>.
My <kin> paid <number> dollars for a {chair|lamp|coat|guitar|ticket}, which is {far too much|a fair price|almost nothing}.
There are <number> {houses|trees|bicycles|boats} in that {street|picture|harbour|valley}, and I counted them twice.
It takes <number> minutes to walk from the {station|beach|office|market} to our {hotel|house|studio}.
I read that <place> has {more bridges|fewer cars|better bread|colder winters} than <place>.
The {train|bus|ferry} from <place> was <number> minutes late on <day>.
Next <day> we will {paint|repair|clean|measure} the {kitchen|garage|fence|balcony} with my <kin>.
<friend> once {cooked|wrote|carried|sang} something for <number> people, and {it went very well|nobody complained|everybody wanted more}.
When I was <number>, I wanted to become a {pilot|painter|doctor|sailor|teacher}.
My <kin> always says that {patience|a good breakfast|fresh air|a long walk} is the best {medicine|teacher|plan}.
The {book|film|play} is about a {sailor|nurse|farmer|spy} who {loses|finds|steals|hides} a {key|map|letter|diamond}.
We {rented|borrowed|sold|bought} a {small van|red car|wooden boat|tiny flat} in <place>.
You should ask <friend> about the {garden|contract|old piano|broken window}, not me.
Every <day> my <kin> makes {soup|pancakes|fresh pasta|an apple pie} for the whole {family|street|office}.
In <place> the {shops|museums|cafes} are {closed|crowded|empty} on <day>.
I have {known|worked with|argued with} <friend> for <number> years.
The {hotel|school|theatre} in <place> was built by my <kin>.
<friend> and <friend> {opened|closed|painted} a {bakery|bookshop|small cinema} near the {river|square|harbour}.
Only <number> percent of the {listeners|students|visitors} {agreed|noticed|came back}.
I lost <number> {photographs|pages|euros} when my {phone|bag|laptop} fell into the {river|bath|snow}.
If you ever go to <place>, {try the soup|take the tram|bring warm shoes|visit the old market}.
The {winter|summer} in <place> is {longer|shorter|nicer|harder} than people {think|say|expect}.""".splitlines()

QUESTIONS = """What did you do when the lights went out?
How long did it take you to write the first chapter?
Do you still talk to each other after all those years?
Where does that idea come from?
Why would anybody want to live there?
Have you ever tried to explain it to a child?
Did you really sleep on the kitchen floor?
Who taught you how to do that?
What would you tell somebody who starts today?
Is it true that you never owned a car?
When did you notice that something was wrong?
Can you remember the first thing you said?
How do you know that it is not just luck?
What happened to the boat in the end?
Was there a moment when you wanted to give up?
Would you do it again?
Which part was the hardest for you?
Are you not afraid of the dark?
Could you describe the room for our listeners?
Do you have a favourite among all of them?
What does your family say about it?
How many hours a day do you spend in the workshop?
Should we be worried about that?
Where were you when you heard the news?
Did <friend> tell you what happened in <place>?
Have you been to <place> with your <kin>?
How did you meet <friend>?
What is <friend> doing in <place> these days?
Was it on a <day> or on a <day>?
Did you know that <place> has <number> bridges?
Does your <kin> still have the {car|piano|boat|bakery}?
Who paid <number> euros for the {lamp|ticket|painting}?""".splitlines()

SHORT = """That is a very good question.
Yes, I think so.
No, not at all.
I completely agree with you.
Well, that depends.
Let me think about it for a moment.
That is exactly what I mean.
Honestly, I have no idea.
Oh, that is a long story.
Right, and then it got worse.
I am glad that you ask.
Maybe, but I doubt it.
That sounds familiar.
Fair enough.
Not really, to be honest.
Of course, and I would do it again.
It was a strange time.
I knew you would say that.
Let us come back to that later.
You are probably right.
I see it a bit differently.
That made me laugh.
Nobody believes me when I tell this.
So there we were.
And that was only the beginning.
It sounds simple, but it is not.
Good point.
That is hard to say.
I was hoping for that.
Thank you for saying so.""".splitlines()

ADVERT = """This show is supported by the Golden Kettle Tea Company. Their new mountain blend is grown by hand and packed within a day.
Order before the end of the month and your first box is free. Golden Kettle, because every evening deserves a good cup."""
ADVERT = re.split(r"(?<=\.)\s+", ADVERT)
CHANNELS = ["Yeah.", "Right, right.", "Oh wow.", "Exactly.", "Of course.", "Really?", "I see.", "No way."]  # said over somebody else
EXTRA = "and then perhaps|of course not|you know well|once more again|rather very slowly|by the sea|under old stones|with green paper|nine more times|before next summer|without any doubt|from another planet".split("|")
NAMES = ["Anna", "Ben", "Clara", "David", "Emma"]

# Who says it: (voice, pitch 0-99, stretch). Stretch > 1 plays the samples slower: deeper, a longer vocal tract; the speaking rate is kept.
# Mean GE2E cosine between sentences of two voices: espeak at most 0.56, flite 0.65; of one voice at least 0.89.
VOICES = dict(
    espeak=[("steph", 50, 1.0), ("Gene", 25, 1.0), ("m8", 25, 1.18), ("f1", 25, 0.84), ("Michael", 25, 0.84), ("grandma", 75, 1.18)],
    flite=[("rms", 0, 1.18), ("slt", 0, 0.84), ("awb", 0, 1.0), ("kal16", 0, 0.84), ("rms", 0, 0.84), ("kal16", 0, 1.08)])
LEVEL, FLOOR, BED, STEP = -24.0, -66.0, -14.0, -9.0  # dBFS of speech and of the room; dB of the music bed under speech; dB of the level step
FAULTS = ("deleted", "missing_audio", "inserted", "swapped", "turn_shift", "cue_shift")
LATE = 2.0  # s that the cues of a cue_shift are late


class EpisodeError(ValueError):
    "An episode cannot be made as asked"


# Texts

def _options(raw: str, rng: np.random.Generator) -> str:
    "A pattern with its slots filled; the same slot twice gives two different words"
    left = {k: list(rng.permutation(v)) for k, v in SLOTS.items()}
    raw = re.sub(r"\{([^}]*)\}", lambda m: str(rng.choice(m[1].split("|"))), raw)
    return re.sub(r"<(\w+)>", lambda m: str(left[m[1]].pop()), raw)


def _tokens(raw: str) -> list[tuple[str, str]]:
    "(as written, as said) for each word of a sentence, punctuation on both"
    parts = [re.fullmatch(r"(.+?)~([\w'-]+)(\W*)", w) or (w, w, w, "") for w in raw.split()]
    return [(p[1] + p[3], p[2].replace("_", " ") + p[3]) for p in parts]


class _Deck:
    "Sentences in random order, none twice while there are others"
    def __init__(self, rng):
        self.rng, self.used = rng, set()
        self.fixed = dict(talk=list(rng.permutation(TALK)), short=list(rng.permutation(SHORT)), question=[q for q in rng.permutation(QUESTIONS) if "<" not in q])
        self.patterns = dict(talk=PATTERNS, question=[q for q in QUESTIONS if "<" in q])

    def draw(self, kind: str) -> str:
        "A sentence nobody said yet"
        fixed, patterns = self.fixed[kind], self.patterns.get(kind)
        if fixed and (not patterns or self.rng.random() < .6): return str(fixed.pop())
        for _ in range(200 if patterns else 0):
            raw = _options(str(self.rng.choice(patterns)), self.rng)
            if raw not in self.used: break
        else: return self.draw("talk") if kind != "talk" else raw
        self.used.add(raw)
        return raw


# Voices

def _flite(text: str, voice: str, path: str, stretch: float = 1.0) -> list:
    "Speak into `path`; [(phone, start, end)] in s, pauses included"
    if not shutil.which("flite"): raise EpisodeError("flite is not installed: take engine='espeak'")
    out = subprocess.run(["flite", "-voice", voice, "-t", text, "--setf", f"duration_stretch={1 / stretch:.3f}", "-psdur", "-o", path], capture_output=True, text=True, check=True).stdout
    ends = [(p, float(t)) for p, t in (x.rsplit(":", 1) for x in out.split())]
    return [(p, a, b) for (p, b), a in zip(ends, [0.0] + [b for _, b in ends])]


_ALONE = {}  # word -> flite's phones


def _alone(words: list[str]):
    "Learn how flite says each word alone; the commas part them"
    new = sorted({w for w in words if w not in _ALONE})
    if not new: return
    groups = [[p for p, *_ in g] for pause, g in itertools.groupby(_flite(", ".join(new) + ",", "kal16", os.devnull), lambda p: p[0] == "pau") if not pause]
    if len(groups) != len(new): groups = [[p for p, *_ in _flite(w + " ", "kal16", os.devnull) if p != "pau"] for w in new]
    _ALONE.update(zip(new, groups))


def _by_flite(said: list[str], voice: str, stretch: float):
    "(samples, rate, [(start, end) of each said token] or None)"
    words = [re.findall(r"[\w']+", s.lower()) for s in said]
    with tempfile.TemporaryDirectory() as folder:
        phones = [p for p in _flite(" ".join(said), voice, f"{folder}/x.wav", stretch) if p[0] != "pau"]
        x, rate = sf.read(f"{folder}/x.wav", dtype="float32")
    _alone([w for ws in words for w in ws])
    expected = [(p, i) for i, ws in enumerate(words) for w in ws for p in _ALONE[w]]
    on = range(len(phones)) if len(phones) == len(expected) else match_phones([p for p, _ in expected], [p for p, *_ in phones])
    at = {}
    for k, i in enumerate(on): at.setdefault(expected[i][1], []).append(phones[k])
    return x, rate, [(at[i][0][1], at[i][-1][2]) for i in range(len(said))] if len(at) == len(said) else None


def _by_espeak(said: list[str], voice: str, pitch: int, stretch: float):
    "(samples, rate, [(start, end) of each said token] or None)"
    s = speak(" ".join(said), "en-us", voice, round(165 * stretch), pitch)
    sizes = [len(split_words(w)) for w in said]
    if len(s.words) != sum(sizes): return s.samples, s.rate, None
    ends = np.cumsum(sizes)
    return s.samples, s.rate, [(s.words[b - n][1], s.words[b - 1][2]) for n, b in zip(sizes, ends)]


@lru_cache(maxsize=1200)
def say(raw: str, engine: str, voice: int, rate: int) -> tuple:  # int16 samples, ((start, end) of each token, s)
    "A sentence by a voice, cut 40 ms before its first sound and 60 ms after its last, at -24 dBFS; no times where they are not certain"
    name, pitch, stretch = VOICES[engine][voice]
    said = [s for _, s in _tokens(raw)]
    x, native, spans = _by_flite(said, name, stretch) if engine == "flite" else _by_espeak(said, name, pitch, stretch)
    if spans is None: return None, ()
    high = round(rate * stretch)
    x, times = resample(x, native, high), np.array(spans) * high / rate
    a, b = max(0, int((times[0, 0] - .04) * rate)), min(len(x), int((times[-1, 1] + .06) * rate))
    x = level(x[a:b], LEVEL)
    edge = np.minimum(1, np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / (.005 * rate))
    return (x * edge * 32767).clip(-32767, 32767).astype(np.int16), tuple(map(tuple, times - a / rate))


# Sounds

def chords(seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:  # float32 [n], RMS 0.1
    "Music: a chord every 0.9 s with decaying harmonics, over a bass"
    n, beat = round(seconds * rate), .9
    out, t = np.zeros(n + 2 * rate, np.float32), np.arange(round(1.6 * rate)) / rate
    fall = np.exp(-2.2 * t) * np.minimum(1, t / .01) * np.minimum(1, (1.6 - t) / .05)
    root = 0
    for k in range(int(seconds / beat)):
        root = int(rng.choice([r for r in (0, 5, 7, 9, 2) if r != root]))
        notes = [130.8 * 2 ** ((root + i) / 12) for i in (-12, 0, 4 if root in (0, 5, 7) else 3, 7, 12)]
        tone = sum(np.sin(2 * np.pi * f * h * t) / h ** 1.3 for f in notes for h in range(1, 7)) * fall
        at = round(k * beat * rate)
        out[at:at + len(t)] += tone.astype(np.float32)
    out = out[:n] * np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / (.3 * rate))
    return (out * .1 / max(np.sqrt(np.mean(out ** 2)), 1e-9)).astype(np.float32)


def add_noise(x: np.ndarray, rms: float, rng: np.random.Generator):
    "Add noise of about 1 / f power (three poles and zeros), in place, a million samples at a time"
    b, a, state, one = [0.049922035, -0.095993537, 0.050612699, -0.004408786], [1, -2.494956002, 2.017265875, -0.522189400], np.zeros(3), None
    for i in range(0, len(x), 1 << 20):
        y, state = lfilter(b, a, rng.standard_normal(min(1 << 20, len(x) - i)), zi=state)
        one = one or np.sqrt(np.mean(y ** 2))
        x[i:i + len(y)] += (y * (rms / one)).astype(np.float32)


def phone_band(x: np.ndarray, rate: int) -> np.ndarray:
    "300 to 3400 Hz, without delay, at the level of before"
    y = sosfiltfilt(butter(4, [300, min(3400, .45 * rate)], "bandpass", fs=rate, output="sos"), x)
    return (y * np.sqrt(np.mean(x ** 2) / np.mean(y ** 2))).astype(np.float32)


def _gain(db: float) -> float: return 10 ** (db / 20)


# The plan: turns, pauses, and what happens where

@dataclass
class _Sentence:
    raw: str
    who: int | None = None        # None: nobody says it
    spans: tuple = ()             # (start, end) of each token in s of the episode
    heard: bool = True            # False: not in the transcript
    extra: tuple = ()             # (before which token, words) that the transcript has and nobody says
    seconds: float = 0.0          # of its samples

    @property
    def tokens(self): return [w for w, _ in _tokens(self.raw)]


@dataclass
class _Turn:
    who: int
    sentences: list
    pauses: list                  # s after each sentence
    named: str = ""
    over: float = 0.0             # s that it begins before the former turn ends

    @property
    def seconds(self): return sum(s.seconds for s in self.sentences) + sum(self.pauses)


def _sure(deck, kind, engine, voice, rate):
    "A sentence whose word times are certain, and its length in s"
    while True:
        raw = deck.draw(kind)
        x, spans = say(raw, engine, voice, rate)
        if spans: return raw, len(x) / rate


def _plan(seconds, speakers, engine, voices, rate, rng) -> list:
    "Turns until the time is full"
    deck, turns, at, who = _Deck(rng), [], 0.0, 0
    weight = np.array([.65, .2, .17, .14, .12])[:speakers]
    while at < seconds:
        n = int(rng.choice(8, p=[.2, .22, .18, .14, .1, .08, .05, .03])) + 1
        kinds = ["talk"] * n
        if rng.random() < .35: kinds[0] = "short"
        if rng.random() < .3 and (n > 1 or kinds[0] == "talk"): kinds[-1] = "question"
        said = [_sure(deck, k, engine, voices[who], rate) for k in kinds]
        pauses = [*rng.uniform(.2, .9, n - 1), rng.uniform(.3, 1.0)]
        turns.append(_Turn(who, [_Sentence(raw, who, seconds=s) for raw, s in said], pauses))
        at += turns[-1].seconds - .1 * n - .16                              # less the edges of the samples, and what overlaps
        w = weight.copy()
        if speakers > 1: w[who] = 0
        who = int(rng.choice(speakers, p=w / w.sum()))
    return turns


def _block(ends: np.ndarray, share: float, seconds: float) -> tuple[int, int]:
    "First and last turn of a stretch of about so many seconds that begins after a share of the time"
    first = min(int(np.searchsorted(ends, share * ends[-1])) + 1, len(ends) - 1)
    return first, max(first, int(np.searchsorted(ends, ends[first] + seconds)) - 1)


# Faults: the transcript departs from what is said

def _places(turns, need: list[tuple[str, int]], busy: set, rng) -> list[tuple[str, int, int]]:
    "(kind, first turn, turns) for runs of turns that do not touch, spread over the episode; the long ones first"
    every, out = set(range(1, len(turns) - 1)), []
    free = {False: set(every), True: set(every)}                            # cue_shift is about times, all others about words and names: they may meet
    def fits(kind, i, n, gap, busy):
        left, t = free[kind == "cue_shift"], turns[i]
        if not set(range(i - gap, i + n + gap)) & every <= left or not set(range(i, i + n)) <= left: return False
        if kind == "inserted" and not any(len(s.tokens) > 6 for s in t.sentences): return False
        return kind not in ("deleted", "missing_audio", "inserted") or i not in busy and len(t.sentences) >= (3 if kind == "deleted" else 1)
    for kind, n in sorted(need, key=lambda p: (-p[1], p[0] != "deleted")):
        for gap, taken in ((2, busy), (1, busy), (1, set()), (0, set())):
            spots = [i for i in range(1, len(turns) - n) if fits(kind, i, n, gap, taken)]
            if spots: break
        else:
            if kind in [k for k, *_ in out]: continue
            raise EpisodeError(f"no room for the fault {kind} in {len(turns)} turns: make the episode longer")
        same = [i for k, i, _ in out if k == kind]
        far = [min([abs(i - j) for j in same] or [0]) for i in spots]
        i = int(rng.choice([s for s, f in zip(spots, far) if f >= .6 * max(far)]))
        out.append((kind, i, n))
        free[kind == "cue_shift"] -= set(range(i, i + n))
    return out


def _runs(turns, ends, faults, minutes, rng) -> list[tuple[str, int]]:
    "How many turns each fault takes, each several times"
    few, need = max(2, round(minutes / 4)), []
    for kind in faults:
        if kind == "turn_shift": need += [(kind, int(rng.integers(6, 9))) for _ in range(max(1, round(minutes / 6)))]
        elif kind == "cue_shift": need += [(kind, 0) for _ in range(max(1, round(minutes / 8)))]
        else: need += [(kind, 2 if kind == "swapped" else 1)] * few
    mean = ends[-1] / len(ends)
    return [(k, n or int(np.ceil(75 / mean)) + 1) for k, n in need]


def _inject(turns, faults, names, minutes, busy, rng) -> list[dict]:
    "Change the transcript; where, by turn and sentence"
    ends = np.cumsum([t.seconds for t in turns])
    need, done, deck = _runs(turns, ends, faults, minutes, rng), [], _Deck(rng)
    said = {s.raw for t in turns for s in t.sentences}
    extra = list(rng.permutation(EXTRA))
    for place, (kind, i, n) in enumerate(sorted(_places(turns, need, busy, rng), key=lambda p: p[1])):
        t = turns[i]
        f = dict(kind=kind, turn_first=i, turn_last=i, sentence=None)
        if kind == "deleted":
            f["sentence"] = t.sentences[int(rng.integers(1, len(t.sentences) - 1))]
            f["sentence"].heard = False
        elif kind == "missing_audio":
            while (raw := deck.draw("talk")) in said: pass
            f["sentence"] = _Sentence(raw)
            t.sentences.insert(int(rng.integers(1, len(t.sentences) + 1)), f["sentence"])
        elif kind == "inserted":
            f["sentence"] = s = [s for s in t.sentences if len(s.tokens) > 6][0]
            s.extra = (int(rng.integers(2, len(s.tokens) - 1)), str(extra[place % len(extra)]).split())
        elif kind == "swapped":
            f["turn_last"] = i + 1
            t.named, turns[i + 1].named = turns[i + 1].named, t.named
        elif kind == "turn_shift":
            f["turn_last"] = i + n - 1
            for k in range(i, i + n): turns[k].named = names[turns[k - 1].who]
        elif kind == "cue_shift":
            f["turn_last"] = next(k for k in range(i, len(turns)) if k == i + n - 1 or ends[k] - ends[i - 1] >= 62)
        done.append(f)
    return done


# Episodes

def _clock(s: float, point: str) -> str:
    ms = round(s * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"


@dataclass(repr=False, eq=False)
class Episode:
    "Samples and all that is true of them"
    samples: np.ndarray       # float32 [n]
    rate: int                 # Hz
    transcript: list          # (name, text) a turn
    words: pd.DataFrame       # at, turn, named, who, token, start, end: a row a word of the transcript; times NaN and who '' where nobody says it
    regions: pd.DataFrame     # kind (jingle, bed, advert, overlap, phone, level, noise), start, end, who
    faults: pd.DataFrame      # kind, start, end, turn_first, turn_last, at_first, at_last; deleted: at_first is the word after it, at_last the one before
    spoken: pd.DataFrame      # who, word, start, end, at (-1: not in the transcript): a row a word that is said, adverts and back-channels too
    cues: pd.DataFrame        # start, end, turn, named, text, at_first, at_last: a row a sentence of the transcript
    names: list = field(default_factory=list)  # of the speakers; the first speaks most

    def text(self, layout: str = "bar") -> str:
        "The transcript as a file holds it: bar, colon, vtt or srt"
        if layout in ("bar", "colon"): return "".join(f"{n}{'|' if layout == 'bar' else ':'} {t}\n" for n, t in self.transcript)
        if layout == "vtt": return "WEBVTT\n\n" + "".join(f"{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n<v {c.named}>{c.text}\n\n" for c in self.cues.itertuples())
        if layout == "srt": return "".join(f"{i}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n{c.named}: {c.text}\n\n" for i, c in enumerate(self.cues.itertuples(), 1))
        raise EpisodeError(f"no layout is called {layout!r}: take bar, colon, vtt or srt")

    def write(self, folder, layout: str = "bar", name: str = "episode", suffix: str = "flac") -> tuple[Path, Path]:
        "Audio and transcript side by side"
        folder, text = Path(folder), self.text(layout)
        folder.mkdir(parents=True, exist_ok=True)
        audio = save(Audio(self.samples, self.rate), folder / f"{name}.{suffix}")
        path = folder / f"{name}.{layout if layout in ('vtt', 'srt') else 'txt'}"
        path.write_text(text, encoding="utf-8")
        return audio, path

    def inside(self, kind: str) -> pd.Series:
        "Which words of the transcript are said, wholly or in part, in a region of a kind"
        hit = np.zeros(len(self.words), bool)
        for r in self.regions[self.regions.kind == kind].itertuples(): hit |= ((self.words.start < r.end) & (self.words.end > r.start)).to_numpy()
        return pd.Series(hit, self.words.index)

    def turns(self, der: float = 0.0, seed: int = 0, recording: str = "episode") -> pd.DataFrame:
        "A diarization with about that error rate (turns.errors, its usual collar); der 0 is the truth, with the names"
        s = self.spoken.assign(gap=self.spoken.start - self.spoken.groupby("who").end.shift())
        s["run"] = (s.gap.isna() | (s.gap > .5)).groupby(s.who).cumsum()
        t = s.groupby(["who", "run"], sort=False).agg(start=("start", "min"), end=("end", "max")).reset_index().sort_values("start", kind="stable")
        truth = tn.exclusive(tn.table([(recording, r.start, r.end, r.who, 0.0) for r in t.itertuples()]))
        return corrupted(truth, der, seed) if der else truth

    def rttm(self, path, der: float = 0.0, seed: int = 0, recording: str = "episode") -> Path:
        "The same as an RTTM file"
        return tn.write_rttm(self.turns(der, seed, recording), path)


def corrupted(truth: pd.DataFrame, der: float, seed: int = 0) -> pd.DataFrame:
    "Turns of one recording with errors of about the rate asked: edges moved, a cluster split, stretches missed, invented and swapped; labels S1.."
    rng, names, name = np.random.default_rng([seed, 77]), list(truth.speaker.value_counts().index), truth.recording.iloc[0]
    total, wobble = float((truth.end - truth.start).sum()), rng.normal(0, .08, (len(truth), 2)).clip(-.2, .2)
    rows = [[max(0.0, a + d), b + e, s] for a, b, s, (d, e) in zip(truth.start, truth.end, truth.speaker, wobble) if b + e - a - d > .15]
    turns = lambda: tn.joined(tn.exclusive(tn.table([(name, a, b, s, 0.0) for a, b, s in rows if b - a > .05])))
    wrong = lambda: tn.errors(truth, turns())["der"]
    base = min(wrong(), der)
    who = str(rng.choice(names[:3]))                                        # whose cluster is split: some turns in a row get a new label
    mine, left = [r for r in rows if r[2] == who], .3 * (der - base) * total
    for r in mine[int(rng.integers(max(1, len(mine) // 2))):]:
        if r[1] - r[0] < 1.5 * left: r[2], left = f"{who} again", left - r[1] + r[0]
    def spoil(act, most):
        k = int(rng.integers(len(rows)))
        a, b, s = rows[k]
        n = min(float(rng.uniform(.8, 4.0)), max(.6, most), b - a)
        at = float(rng.uniform(a, b - n))
        if act == "invented": rows.append([b, b + n, s])
        else: rows[k:k + 1] = [[a, at, s], *([[at, at + n, str(rng.choice([o for o in names if o != s] or ["nobody"]))]] if act == "swapped" else []), [at + n, b, s]]
        rows[:] = [r for r in rows if r[1] - r[0] > .05]
        return n
    for share, act in ((.25, "missed"), (.15, "invented"), (1.0, "swapped")):
        now = wrong()
        goal = der if act == "swapped" else now + share * (der - now)
        for _ in range(30):
            if (lack := (goal - wrong()) * total) <= .002 * total: break
            while lack > 0: lack -= spoil(act, lack) / .9
    t = turns()
    return t.assign(speaker=t.speaker.map({s: f"S{i + 1}" for i, s in enumerate(dict.fromkeys(t.sort_values("start").speaker))}))


def episode(minutes: float = 10, seed: int = 0, speakers: int = 3, engine: str = "espeak", faults: tuple = (), noise_db: float | None = None,
            music: bool = True, advert: bool = True, overlap: bool = True, phone: bool = True, step: bool = True, rate: int = 16_000) -> Episode:
    "A podcast of about so many minutes (at least so many); faults change the transcript only, noise_db is speech over noise"
    if engine not in VOICES: raise EpisodeError(f"no engine is called {engine!r}: take espeak or flite")
    if bad := [f for f in faults if f not in FAULTS]: raise EpisodeError(f"no fault is called {bad[0]!r}: take {', '.join(FAULTS)}")
    if not 1 <= speakers <= len(NAMES): raise EpisodeError(f"{speakers} speakers: 1 to {len(NAMES)} are there")
    if speakers < 2 and {"swapped", "turn_shift"} & set(faults): raise EpisodeError("names cannot be swapped with one speaker: take speakers=2 or more")
    rng, blemish, sound = (np.random.default_rng([seed, k]) for k in (1, 2, 3))
    voices = [int(v) for v in rng.permutation(len(VOICES[engine]))]
    spot = np.concatenate([say(s, engine, voices[speakers], rate)[0] for s in ADVERT])
    lead, extra = (7.5 if music else .6), (2 * (len(spot) / rate + 1.5) if advert else 0)
    turns = _plan(minutes * 60 + 4 - lead - extra, speakers, engine, voices, rate, rng)
    spoke = [-sum(t.seconds for t in turns if t.who == w) for w in range(speakers)]
    names, first = [NAMES[sorted(spoke).index(s)] for s in spoke], int(np.argmin(spoke))
    for t in turns: t.named = names[t.who]
    ends = np.cumsum([t.seconds for t in turns])
    jitter = rng.uniform(-.03, .03, 5)
    blocks = dict(bed=music and _block(ends, .14 + jitter[0], min(45, .1 * ends[-1])), phone=phone and _block(ends, .42 + jitter[1], min(80, .14 * ends[-1])),
                  level=step and _block(ends, .66 + jitter[2], min(70, .12 * ends[-1])))
    spots = {_block(ends, .33 + jitter[3], 0)[0], _block(ends, .86 + jitter[4], 0)[0]} if advert else set()
    busy = set()
    if overlap and speakers > 1:
        for k in range(1, len(turns)):
            if k in spots or rng.random() > .12: continue
            near = turns[k - 1].sentences[-1].seconds, turns[k].sentences[0].seconds
            turns[k].over = float(min(rng.uniform(.5, 1.2), .4 * min(near)))
            busy |= {k - 1, k}
    heard = lambda w: sum(t.seconds for t in turns[blocks["phone"][0]:blocks["phone"][1] + 1] if t.who == w)
    caller = max([w for w in range(speakers) if w != first] or [first], key=heard) if phone else None
    track, regions, spoken = _lay(turns, engine, voices, names, rate, rng, sound, blocks, spots, spot, caller, lead, overlap and speakers > 1, busy)
    done = _inject(turns, faults, names, minutes, busy, blemish)
    samples = _room(track, spoken, regions, noise_db, rate, np.random.default_rng([seed, 4]))
    return _tell(samples, rate, turns, names, regions, spoken, done)  # names[who]: by how much each speaks


def _lay(turns, engine, voices, names, rate, rng, sound, blocks, spots, spot, caller, lead, channels, busy):
    "The sound: float32 [n] without noise; regions; (who, word, start, end, sentence) of what is said"
    regions, spoken, at = [], [], lead
    track = np.zeros(round((lead + 5 + sum(t.seconds for t in turns) + len(spots) * (len(spot) / rate + 3)) * rate), np.float32)
    loud = dict(zip([*names, "advert"], rng.uniform(-1.5, 1.5, len(names) + 1)))
    within = lambda k, kind: blocks[kind] and blocks[kind][0] <= k <= blocks[kind][1]
    def add(first, x): track[first:first + len(x)] += x
    def put(raw, voice, who, at, s=None, db=0.0, band=False):
        x, spans = say(raw, engine, voice, rate)
        x, first = x.astype(np.float32) / 32767 * _gain(loud[who] + db), round(at * rate)
        add(first, phone_band(x, rate) if band else x)
        times = tuple((first / rate + a, first / rate + b) for a, b in spans)
        if s is not None: s.spans = times
        spoken.extend((who, w, a, b, s) for (w, _), (a, b) in zip(_tokens(raw), times))
        return first / rate + len(x) / rate
    if lead > 1:
        add(0, chords(lead - 1, rate, sound) * 1.2)
        regions.append(("jingle", 0.0, lead - 1, ""))
    marks = {}
    for k, t in enumerate(turns):
        if k in spots:
            begin = at = at + .4
            for s in ADVERT: at = put(s, voices[len(names)], "advert", round(at * rate) / rate, db=1.0) + .3
            regions.append(("advert", begin, at - .3, "advert"))
            at += .5
        before, start = at, at
        if t.over:
            at = start = last - t.over
        db = STEP if within(k, "level") else 0.0
        band = bool(within(k, "phone")) and t.who == caller
        for s, pause in zip(t.sentences, t.pauses):
            begin, voice = at, voices[t.who]
            last = put(s.raw, voice, names[t.who], at, s, db, band)
            if t.over and s is t.sentences[0]: regions.append(("overlap", s.spans[0][0], max(b for *_, b, o in spoken if o is not s and o is not None), names[t.who]))
            elif channels and last - begin > 2.4 and rng.random() < .08:
                other = int(rng.choice([i for i in range(len(names)) if i != t.who]))
                raw = str(rng.choice(CHANNELS))
                if say(raw, engine, voices[other], rate)[1]:
                    n = len(spoken)
                    put(raw, voices[other], names[other], float(rng.uniform(begin + .4, last - 1.3)), None, db - 3)
                    regions.append(("overlap", spoken[n][2], spoken[-1][3], names[other]))
                    busy.add(k)
            at = last + pause - .1
        marks[k] = (start, last)
    for kind in ("bed", "phone", "level"):
        if blocks[kind]:
            a, b = marks[blocks[kind][0]][0], marks[blocks[kind][1]][1]
            regions.append((kind, a, b, names[caller] if kind == "phone" else ""))
            if kind == "bed": add(round(a * rate), chords(b - a, rate, sound) * 10 * _gain(LEVEL + BED))
    return track[:round((last + 1.0) * rate)], regions, sorted(spoken, key=lambda r: (r[2], r[3]))


def _room(track, spoken, regions, noise_db, rate, rng):
    "The room's own quiet noise, or as much as asked, relative to the speech"
    loud = [np.mean(track[round(a * rate):round(b * rate)] ** 2) for _, _, a, b, _ in spoken]
    speech = 10 * np.log10(np.average(loud, weights=[b - a for _, _, a, b, _ in spoken]))
    if noise_db is not None: regions.append(("noise", 0.0, len(track) / rate, ""))
    add_noise(track, _gain(FLOOR if noise_db is None else speech - noise_db), rng)
    track *= min(1.0, .98 / max(track.max(), -track.min()))
    return track


def _tell(samples, rate, turns, names, regions, spoken, done) -> Episode:
    "The transcript, its words, cues and faults"
    rows, cues, place, where, transcript = [], [], {}, {}, []
    for k, t in enumerate(turns):
        texts, first = [], len(rows)
        for s in t.sentences:
            if not s.heard:
                where[id(s)] = (len(rows), len(rows) - 1)
                continue
            begin, tokens = len(rows), s.tokens
            times = list(s.spans) or [(np.nan, np.nan)] * len(tokens)
            whos = [names[s.who] if s.who is not None else ""] * len(tokens)
            if s.extra:
                j, words = s.extra
                tokens[j:j], times[j:j], whos[j:j] = words, [(np.nan, np.nan)] * len(words), [""] * len(words)
                where[id(s)] = (begin + j, begin + j + len(words) - 1)
            else: where[id(s)] = (begin, begin + len(tokens) - 1)
            if s.spans: place |= {(id(s), i): begin + i + (len(s.extra[1]) if s.extra and i >= s.extra[0] else 0) for i in range(len(s.spans))}
            rows += [(len(rows) + i, k, t.named, w, token, a, b) for i, (w, token, (a, b)) in enumerate(zip(whos, tokens, times))]
            texts.append(" ".join(tokens))
            cues.append(dict(start=s.spans[0][0] if s.spans else np.nan, end=s.spans[-1][1] if s.spans else np.nan, turn=k, named=t.named, text=texts[-1], at_first=begin, at_last=len(rows) - 1))
        transcript.append((t.named, " ".join(texts)))
    words = pd.DataFrame(rows, columns=["at", "turn", "named", "who", "token", "start", "end"])
    heard, count = [], {}
    for who, w, a, b, s in spoken:
        i = count[id(s)] = count.get(id(s), -1) + 1
        heard.append((who, w, a, b, place.get((id(s), i), -1) if s is not None else -1))
    cues = pd.DataFrame(cues)
    hole = cues.start.isna()
    cues.loc[hole, "start"] = cues.end.shift().fillna(0)[hole]
    cues.loc[hole, "end"] = np.maximum(cues.start + .2, cues.start.shift(-1).fillna(len(samples) / rate))[hole]
    found = []
    ends, starts = words.end.ffill(), words.start.bfill()
    for f in done:
        a, b = where[id(f["sentence"])] if f["sentence"] is not None else (words["at"][words.turn == f["turn_first"]].min(), words["at"][words.turn == f["turn_last"]].max())
        if f["kind"] == "deleted": span = f["sentence"].spans[0][0], f["sentence"].spans[-1][1]
        elif f["kind"] in ("missing_audio", "inserted"): span = ends.get(a - 1, 0.0), starts.get(b + 1, len(samples) / rate)
        else: span = words.start[a:b + 1].min(), words.end[a:b + 1].max()
        found.append((f["kind"], *span, f["turn_first"], f["turn_last"], a, b))
        if f["kind"] == "cue_shift": cues.loc[cues.turn.between(f["turn_first"], f["turn_last"]), ["start", "end"]] += LATE
    table = lambda rows, columns: pd.DataFrame(rows, columns=columns).sort_values(["start", "end"], kind="stable", ignore_index=True)
    return Episode(samples, rate, transcript, words, table(regions, ["kind", "start", "end", "who"]), table(found, ["kind", "start", "end", "turn_first", "turn_last", "at_first", "at_last"]),
                   pd.DataFrame(heard, columns=["who", "word", "start", "end", "at"]), cues, sorted(names))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("folder")
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--speakers", type=int, default=3)
    p.add_argument("--engine", choices=VOICES, default="espeak")
    p.add_argument("--layout", choices=("bar", "colon", "vtt", "srt"), default="bar")
    p.add_argument("--faults", nargs="*", choices=FAULTS, default=[])
    p.add_argument("--noise_db", type=float)
    a = p.parse_args()
    e = episode(a.minutes, a.seed, a.speakers, a.engine, tuple(a.faults), a.noise_db)
    print(*e.write(a.folder, a.layout), *(str(e.rttm(Path(a.folder) / "truth.rttm")),), sep="\n")
    e.words.to_csv(Path(a.folder) / "truth_words.csv", index=False)
    e.faults.to_csv(Path(a.folder) / "truth_faults.csv", index=False)
    e.regions.to_csv(Path(a.folder) / "truth_regions.csv", index=False)


if __name__ == "__main__": main()
