"GE2E against the original implementation (Resemblyzer 0.1.4 with librosa features), and its own invariants"
from pathlib import Path

import numpy as np
import pytest

from voicenb.core import speaker

GOLDEN = np.load(Path(__file__).parent / "golden" / "ge2e.npz")


def signal(seed, n):
    "A harmonic test tone with vibrato and noise at -30 dBFS, the same that made the golden numbers"
    r, t = np.random.default_rng(seed), np.arange(n) / 16_000
    phase = 2 * np.pi * np.cumsum(100 + 60 * seed + 10 * np.sin(2 * np.pi * 1.3 * t)) / 16_000
    x = sum(np.sin(k * phase) / (k ** (1 + .2 * seed)) for k in range(1, 25)) * (.6 + .4 * np.sin(2 * np.pi * 3 * t))
    x = x + .01 * r.standard_normal(n)
    return (x / np.sqrt(np.mean(x**2)) * 10 ** (-30 / 20)).astype(np.float32)


def test_mel_filters_match_librosa():
    np.testing.assert_allclose(speaker.mel_filters(), GOLDEN["filters"], atol=1e-7)


def test_mel_matches_librosa():
    np.testing.assert_allclose(speaker.mel_power(signal(1, 16_000)), GOLDEN["mel"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_embedding_matches_resemblyzer(seed):
    mine = speaker.embed([(signal(seed, int(GOLDEN["lengths"][seed])), 16_000)])[0]
    assert mine @ GOLDEN["embeds"][seed] > .9999
    np.testing.assert_allclose(mine, GOLDEN["embeds"][seed], atol=3e-3)


def test_silence_is_nan_and_spoils_nothing():
    out = speaker.embed([(np.zeros(16_000, np.float32), 16_000), (signal(1, 30_000), 16_000), (np.zeros(0, np.float32), 16_000)])
    assert np.isnan(out[[0, 2]]).all() and abs(np.linalg.norm(out[1]) - 1) < 1e-5
    assert np.isfinite(speaker.profile(out)).all() and speaker.medoid(out) == 1
