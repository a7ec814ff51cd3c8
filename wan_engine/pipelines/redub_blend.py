"""Keeps what is known: in latents at every step, in pixels at the end.

Outside the mask the clean latent predicted at a step is replaced by the known one before the solver takes it
in, so that its memory of earlier steps holds no other. The noisy latent there then runs along the straight
line from its noise to the known latent, and ends on it exactly. After Lugmayr et al. 2022 (RePaint), with the
clean latent in place of the noisy one.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_engine.sampling.control import Control
from wan_engine.sampling.schedule import Schedule
from wan_engine.sampling.solver import Solver
from wan_engine.shapes import TEMPORAL_STRIDE


@dataclass
class KnownSolver:
    """A solver that is told the clean latent outside the mask."""

    solver: Solver
    known_BCfhw: Tensor
    mask_BCfhw: Tensor  # [1, 1, f, h, w]: 1 is made, 0 is known
    control: Control = field(default_factory=Control)

    @property
    def schedule(self) -> Schedule:
        """Return the noise levels."""
        return self.solver.schedule

    @property
    def index(self) -> int:
        """Return the steps taken."""
        return self.solver.index

    def clean(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the predicted clean latent, with the known one outside the mask."""
        return blend(self.known_BCfhw, self.solver.clean(latent, velocity), self.mask_BCfhw)

    def advance(self, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the latent at the next noise level."""
        return self.solver.advance(latent, clean)

    def step(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Do both, and show the clean latent."""
        clean = self.clean(latent, velocity)
        self.control.show(f"clean_step{self.index}", clean)
        return self.advance(latent, clean)


def blend(known: Tensor, made: Tensor, mask: Tensor) -> Tensor:
    """Return `made` where the mask is 1 and `known` where it is 0, exactly, and a mixture between."""
    return torch.lerp(known, made, mask.to(made).expand_as(made))


def latent_mask(mask_FHW: Tensor, stride: int, *, grow: int = 0) -> Tensor:
    """Take a mask down to latents, [1, 1, F / 4, H / stride, W / stride].

    A latent stands for four frames, so it may change where any of them may; across the picture the mask is
    averaged, which keeps its edge soft. `grow` widens it by so many pixels first.
    """
    mask_BfHW = mask_FHW.float().unflatten(0, (-1, TEMPORAL_STRIDE)).amax(1)[None]
    if grow:
        mask_BfHW = F.max_pool2d(mask_BfHW, 2 * grow + 1, stride=1, padding=grow)
    return F.avg_pool2d(mask_BfHW, stride)[None]


def start_latent(known_BCfhw: Tensor, noise_BCfhw: Tensor, sigma: float, *, skipped: int) -> Tensor:
    """Return the latent the first step is given: noise, or the source with noise when steps are skipped."""
    return torch.lerp(known_BCfhw, noise_BCfhw, sigma) if skipped else noise_BCfhw
