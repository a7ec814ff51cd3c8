"""What the tests of the rewrite engine share: a made-up set of units."""

from collections.abc import Callable

import numpy as np
import pytest

from daemon.engines.rewrite.shape import CONTROLS
from daemon.engines.rewrite.units import Units


def some_units(count: int = 120, seed: int = 0) -> Units:
    rng = np.random.default_rng(seed)
    aperture = np.abs(np.sin(np.arange(count) * 0.7) + rng.normal(size=count) * 0.2) * 0.1
    measures = np.stack([aperture, 0.5 + 0.1 * rng.normal(size=count), *np.ones((3, count))], axis=1)
    frames = np.concatenate([np.arange(count // 2), np.arange(count // 2) + 200])
    return Units(
        frames,
        np.zeros((count, len(CONTROLS), 3)),
        measures,
        np.zeros((count, 2)),
        rng.normal(size=(count, 4)) * 0.2,
        np.zeros(count),
    )


@pytest.fixture
def make_units() -> Callable[..., Units]:
    """Return the maker of units: two runs of half the count, with a gap in the footage between them."""
    return some_units
