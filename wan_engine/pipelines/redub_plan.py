"""Cuts a range to re-dub into chunks: borders where nobody speaks, the last chunk as short as it may be.

A chunk makes `made` frames from `start` on, of which it delivers those up to `stop`. The frames it makes
beyond are what the next chunk fades in over, or, in the last chunk, the source's own frames after the range,
which pin the end.
"""

from collections.abc import Sequence
from typing import NamedTuple

from wan_engine.errors import SettingError
from wan_engine.pipelines.timeline import SHORTEST_CLIP, check_clip_frames
from wan_engine.shapes import TEMPORAL_STRIDE

LEAST_SHARE = 2 / 3  # of a full chunk: how early a border may be moved to a quiet frame


class Chunk(NamedTuple):
    """Frames [start, stop) of the range are delivered; `made` are made, from `start` on."""

    start: int
    stop: int
    made: int


def plan_chunks(
    frames: int,
    chunk_frames: int,
    *,
    is_pinned: bool = False,
    overlap: int = 0,
    speech: Sequence[float] | None = None,
) -> list[Chunk]:
    """Cut a range of `frames` into chunks that make at most `chunk_frames` each.

    `is_pinned`: the last chunk goes one latent into the frames after the range. `overlap` frames are made
    twice at each border. `speech`, one number a frame, is lowest where a border disturbs least. Raises
    SettingError.
    """
    check_clip_frames(chunk_frames)
    if chunk_frames < SHORTEST_CLIP:
        raise SettingError(
            f"A chunk cannot have {chunk_frames} frames.", hint=f"Use {SHORTEST_CLIP} or more."
        )
    if overlap < 0 or overlap % TEMPORAL_STRIDE or overlap > chunk_frames - 2 * TEMPORAL_STRIDE:
        raise SettingError(
            f"Chunks of {chunk_frames} frames cannot overlap by {overlap}.",
            hint=f"Use a multiple of {TEMPORAL_STRIDE}, at most {chunk_frames - 2 * TEMPORAL_STRIDE}.",
        )
    if frames < 1:
        raise SettingError("The range holds no frame.")
    pinned = TEMPORAL_STRIDE if is_pinned else 0
    chunks, start = [], 0
    while (made := _round_up(frames - start) + pinned) > chunk_frames:
        stop = start + _quietest(start, frames, chunk_frames - overlap, speech)
        chunks.append(Chunk(start, stop, stop - start + overlap))
        start = stop
    return [*chunks, Chunk(start, frames, max(made, SHORTEST_CLIP))]


def _quietest(start: int, frames: int, longest: int, speech: Sequence[float] | None) -> int:
    """Return the length after which a border disturbs least; the longest of equals."""
    longest = min(longest, (frames - start - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE)
    if speech is None:
        return longest
    least = max(TEMPORAL_STRIDE, _round_up(int(longest * LEAST_SHARE)))
    lengths = range(longest, least - 1, -TEMPORAL_STRIDE)
    return min(lengths, key=lambda length: _loudness(speech, start + length))


def _loudness(speech: Sequence[float], border: int) -> float:
    """Return how much is said in the frames on both sides of a border."""
    return sum(float(value) for value in speech[max(0, border - 1) : border + 1])


def _round_up(frames: int) -> int:
    return -(-frames // TEMPORAL_STRIDE) * TEMPORAL_STRIDE
