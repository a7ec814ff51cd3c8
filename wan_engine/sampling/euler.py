"""Euler steps along the flow: what models distilled to a few steps were trained for."""

from torch import Tensor

from wan_engine.sampling.schedule import Schedule


class Euler:
    """One run of the solver. Ask `step` once for every timestep of the schedule, in order."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.index = 0
        self._sigmas = schedule.sigmas.tolist()

    def clean(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the clean latent the network's velocity points to."""
        return latent - self._sigmas[self.index] * velocity

    def step(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the latent at the next noise level."""
        return self.advance(latent, self.clean(latent, velocity))

    def advance(self, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the latent at the next noise level, given the clean one predicted (or edited) at this.

        x + (sigma' - sigma) * v with v = (x - clean) / sigma: a mean of latent and clean latent.
        """
        ratio = self._sigmas[self.index + 1] / self._sigmas[self.index]
        self.index += 1
        return ratio * latent + (1 - ratio) * clean
