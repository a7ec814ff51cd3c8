"""DPM-Solver++ (2M, midpoint) for flow models.

Source: Lu et al. 2022, "DPM-Solver++" (arXiv 2211.01095), algorithm 2; first and last step of first order, as
in Wan2.2.
"""

import torch
from torch import Tensor

from wan_engine.sampling.schedule import Schedule, half_log_snr


class DpmPlusPlus:
    """One run of the solver. Ask `step` once for every timestep of the schedule, in order."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.index = 0
        self._sigma = schedule.sigmas
        self._alpha = 1 - schedule.sigmas
        self._lambda = half_log_snr(schedule.sigmas)
        self._before: Tensor | None = None  # the clean latent predicted one step ago

    def clean(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the clean latent the network's velocity points to."""
        return latent - self._sigma[self.index].item() * velocity

    def step(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent at the next noise level."""
        return self.advance(latent, self.clean(latent, velocity))

    def advance(self, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the latent at the next noise level, given the clean one predicted (or edited) at this."""
        i, before = self.index, self._before
        h = self._lambda[i + 1] - self._lambda[i]
        pull = self._alpha[i + 1] * (torch.exp(-h) - 1)
        ahead = (self._sigma[i + 1] / self._sigma[i]).item() * latent - pull.item() * clean
        self.index, self._before = i + 1, clean
        if before is None or i == self.schedule.steps - 1:
            return ahead
        r = (self._lambda[i] - self._lambda[i - 1]) / h  # infinite at i = 1 when the run began at pure noise
        return ahead - (0.5 * pull / r).item() * (clean - before)
