"""Ranges of frames, half-open, and the sample a frame begins at.

A rate is a Fraction and a position an integer frame; seconds appear only as Fractions, at the edge.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, order=True)
class FrameRange:
    """Frames `start` to `stop`, `stop` not included."""

    start: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def widen(self, frames: int) -> "FrameRange":
        """Add `frames` on both sides."""
        return FrameRange(self.start - frames, self.stop + frames)

    def clip(self, bounds: "FrameRange") -> "FrameRange":
        """Keep what lies inside `bounds`."""
        start = min(max(self.start, bounds.start), bounds.stop)
        return FrameRange(start, max(start, min(self.stop, bounds.stop)))


def sample_at(frame: int, rate: Fraction, sample_rate: int) -> int:
    """Return the first sample of `frame`: frame / rate * sample_rate, rounded half up."""
    return math.floor(frame / rate * sample_rate + Fraction(1, 2))
