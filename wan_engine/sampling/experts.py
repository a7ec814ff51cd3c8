"""Two experts for one job: which of them a step belongs to, and keeping only that one on the device.

The high-noise expert lays out the picture, the low-noise one draws its details. The released switch is a
timestep; a threshold in half-log-SNR, lambda = ln((1 - sigma) / sigma), says the same without a schedule's
rounding. Around a threshold both may be asked and mixed, so that the change is a slope and no edge. Source:
Wan2.2 (two-expert switch); Kingma et al. 2021 (variational diffusion models) for the signal-to-noise ratio.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from wan_engine.errors import SettingError
from wan_engine.sampling.schedule import TRAIN_TIMESTEPS
from wan_engine.transformer.model import Transformer

LOW, HIGH = 0, 1  # order of experts and of guidance scales, as released

ModelT = TypeVar("ModelT")
Lease = Callable[[], AbstractContextManager[ModelT]]
"""Gives a model on its device for as long as the context lasts."""


def held(model: ModelT) -> Lease[ModelT]:
    """Return a lease on a model that is where it belongs already and stays there."""
    return lambda: nullcontext(model)


def half_log_snr_of(sigma: float) -> float:
    """Return ln((1 - sigma) / sigma)."""
    if sigma <= 0:
        return math.inf
    return -math.inf if sigma >= 1 else math.log1p(-sigma) - math.log(sigma)


@dataclass(frozen=True)
class ExpertSwitch:
    """Where the high-noise expert hands over.

    `boundary` is a noise level in 0..1, compared with the step's whole timestep as released; None with one
    network. `threshold`, a half-log-SNR, replaces it. `blend` is the width in half-log-SNR over which both
    are mixed.
    """

    boundary: float | None = None
    threshold: float | None = None
    blend: float = 0.0

    def __post_init__(self) -> None:
        if self.boundary is not None and not 0 < self.boundary < 1:
            raise SettingError(f"The expert boundary is {self.boundary}; it must lie between 0 and 1.")
        if self.blend < 0 or not math.isfinite(self.blend):
            raise SettingError(f"The blend width is {self.blend}; it must be 0 or more.")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise SettingError(f"The expert threshold is {self.threshold}; it must be a number.")
        if self.boundary is None and (self.threshold is not None or self.blend):
            raise SettingError("This task has one network: there is no expert to switch.",
                               hint="Leave the expert threshold and blend out.")  # fmt: skip

    def high_share(self, sigma: float, timestep: int) -> float:
        """Return how much of the velocity is the high-noise expert's: 1, 0, or between inside the blend."""
        if self.boundary is None:
            return 0.0
        if self.threshold is None and not self.blend:
            return float(timestep >= self.boundary * TRAIN_TIMESTEPS)
        centre = half_log_snr_of(self.boundary) if self.threshold is None else self.threshold
        distance = centre - half_log_snr_of(sigma)
        if not self.blend:
            return float(distance >= 0)
        return min(1.0, max(0.0, distance / self.blend + 0.5))

    def shares(self, sigma: float, timestep: int) -> list[tuple[int, float]]:
        """Return the experts a step asks, each with its share."""
        high = self.high_share(sigma, timestep)
        return [(expert, share) for expert, share in ((HIGH, high), (LOW, 1.0 - high)) if share > 0]


class Experts:
    """The networks of a job, on the device one at a time. A context: leaving it gives the memory back."""

    def __init__(self, leases: Sequence[Lease[Transformer]]) -> None:
        self._leases = leases
        self._current: int | None = None
        self._model: Transformer | None = None
        self._stack = ExitStack()

    def use(self, expert: int) -> Transformer:
        """Return an expert on its device; the one used before has made room."""
        if self._model is None or expert != self._current:
            self.release()
            self._model = self._stack.enter_context(self._leases[expert]())
            self._current = expert
        return self._model

    def release(self) -> None:
        """Give back the expert in use."""
        self._model = self._current = None
        self._stack.close()

    def __enter__(self) -> "Experts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
