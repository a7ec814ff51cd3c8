"""The clock of a spoken video: which frames there are, which clip makes them, what each shows of a source.

The sound decides: frame k belongs to second k / rate, and there are as many frames as the sound covers.
Sources are sampled by their timestamps. The released pipeline's own clock (a clip more for a sound that fits
exactly, three frames cut from the first clip, poses taken at a rounded stride) is kept beside it, to
reproduce its results.
"""

import bisect
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from wan_engine.errors import SettingError
from wan_engine.shapes import TEMPORAL_STRIDE, check_clip_length

SHORTEST_CLIP = 16  # frames; a shorter rest is made with this many and cut
RELEASED_CUT = 3  # frames the released pipeline drops from a first clip without motion


class Span(NamedTuple):
    """One clip: the frames [start, start + made) it makes, and which of them, [first, last), are kept."""

    start: int
    made: int
    first: int
    last: int


def frame_count(seconds: Fraction, rate: int) -> int:
    """Return how many frames a sound covers."""
    return max(1, math.ceil(seconds * rate))


def plan_clips(frames: int, clip_frames: int, *, most: int | None = None) -> list[Span]:
    """Cut so many frames into clips; the last one makes no more than it must. Raises SettingError."""
    check_clip_frames(clip_frames)
    spans = []
    for start in range(0, frames, clip_frames):
        kept = min(clip_frames, frames - start)
        count = min(clip_frames, max(SHORTEST_CLIP, -(-kept // TEMPORAL_STRIDE) * TEMPORAL_STRIDE))
        spans.append(Span(start, count, 0, kept))
    return spans[:most]


def plan_released_clips(clips: int, clip_frames: int, *, is_first_cut: bool) -> list[Span]:
    """Return the released pipeline's clips: all full, the first without its first frames."""
    check_clip_frames(clip_frames)
    return [
        Span(clip * clip_frames, clip_frames, RELEASED_CUT if is_first_cut and clip == 0 else 0, clip_frames)
        for clip in range(clips)
    ]


def check_clip_frames(clip_frames: int) -> None:
    """Refuse a clip length the latents cannot hold. Raises SettingError."""
    if clip_frames < TEMPORAL_STRIDE or clip_frames % TEMPORAL_STRIDE:
        hint = f"Use a multiple of {TEMPORAL_STRIDE}; 80 is the released setting."
        raise SettingError(f"A clip cannot have {clip_frames} frames.", hint=hint)
    check_clip_length(clip_frames // TEMPORAL_STRIDE)


def shown_at(times_s: Sequence[Fraction], frames: int, rate: int) -> list[int | None]:
    """Return, for each frame, the source frame on show at its time; None after the source has ended.

    `times_s` are the source frames' start times, rising; the last is on show as long as the one before it
    was.
    """
    if not times_s:
        return [None] * frames
    last = times_s[-1] - times_s[-2] if len(times_s) > 1 else Fraction(1, rate)
    end = times_s[-1] + last
    wanted = [times_s[0] + Fraction(frame, rate) for frame in range(frames)]
    return [bisect.bisect_right(times_s, time) - 1 if time < end else None for time in wanted]


def released_shown(source_frames: int, source_rate: float, frames: int, rate: int) -> list[int | None]:
    """Return the source frame of each frame as the released pipeline takes them: every n-th, n rounded."""
    stride = max(1, round(source_rate / rate))
    return [frame * stride if frame * stride < source_frames else None for frame in range(frames)]
