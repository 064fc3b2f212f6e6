"""Measuring, selecting and splitting clips: the edges that the notebook's lessons leave out."""
import warnings

import numpy as np
import pandas as pd
import pytest

from voicenb.core.audio import Audio, save
from voicenb.core.table import REASONS, TableError, check, funnel
from voicenb.data import curate as c

RATE = 16_000


def table(n, **columns):
    base = dict(clip=[f"r{i}_0" for i in range(n)], recording=[f"r{i}" for i in range(n)], start=0.0, end=6.0, text=[f"sentence number {i}" for i in range(n)],
                kept=True, reason="", detail="")
    return pd.DataFrame(base | columns, index=range(n))


def tone_bursts(seconds=3.0, level=.3, noise=0.0, seed=0):
    t = np.arange(int(seconds * RATE)) / RATE
    x = np.sin(2 * np.pi * 180 * t) * (np.sin(2 * np.pi * 2 * t) > 0) * level
    return (x + np.random.default_rng(seed).standard_normal(len(t)) * noise).astype(np.float32)


@pytest.mark.parametrize("true", [0, 5, 10, 20, 30, 40])
def test_snr_follows_the_truth(true):
    x = tone_bursts()
    noise = np.random.default_rng(1).standard_normal(len(x)).astype(np.float32) * np.sqrt(np.mean(x ** 2)) * 10 ** (-true / 20)
    assert abs(c.snr(x + noise, x + noise, RATE) - true - 3) < 2.5


def test_sounds_without_speech_have_finite_measures():
    for x in (np.zeros(0, np.float32), np.zeros(1, np.float32), np.ones(1, np.float32), np.zeros(RATE, np.float32), np.full(RATE, .5, np.float32), tone_bursts(.05)):
        assert 0 <= c.snr(x, x, RATE) <= 60 and 0 <= c.silence_share(x, RATE) <= 1 and 0 <= c.bandwidth(x, RATE) <= RATE / 2
    assert c.silence_share(np.zeros(RATE, np.float32), RATE) == 1 and c.bandwidth(np.zeros(RATE, np.float32), RATE) == 0


def test_silence_share_survives_noise():
    for noise in (1e-4, 1e-3, 1e-2, 5e-2): assert .4 < c.silence_share(tone_bursts(noise=noise), RATE) < .65, noise


@pytest.mark.parametrize("top", [2000, 3400, 5000])
def test_bandwidth_finds_the_edge(top):
    x = np.random.default_rng(0).standard_normal(4 * RATE)
    f = np.fft.rfft(x)
    f[int(top * 4):] = 0
    x = np.fft.irfft(f).astype(np.float32) * np.sin(np.pi * np.arange(4 * RATE) / 6400) ** 2
    assert abs(c.bandwidth(.1 * x, RATE) - top) < 250


def test_measure_reads_only_kept_rows_and_keeps_the_order(tmp_path):
    save(Audio(tone_bursts(2.0), RATE), tmp_path / "r1.flac")
    t = table(3, end=2.0, kept=[False, True, False], reason=["other_speaker", "", "no_speech"], detail="")
    out = c.measure(t, tmp_path)  # r0 and r2 have no master: reading them would raise
    assert out.snr_db.isna().tolist() == [True, False, True] and out.recording.tolist() == ["r0", "r1", "r2"] and out.reason.tolist() == t.reason.tolist()
    check(out, "curate.measure")


def test_measure_at_the_edges_of_a_recording(tmp_path):
    save(Audio(tone_bursts(1.0), RATE), tmp_path / "r0.flac")
    out = c.measure(table(1, end=1.0), tmp_path)
    assert out[c.MEASURES].notna().all(axis=None)


@pytest.mark.parametrize("column,value,reason", [("end", .4, "too_short"), ("end", 40.0, "too_long"), ("clipped", .2, "clipped"), ("snr_db", 2.0, "low_snr"),
                                                 ("bandwidth_hz", 900.0, "narrow_band"), ("silence_share", .95, "mostly_silence"), ("align_score", .3, "low_align"),
                                                 ("chars_per_second", .2, "rate_outlier"), ("text", "?!", "no_text")])
def test_each_limit_has_its_reason(column, value, reason):
    good = dict(clipped=0.0, snr_db=40.0, bandwidth_hz=7000.0, silence_share=.2, align_score=.8, chars_per_second=14.0)
    t = table(3, **good)
    t[column] = t[column].astype(object if isinstance(value, str) else float)
    t.loc[1, column] = value
    out = c.select(t)
    assert out.reason.tolist() == ["", reason, ""] and reason in REASONS and out.detail[1] and out.detail[0] == ""
    rows = funnel(out).set_index("reason")["rows"]
    assert rows["in"] == 3 and rows["kept"] == 2 and rows[reason] == -1


def test_rejected_rows_keep_their_first_reason():
    t = table(3, end=[.2, 6.0, 6.0], kept=[False, True, True], reason=["other_speaker", "", ""], detail=["cosine 0.41", "", ""])
    out = c.select(t)
    assert out.reason.tolist() == ["other_speaker", "", ""] and out.detail[0] == "cosine 0.41"


