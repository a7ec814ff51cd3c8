"""What the three tasks without speech share: from a noisy latent to a video, and the steps of that."""

from collections.abc import Callable

from torch import Tensor
from torch.distributed import ProcessGroup

from wan_engine.errors import SettingError
from wan_engine.parallel import split_clip
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.settings import Sampling
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.denoise import Guide, Prepared, denoise
from wan_engine.sampling.experts import Lease
from wan_engine.sampling.schedule import Schedule
from wan_engine.sampling.solver import make_solver
from wan_engine.shapes import pixel_frames, token_grid
from wan_engine.specs import TaskSpec
from wan_engine.transformer.model import Transformer
from wan_engine.vae.codec import VideoCodec

CLEAN_TIMESTEP = 0.0  # of tokens that are given, not made


def make_video(
    parts: Parts,
    noise_BCfhw: Tensor,
    prompt: Tensor,
    negative: Tensor,
    *,
    sampling: Sampling,
    control: Control,
    condition_BCfhw: Tensor | None = None,
    clean_frames: int = 0,
    after_step: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Denoise a latent and decode it: a video [3, F, H, W] in [-1, 1].

    `condition_BCfhw` is shown to the network beside the latent; the first `clean_frames` latent frames are
    given ones, which `after_step` puts back. Raises NumericError, Cancelled.
    """
    solver = make_solver(sampling.solver, steps=sampling.steps, shift=sampling.shift)
    with parts.experts() as experts:
        prepare = base_preparer(
            solver.schedule,
            prompt,
            negative,
            noise_BCfhw.shape,
            condition_BCfhw=condition_BCfhw,
            clean_frames=clean_frames,
            tokens=parts.tokens,
            shows_unused=control.shows_unused,
        )
        guide = Guide(experts, sampling.switch, sampling.guidance, prepare, control, branches=parts.branches)
        latent_BCfhw = denoise(noise_BCfhw, solver, guide, control=control, after_step=after_step)
    return decode_video(parts.vae, latent_BCfhw, control)


def base_preparer(
    schedule: Schedule,
    prompt: Tensor,
    negative: Tensor,
    latent_shape: tuple[int, ...],
    *,
    condition_BCfhw: Tensor | None = None,
    clean_frames: int = 0,
    tokens: ProcessGroup | None = None,
    shows_unused: bool = False,
) -> Callable[[Transformer, float], Prepared]:
    """Return what prepares a network for a clip whose first `clean_frames` latent frames are given."""
    grid = token_grid(latent_shape)
    clean, count = clean_frames * grid.rows * grid.columns, schedule.steps
    bounds = tuple((start, stop) for start, stop in ((0, clean), (clean, grid.tokens)) if start < stop)

    def rows(step: int) -> tuple[int, ...]:
        return tuple(count if stop <= clean else step for _, stop in bounds)

    def prepare(model: Transformer, scale: float) -> Prepared:
        clip = model.clip(latent_shape, condition_BCfhw=condition_BCfhw, bounds=bounds)
        return Prepared(
            times=model.time_table([*map(float, schedule.timesteps.tolist()), CLEAN_TIMESTEP]),
            clip=split_clip(clip, tokens, num_heads=model.spec.num_heads) if tokens else clip,
            prompt=model.memory([prompt]),
            negative=model.memory([negative]) if scale != 1 or shows_unused else None,
            rows=rows,
        )

    return prepare


def encode_video(vae: Lease[VideoCodec], video_BCFHW: Tensor, control: Control) -> Tensor:
    """Encode a video in [-1, 1] to a float32 latent."""
    control.progress(Progress("encode", 0, 1))
    control.show("vae_encode_input", video_BCFHW)
    with vae() as codec:
        latent_BCfhw = codec.encode(video_BCFHW).float()
    control.show("vae_encode_output", latent_BCfhw)
    control.progress(Progress("encode", 1, 1))
    return latent_BCfhw


def decode_video(vae: Lease[VideoCodec], latent_BCfhw: Tensor, control: Control) -> Tensor:
    """Decode a latent to a video [3, F, H, W] in [-1, 1], chunk by chunk."""
    control.show("final_latents", latent_BCfhw)
    total = pixel_frames(latent_BCfhw.shape[2])
    video_CFHW, done = None, 0
    with vae() as codec:
        for chunk in codec.decode_chunks(latent_BCfhw):
            frames = chunk[0].float()
            if video_CFHW is None:
                video_CFHW = frames.new_empty(frames.shape[0], total, *frames.shape[2:])
            video_CFHW[:, done : done + frames.shape[1]] = frames
            done += frames.shape[1]
            control.progress(Progress("decode", done, total))
    assert video_CFHW is not None, "a latent has at least one frame"
    return video_CFHW


def check_size(task: TaskSpec, size: str) -> None:
    """Refuse a size the task was not released with. Raises SettingError."""
    if size not in task.sizes:
        raise SettingError(
            f"{task.name} does not make {size}.", hint=f"Its sizes are {', '.join(task.sizes)}."
        )
