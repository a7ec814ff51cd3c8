"""Where the picture cuts: motion must not be taken from another shot, and no chunk may run across a cut."""

from collections.abc import Callable

import cv2
import numpy as np

from daemon.media.segment import FrameRange
from daemon.protocol.errors import MediaError
from daemon.redub.progress import Reporter

_SIDE = 16  # px, of the pictures that are compared
_LEAST = 0.08  # mean difference in 0..1; a head that stays in its crop changes by a tenth of that
_TIMES_USUAL = 6.0  # and so many times the shot's own usual difference, against flicker and handheld shots


def same_shot(
    frames: FrameRange, around: FrameRange, crop: Callable[[int], np.ndarray], reporter: Reporter
) -> FrameRange:
    """Return the part of `around` that is in one shot with `frames`.

    Raises MediaError `range.cut` when the picture cuts inside them.
    """
    changes = _changes(around, crop, reporter)
    limit = max(_LEAST, _TIMES_USUAL * float(np.median(changes))) if len(changes) else np.inf
    cuts = [around.start + 1 + int(index) for index in np.flatnonzero(changes > limit)]
    inside = [cut for cut in cuts if frames.start < cut < frames.stop]
    if inside:
        raise MediaError(
            "range.cut",
            f"The picture cuts at frame {inside[0]}, inside the range {frames.start} to {frames.stop}.",
        )
    start = max([cut for cut in cuts if cut <= frames.start], default=around.start)
    stop = min([cut for cut in cuts if cut >= frames.stop], default=around.stop)
    return FrameRange(start, stop)


def _changes(around: FrameRange, crop: Callable[[int], np.ndarray], reporter: Reporter) -> np.ndarray:
    """Return how much each frame but the first differs from the one before it."""
    changes, before = [], None
    for frame in around:
        reporter.frames(0)
        small = cv2.resize(crop(frame), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        if before is not None:
            changes.append(float(np.abs(small - before).mean()))
        before = small
    return np.array(changes)
