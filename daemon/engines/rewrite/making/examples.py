"""Lessons for the prior: spoken lines, made to sound as recordings do, and the mouths that go with them."""

from dataclasses import dataclass

import numpy as np
import soxr
from scipy.fft import next_fast_len

from daemon.demo.making.speech import Phoneme, Speech
from daemon.demo.making.visemes import mouth_curve
from daemon.engines.rewrite.making.mouths import DEFAULT, VISEMES
from daemon.engines.rewrite.prior import network_input
from daemon.engines.rewrite.sound import SAMPLE_RATE, analyse

KINDS = (*VISEMES, "breath", "")  # the last is silence
BREATH = len(VISEMES)
LABIALS = "pbmfvβʋɸ"  # noqa: RUF001 - phonetic letters; the lower lip meets the upper one, or the teeth
ROWS_A_SECOND = 100
_HELD = 0.7  # of a labial's length, from its start, that the lips are together; then they are released
_BREATHS = 0.7  # of the pauses
_BREATH_DB = (-65.0, -18.0)  # against the speech's peak: many a breath is drawn without a sound
_BREATH_GAP = (0.75, 1.3)  # the mouth opens as wide as for an open vowel to take in air, or wider


@dataclass(frozen=True)
class Example:
    """What is heard, (t, d), and of the mouth: `shape` (t, 4) as prior.OUTPUTS, `kind` (t,) into KINDS."""

    heard: np.ndarray
    shape: np.ndarray
    kind: np.ndarray


def make_example(speech: Speech, rng: np.random.Generator) -> Example:
    """Return the speech as some microphone in some room might hear it, at some speed, with its mouth.

    Pauses are drawn out, and in many of them a breath is taken.
    """
    speed = float(np.exp(rng.uniform(-0.2, 0.2)))
    samples = soxr.resample(speech.samples, speech.sample_rate * speed, SAMPLE_RATE)
    samples = samples / (np.abs(samples).max() + 1e-6)
    phonemes = [Phoneme(p.symbol, p.start_s / speed) for p in speech.phonemes]
    samples, phonemes, breaths = _with_pauses(samples, phonemes, rng)
    heard = network_input(analyse(_record(samples, rng)))
    shape, kind = _mouth(phonemes, len(samples) / SAMPLE_RATE, len(heard))
    for breath in breaths:
        _open_for(breath, shape, kind)
    return Example(heard, shape, kind)


@dataclass(frozen=True)
class _Breath:
    start_s: float
    stop_s: float
    gap: float


def _with_pauses(
    samples: np.ndarray, phonemes: list[Phoneme], rng: np.random.Generator
) -> tuple[np.ndarray, list[Phoneme], list[_Breath]]:
    """Return the speech with longer pauses, before it and within it, and the breaths taken in them."""
    parts, moved, breaths = [], [Phoneme("", 0.0)], []
    done, delay_s = 0, 0.0
    for phoneme in [Phoneme("", 0.0), *phonemes[1:]]:
        if not phoneme.symbol:
            cut = round(phoneme.start_s * SAMPLE_RATE)
            pause = np.zeros(rng.integers(1600, 16000))
            start_s, length_s = phoneme.start_s + delay_s, len(pause) / SAMPLE_RATE
            if rng.random() < _BREATHS and length_s > 0.3:
                breaths.append(_breathe(pause, start_s, rng))
            parts += [samples[done:cut], pause]
            done, delay_s = cut, delay_s + length_s
            moved.append(Phoneme("", start_s))
        else:
            moved.append(Phoneme(phoneme.symbol, phoneme.start_s + delay_s))
    return np.concatenate([*parts, samples[done:]]), moved, breaths


