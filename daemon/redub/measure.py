"""Look at a delivered take beside its source, frame by frame, and write down what checks.py judges."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.faces.evidence import mouth_aperture
from daemon.faces.landmarks import LIPS_OUTER
from daemon.faces.mesh import FaceMesh
from daemon.faces.region import Region
from daemon.media.segment import FrameRange
from daemon.media.source import Source
from daemon.redub.checks import Observations, lightness_change, ring_delta_e, skin_colours
from daemon.redub.likeness import Likeness
from daemon.redub.meanwhile import one_ahead
from daemon.redub.playback import Shown
from daemon.redub.progress import WAITING
from daemon.redub.views import Crops, Cutter, face_matrix


@dataclass(frozen=True)
class Subject:
    """What a take is held against."""

    source: Source
    delivered: FrameRange  # handles included
    region: Region  # over the range
    likeness: Likeness
    mesh: FaceMesh


def observe(subject: Subject, shown: Iterator[Shown], *, tick: Callable[[int], None]) -> Observations:
    """Measure a take. `shown` are its frames, in order; `tick` is called with the number done,
    or WAITING.
    """
    seen = Observations()
    cutter = Cutter(subject.source.info, subject.region)
    eye = _Observer(subject, seen, cutter.side)
    frames = subject.source.frames(subject.delivered, still=lambda: tick(WAITING))
    with ThreadPoolExecutor(1, thread_name_prefix="cut") as pool:
        for view in one_ahead(pool, cutter.cut, zip(frames, shown, strict=False)):
            seen.frames_found += 1
            tick(seen.frames_found)
            seen.outside_max_difference = max(seen.outside_max_difference, int(np.ceil(view.outside)))
            if view.crops is not None:
                eye.look(view.crops)
    seen.frames_found += sum(1 for _ in shown)  # too many is as wrong as too few
    missing = len(subject.region.frames) - len(seen.aperture)
    seen.aperture += [float("nan")] * max(0, missing)
    return seen


class _Observer:
    """Looks at the crops of one frame after the other."""

    def __init__(self, subject: Subject, seen: Observations, side: int) -> None:
        self._subject, self._seen = subject, seen
        self._scale = side / subject.region.size
        self._before: Crops | None = None

    def look(self, crops: Crops) -> None:
        """Measure one frame."""
        seen, before = self._seen, self._before or crops
        seen.aperture.append(self._aperture(crops))
        if self._subject.region.usable[crops.index] and crops.alpha.any():
            self._compare(crops)
        seen.change_take.append(lightness_change(crops.take, before.take, crops.mask))
        seen.change_source.append(lightness_change(crops.source, before.source, crops.mask))
        self._before = crops

    def _compare(self, crops: Crops) -> None:
        seen = self._seen
        seen.seam.append(ring_delta_e(crops.take, crops.source, crops.alpha))
        lips = _lips(self._subject.region.points[crops.index] * self._scale, len(crops.take))
        colours = skin_colours(crops.take, crops.source, (crops.alpha > 0.6) & ~lips)
        seen.skin += [] if colours is None else [colours]
        seen.likeness.append(self._subject.likeness.distance(crops.take))

    def _aperture(self, crops: Crops) -> float:
        """Return the gap between the inner lips of the take, in eye distances; NaN without a face."""
        if crops.face is None:
            return float("nan")
        region, to_crop = self._subject.region, face_matrix(self._subject.region.size)
        points = np.zeros((468, 3), np.float32)
        points[:, :2] = (region.points[crops.index] - to_crop[:, 2]) / to_crop[0, 0]
        face = self._subject.mesh.track(crops.face, points)
        return float(mouth_aperture(face.points[None])[0]) if face.score >= 0.5 else float("nan")


def _lips(points: np.ndarray, side: int) -> np.ndarray:
    """Return the mouth, (side, side) bool, with room for where it may have opened to."""
    lips = np.zeros((side, side), np.uint8)
    cv2.fillPoly(lips, [np.rint(points[list(LIPS_OUTER), :2]).astype(np.int32)], 1)
    reach = max(3, side // 12) | 1
    return cv2.dilate(lips, np.ones((2 * reach + 1, reach), np.uint8)) > 0
