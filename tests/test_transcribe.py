"From a recording to the words of its clips: given texts are cut, the rest is heard once, doubtful words are marked, and what is known is not computed again"
import numpy as np
import pandas as pd
import pytest
from make_models import whisper_folder

from voicenb.core import audio as au
from voicenb.core import packages
from voicenb.core import table as tb
from voicenb.core.phonemes import speak
from voicenb.core.run import Run
from voicenb.core.text import normalise
from voicenb.data import transcribe

LINES = ["The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.", "It is easy to tell the depth of a well.", "These days, a chicken leg is a rare dish!",
         "Rice is often served in 3 round bowls.", "The juice of lemons makes fine punch.", "The box was thrown beside the parked truck.", "The hogs were fed chopped corn and garbage?"]


def notes(folder, n, pieces=2, language="en", lines=LINES):
    "Masters of n notes and their clips, one sentence each; the truth"
    rows, truth = [], []
    folder.mkdir(exist_ok=True, parents=True)
    for k in range(n):
        at, track = 0, []
        for line in [lines[(k + j) % len(lines)] for j in range(pieces)]:
            s = speak(normalise(line, language), language, "f2", rate=130 + 7 * k).samples
            rows.append(dict(clip=f"{k}_{at}", recording=f"{k:016x}", file=f"note-{k}.opus", start=round(at / 22050, 3), end=round((at + len(s)) / 22050, 3), score=.8, kept=True, reason="", detail=""))
            track += [s, np.zeros(8_820, np.float32)]
            at += len(s) + 8_820
            truth.append(line)
        au.save(au.Audio(np.concatenate(track), 22050), folder / f"{k:016x}.flac")
    return pd.DataFrame(rows), truth


