"""Noise levels: which sigmas a run of N steps visits, and the timestep the network is told at each.

x = (1 - sigma) * clean + sigma * noise, sigma going from (nearly) 1 to 0. `shift` moves the steps towards
high noise, where large pictures are decided (Esser et al. 2024, arXiv 2403.03206, section 5.3.2).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wan_engine.errors import SettingError

TRAIN_TIMESTEPS = 1000
UNIPC_SIGMA_MAX = float(
    np.float32(0.999)
)  # the released UniPC schedule begins one training step below full noise


@dataclass(frozen=True)
class Schedule:
    """The noise levels of one run: `sigmas` float32 (N+1), the last 0; `timesteps` int64 (N)."""

    sigmas: Tensor
    timesteps: Tensor

    @property
    def steps(self) -> int:
        """Return how many times the network is asked."""
        return len(self.timesteps)

    def after(self, skip: int) -> "Schedule":
        """Return the schedule without its first steps: for a latent that is not all noise."""
        return Schedule(self.sigmas[skip:], self.timesteps[skip:])


def shifted(sigma: np.ndarray, shift: float) -> np.ndarray:
    """Move noise levels towards 1: s * sigma / (1 + (s - 1) * sigma)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def make_schedule(steps: int, shift: float, *, sigma_max: float = 1.0) -> Schedule:
    """Return N evenly spaced noise levels from `sigma_max` down, shifted. Raises SettingError.

    The network sees floor(1000 * sigma); the solver uses sigma itself. Source: Wan2.2 (both of its flow
    schedulers).
    """
    if steps < 1:
        raise SettingError(
            f"{steps} steps cannot be taken.", hint="Use 1 or more; 40 is the released setting."
        )
    if not shift > 0:
        raise SettingError(f"The shift is {shift}; it must be above 0.")
    sigmas = shifted(np.linspace(sigma_max, 0.0, steps + 1)[:-1], shift)
    timesteps = torch.from_numpy((sigmas * TRAIN_TIMESTEPS).astype(np.int64))
    return Schedule(torch.from_numpy(np.append(sigmas, 0.0).astype(np.float32)), timesteps)


def half_log_snr(sigmas: Tensor) -> Tensor:
    """Return lambda = ln((1 - sigma) / sigma): -inf at pure noise, +inf when clean."""
    return torch.log(1 - sigmas) - torch.log(sigmas)
