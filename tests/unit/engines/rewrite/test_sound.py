"""The analysis of voices: what it hears, and what it must not hear."""

from fractions import Fraction

import numpy as np

from daemon.engines.rewrite.sound import (
    analyse,
    common_floor,
    feature_scale,
    frame_features,
    frame_times,
    relate,
)


def speechlike(seconds: float, seed: int = 0, pitch_hz: float = 120.0) -> np.ndarray:
    """Return a buzz through a moving resonance, in syllables of a fifth of a second with pauses."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * 16000)) / 16000
    buzz = np.sign(np.sin(2 * np.pi * pitch_hz * time_s)) * 0.3 + rng.normal(size=len(time_s)) * 0.003
    syllable = np.clip(np.sin(2 * np.pi * 2.5 * time_s + rng.uniform(0, 6)), 0, 1)
    return (buzz * syllable).astype(np.float32)


def features(samples: np.ndarray) -> np.ndarray:
    sound = analyse(samples)
    related = relate(sound, common_floor([sound]))
    times_s = frame_times(40, Fraction(25))
    return frame_features(related, times_s, feature_scale(related, times_s))


def test_features_do_not_change_with_the_level():
    loud = speechlike(2)
    assert np.allclose(features(loud), features(loud * 0.1), atol=0.02)


def test_features_follow_the_sound_in_time():
    samples = speechlike(3)
    early, late = features(samples), features(samples[1600:])  # 0.1 s: two and a half frames
    times_s = frame_times(40, Fraction(25))
    shifted = np.stack([np.interp(times_s + 0.1, times_s, column) for column in early.T], axis=1)
    assert np.corrcoef(shifted[5:30].ravel(), late[5:30].ravel())[0, 1] > 0.97
    assert np.corrcoef(early[5:30].ravel(), late[5:30].ravel())[0, 1] < 0.9


def test_silence_is_not_active():
    assert not analyse(np.zeros(8000, np.float32)).active.any()


def test_a_tone_with_pitch_is_voiced_and_noise_is_not():
    noise = np.random.default_rng(1).normal(size=16000).astype(np.float32) * 0.1
    time_s = np.arange(16000) / 16000
    hum = (np.sign(np.sin(2 * np.pi * 110 * time_s)) * 0.1).astype(np.float32)
    assert np.median(analyse(hum).voicing) > 0.8
    assert np.median(analyse(noise).voicing) < 0.5


def test_a_noisier_voice_sets_the_floor_of_both():
    clean = speechlike(2)
    noisy = clean + np.random.default_rng(2).normal(size=len(clean)).astype(np.float32) * 0.03
    sounds = [analyse(clean), analyse(noisy)]
    floor = common_floor(sounds)
    lowest = [np.percentile(relate(sound, floor).mel, 2, axis=0) for sound in sounds]
    assert np.abs(lowest[0] - lowest[1]).max() < 0.3