def whole(clips, truth):
    return pd.Series(truth).groupby(clips.file.to_numpy()).agg(" ".join).to_dict()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    pytest.importorskip("faster_whisper", reason="needs pip install 'voicenb[whisper]'")
    return str(whisper_folder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masters")
    return folder, *notes(folder, 8)


def test_where_a_text_comes_from():
    clips = pd.DataFrame(dict(recording=list("aabcd"), file=[f"{x}.ogg" for x in "aabcd"], start=[0., 2, 0, 0, 0], end=[2., 4, 2, 2, 2], text=["", "", "", "mine", ""],
                              text_raw=["", "", "brought", "Mine.", ""], text_source=["", "", "", "user", ""]))
    corpus = pd.DataFrame(dict(recording=["a", "a", "c", "d"], text_raw=["first", "of a copy", "corpus", ""]))
    t = transcribe.given(clips, {"A.opus": "from the file"}, corpus)
    assert t.text_raw.tolist() == ["from the file"] * 2 + ["brought", "Mine.", ""] and t.text_source.tolist() == ["gold"] * 3 + ["user", ""]
    assert transcribe.given(clips, None, corpus).text_raw.tolist()[:2] == ["first", "first"]
    assert transcribe.given(t, {"A.opus": "from the file"}, corpus).equals(t)


@pytest.mark.parametrize("language,lines", [("en", LINES), ("ar", ["ذهبت إلى السوق مع صديقي.", "الكتاب على الطاولة في البيت.", "أحب القهوة في الصباح كثيرا.", "سافرنا إلى مدينة القاهرة أمس."])])
def test_in_steps_as_at_once(tmp_path, language, lines):
    "The phones learnt from the first recordings cut the texts as those learnt from all of them"
    clips, truth = notes(tmp_path, 5, 3, language, lines)
    texts = whole(clips, truth)
    once = transcribe.words(clips, tmp_path, texts, language)
    g = transcribe.given(clips, texts)
    teach = transcribe.teachers(g, minutes=.3)
    assert 0 < teach.recording.nunique() < 5
    parts = [transcribe.hear(rows.reset_index(drop=True), tmp_path, language, teach=teach) for _, rows in transcribe.narrow(g).groupby("recording")]
    steps = transcribe.words(g, tmp_path, language=language, heard=pd.concat(parts, ignore_index=True))
    for t in (once, steps): assert t.text_raw.tolist() == truth and (t.text_source == "gold").all() and t.kept.all()
    assert once.equals(steps) and not steps.attrs["problems"]


def test_only_new_notes_are_heard(eight, tmp_path):
    "Notes are added, every score moves, one text is corrected: two notes and one note are computed"
    folder, clips, truth = eight
    run = Run(tmp_path / "run", jobs=2, progress=False)
    run.audio.mkdir()
    for p in folder.glob("*.flac"): (run.audio / p.name).write_bytes(p.read_bytes())

    def go(clips, texts):
        g = run(transcribe.given, clips, transcripts=texts)
        heard = run(transcribe.hear, transcribe.narrow(g), teach=transcribe.teachers(g, minutes=.2))
        t = run(transcribe.words, g, heard=heard)
        return t, run.log[-2]["computed"]
    texts = {k: v for k, v in whole(clips, truth).items() if k[5] in "0127"}
    first, n = go(clips[clips.file < "note-6"], texts)
    assert n == 12 and first.text_source.tolist() == ["gold"] * 6 + ["asr"] * 6
    second, n = go(clips.assign(score=.79), texts)
    assert n == 4 and second.text[:12].tolist() == first.text.tolist() and (second.score == .79).all()
    assert second.text_raw[14:].tolist() == truth[14:]
    third, n = go(clips.assign(score=.78), texts | {"note-3.opus": " ".join(truth[6:8])})
    assert n == 2 and third.text_raw[6:8].tolist() == truth[6:8] and third[third.file != "note-3.opus"].text.tolist() == second[second.file != "note-3.opus"].text.tolist()
    run.close()


def test_a_text_that_is_given_is_not_heard(eight):
    "Weights that are nowhere are not missed"
    folder, clips, truth = eight
    t = transcribe.words(clips[:4], folder, whole(clips[:4], truth[:4]), engine="whisper", model="/nowhere/at/all")
    assert t.text_raw.tolist() == truth[:4]
    with pytest.raises(packages.ModelError, match="no such folder"): transcribe.words(clips[:4], folder, {"note-0": " ".join(truth[:2])}, engine="whisper", model="/nowhere/at/all")


def test_the_texts_of_a_corpus(eight):
    "A corpus brings text with its recordings: whole where its clip is one piece, cut where it is not"
    folder, clips, truth = eight
    texts = whole(clips, truth)
    recordings = clips.drop_duplicates("recording")[["recording", "file"]].assign(text_raw=lambda t: t.file.map(texts), kept=True, reason="", detail="")
    one = clips.groupby("recording", as_index=False).agg(file=("file", "first"), start=("start", "min"), end=("end", "max"))
    t = transcribe.words(transcribe.given(one, recordings=recordings), folder)
    assert t.text_raw.tolist() == list(texts.values()) and t.text.tolist() == [normalise(x) for x in texts.values()] and (t.text_source == "gold").all()
    t = transcribe.words(transcribe.given(clips, recordings=recordings), folder)
    assert t.text_raw.tolist() == truth


def test_whisper_writes_and_is_doubted(eight, tiny):
    folder, clips, truth = eight
    clips = tb.mark(clips, clips.index == 3, "too_short")
    g = transcribe.given(clips, {"note-0": " ".join(truth[:2])})
    never = dict(silence=2.0, unsure=-99.0, repeats=99.0)
    t = transcribe.hear(transcribe.narrow(g), folder, "en", "whisper", tiny, **never)
    asr = t[t.text_source == "asr"]
    assert len(asr) == 13 and t.text_source.tolist() == ["gold", "gold", "asr", "", *["asr"] * 12] and t.reason[3] == "too_short"
    assert asr.text_raw.str.len().min() > 0 and asr.text.tolist() == [normalise(x) for x in asr.text_raw] and asr.kept.all()
    assert asr[["asr_logprob", "no_speech", "compression"]].notna().all(axis=None) and t[t.text_source != "asr"][["asr_logprob", "no_speech", "compression"]].isna().all(axis=None)
    tb.check(t, "hear")
    for level, reason in ((dict(silence=-1.0, unsure=0.0), "asr_silence"), (dict(repeats=.1), "asr_repeats"), (dict(unsure=-.1), "asr_unsure")):
        d = transcribe.hear(transcribe.narrow(g), folder, "en", "whisper", tiny, **never | level)
        hit = d[d.text_source == "asr"]
        assert (hit.reason == reason).all() and (hit.text == asr.text).all() and hit.detail.str.contains("log probability").all(), "marked, and its words are still there"
        assert d.kept[:2].all(), "what was given is not doubted"
    w = transcribe.words(g, folder, heard=t)
    assert w.text.tolist() == t.text.tolist() and w.score.notna().all() and w.no_speech.notna().sum() == 13


def test_a_second_opinion(eight, tiny):
    folder, clips, _ = eight
    g = transcribe.narrow(clips[:4])
    t = transcribe.hear(g, folder, "en", "pocketsphinx", second=f"whisper:{tiny}", agree=0.0)
    assert t.second_text.str.len().min() > 0 and t.agreement.between(0, 1).all() and t.kept.all()
    t = transcribe.hear(g, folder, "en", "pocketsphinx", second=f"whisper:{tiny}", agree=.9)
    assert (t.reason == "disagreement").all() and t.detail.str.contains("of the words agree").all()
    same = transcribe.hear(g, folder, "en", "pocketsphinx", second="pocketsphinx", agree=.9)
    assert (same.agreement == 1).all() and same.kept.all()
    w = transcribe.words(clips[:4], folder, heard=t)
    assert w.second_text.tolist() == t.second_text.tolist() and not w.kept.any()


def test_a_wrong_transcript_is_found(real, tmp_path):
    "Two notes of real speech whose texts were swapped agree least with what is heard"
    from voicenb.data import ingest, segment
    run = Run(tmp_path, jobs=1, progress=False)
    mine = run(ingest.choose, run(ingest.whatsapp, real / "export.zip"), me="Linda")
    clips = run(segment.speech, run(ingest.masters, mine[mine.kept & (mine.duration < 12)].head(5)))
    clips = clips[clips.groupby("recording").recording.transform("size") == 1]
    t = run(transcribe.words, clips.reset_index(drop=True), transcripts=real / "transcripts.csv")
    t = t[t.text_source == "gold"].reset_index(drop=True)
    assert len(t) > 3
    right = run(transcribe.check, t)
    wrong = run(transcribe.check, t.assign(text=[t.text[1], t.text[0], *t.text[2:]]), agree=.2)
    assert right.agreement.min() > .2 and set(wrong.index[wrong.reason == "disagreement"]) == {0, 1}


@pytest.mark.parametrize("how,says", [(dict(engine="nobody"), "no recogniser 'nobody'"), (dict(engine="whisper", model="smal"), "take 'small'"), (dict(second="whisperer"), "no recogniser 'whisperer'"),
                                      (dict(engine="whisper", dialect="es-AR"), "dialect of 'es'")])
def test_a_wrong_choice_is_one_line(eight, how, says, tmp_path):
    folder, clips, _ = eight
    with pytest.raises((ValueError, packages.ModelError), match=says) as e: transcribe.hear(transcribe.narrow(clips[:2]), folder, "en", **how)
    assert "\n" not in str(e.value)
    run = Run(tmp_path, jobs=1, progress=False)
    with pytest.raises((ValueError, packages.ModelError), match=says): run(transcribe.hear, transcribe.narrow(clips[:2]), audio=folder, language="en", **how)


def test_a_language_nobody_hears_is_marked(eight):
    folder, clips, _ = eight
    for engine, language in (("pocketsphinx", "es"), ("whisper", "tlh")):
        t = transcribe.hear(transcribe.narrow(clips[:4]), folder, language, engine)
        assert (t.reason == "no_text").all() and t.detail.str.contains(f"not '{language}'; give transcripts").all() and (t.text == "").all()


def test_tables_without_rows_and_rows_nobody_heard(eight):
    folder, clips, truth = eight
    done = transcribe.words(clips[:2], folder, whole(clips[:2], truth[:2]))
    empty = transcribe.narrow(done)
    assert len(empty) == 0 and len(transcribe.teachers(done)) == 0 and len(transcribe.hear(empty, folder)) == 0
    assert transcribe.words(done, folder, heard=transcribe.hear(empty, folder)).text.tolist() == done.text.tolist()
    t = transcribe.words(clips[:4], folder, heard=transcribe.hear(transcribe.narrow(clips[:2]), folder))
    assert t.kept.tolist() == [True, True, False, False] and (t.reason[2:] == "no_text").all() and t.detail[2:].str.contains("heard=").all()


def test_a_text_that_does_not_fit(eight):
    "Of another note, without words, longer than the sound: said beside the clips, and the clips are heard where nothing else can be done"
    folder, clips, truth = eight
    texts = {"note-0": " ".join(truth[:2]), "note-1": "😀 !!", "note-2": "word " * 400, "note-3": truth[6]}
    t = transcribe.words(clips[:8], folder, texts)
    assert t.text_source.tolist() == ["gold"] * 2 + ["asr"] * 4 + ["gold"] * 2
    assert {(p["file"], p["problem"]) for p in t.attrs["problems"]} >= {("note-1.opus", "unsayable"), ("note-2.opus", "unalignable")}
    assert (t.text_raw[[6, 7]].str.strip() != "").any() and set(t.reason) <= {"", "no_words"}
