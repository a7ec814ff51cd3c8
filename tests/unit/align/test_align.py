"""A reading laid against real speech: shifted, noisy, by another voice, and the wrong one."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
from scipy.signal import lfilter

from daemon.align.align import NothingToHearError, align
from daemon.align.warp import warp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from footage import read_sound

RATE = 16_000


@pytest.fixture(scope="module", params=["latentsync_demo1.mp4", "latentsync_demo2.mp4"])
def guide(request: pytest.FixtureRequest, media: Path) -> np.ndarray:
    return read_sound(media / request.param, 7 * RATE)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def noisy(samples: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(5).standard_normal(len(samples)).astype(np.float32)
    return samples + noise * np.float32(10 ** (decibels / 20) * np.sqrt((samples**2).mean()))


def through_a_telephone(samples: np.ndarray) -> np.ndarray:
    return np.asarray(lfilter([1.0, -0.9], [1.0, -0.3], samples)).astype(np.float32)


def by_a_smaller_person(samples: np.ndarray, factor: float) -> np.ndarray:
    """Raise pitch and formants, and speak faster: another voice as far as its spectra go."""
    return np.asarray(soxr.resample(samples, RATE * factor, RATE)).astype(np.float32)


@pytest.mark.parametrize("late_s", [0.7137, -0.4321])
def test_the_same_recording_is_found_to_the_sample_through_noise_and_filter(
    guide: np.ndarray, late_s: float
) -> None:
    body = guide[: 6 * RATE] if late_s > 0 else guide[round(-late_s * RATE) : 6 * RATE]
    voice = through_a_telephone(noisy(np.concatenate([silence(max(0.0, late_s)), body]), -15))
    found = align(guide, voice)
    assert found.offset_s == pytest.approx(-late_s, abs=2 / RATE)
    assert found.confidence > 0.95
    assert max(abs(segment.drift_s) for segment in found.segments) < 0.08, "two frames, in this noise"


def test_the_words_in_another_voice_are_found_and_their_drift_is_told(guide: np.ndarray) -> None:
    voice = np.concatenate([silence(0.5), by_a_smaller_person(guide, 1.08), silence(0.3)])
    found = align(guide, voice)
    assert found.confidence > 0.5
    middle_s = 0.5 * len(guide) / RATE
    assert found.offset_s == pytest.approx(middle_s * (1 - 1 / 1.08) - 0.5, abs=0.2)
    drifts = [segment.drift_s for segment in found.segments]
    assert drifts[0] > 0.1 > -0.1 > drifts[-1], "it begins late and ends early"


@pytest.mark.parametrize("name", ["latentsync_demo1_voice.wav", "wan_talk_voice.wav"])
def test_other_words_are_not_believed(guide: np.ndarray, media: Path, name: str) -> None:
    assert align(guide, read_sound(media / name, 6 * RATE)).confidence < 0.1


def test_the_reading_backwards_is_not_believed(guide: np.ndarray) -> None:
    assert align(guide, guide[::-1].copy()).confidence < 0.3


@pytest.mark.parametrize("which", ["guide", "voice"])
def test_silence_is_refused_by_name(guide: np.ndarray, which: str) -> None:
    sounds = {"guide": guide, "voice": guide} | {which: silence(3.0)}
    with pytest.raises(NothingToHearError, match=which):
        align(**sounds)


def test_a_warp_follows_a_change_of_pace() -> None:
    rows = np.random.default_rng(2).standard_normal((80, 12))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    slow = np.repeat(rows, 2, axis=0)[:120]  # half the pace
    costs, paths = warp(rows[:60], np.ones(60), slow[None], np.array([10]), 60)
    assert costs[0] < 0.05
    assert np.abs(paths[0] - 2 * np.arange(60)).max() <= 2
    assert (np.diff(paths[0]) >= 0).all()
