"""What the re-dub is given to look at: the shot's crops and masks, before, in and after the range.

Frame 0 is the range's first; frames before it are negative. Pictures are float [3, F, H, W] in [-1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Footage(Protocol):
    """A shot, read in pieces so that a long one need not lie in memory."""

    @property
    def before(self) -> int:
        """Return the real frames before the range."""
        ...

    @property
    def count(self) -> int:
        """Return the frames of the range."""
        ...

    @property
    def after(self) -> int:
        """Return the real frames after it."""
        ...

    def pictures(self, frames: Sequence[int]) -> Tensor:
        """Return frames [3, F, H, W], each from -before to count + after - 1."""
        ...

    def masks(self, frames: Sequence[int]) -> Tensor:
        """Return the masks [F, H, W] of frames of the range: 1 where the picture may change."""
        ...


@dataclass(frozen=True)
class HeldFootage:
    """Footage that lies in memory: `pictures_CFHW` holds before, range and after; `masks_FHW` the range."""

    pictures_CFHW: Tensor
    masks_FHW: Tensor
    before: int = 0

    @property
    def count(self) -> int:
        """Return the frames of the range."""
        return len(self.masks_FHW)

    @property
    def after(self) -> int:
        """Return the frames after the range."""
        return self.pictures_CFHW.shape[1] - self.before - self.count

    def pictures(self, frames: Sequence[int]) -> Tensor:
        """Return frames [3, F, H, W]."""
        return self.pictures_CFHW[:, [frame + self.before for frame in frames]]

    def masks(self, frames: Sequence[int]) -> Tensor:
        """Return masks [F, H, W]."""
        return self.masks_FHW[list(frames)]


def reflected(frame: int, first: int, stop: int) -> int:
    """Return `frame` mirrored at the ends of [first, stop): -2, -1, 0, 1 -> 2, 1, 0, 1."""
    period = max(2 * (stop - first - 1), 1)
    place = (frame - first) % period
    return first + min(place, period - place)


def motion_before(footage: Footage, motion_frames: int) -> Tensor:
    """Return the frames before the range [3, F, H, W]: the real ones, reflected where the clip begins."""
    first, stop = -footage.before, footage.count + footage.after
    return footage.pictures([reflected(frame, first, stop) for frame in range(-motion_frames, 0)])


def chunk_pictures(footage: Footage, start: int, made: int) -> Tensor:
    """Return a chunk's source frames; after the clip's end its last one is held."""
    last = footage.count + footage.after - 1
    return footage.pictures([min(frame, last) for frame in range(start, start + made)])


def chunk_masks(footage: Footage, start: int, made: int) -> Tensor:
    """Return a chunk's masks [F, H, W]: 0 after the range, which pins its end.

    Where the clip ends with the range there is nothing to meet, and the last mask goes on.
    """
    inside = [min(frame, footage.count - 1) for frame in range(start, start + made)]
    masks_FHW = footage.masks(inside).float()
    if footage.after:
        is_inside = torch.arange(start, start + made) < footage.count
        masks_FHW = masks_FHW * is_inside.to(masks_FHW)[:, None, None]
    return masks_FHW


def choose_reference(pictures_CFHW: Tensor, frontality: Sequence[float]) -> int:
    """Return which picture shows the face best: the sharpest of those that look into the lens.

    `frontality` is 1 for a frontal face and falls to 0 for a profile. Sharpness is the mean square of the
    Laplacian of the luma, in the middle of the crop where the face is.
    """
    grey_FHW = (pictures_CFHW * pictures_CFHW.new_tensor([0.299, 0.587, 0.114])[:, None, None, None]).sum(0)
    rows, columns = (side // 6 for side in grey_FHW.shape[1:])
    face_BCHW = grey_FHW[:, rows:-rows, columns:-columns][:, None]
    kernel = face_BCHW.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    sharpness = F.conv2d(face_BCHW, kernel).square().mean((1, 2, 3))
    score = sharpness / sharpness.max().clamp(min=1e-12) * torch.as_tensor(frontality).to(sharpness) ** 2
    return int(score.argmax())
