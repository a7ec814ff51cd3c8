"""When a device runs out of memory in the middle of a job: one more try with less, then a clear refusal."""

import gc
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor

from wan_engine.errors import MemoryShortage
from wan_engine.loading.assemble import Placement
from wan_engine.loading.plan import GB

STEP_DOWN = 0.75  # of the memory that was too much


def budget_of(placement: Placement) -> float | None:
    """Return the GB of device memory a job may use; None on a processor without a budget."""
    if placement.budget_gb is None and placement.device.type == "cuda":
        return torch.cuda.mem_get_info(placement.device)[1] / GB
    return placement.budget_gb


def next_smaller(budget_gb: float) -> float:
    """Return the budget to try after one that was too large."""
    return round(budget_gb * STEP_DOWN, 1)


def made_despite_shortage(
    start: Callable[[], Iterator[Tensor]], step_down: Callable[[], float] | None, budget_gb: float | None
) -> Iterator[Tensor]:
    """Yield a job's pieces; when memory runs out, step down once and go on after the last piece given.

    `step_down` makes room and returns the new budget in GB; None where there is no second try. Raises
    MemoryShortage.
    """
    given = 0
    while True:
        try:
            for piece in islice(start(), given, None):
                given += 1
                yield piece
            return
        except torch.OutOfMemoryError as error:
            if step_down is None:
                raise _shortage(budget_gb) from error
        gc.collect()  # outside the handler, where nothing holds the failed job's tensors any more
        budget_gb, step_down = step_down(), None


def _shortage(budget_gb: float | None) -> MemoryShortage:
    if budget_gb is None:
        return MemoryShortage("Memory ran out.", hint="Choose a smaller size or fewer frames.")
    return MemoryShortage(
        f"The device ran out of memory within a budget of {budget_gb:.1f} GB.",
        hint=f"Set --vram_budget_gb {next_smaller(budget_gb)}, or choose a smaller size or fewer frames.",
    )
