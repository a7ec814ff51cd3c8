"""The job that lays a reading against a shot's own sound: `dubwright align`."""

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from daemon.align.align import Alignment, NothingToHearError, align
from daemon.media.segment import FrameRange
from daemon.media.source import Source
from daemon.media.voice import Voice, open_voice
from daemon.protocol.errors import MediaError
from daemon.protocol.jobs import AlignSpec
from daemon.redub.plan import resolve_range
from daemon.redub.progress import Reporter

_LONGEST_S = 600  # of the range, and of the reading


def align_voice(spec: AlignSpec, source: Source, *, reporter: Reporter) -> dict[str, Any]:
    """Find where the voice lies under the range; return it in plain values.

    Raises MediaError `source.no_sound`, `voice.empty`, `voice.missing`, `voice.unreadable`, RequestError as
    `resolve_range`.
    """
    frames = resolve_range(spec, source.info)
    rate = source.info.rate
    if source.info.sound is None:
        raise MediaError("source.no_sound", f"{Path(spec.source).name} has no sound to align a voice to.")
    heard = FrameRange(frames.start, min(frames.stop, frames.start + int(_LONGEST_S * rate)))
    voice = open_voice(Path(spec.voice))
    reporter.stage("voice", len(frames))
    try:
        found = align(source.sound(heard), _whole(voice, rate), tick=lambda: reporter.frames(0))
    except NothingToHearError as error:
        if str(error) == "guide":
            raise MediaError(
                "source.no_sound", f"Frames {frames.start} to {frames.stop} are silent."
            ) from error
        raise MediaError("voice.empty", f"{Path(spec.voice).name} has no speech in it.") from error
    return _describe(found, frames, rate, voice.info.sample_rate)


def _whole(voice: Voice, rate: Fraction) -> np.ndarray:
    """Return the voice at 16 kHz, mono."""
    seconds = min(Fraction(voice.info.samples, voice.info.sample_rate), Fraction(_LONGEST_S))
    return voice.conform(FrameRange(0, ceil(seconds * rate)), rate, 0, "silence").mono16k


def _describe(found: Alignment, frames: FrameRange, rate: Fraction, sample_rate: int) -> dict[str, Any]:
    start_s = float(frames.start / rate) + found.offset_s  # of the voice, on the clip's clock
    voice_at = round(start_s * rate)
    segments = [
        {
            "in": frames.start + round(segment.start_s * rate),
            "out": frames.start + round(segment.stop_s * rate),
            "drift_ms": round(1000 * segment.drift_s),
        }
        for segment in found.segments
    ]
    return {
        "range": [frames.start, frames.stop],
        "rate": [rate.numerator, rate.denominator],
        "voice_at": voice_at,
        "offset_samples": round(start_s * sample_rate),
        "sample_rate": sample_rate,
        "rest_ms": round(1000 * (start_s - float(voice_at / rate)), 2),
        "confidence": round(found.confidence, 3),
        "segments": segments,
    }
