"""Things in front of the mouth: found where the lower face stops looking like itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from daemon.redub.region import Region


def find_occluders(
    region: "Region",
    patch: Callable[[int], np.ndarray | None],
    patch_matrix: Callable[[int], np.ndarray | None],
) -> np.ndarray | None:
    """Return (n, h, h) uint8, 255 where something stands before the face, or None where there is nothing."""
    return None
