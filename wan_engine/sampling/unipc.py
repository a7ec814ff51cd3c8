"""UniPC of order 2 for flow models: each step corrects the last, knowing more now, then predicts.

Source: Zhao et al. 2023, "UniPC" (arXiv 2302.04867), the B2(h) variant on the predicted clean latent;
coefficients as in diffusers' `UniPCMultistepScheduler`, which Wan2.2 adapts.
"""

import torch
from torch import Tensor

from wan_engine.sampling.schedule import Schedule, half_log_snr


class UniPC:
    """One run of the solver. Ask `step` once for every timestep of the schedule, in order."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.index = 0
        self._sigma = schedule.sigmas
        self._alpha = 1 - schedule.sigmas
        self._lambda = half_log_snr(schedule.sigmas)
        self._cleans: list[Tensor] = []  # the last two predictions of the clean latent, newest last
        self._base: Tensor | None = None  # the corrected latent the last step started from
        self._order = 1  # of the last prediction

    def clean(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the clean latent the network's velocity points to."""
        return latent - self._sigma[self.index].item() * velocity

    def step(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent at the next noise level."""
        return self.advance(latent, self.clean(latent, velocity))

    def advance(self, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the latent at the next noise level, given the clean one predicted (or edited) at this."""
        i, steps = self.index, self.schedule.steps
        base = latent if self._base is None else self._corrected(self._base, clean)
        self._order = min(2, i + 1, steps - i)
        self._cleans = [*self._cleans[-1:], clean]
        self._base = base
        self.index += 1
        return self._predicted(base)

    def _predicted(self, base: Tensor) -> Tensor:
        """Go from step i to i + 1 by extrapolating the last predictions."""
        i, clean = self.index - 1, self._cleans[-1]
        h = self._lambda[i + 1] - self._lambda[i]
        pull = self._alpha[i + 1] * torch.expm1(-h)
        ahead = (self._sigma[i + 1] / self._sigma[i]).item() * base - pull.item() * clean
        if self._order == 1:
            return ahead
        slope = (self._cleans[-2] - clean) / ((self._lambda[i - 1] - self._lambda[i]) / h).item()
        return ahead - (pull * 0.5).item() * slope

    def _corrected(self, base: Tensor, clean: Tensor) -> Tensor:
        """Go from step i - 1 to i again, now that the prediction at i is known."""
        i, before = self.index, self._cleans[-1]
        h = self._lambda[i] - self._lambda[i - 1]
        pull = self._alpha[i] * torch.expm1(-h)
        ahead = (self._sigma[i] / self._sigma[i - 1]).item() * base - pull.item() * before
        if self._order == 1:
            return ahead - (pull * 0.5).item() * (clean - before)
        r = (self._lambda[i - 2] - self._lambda[i - 1]) / h
        slope = (self._cleans[-2] - before) / r.item()
        weight_slope, weight_new = _corrector_weights(h, r)
        return ahead - pull.item() * (weight_slope * slope + weight_new * (clean - before))


def _corrector_weights(h: Tensor, r: Tensor) -> tuple[float, float]:
    """Solve the order conditions p + q = b1, r p + q = b2 of the paper's equation 9 (B(h) = e^h - 1)."""
    eta = -h
    expm1 = torch.expm1(eta)
    c1 = expm1 / eta - 1
    c2 = c1 / eta - 0.5
    b1, b2 = c1 / expm1, 2 * c2 / expm1
    slope = (b2 - b1) / (r - 1)
    return slope.item(), (b1 - slope).item()