def test_missing_measures_take_nobody_out():
    t = table(4, snr_db=np.nan, clipped=np.nan, chars_per_second=np.nan)
    assert c.select(t).kept.all()


def test_nothing_left_is_an_error_that_counts():
    with pytest.raises(TableError, match="too_short 5"): c.select(table(5, end=.1))


def test_small_and_even_tables_are_not_decimated():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 19, 20, 40, 200):
        for spread in (0.0, .01, .5, 2.0):
            x = rng.normal(14, spread, n)
            assert c.select(table(n, chars_per_second=x)).kept.mean() >= (.97 if n > 19 else 1.0), (n, spread)


def test_a_wrong_text_is_found_in_a_large_table():
    x = np.random.default_rng(0).normal(14, 1.2, 100)
    x[[3, 50]] = 2.0, 33.0
    out = c.select(table(100, chars_per_second=x))
    assert set(np.flatnonzero(out.reason == "rate_outlier")) >= {3, 50} and out.kept.sum() >= 96
    assert "median" in out.detail[3] and "robust z -" in out.detail[3]


def test_thresholds_are_parameters():
    t = table(2, snr_db=[15.0, 25.0])
    assert c.select(t, snr_db=20).kept.tolist() == [False, True] and c.select(t).kept.all()


# ---- splits
def leaks(t):
    kept = t[t.split != ""]
    plain = kept.text.str.casefold().str.replace(r"\W", "", regex=True)
    return kept.groupby("recording").split.nunique().max() > 1 or kept.split.groupby(plain[plain != ""]).nunique().max() > 1


@pytest.mark.parametrize("seed", range(8))
def test_no_leak_for_any_seed_and_shape(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    t = table(n, recording=[f"r{i}" for i in rng.integers(0, max(n // 3, 1), n)], text=[f"a sentence with the number {i}" for i in rng.integers(0, 2 * n, n)], end=rng.uniform(2, 14, n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = c.split(t, seed=seed)
    assert not leaks(out) and set(out.split) <= {"train", "valid", "test"} and (out.split == "train").any()
    check(out, "curate.split")


def test_shares_come_close_to_what_is_asked():
    t = table(200, end=np.random.default_rng(0).uniform(3, 12, 200))
    share = (t.end.groupby(c.split(t, valid=.1, test=.2).split).sum() / t.end.sum())
    assert abs(share["test"] - .2) < .05 and abs(share["valid"] - .1) < .04


def test_the_seed_matters_and_row_order_does_not():
    t = table(60)
    a, b = c.split(t, seed=1), c.split(t, seed=2)
    assert not a.split.equals(b.split) and c.split(t.iloc[::-1], seed=1).sort_index().split.equals(a.split)


def test_a_new_recording_moves_few_others():
    t = table(60)
    more = pd.concat([t, table(1, recording="new", clip="new_0", text="something else")], ignore_index=True)
    assert (c.split(t).split.to_numpy() != c.split(more).split.iloc[:60].to_numpy()).sum() <= 4


def test_the_same_sentence_never_stands_on_two_sides():
    t = table(30, text=["Good morning to all of you!" if i % 2 else f"this is said only once, number {i}" for i in range(30)])
    out = c.split(t)
    assert out.split[out.text == "Good morning to all of you!"].nunique() == 1 and not leaks(out)
    same = table(30, text=["good MORNING to all of you" if i % 2 else "Good morning to all of you." for i in range(30)], recording=[f"r{i % 7}" for i in range(30)])
    with pytest.warns(UserWarning, match="1 group"): assert set(c.split(same).split) == {"train"}


def test_few_recordings_warn_and_rejected_rows_have_no_side():
    with pytest.warns(UserWarning, match="test and valid stay empty"): out = c.split(table(1))
    assert out.split.tolist() == ["train"]
    t = table(4, kept=[True, True, True, False], reason=["", "", "", "low_snr"])
    assert sorted(c.split(t).split) == ["", "test", "train", "valid"]


def test_zero_shares_keep_everything_in_train():
    assert set(c.split(table(10), valid=0, test=0).split) == {"train"}
    assert set(c.split(table(10), valid=0).split) == {"train", "test"}


# ---- coverage
def test_coverage_of_languages_and_of_one_espeak_lacks():
    for code, text in (("de", "schöne Grüße aus Köln"), ("ar", "مرحبا بكم في البيت"), ("es", "el niño guardó leche"), ("sw", "habari ya asubuhi")):
        seen = c.coverage(table(1, text=[text]), code)
        assert (seen["count"] > 0).any() and set(seen.state) <= {"missing", "rare", "covered"}
    assert c.inventory("sw") == []
    with pytest.raises(ValueError, match="nearest"): c.coverage(table(1), "xx-nowhere")


def test_rejected_texts_are_not_covered():
    t = table(2, text=["see", "zoo"], kept=[True, False], reason=["", "low_snr"])
    assert c.coverage(t, "en").set_index("phone")["count"].get("uː", 0) == 0


def test_a_short_phrase_that_everybody_says_keeps_the_held_out_splits():
    n = 40
    t = table(n, recording=[f"r{i // 2}" for i in range(n)], text=["okay" if i % 2 else f"a sentence with the number {i}" for i in range(n)])
    assert set(c.split(t).split) == {"train", "valid", "test"}
