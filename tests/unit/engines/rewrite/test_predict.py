"""Learning which sound goes with which mouth."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import daemon.demo
from daemon.engines.rewrite.predict import Lesson, _join_rule, predict, predict_aperture
from daemon.engines.rewrite.prediction import from_log, to_log
from daemon.engines.rewrite.rule import Rule, general_rule, to_unit
from daemon.media.segment import FrameRange
from daemon.media.source import open_source


def babble(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a voice and its (25 a second) mouth measures: the mouth opens with the resonance near 800 Hz."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * 16000)) / 16000
    frames = int(seconds * 25)
    open_frames = np.clip(np.convolve(rng.uniform(-0.5, 1, frames + 8), np.hanning(9) / 4, "valid"), 0.02, 1)
    opening = np.interp(time_s, np.arange(frames) / 25, open_frames)
    harmonics = [np.sin(2 * np.pi * 130 * k * time_s + k) / k for k in range(1, 30)]
    low = sum(harmonics[:3])
    vowel = sum(h * (1 if 5 <= k <= 9 else 0.15) for k, h in enumerate(harmonics, start=1))
    voice = 0.05 * low + 0.4 * opening * vowel + rng.normal(size=len(time_s)) * 0.001
    aperture = 0.15 * open_frames
    measures = np.stack(
        [
            aperture,
            0.55 - 0.2 * aperture,
            1.2 + 0.8 * aperture,
            0.6 * np.ones(frames),
            0.75 * np.ones(frames),
        ],
        axis=1,
    )
    return voice.astype(np.float32), measures + rng.normal(size=measures.shape) * 0.002


@pytest.fixture
def lesson() -> Lesson:
    voice, measures = babble(10, seed=3)
    return Lesson(voice, np.arange(len(measures)) / 25, measures, Fraction(25))


def test_a_learned_mouth_follows_a_new_voice(lesson: Lesson):
    voice, measures = babble(4, seed=9)
    found = predict(lesson, voice, Fraction(25), 100)
    aperture = from_log(found.values[:, 0])
    assert found.is_learned
    assert np.corrcoef(aperture, measures[:, 0])[0, 1] > 0.8
    assert 0.7 < aperture.std() / measures[:, 0].std() < 1.3


def test_every_frame_rate_gives_the_same_movement(lesson: Lesson):
    voice, _ = babble(4, seed=9)
    slow = from_log(predict(lesson, voice, Fraction(25), 100).values[:, 0])
    fast = from_log(predict(lesson, voice, Fraction(60000, 1001), 239).values[:, 0])
    at_slow = np.interp(np.arange(100) / 25, np.arange(239) * 1001 / 60000, fast)
    assert np.corrcoef(slow[2:-2], at_slow[2:-2])[0, 1] > 0.98


def test_another_level_and_microphone_change_little(lesson: Lesson):
    voice, _ = babble(4, seed=9)
    duller = np.convolve(voice, np.hanning(5) / np.hanning(5).sum(), "same").astype(np.float32) * 0.2
    plain, other = (from_log(predict(lesson, v, Fraction(25), 100).values[:, 0]) for v in (voice, duller))
    assert np.corrcoef(plain, other)[0, 1] > 0.95


def test_sound_of_something_else_teaches_nothing(lesson: Lesson):
    noise = np.random.default_rng(5).normal(size=len(lesson.sound)).astype(np.float32) * 0.1
    voice, _ = babble(2, seed=9)
    assert not predict(replace(lesson, sound=noise), voice, Fraction(25), 50).is_learned


def test_a_silent_source_falls_back_to_the_general_rule(lesson: Lesson):
    voice, _ = babble(2, seed=9)
    silent = replace(lesson, sound=np.zeros_like(lesson.sound))
    assert not predict(silent, voice, Fraction(25), 50).is_learned


def test_the_general_rule_opens_for_a_vowel_and_closes_in_silence():
    voice, _ = babble(1, seed=4)
    gap = np.zeros(16000, np.float32)
    aperture = predict_aperture(None, np.concatenate([gap, voice, gap]), Fraction(25), 75)
    assert aperture.shape == (75,)
    assert aperture[30:45].max() > 0.05
    assert aperture[:20].max() < 0.01
    assert aperture[55:].max() < 0.01


def test_a_silent_voice_keeps_the_mouth_shut():
    values = general_rule(np.zeros(16000, np.float32), Fraction(24), 24).values
    assert np.allclose(from_log(values[:, 0]), 0)


def test_a_mouth_moves_and_opens_more_for_a_voice_that_moves_any_mouth_more():
    rng = np.random.default_rng(7)
    said, actor = rng.normal(size=(2, 200)), rng.normal(size=(200, 5)) * 0.5
    actor[:, 0] += to_log(np.array(0.05))
    spoken = np.ones(200, bool), np.ones(200, bool)

    def joined(size: float, raised: float) -> np.ndarray:
        before, now = (
            Rule(to_log(0.06 + scale * 0.005 * row), row * 0.01, np.zeros(200))
            for scale, row in ((1.0, said[0]), (size, said[1]))
        )
        now = replace(now, aperture=now.aperture + raised)
        return _join_rule(np.outer(said[1], np.ones(5)), (before, now), actor, spoken)[:, 0]

    spread = [from_log(joined(size, 0.0)).std() for size in (1.0, 1.4)]
    assert abs(spread[1] / spread[0] - 1.4**0.75) < 0.08
    assert 0.05 < joined(1.0, 0.2).mean() - joined(1.0, 0.0).mean() < 0.2


def test_lips_do_not_meet_where_the_actor_is_open():
    with open_source(Path(daemon.demo.__file__).with_name("shot.mov")) as source:
        spoken, rate = source.sound(FrameRange(0, source.info.frame_count)), source.info.rate
        frames = source.info.frame_count
    plain = general_rule(spoken, rate, frames)
    measures = np.tile([0.03, 0.5, 1.2, 0.6, 0.75], (frames, 1))
    measures[:, 0] += 0.12 * plain.closed + 0.002 * np.random.default_rng(1).normal(size=frames)
    found = predict(Lesson(spoken, np.arange(frames) / float(rate), measures, rate), spoken, rate, frames)
    is_open = to_unit(found.values[:, 0], np.ones(frames, bool)) > 1
    assert found.is_learned
    assert plain.closed[is_open].max() > 0.5
    assert found.closed[is_open].max() < 0.05


def test_logarithm_and_back():
    aperture = np.array([0.0, 0.01, 0.3])
    assert np.allclose(from_log(to_log(aperture)), aperture)
