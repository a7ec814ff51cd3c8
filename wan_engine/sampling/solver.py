"""What a solver is, and which there are."""

from typing import Protocol

from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.sampling.dpmpp import DpmPlusPlus
from wan_engine.sampling.euler import Euler
from wan_engine.sampling.schedule import UNIPC_SIGMA_MAX, Schedule, make_schedule
from wan_engine.sampling.unipc import UniPC

SOLVERS = ("unipc", "dpm++", "euler")


class Solver(Protocol):
    """Takes latents from noise to clean, one level at a time, remembering what it needs of earlier steps."""

    @property
    def schedule(self) -> Schedule:
        """Return the noise levels."""
        ...

    @property
    def index(self) -> int:
        """Return the steps taken."""
        ...

    def clean(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Return the clean latent the network's velocity points to."""
        ...

    def advance(self, latent: Tensor, clean: Tensor) -> Tensor:
        """Return the latent at the next noise level, given the clean one predicted (or edited) at this."""
        ...

    def step(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Do both."""
        ...


def make_solver(name: str, *, steps: int, shift: float, skip: int = 0) -> Solver:
    """Start a run of the named solver on its own schedule, without its first `skip` steps.

    Raises SettingError.
    """
    if name == "unipc":
        return UniPC(make_schedule(steps, shift, sigma_max=UNIPC_SIGMA_MAX).after(skip))
    if name == "dpm++":
        return DpmPlusPlus(make_schedule(steps, shift).after(skip))
    if name == "euler":
        return Euler(make_schedule(steps, shift).after(skip))
    raise SettingError(f"There is no solver {name!r}.", hint=f"Choose one of {', '.join(SOLVERS)}.")
