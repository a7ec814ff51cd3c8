"""What a job may keep between its runs: tensors under names, so that what is finished is not made again."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor


class Keeper(Protocol):
    """Keeps tensors. Whoever hands one in sees to it that a name means one thing in all its runs."""

    def load(self, name: str) -> Tensor | None:
        """Return what was kept under a name, on the processor; None when there is nothing."""
        ...

    def save(self, name: str, value: Tensor) -> None:
        """Keep a tensor under a name."""
        ...


def kept(keeper: Keeper | None, name: str, make: Callable[[], Tensor]) -> Tensor:
    """Return what is kept under a name; make and keep it where there is nothing."""
    found = keeper.load(name) if keeper is not None else None
    if found is None:
        found = make()
        if keeper is not None:
            keeper.save(name, found.cpu())
    return found
