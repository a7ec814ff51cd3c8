"""A shot as the re-dub of wan_engine reads it, and whether its face is one to go on from."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from daemon.engines.engine import Shot
from daemon.faces.pose import fit_head
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MediaError, RequestError

EVERYTHING = 0.85  # of the crop: a mask that opens more of it ends where the crop does, in straight edges
_MASKS_LOOKED_AT = 12
LEAST_SOURCE_SIDE = 48  # px of the source under the crop; below it there is no mouth to go on from


class ShotFootage:
    """A shot as the re-dub reads it (wan_engine.pipelines.redub_footage.Footage)."""

    def __init__(self, shot: Shot, around: FrameRange) -> None:
        self._shot = shot
        self.before = shot.frames.start - around.start
        self.count = len(shot.frames)
        self.after = around.stop - shot.frames.stop

    def pictures(self, frames: Sequence[int]) -> Tensor:
        """Return frames [3, F, H, W] in [-1, 1]; they are read in order."""
        start, side = self._shot.frames.start, self._shot.region.size
        pictures_FHWC = np.empty((len(frames), side, side, 3), np.float32)
        for place in sorted(range(len(frames)), key=lambda place: frames[place]):
            np.multiply(self._shot.crop(start + frames[place]), 2, out=pictures_FHWC[place])
            pictures_FHWC[place] -= 1
        return torch.from_numpy(pictures_FHWC).permute(3, 0, 1, 2)

    def masks(self, frames: Sequence[int]) -> Tensor:
        """Return masks [F, H, W]; nothing where the frame is left alone."""
        shot = self._shot
        masks = [shot.region.mask(shot.frames.start + frame) * shot.editable[frame] for frame in frames]
        return torch.from_numpy(np.stack(masks))


def frontality(shot: Shot) -> np.ndarray:
    """Return (n,) from 1 for a face that looks into the lens to 0 for a profile, or for none."""
    track = shot.material.track
    found = np.zeros(len(shot.frames))
    for row, frame in enumerate(track.frames):
        if frame in shot.frames:
            _, rotation, _ = fit_head(track.points[row : row + 1])
            found[int(frame) - shot.frames.start] = max(0.0, float(rotation[0, 2, 2]))
    return found


def check_face(shot: Shot) -> None:
    """Refuse a face with too few pixels to work from. Raises MediaError `face.too_small`."""
    scale = np.sqrt(np.abs(np.linalg.det(shot.region.matrices[:, :, :2].astype(np.float64))))
    side = float(np.median(scale)) * shot.region.size
    if side < LEAST_SOURCE_SIDE:
        raise MediaError(
            "face.too_small",
            f"The face is too small: the square around it has {side:.0f} pixels of the source a side, "
            f"and at least {LEAST_SOURCE_SIDE} are needed.",
        )


def check_mask(shot: Shot) -> None:
    """Refuse a mask that leaves nothing of the source to join. Raises RequestError `job.invalid`."""
    for frame in np.linspace(shot.frames.start, shot.frames.stop - 1, _MASKS_LOOKED_AT).astype(int):
        if (shot.region.mask(int(frame)) > 0.5).mean() > EVERYTHING:
            raise RequestError(
                "job.invalid",
                f"The mask covers everything the engine sees in frame {frame}: no source is left to join.",
                hint="Make `mask` smaller: less grow, less feather.",
            )
