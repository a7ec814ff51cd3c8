"""A picture between two others, along the motion from one to the other.

Motion by Lucas & Kanade 1981 from coarse to fine (Bouguet 2001): small, and enough for a mouth that stands
still in its crop but for its own movement.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 4  # each half the size of the one before
ROUNDS = 4  # refinements a level
WINDOW = 9  # pixels that are taken to move alike
STIFFNESS = 1e-4  # holds still what has no texture


def between(a_CHW: Tensor, b_CHW: Tensor, share: float) -> Tensor:
    """Return the picture at `share` of the way from `a` to `b`: both moved there, and mixed."""
    there, back = motion(a_CHW, b_CHW), motion(b_CHW, a_CHW)
    return torch.lerp(moved(a_CHW, -share * there), moved(b_CHW, -(1 - share) * back), share)


def motion(a_CHW: Tensor, b_CHW: Tensor) -> Tensor:
    """Return [2, H, W] of how far (x, y, in pixels) what is seen in `a` has gone in `b`."""
    pictures = [_shrunk(a_CHW.mean(0), level) for level in range(LEVELS)]
    targets = [_shrunk(b_CHW.mean(0), level) for level in range(LEVELS)]
    flow_2HW = a_CHW.new_zeros(2, *pictures[-1].shape)
    for a_HW, b_HW in zip(reversed(pictures), reversed(targets), strict=True):
        if flow_2HW.shape[1:] != a_HW.shape:
            flow_2HW = 2 * F.interpolate(flow_2HW[None], size=a_HW.shape, mode="bilinear")[0]
        for _ in range(ROUNDS):
            flow_2HW = _refined(a_HW, b_HW, flow_2HW)
    return flow_2HW


def moved(picture_CHW: Tensor, flow_2HW: Tensor) -> Tensor:
    """Return the picture read at each pixel's place plus `flow`; its edge is repeated."""
    rows, columns = picture_CHW.shape[1:]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    places = torch.stack([x.to(flow_2HW) + flow_2HW[0], y.to(flow_2HW) + flow_2HW[1]], dim=-1)
    scale = places.new_tensor([2 / max(columns - 1, 1), 2 / max(rows - 1, 1)])
    grid_BHW2 = (places * scale - 1)[None]
    return F.grid_sample(picture_CHW[None], grid_BHW2, padding_mode="border", align_corners=True)[0]


def _refined(a_HW: Tensor, b_HW: Tensor, flow_2HW: Tensor) -> Tensor:
    """Take one step of Gauss and Newton, in every window at once."""
    here_HW = moved(b_HW[None], flow_2HW)[0]
    dy, dx = torch.gradient(here_HW)
    error = here_HW - a_HW
    xx, xy, yy, xe, ye = _windowed(torch.stack([dx * dx, dx * dy, dy * dy, dx * error, dy * error]))
    xx, yy = xx + STIFFNESS, yy + STIFFNESS
    determinant = xx * yy - xy * xy
    step = torch.stack([xy * ye - yy * xe, xy * xe - xx * ye]) / determinant
    return _windowed(flow_2HW + step.clamp(-1, 1))


def _windowed(planes_NHW: Tensor) -> Tensor:
    padded = F.pad(planes_NHW[None], [WINDOW // 2] * 4, mode="replicate")
    return F.avg_pool2d(padded, WINDOW, stride=1)[0]


def _shrunk(picture_HW: Tensor, level: int) -> Tensor:
    return F.avg_pool2d(picture_HW[None, None], 2**level)[0, 0]
