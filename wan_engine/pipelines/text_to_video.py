"""Text to video: two experts, one prompt."""

from torch import Tensor

from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.video import base_preparer, decode_video
from wan_engine.sampling.control import Control
from wan_engine.sampling.denoise import Guide, denoise
from wan_engine.sampling.solver import make_solver
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
    latent_BCfhw = draw_noise(shape, sampling.seed, parts.device)
    solver = make_solver(sampling.solver, steps=sampling.steps, shift=sampling.shift)
    with parts.experts() as experts:
        prepare = base_preparer(
            solver.schedule,
            prompt,
            negative,
            latent_BCfhw.shape,
            tokens=parts.tokens,
            shows_unused=control.shows_unused,
        )
        guide = Guide(experts, sampling.switch, sampling.guidance, prepare, control, branches=parts.branches)
        latent_BCfhw = denoise(latent_BCfhw, solver, guide, control=control)
    return decode_video(parts.vae, latent_BCfhw, control)
