"""Image to video: two experts, a prompt, and a picture that becomes the first frame."""

import torch
from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.pictures import check_picture, first_frame_video
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.video import encode_video, make_video
from wan_engine.sampling.control import Control
from wan_engine.shapes import TEMPORAL_STRIDE, check_frame_count, image_latent_size, latent_frames


def image_to_video(
    parts: Parts,
    prompt: Tensor,
    negative: Tensor,
    picture_HWC: Tensor,
    *,
    area: int,
    frame_count: int,
    sampling: Sampling,
    control: Control | None = None,
) -> Tensor:
    """Return a video [3, F, H, W] in [-1, 1] that starts with a picture (uint8), in its aspect.

    Raises SettingError, MediaError, NumericError, Cancelled.
    """
    control = control or Control()
    check_frame_count(frame_count)
    check_picture(picture_HWC)
    rows, columns, _ = picture_HWC.shape
    h, w = image_latent_size(rows, columns, area)
    if not h or not w:
        raise SettingError(f"An area of {area} pixels is too small.", hint="Choose one of the task's sizes.")
    stride = parts.task.vae_stride[1]
    condition = _condition(
        parts, first_frame_video(picture_HWC, h * stride, w * stride, frame_count), control
    )

    shape = (1, parts.task.transformer.out_dim, latent_frames(frame_count), h, w)
    noise_BCfhw = draw_noise(shape, sampling.seed, parts.device)
    return make_video(
        parts, noise_BCfhw, prompt, negative, sampling=sampling, control=control, condition_BCfhw=condition
    )


def _condition(parts: Parts, video_BCFHW: Tensor, control: Control) -> Tensor:
    """Return the 20 channels beside the noise: 4 that are 1 on the given frame, and its encoding."""
    known_BCfhw = encode_video(parts.vae, video_BCFHW, control).to(parts.device)
    mask_BCfhw = torch.zeros_like(known_BCfhw[:, :TEMPORAL_STRIDE])
    mask_BCfhw[:, :, 0] = 1
    condition = torch.cat([mask_BCfhw, known_BCfhw], dim=1)
    control.show("y", condition)
    return condition
