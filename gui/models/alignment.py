"""What the daemon found of a reading: where it fits the original's sound, how surely, and where it drifts."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Found:
    """`voice_at`: the frame to lay the voice at; `drifts`: (in, out, ms later) of its stretches."""

    voice_at: int
    confidence: float
    drifts: list[tuple[int, int, int]]

    @property
    def share(self) -> str:
        """The confidence in words; nothing is certain."""
        return f"{min(0.99, self.confidence):.0%}"

    @property
    def most_drift_ms(self) -> int:
        """How far the reading drifts at most, to either side."""
        return max((abs(drift) for _, _, drift in self.drifts), default=0)

    def in_frames(self, rate: Fraction) -> list[tuple[int, int, float]]:
        """Return the drifts in frames."""
        return [(first, stop, float(drift * rate / 1000)) for first, stop, drift in self.drifts]


def read_found(result: dict[str, Any]) -> Found:
    """Make of a job's result what the app shows."""
    drifts = [(part["in"], part["out"], part["drift_ms"]) for part in result["segments"]]
    return Found(result["voice_at"], result["confidence"], drifts)