def _breathe(pause: np.ndarray, start_s: float, rng: np.random.Generator) -> _Breath:
    """Draw a breath into the end of a pause: noise through an open mouth."""
    length = int(min(len(pause) - 800, rng.uniform(0.25, 0.7) * SAMPLE_RATE))
    stop = len(pause) - int(rng.integers(0, 800))
    hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    tract = np.full(len(hertz), 0.05)
    for middle in (rng.uniform(500, 900), rng.uniform(1200, 2000), rng.uniform(2300, 4500)):
        tract += rng.uniform(0.3, 1.0) / (1 + ((hertz - middle) / rng.uniform(150, 500)) ** 2)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(size=length)) * tract, length)
    noise *= np.hanning(length) ** rng.uniform(0.2, 1.0)
    level_db = rng.uniform(*_BREATH_DB)
    pause[stop - length : stop] += noise / noise.std() * 10 ** (level_db / 20)
    return _Breath(
        start_s + (stop - length) / SAMPLE_RATE, start_s + stop / SAMPLE_RATE, rng.uniform(*_BREATH_GAP)
    )


def _open_for(breath: _Breath, shape: np.ndarray, kind: np.ndarray) -> None:
    """Open the mouth of (t, 4) `shape` for a breath; it begins to open a little before."""
    times_s = np.arange(len(kind)) / ROWS_A_SECOND
    rise = np.clip((times_s - breath.start_s + 0.1) / 0.2, 0, 1)
    fall = np.clip((breath.stop_s + 0.08 - times_s) / 0.16, 0, 1)
    share = np.minimum(rise, fall) ** 2 * (3 - 2 * np.minimum(rise, fall))
    shape[:, 0] += share * np.maximum(breath.gap - shape[:, 0], 0)
    kind[(times_s >= breath.start_s) & (times_s < breath.stop_s)] = BREATH


def _record(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the samples with a room, a microphone's colour, a compressor and noise."""
    samples = _in_room(samples, rng) if rng.random() < 0.5 else samples
    count, size = len(samples), _fast_length(len(samples))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    bends = np.interp(hertz, (0, 250, 700, 1500, 3000, 5000, 8000), rng.normal(0, 4, size=7))
    samples = np.fft.irfft(np.fft.rfft(samples, size) * 10 ** (bends / 20), size)[:count]
    if rng.random() < 0.4:
        level = np.sqrt(np.convolve(samples**2, np.full(800, 1 / 800), "same")) + 1e-3
        samples = samples / level ** rng.uniform(0.1, 0.4)
    noise = rng.normal(size=size)
    colour = rng.uniform(0, 1.2)
    shaped = np.fft.irfft(np.fft.rfft(noise) / np.maximum(hertz, 50) ** (colour / 2), size)[:count]
    ratio_db = rng.uniform(12, 55)
    return samples + shaped * samples.std() / shaped.std() * 10 ** (-ratio_db / 20)


def _fast_length(count: int) -> int:
    """Return a length of at least `count` whose Fourier transform is quick."""
    length = next_fast_len(count, real=True)
    assert length is not None
    return length


def _in_room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = int(SAMPLE_RATE * rng.uniform(0.08, 0.5))
    tail = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.05, 0.5) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    size = _fast_length(len(samples) + length)
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]


def _mouth(phonemes: list[Phoneme], end_s: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    curve = mouth_curve(phonemes, end_s=end_s, frames=rows, rate=ROWS_A_SECOND, visemes=VISEMES)
    closed, kind = np.zeros(rows), np.full(rows, len(KINDS) - 1)
    for phoneme, following in zip(phonemes, [*phonemes[1:], Phoneme("", end_s)], strict=True):
        start, stop = (round(p.start_s * ROWS_A_SECOND) for p in (phoneme, following))
        kind[start:stop] = _kind(phoneme.symbol)
        if phoneme.symbol and phoneme.symbol[0] in LABIALS:
            closed[start : start + max(1, round(_HELD * (stop - start)))] = 1
    return np.stack([curve.gap, curve.width, curve.tuck, closed], axis=1), kind


def _kind(symbol: str) -> int:
    first = symbol[1:] if symbol in ("tʃ", "dʒ") else symbol
    for number, letters in enumerate(VISEMES):
        if first and first[0] in letters:
            return number
    return len(KINDS) - 1 if not symbol else list(VISEMES).index(DEFAULT)
