"""Text to video: two experts, one prompt."""

from torch import Tensor

from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.video import make_video
from wan_engine.sampling.control import Control
from wan_engine.shapes import check_frame_count, latent_frames


def text_to_video(
    parts: Parts,
    prompt: Tensor,
    negative: Tensor,
    *,
    width: int,
    height: int,
    frame_count: int,
    sampling: Sampling,
    control: Control | None = None,
) -> Tensor:
    """Return a video [3, F, H, W] in [-1, 1] of two encoded texts [l, text_dim].

    Raises SettingError, NumericError, Cancelled.
    """
    control = control or Control()
    check_frame_count(frame_count)
    stride = parts.task.vae_stride[1]
    shape = (1, parts.task.transformer.out_dim, latent_frames(frame_count), height // stride, width // stride)
    noise_BCfhw = draw_noise(shape, sampling.seed, parts.device)
    return make_video(parts, noise_BCfhw, prompt, negative, sampling=sampling, control=control)
