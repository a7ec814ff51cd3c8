"""The wan engine's weights: loaded for the first job, kept for those that follow, swapped for others."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from daemon.paths import find_paths
from daemon.protocol.errors import InternalError, MachineError, MediaError, RequestError
from wan_engine.errors import CheckpointError, LoraError, MemoryShortage, NumericError, WanError
from wan_engine.errors import MediaError as UnreadableMedia
from wan_engine.loading.assemble import Placement, default_placement, load_parts
from wan_engine.pipelines.parts import Parts
from wan_engine.shortage import budget_of, next_smaller
from wan_engine.specs import find_task

TASK = find_task("s2v-14B")
HINT = (
    f"Run `dubwright models get {TASK.name}`, or `import FOLDER` if they are on this machine; "
    "or use --engine rewrite, which needs no weights."
)
MEMORY_HINT = "Choose a smaller --crop, set `wan.memory_gb` lower, or close other programs; then retry."
_NO_MEMORY = "DefaultCPUAllocator"  # in what torch says when the processor's memory is full


@dataclass(frozen=True)
class Wanted:
    """Which weights, and the largest job that their places are planned for."""

    folder: Path
    lora: str | None = None
    budget_gb: float | None = None  # of the GPU's memory; None: all of it
    side: int = 512  # px, of the square
    frames: int = 80  # of a chunk

    def serves(self, other: "Wanted") -> bool:
        """Return whether what was loaded for this is right for `other`, too."""
        room = self.side >= other.side and self.frames >= other.frames
        return room and self == replace(other, side=self.side, frames=self.frames)


class _Shelf:
    """Holds the weights of one model."""

    def __init__(self) -> None:
        self._held: tuple[Wanted, Parts] | None = None
        self._ceiling_gb: float | None = None  # what memory did hold, after it ran out once

    def take(self, wanted: Wanted) -> Parts:
        """Return the parts wanted: those that are here, or others in their place."""
        wanted = self._capped(wanted)
        if self._held is not None and self._held[0].serves(wanted):
            return self._held[1]
        self.clear()
        parts = load_parts(
            TASK.name,
            wanted.folder,
            placement=placement_for(wanted),
            size=(wanted.side, wanted.side),
            frame_count=wanted.frames,
        )
        self._held = wanted, parts
        return parts

    def budget_gb(self, wanted: Wanted) -> float | None:
        """Return the GPU memory that a job may use; None on a processor without a budget."""
        return budget_of(placement_for(self._capped(wanted)))

    def step_down(self, wanted: Wanted) -> float:
        """Keep what is loaded from now on within less memory than was too much; return how much in GB."""
        self._ceiling_gb = next_smaller(self.budget_gb(wanted) or 0)
        self.clear()
        return self._ceiling_gb

    def forget(self) -> None:
        """Let go of everything, and of what is known of this machine's memory."""
        self.clear()
        self._ceiling_gb = None

    def _capped(self, wanted: Wanted) -> Wanted:
        limits = [limit for limit in (wanted.budget_gb, self._ceiling_gb) if limit is not None]
        return replace(wanted, budget_gb=min(limits, default=None))

    def clear(self) -> None:
        """Let go of what is here; its memory is free once no job holds it either."""
        self._held = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


SHELF = _Shelf()


def placement_for(wanted: Wanted) -> Placement:
    """Return how the weights are brought to this machine's device."""
    return replace(
        default_placement(),
        budget_gb=wanted.budget_gb,
        loras=[(Path(wanted.lora), 1.0)] if wanted.lora else [],
        prompt_cache=find_paths().cache / "prompts",
    )


def let_weights_go() -> None:
    """Forget the weights that the last job kept loaded, for one that needs the room."""
    SHELF.clear()


def is_shortage(error: RuntimeError) -> bool:
    """Tell whether torch means that memory has run out."""
    return isinstance(error, torch.OutOfMemoryError) or _NO_MEMORY in str(error)


@contextmanager
def our_errors(hint: str = HINT, *, memory_hint: str = MEMORY_HINT) -> Iterator[None]:
    """Turn wan_engine's errors into those of the wire tree; `hint` goes with what is wrong with weights."""
    try:
        yield
    except MemoryShortage as error:
        raise MachineError("memory.full", error.message, hint=error.hint) from error
    except (CheckpointError, LoraError) as error:
        message = f"{error.message} {error.hint}".strip()
        raise MachineError("engine.unavailable", message, hint=hint, detail=error.detail) from error
    except UnreadableMedia as error:
        raise MediaError("source.unreadable", error.message, hint=error.hint or None) from error
    except NumericError as error:
        raise InternalError("internal", error.message, hint=error.hint) from error
    except WanError as error:
        raise RequestError("job.invalid", error.message, hint=error.hint) from error
    except RuntimeError as error:
        if not is_shortage(error):
            raise
        device = "GPU's" if isinstance(error, torch.OutOfMemoryError) else "machine's"
        raise MachineError("memory.full", f"The {device} memory is full.", hint=memory_hint) from error
