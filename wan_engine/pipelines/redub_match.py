"""Gives what was made the look of the source, measured on the ring of source pixels around the mask.

The ring is not the model's to change, so a difference there is what autoencoder and model did to the whole
picture: a cast, another contrast, softer detail. (Grain is matched at full resolution, where takes are
composited.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

RING_SHARE = 1 / 16  # of the frame's side: how far around the mask the two are compared
RING_PIXELS = 64  # fewer say nothing
GAIN_RANGE = (0.8, 1.25)  # of the anchored contrast; more is another picture, not a cast
DETAIL_RANGE = (0.5, 2.0)  # of the matched sharpness; more would be noise
DETAIL_LIKENESS = 0.5  # correlation below which the two details are not of the same thing


def match_look(made_CFHW: Tensor, source_CFHW: Tensor, mask_FHW: Tensor) -> Tensor:
    """Give a chunk the source's sharpness, then its colours, by what the ring around the mask shows.

    Changes it in place, and only as far as the ring goes: beyond it is the source that is shown.
    """
    reach = max(1, round(min(mask_FHW.shape[1:]) * RING_SHARE))
    rows, columns = surroundings(mask_FHW, reach + 1)  # fine detail is seen with the pixels beside it
    ring_FHW = ring_of(mask_FHW[:, rows, columns], reach)
    if ring_FHW.sum() < RING_PIXELS:
        return made_CFHW
    part_CFHW, source_CFHW = made_CFHW[..., rows, columns], source_CFHW[..., rows, columns].to(made_CFHW)
    part_CFHW.copy_(anchor_colour(match_sharpness(part_CFHW, source_CFHW, ring_FHW), source_CFHW, ring_FHW))
    return made_CFHW


def anchor_colour(made_CFHW: Tensor, source_CFHW: Tensor, ring_FHW: Tensor) -> Tensor:
    """Give a chunk the source's mean and contrast."""
    made, source = made_CFHW[:, ring_FHW], source_CFHW[:, ring_FHW]
    gain = (_spread(source) / _spread(made).clamp(min=1e-3)).clamp(*GAIN_RANGE)
    shift = source.mean(1) - gain * made.mean(1)
    return (made_CFHW * _per_channel(gain)).add_(_per_channel(shift)).clamp_(-1, 1)


def match_sharpness(made_CFHW: Tensor, source_CFHW: Tensor, ring_FHW: Tensor) -> Tensor:
    """Make a chunk's fine detail as strong as the source's.

    The gain is that of a regression of the source's detail on what was made of it, so that grain, which
    nothing that was made resembles, does not count.
    """
    detail_CFHW = _detail(made_CFHW)
    made, source = detail_CFHW[:, ring_FHW], _detail(source_CFHW)[:, ring_FHW]
    joint, power = (made * source).sum(), made.square().sum()
    likeness = joint / (power * source.square().sum()).sqrt().clamp(min=1e-12)
    if likeness < DETAIL_LIKENESS:
        return made_CFHW
    gain = (joint / power).clamp(*DETAIL_RANGE)
    return torch.add(made_CFHW, detail_CFHW, alpha=float(gain - 1)).clamp_(-1, 1)


def surroundings(mask_FHW: Tensor, reach: int) -> tuple[slice, slice]:
    """Return the rows and columns within `reach` of the mask in any frame."""
    is_set_HW = (mask_FHW > 0).any(0)
    return _span(is_set_HW.any(1), reach), _span(is_set_HW.any(0), reach)


def ring_of(mask_FHW: Tensor, reach: int) -> Tensor:
    """Return the source's pixels within `reach` of the mask [F, H, W], along rows and columns, as bool."""
    near_FHW = mask_FHW > 0
    for axis in (1, 2):
        near_FHW = _spread_along(near_FHW, axis, reach)
    return near_FHW & (mask_FHW <= 0)


def _span(is_set: Tensor, reach: int) -> slice:
    places = is_set.nonzero()
    if not len(places):
        return slice(0, 0)
    return slice(max(0, int(places[0]) - reach), int(places[-1]) + reach + 1)


def _spread_along(is_set_FHW: Tensor, axis: int, reach: int) -> Tensor:
    """Set whatever lies within `reach` of what is set, along an axis: a running count, whatever the reach."""
    length = is_set_FHW.shape[axis]
    count = F.pad(is_set_FHW.movedim(axis, -1).cumsum(-1, dtype=torch.int32), (1, 0))
    place = torch.arange(length, device=count.device)
    first, stop = (place - reach).clamp(min=0), (place + reach + 1).clamp(max=length)
    return (count[..., stop] > count[..., first]).movedim(-1, axis)


def _detail(video_CFHW: Tensor) -> Tensor:
    """Return what a 3 x 3 average takes away; sums of neighbours are several times faster than a pooling."""
    padded = F.pad(video_CFHW, (1, 1, 1, 1), mode="replicate")
    rows = (padded[..., :-2, :] + padded[..., 1:-1, :]).add_(padded[..., 2:, :])
    nine = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:])
    return torch.sub(video_CFHW, nine, alpha=1 / 9)


def _spread(values_Cn: Tensor) -> Tensor:
    """Return each channel's standard deviation."""
    return values_Cn.std(1, correction=0)


def _per_channel(value_C: Tensor) -> Tensor:
    return value_C[:, None, None, None]
