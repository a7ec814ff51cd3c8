"""Named tensors on disk: what is known of each, and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

AGAIN = "Download the file again; `verify` checks a whole folder."


@dataclass(frozen=True)
class StoredTensor:
    """One tensor on disk."""

    file: Path
    shape: tuple[int, ...]
    read: Callable[[], Tensor]


Weights = dict[str, StoredTensor]
