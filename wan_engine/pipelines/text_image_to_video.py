"""Text and image to video: one small network that takes a prompt, and a first frame if there is one.

The picture's latent is put back after every step, and its tokens are told that they are clean.
"""

import torch
from torch import Tensor

from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.pictures import check_picture, filling_video
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.text_to_video import text_to_video
from wan_engine.pipelines.video import encode_video, make_video
from wan_engine.sampling.control import Control
from wan_engine.shapes import check_frame_count, latent_frames, text_image_size


def text_image_to_video(
    parts: Parts,
    prompt: Tensor,
    negative: Tensor,
    picture_HWC: Tensor | None,
    *,
    width: int,
    height: int,
    frame_count: int,
    sampling: Sampling,
    control: Control | None = None,
) -> Tensor:
    """Return a video [3, F, H, W] in [-1, 1].

    With a picture (uint8) it is the first frame, and the video has its aspect and about width * height
    pixels. Raises SettingError, MediaError, NumericError, Cancelled.
    """
    control = control or Control()
    if picture_HWC is None:
        return text_to_video(
            parts, prompt, negative, width=width, height=height, frame_count=frame_count, sampling=sampling,
            control=control,
        )  # fmt: skip
    check_frame_count(frame_count)
    check_picture(picture_HWC)
    rows, columns, _ = picture_HWC.shape
    height, width = text_image_size(rows, columns, width * height)
    known_BCfhw = encode_video(parts.vae, filling_video(picture_HWC, height, width), control).to(parts.device)

    shape = (1, known_BCfhw.shape[1], latent_frames(frame_count), *known_BCfhw.shape[3:])
    noise_BCfhw = draw_noise(shape, sampling.seed, parts.device)
    return make_video(
        parts,
        put_back(noise_BCfhw, known_BCfhw),
        prompt,
        negative,
        sampling=sampling,
        control=control,
        clean_frames=1,
        after_step=lambda latent: put_back(latent, known_BCfhw),
    )


def put_back(latent_BCfhw: Tensor, known_BCfhw: Tensor) -> Tensor:
    """Return the latent with its first frames replaced by the known ones."""
    return torch.cat([known_BCfhw, latent_BCfhw[:, :, known_BCfhw.shape[2] :]], dim=2)
