"""Gives what was made the look of the source, measured on the ring of source pixels around the mask.

The ring is not the model's to change, so a difference there is what autoencoder and model did to the whole
picture: a cast, another contrast, softer detail. (Grain is matched at full resolution, where takes are
composited.)
"""

import torch.nn.functional as F
from torch import Tensor

RING_SHARE = 1 / 16  # of the frame's side: how far around the mask the two are compared
RING_PIXELS = 64  # fewer say nothing
GAIN_RANGE = (0.8, 1.25)  # of the anchored contrast; more is another picture, not a cast
DETAIL_RANGE = (0.5, 2.0)  # of the matched sharpness; more would be noise
DETAIL_LIKENESS = 0.5  # correlation below which the two details are not of the same thing


def anchor_colour(made_CFHW: Tensor, source_CFHW: Tensor, mask_FHW: Tensor) -> Tensor:
    """Give a chunk the source's mean and contrast."""
    ring_FHW = _ring(mask_FHW)
    if ring_FHW.sum() < RING_PIXELS:
        return made_CFHW
    ring_FHW = ring_FHW.to(made_CFHW)
    made_mean, made_spread = _mean_and_spread(made_CFHW, ring_FHW)
    mean, spread = _mean_and_spread(source_CFHW.to(made_CFHW), ring_FHW)
    gain = (spread / made_spread.clamp(min=1e-3)).clamp(*GAIN_RANGE)
    return ((made_CFHW - made_mean) * gain + mean).clamp(-1, 1)


def match_sharpness(made_CFHW: Tensor, source_CFHW: Tensor, mask_FHW: Tensor) -> Tensor:
    """Make a chunk's fine detail as strong as the source's.

    The gain is that of a regression of the source's detail on what was made of it, so that grain, which
    nothing that was made resembles, does not count.
    """
    ring_FHW = _ring(mask_FHW)
    if ring_FHW.sum() < RING_PIXELS:
        return made_CFHW
    detail_CFHW = _detail(made_CFHW)
    made, source = detail_CFHW[:, ring_FHW], _detail(source_CFHW.to(made_CFHW))[:, ring_FHW]
    joint, power = (made * source).sum(), made.square().sum()
    likeness = joint / (power * source.square().sum()).sqrt().clamp(min=1e-12)
    if likeness < DETAIL_LIKENESS:
        return made_CFHW
    gain = (joint / power).clamp(*DETAIL_RANGE)
    return (made_CFHW + (gain - 1) * detail_CFHW).clamp(-1, 1)


def _detail(video_CFHW: Tensor) -> Tensor:
    """Return what a 3 x 3 average takes away."""
    padded = F.pad(video_CFHW, (1, 1, 1, 1), mode="replicate")
    return video_CFHW - F.avg_pool2d(padded, 3, stride=1)


def _ring(mask_FHW: Tensor) -> Tensor:
    """Return the source's pixels near the mask [F, H, W], as bool."""
    reach = max(1, round(min(mask_FHW.shape[1:]) * RING_SHARE))
    near_FHW = F.max_pool2d(mask_FHW[None].float(), 2 * reach + 1, stride=1, padding=reach)[0]
    return (near_FHW > 0) & (mask_FHW <= 0)


def _mean_and_spread(video_CFHW: Tensor, weight_FHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's weighted mean and standard deviation, [C, 1, 1, 1]."""
    total = weight_FHW.sum()
    mean = (video_CFHW * weight_FHW).sum((1, 2, 3), keepdim=True) / total
    variance = ((video_CFHW - mean).square() * weight_FHW).sum((1, 2, 3), keepdim=True) / total
    return mean, variance.sqrt()
