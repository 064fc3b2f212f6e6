"What more minutes would buy: a real learning curve of a tiny voice, its page, and what is said where little is known"
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import DEMO_TEXTS
from voicenb.core import audio as au
from voicenb.core import table as tb
from voicenb.core.run import Run, receipt
from voicenb.data import align, curate, ingest, segment, transcribe, verify
from voicenb.use import sufficiency as su

VOICENB = Path(sys.executable).parent / "voicenb"


@pytest.fixture(scope="module")
def curated(tmp_path_factory, export):
    "Ten notes of the demo, curated: a run folder and its clips"
    run = Run(tmp_path_factory.mktemp("sufficient") / "runs" / "ten", dict(language="en"), progress=False)
    r = run(ingest.masters, run(ingest.choose, run(ingest.whatsapp, export), me="Sam"))
    c = run(verify.speaker, run(segment.speech, r, target=5.0), recordings=r)
    c = run(align.phones, run(transcribe.words, c, transcripts=DEMO_TEXTS))
    c = run(curate.split, run(curate.select, run(curate.measure, c)), valid=.15, test=.15)
    tb.save(r, run.folder / "recordings.parquet"), tb.save(c, run.folder / "clips.parquet")
    receipt(run)
    run.close()
    return run, c


@pytest.mark.slow
def test_a_curve_is_measured_once_and_the_page_shows_it(curated):
    run, clips = curated
    ask = dict(name="sufficiency", minutes=su.sizes(clips, least=.25), language="en", seed=0, steps=4, most=4)
    home = run.build(su.curve, clips, **ask)
    t = su.points(home)
    train = clips[clips.kept & (clips.split == "train")]
    assert t.minutes.nunique() == len(ask["minutes"]) >= 2 and t.minutes.max() == pytest.approx(tb.minutes(train).sum(), abs=.02)
    assert (t.groupby("minutes")["clip"].nunique() == 4).all() and not set(t["clip"]) & set(train["clip"]) and not set(t["clip"]) & set(train.text)
    assert t.secs.between(-1, 1).all() and (t.words > 0).all() and t.mcd.notna().any() and (t.mcd.dropna() > 0).all()
    assert t.groupby("minutes").clips.first().is_monotonic_increasing
    for p in home.glob("*.wav"): assert au.decode(p).duration > .5
    before = (home / "points.json").read_bytes()
    assert run.build(su.curve, clips, **ask) == home and run.log[-1]["cached"] and (home / "points.json").read_bytes() == before
    lines = su.says(t, curate.coverage(train))
    assert len(lines) == 4 and all(line.endswith(".") for line in lines) and "sounds of the language" in lines[-1]
    from voicenb.core import run as runs
    runs._LOCKS.pop(str(run.folder.resolve())).close()  # the page is another process
    args = [x for p in (f"run={run.folder}", "steps=4", "sentences=4", "smallest=0.25") for x in ("-p", p)]
    r = subprocess.run([VOICENB, "run", "diagnose/sufficiency", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stdout[-1500:] + r.stderr[-1500:]
    assert (home / "points.json").read_bytes() == before, "the page trained again what was stored"
    assert (run.folder.parents[1] / "reports" / "ten" / "diagnose" / "sufficiency.png").stat().st_size > 5000


def table(y, spread=.02, rows=12, **more):
    "Points of sizes 1, 2, 4...: the metric `mcd` is y, every sentence a little off in its own way"
    rng = np.random.default_rng(0)
    off = rng.normal(0, .5, rows)
    return pd.concat([pd.DataFrame(dict(minutes=2.0**i, clips=8 * 2**i, clip=[f"c{k}" for k in range(rows)], recording=[f"r{k // 2}" for k in range(rows)],
                                        mcd=v + off + rng.normal(0, spread, rows), secs=.9, words=np.nan, word_errors=np.nan) | more) for i, v in enumerate(y)], ignore_index=True)


def test_a_law_in_the_numbers_is_found_and_noise_is_not_called_progress():
    x = 2.0 ** np.arange(4)
    f = su.forecast(table(6 + 2 * x**-.6), "mcd")
    true = 2 * (8**-.6 - 16**-.6)
    assert f["how"] == "curve" and f["gain"][1] - .05 < true < f["gain"][2] + .05 and f["gain"][1] > 0
    flat = su.forecast(table([6, 6, 6, 6], spread=.4), "mcd")
    assert flat["last"][1] < 0 < flat["last"][2]
    seen = curate.coverage(pd.DataFrame(dict(text=["A cat sat on the mat."], kept=[True])))
    assert "cannot tell from chance" in su.says(table([6, 6, 6, 6], spread=.4), seen)[0] and "fell from" in su.says(table(6 + 2 * x**-.6), seen)[0]


def test_three_sizes_carry_no_curve():
    f = su.forecast(table([8, 7, 6.5]), "mcd")
    assert f["how"] == "differences" and f["gain"][1] <= 0 <= f["gain"][0] <= f["gain"][2] <= .6
    assert len(su.plot(table([8, 7, 6.5]))[0].lines) == len(su.plot(table([8, 7, 6.5, 6.3]))[0].lines) - 1, "no curve is drawn through three points"


def test_a_language_that_nothing_recognises_has_no_word_errors():
    t = table([8, 7, 6.5])
    assert su.forecast(t, "wer") == {} and not any("word errors" in s for s in su.says(t, curate.coverage(pd.DataFrame(dict(text=["hola"], kept=[True])), "es")))
    assert "wer, %" not in su.table(t)


@pytest.mark.parametrize("language", ["en", "es", "ar"])
def test_the_sentences_to_read_hold_what_lacks(language):
    seen = curate.coverage(pd.DataFrame(dict(text=["no"] * 6, kept=True)), language)
    read, none = su.to_read(seen, language, enough=1, most=40)
    held = {p for s in read.text for p in curate.phones_of(s, language)}
    assert {r.phone for r in seen[seen.expected & (seen["count"] == 0)].itertuples()} <= held | set(none) and not none
    assert len(su.to_read(seen, language, most=3)[0]) == 3


def test_nothing_lacks_nothing_to_read():
    seen = curate.coverage(pd.DataFrame(dict(text=[curate.RICH["en"]] * 5, kept=True)))
    assert len(su.to_read(seen, "en")[0]) == 0
    assert list(su.to_read(curate.coverage(pd.DataFrame(dict(text=["a"], kept=True))), "en", offered=["cat"])[0].brings) == ["k t æ"]


def test_too_little_is_one_line():
    few = pd.DataFrame(dict(start=0.0, end=[9.0] * 3, kept=True, split="train"))
    with pytest.raises(ValueError, match="too few to compare") as e: su.sizes(few)
    assert "\n" not in str(e.value)
    assert su.sizes(pd.concat([few] * 10)) == [.5, 1, 2, 4.5]


def test_nothing_held_out_is_one_line(tmp_path):
    few = pd.DataFrame(dict(clip=["a"], recording="r", start=0.0, end=9.0, kept=True, split="train", text="one two", sent_at=pd.Timestamp(0)))
    with pytest.raises(ValueError, match="nothing is held out"): su.curve(few, tmp_path, tmp_path, tmp_path, [.5])
