"""How a caller watches a job and stops it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from wan_engine.errors import Cancelled

Stage = Literal["encode", "denoise", "decode"]


@dataclass(frozen=True)
class Progress:
    """Where a job is: `done` of `total` steps of a stage, in clip `clip` of `clips`."""

    stage: Stage
    done: int
    total: int
    clip: int = 0
    clips: int = 1


@dataclass(frozen=True)
class Control:
    """What a caller hands in; `observe` gets intermediate tensors by name, for previews and comparisons."""

    report: Callable[[Progress], None] | None = None
    is_cancelled: Callable[[], bool] | None = None
    observe: Callable[[str, Tensor], None] | None = None
    shows_unused: bool = (
        False  # compute for `observe` also the negative's velocity that guidance 1 leaves out
    )

    def progress(self, progress: Progress) -> None:
        """Tell the caller, and stop when it wants so. Raises Cancelled."""
        self.check()
        if self.report is not None:
            self.report(progress)

    def check(self) -> None:
        """Raise Cancelled when the caller wants the job to stop."""
        if self.is_cancelled is not None and self.is_cancelled():
            raise Cancelled("The job was cancelled.")

    def named(self, prefix: str) -> "Control":
        """Return a control whose tensors are shown under names that start with `prefix`."""
        observe = self.observe
        if observe is None:
            return self
        return replace(self, observe=lambda name, tensor: observe(prefix + name, tensor))

    def show(self, name: str, tensor: Tensor) -> None:
        """Let the caller see an intermediate tensor."""
        if self.observe is not None:
            self.observe(name, tensor)
