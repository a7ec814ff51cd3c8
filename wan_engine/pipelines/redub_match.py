"""Gives what was made the look of the source, measured on the ring of source pixels around the mask.

The ring is not the model's to change, so a difference there is what autoencoder and model did to the whole
picture: a cast, another contrast, softer detail. (Grain is matched at full resolution, where takes are
composited.)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_engine.shapes import TEMPORAL_STRIDE

RING_SHARE = 1 / 16  # of the frame's side: how far around the mask the two are compared
RING_PIXELS = 64  # fewer say nothing
GAIN_RANGE = (0.8, 1.25)  # of the contrast; more is another picture, not a cast
DETAIL_RANGE = (0.5, 2.0)  # of the detail; more would be noise
DETAIL_LIKENESS = 0.5  # correlation below which the two details are not of the same thing


def match_look(made_CFHW: Tensor, source_CFHW: Tensor, mask_FHW: Tensor) -> Tensor:
    """Give a chunk the source's colours and sharpness, by what the ring around the mask shows.

    Changes it in place, and only as far as the ring goes: beyond it is the source that is shown. One look is
    measured for the chunk, on a frame of each latent, and given to one frame at a time, which the processor's
    cache holds.
    """
    is_open_FHW = mask_FHW > 0
    changed = is_open_FHW.flatten(1).any(1).nonzero()[:, 0].tolist()  # frames; the others show the source
    reach = max(1, round(min(mask_FHW.shape[1:]) * RING_SHARE))
    rows, columns = surroundings(is_open_FHW, reach + 1)  # fine detail is seen with the pixels beside it
    made, source = (video_CFHW[..., rows, columns].unbind(1) for video_CFHW in (made_CFHW, source_CFHW))
    seen = [
        on_ring(made[frame], source[frame], ring_of(is_open_FHW[frame, rows, columns], reach))
        for frame in changed[::TEMPORAL_STRIDE]
    ]
    if sum(pixels.shape[-1] for pixels in seen) < RING_PIXELS:
        return made_CFHW
    look = compare_looks(*torch.cat(seen, dim=-1))
    for frame in changed:
        made[frame].copy_(look.give(made[frame]))
    return made_CFHW


@dataclass(frozen=True)
class Look:
    """What gives a picture another one's look, in two bands, so that neither makes up for the other."""

    contrast_C: Tensor  # gain of a 3 x 3 average
    detail_C: Tensor  # gain of what the average takes away
    shift_C: Tensor

    def give(self, picture_CHW: Tensor) -> Tensor:
        """Return a picture with that look."""
        soft_CHW, detail_CHW = bands(picture_CHW)
        contrast, detail, shift = (
            value_C[:, None, None] for value_C in (self.contrast_C, self.detail_C, self.shift_C)
        )
        return soft_CHW.mul_(contrast).add_(detail_CHW.mul_(detail)).add_(shift).clamp_(-1, 1)


def compare_looks(
    made_Cn: Tensor, made_detail_Cn: Tensor, source_Cn: Tensor, source_detail_Cn: Tensor
) -> Look:
    """Return what gives the bands of the pixels that were made the source's mean, contrast and sharpness.

    The detail's gain is that of a regression of the source's on what was made of it, so that grain, which
    nothing that was made resembles, does not count. Details that are not alike only follow the contrast.
    """
    contrast_C = (_spread(source_Cn) / _spread(made_Cn).clamp(min=1e-3)).clamp(*GAIN_RANGE)
    joint, power = (made_detail_Cn * source_detail_Cn).sum(), made_detail_Cn.square().sum()
    likeness = joint / (power * source_detail_Cn.square().sum()).sqrt().clamp(min=1e-12)
    is_alike = bool(likeness >= DETAIL_LIKENESS)
    detail_C = (joint / power).clamp(*DETAIL_RANGE).expand_as(contrast_C) if is_alike else contrast_C
    return Look(contrast_C, detail_C, source_Cn.mean(1) - contrast_C * made_Cn.mean(1))


def bands(picture_CHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return a 3 x 3 average and what it takes away.

    Sums of neighbours are several times faster than a pooling.
    """
    padded = F.pad(picture_CHW, (1, 1, 1, 1), mode="replicate")
    rows = (padded[..., :-2, :] + padded[..., 1:-1, :]).add_(padded[..., 2:, :])
    soft_CHW = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).div_(9)
    return soft_CHW, picture_CHW - soft_CHW


def surroundings(is_open_FHW: Tensor, reach: int) -> tuple[slice, slice]:
    """Return the rows and columns within `reach` of the mask in any frame."""
    is_open_HW = is_open_FHW.any(0)
    return _span(is_open_HW.any(1), reach), _span(is_open_HW.any(0), reach)


def ring_of(is_open_HW: Tensor, reach: int) -> Tensor:
    """Return the source's pixels within `reach` of the mask, along rows and columns, as bool [H, W]."""
    near_HW = is_open_HW
    for axis in (0, 1):
        near_HW = _spread_along(near_HW, axis, reach)
    return near_HW & ~is_open_HW


def on_ring(made_CHW: Tensor, source_CHW: Tensor, ring_HW: Tensor) -> Tensor:
    """Return the ring's pixels [4, C, n]: the bands of what was made, then the source's."""
    place = ring_HW.flatten().nonzero()[:, 0]
    shown = (*bands(made_CHW), *bands(source_CHW.to(made_CHW)))
    return torch.stack([band_CHW.flatten(1)[:, place] for band_CHW in shown])


def _span(is_open: Tensor, reach: int) -> slice:
    places = is_open.nonzero()
    if not len(places):
        return slice(0, 0)
    return slice(max(0, int(places[0]) - reach), int(places[-1]) + reach + 1)


def _spread_along(is_near_HW: Tensor, axis: int, reach: int) -> Tensor:
    """Set whatever lies within `reach` of what is set, along an axis: a running count, whatever the reach."""
    length = is_near_HW.shape[axis]
    count = F.pad(is_near_HW.movedim(axis, -1).cumsum(-1, dtype=torch.int32), (1, 0))
    place = torch.arange(length, device=count.device)
    first, stop = (place - reach).clamp(min=0), (place + reach + 1).clamp(max=length)
    return (count[..., stop] > count[..., first]).movedim(-1, axis)


def _spread(values_Cn: Tensor) -> Tensor:
    """Return each channel's standard deviation."""
    return values_Cn.std(1, correction=0)
