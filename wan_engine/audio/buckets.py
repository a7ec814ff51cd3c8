"""From wav2vec2's 50 steps a second to one feature per video frame.

Two ways. `sample_features` is what we use: linear interpolation at each frame's own time, at any frame rate.
The `released_*` functions are what the released pipeline does (50 Hz stretched to 30 Hz, then the nearest
step of a 16 fps frame), kept so that its results can be reproduced exactly.
"""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

FEATURE_RATE = 50  # wav2vec2's steps a second
RELEASED_RATE = 30  # what the released pipeline resamples them to


def sample_features(
    features_NTC: Tensor, rate: Fraction | int, frame_count: int, *, start_s: Fraction | int = 0
) -> Tensor:
    """Return features (1, N, C, frames) for `frame_count` video frames at `rate` from `start_s` on.

    Frame i is heard at start_s + i / rate; step k of wav2vec2 starts at k / 50. Before the first and after
    the last step there is silence, which the released pipeline writes as zeros.
    """
    if rate <= 0:
        raise ValueError(f"the rate is {rate}; it must be above 0")
    times = [Fraction(start_s) + Fraction(i) / Fraction(rate) for i in range(frame_count)]
    position = torch.tensor([float(time * FEATURE_RATE) for time in times], dtype=torch.float64)
    steps = features_NTC.shape[1]
    below = position.floor()
    weight = (position - below).to(features_NTC)
    low = below.long().clamp(0, steps - 1).to(features_NTC.device)
    high = (low + 1).clamp(max=steps - 1)
    sampled = torch.lerp(features_NTC[:, low], features_NTC[:, high], weight[None, :, None])
    is_heard = (position >= 0) & (position < steps)
    return (sampled * is_heard.to(sampled)[None, :, None]).permute(0, 2, 1)[None]


def released_resample(features_NTC: Tensor) -> Tensor:
    """Stretch features from 50 to 30 steps a second, first and last step staying where they are."""
    length = int(features_NTC.shape[1] / float(FEATURE_RATE) * float(RELEASED_RATE))
    stretched = F.interpolate(features_NTC.transpose(1, 2), size=length, mode="linear", align_corners=True)
    return stretched.transpose(1, 2)


def released_clip_count(steps: int, clip_frames: int, *, rate: int = 16) -> int:
    """Return how many clips `steps` 30 Hz steps fill; an exact multiple counts one more, of silence."""
    return int(steps / (clip_frames * (RELEASED_RATE / rate))) + 1


def released_indices(frame_count: int, *, rate: int = 16) -> Tensor:
    """Return the 30 Hz step of each video frame, rounded half to even, within the padded sound."""
    last = math.ceil(frame_count / rate * RELEASED_RATE) - 1
    return torch.tensor([min(round(i * RELEASED_RATE / rate), last) for i in range(frame_count)])


def released_buckets(
    features_NTC: Tensor, clip_frames: int, *, rate: int = 16, neighbours: int = 0
) -> tuple[Tensor, int]:
    """Return features (frames, N, C * (2 * neighbours + 1)) of all clips, and the number of clips.

    `features_NTC` is at 30 Hz. Frames after the sound get zeros; a window reaching over an end repeats the
    end.
    """
    steps = features_NTC.shape[1]
    clips = released_clip_count(steps, clip_frames, rate=rate)
    centre = released_indices(clips * clip_frames, rate=rate)
    spacing = int(RELEASED_RATE / rate)
    offsets = torch.arange(-neighbours, neighbours + 1) * spacing
    window = (centre[:, None] + offsets).clamp(0, steps - 1).to(features_NTC.device)
    taken = features_NTC[:, window].permute(1, 0, 2, 3).flatten(2)
    is_heard = (centre < steps).to(taken)
    return taken * is_heard[:, None, None], clips


def released_embedding(features_NTC: Tensor, clip_frames: int, *, rate: int = 16) -> tuple[Tensor, int]:
    """Return features (1, N, C, frames) of all clips from 50 Hz hidden states, as released."""
    buckets, clips = released_buckets(released_resample(features_NTC), clip_frames, rate=rate)
    return buckets.permute(1, 2, 0)[None], clips
