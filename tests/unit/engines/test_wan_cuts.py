"""Cuts: motion is taken from the range's own shot only, and a range across a cut is refused."""

from collections.abc import Callable

import numpy as np
import pytest

from daemon.engines.wan_cuts import same_shot
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MediaError
from daemon.redub.progress import SilentReporter

AROUND = FrameRange(10, 60)


def crops(*cuts: int) -> Callable[[int], np.ndarray]:
    """Return crops of a shot that changes to another picture at each cut, with some noise in every frame."""
    scenes = np.random.default_rng(0).random((len(cuts) + 1, 32, 32, 3), np.float32)
    scenes = np.stack([scene * 0.3 + level * 0.6 for level, scene in enumerate(scenes)])

    def crop(frame: int) -> np.ndarray:
        noise = np.random.default_rng(frame).normal(0, 0.02, (32, 32, 3)).astype(np.float32)
        return scenes[sum(frame >= cut for cut in cuts)] + noise

    return crop


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [((), AROUND), ((25,), FrameRange(25, 60)), ((30,), FrameRange(30, 60)), ((50,), FrameRange(10, 50)),
     ((20, 55), FrameRange(20, 55))],
)  # fmt: skip
def test_context_ends_at_the_nearest_cut(cuts: tuple[int, ...], expected: FrameRange) -> None:
    assert same_shot(FrameRange(30, 50), AROUND, crops(*cuts), SilentReporter()) == expected


def test_a_cut_inside_the_range_is_named() -> None:
    with pytest.raises(MediaError, match="cuts at frame 41") as caught:
        same_shot(FrameRange(30, 50), AROUND, crops(41), SilentReporter())
    assert caught.value.code == "range.cut"
