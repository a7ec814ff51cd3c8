"""The masked re-dub: new mouths for a voice in a shot that exists, chunk after chunk.

Speech-to-video as released makes a whole new shot from a still. Here the shot is there: it is encoded once,
behind the frames before it; the frames before a chunk are its motion, its own latents are kept outside the
mask at every step (redub_blend.py), frames after the range pin its end, and what is delivered is composited
onto the source. Between chunks the composited frames go on as motion, as floats. Networks and their maths are
those of speech_to_video.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from wan_engine.audio.buckets import sample_features
from wan_engine.errors import SettingError
from wan_engine.kept import Keeper, kept
from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.redub_blend import KnownSolver, blend, latent_mask, start_latent
from wan_engine.pipelines.redub_footage import Footage, chunk_masks, chunk_pictures, motion_before
from wan_engine.pipelines.redub_guide import RedubGuide, RedubPrepared
from wan_engine.pipelines.redub_match import match_look
from wan_engine.pipelines.redub_plan import Chunk, plan_chunks
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.video import CLEAN_TIMESTEP, encode_video
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.denoise import denoise
from wan_engine.sampling.schedule import Schedule
from wan_engine.sampling.solver import make_solver
from wan_engine.shapes import SPEECH_DIVISOR, TEMPORAL_STRIDE, latent_frames
from wan_engine.specs import SpeechTransformerSpec
from wan_engine.transformer.model import Memory, Transformer
from wan_engine.transformer.modulation import TimeTable
from wan_engine.transformer.s2v import SpeechMemory, SpeechTransformer


@dataclass(frozen=True)
class RedubInputs:
    """What a shot is re-dubbed from."""

    prompt: Tensor  # encoded, [l, text_dim]
    negative: Tensor
    reference_CHW: Tensor  # float, [-1, 1]: how the person looks (redub_footage.choose_reference)
    footage: Footage
    features_JTC: Tensor  # hidden states of the speech model, 50 a second, from the range's first frame on
    rate: Fraction  # frames a second of the footage
    speech: Sequence[float] | None = None  # how much each frame of the range belongs to speech
    keeper: Keeper | None = None  # of the source's latents, for other takes of it


@dataclass(frozen=True)
class RedubSettings:
    """How a shot is re-dubbed, beside what every task has (settings.Sampling)."""

    chunk_frames: int = 80
    overlap: int = 0  # frames made by both chunks at a border, and faded from one to the other
    strength: float = 1.0  # below 1: starts from the source with that much of the noise schedule
    mask_grow: int = 0  # pixels by which the mask is wider for the model than for the composite
    audio_guidance: float | None = None  # None: the task's
    text_guidance: float | None = None  # None: as the audio's
    guidance_until: float = 0.0  # below this sigma the network is asked once a step
    has_context: bool = True  # False: as released, without the frames before the range
    is_anchored: bool = True  # colours and sharpness are held to the ring around the mask


@dataclass(frozen=True)
class Carried:
    """What goes from chunk to chunk; with it a run goes on after any chunk, with the same bytes."""

    index: int  # of the chunk to make next
    motion_CFHW: Tensor  # the composited frames before it, float32
    pending_CFHW: Tensor  # the frames that chunk fades in over; none without an overlap


@dataclass(frozen=True)
class Made:
    """One chunk: frames [start, stop) of the range, and what the next chunk starts from."""

    start: int
    stop: int
    frames_CFHW: Tensor  # float32 in [-1, 1]
    carried: Carried


def redub_chunks(footage: Footage, settings: RedubSettings, speech: Sequence[float] | None) -> list[Chunk]:
    """Return the chunks a run will make. Raises SettingError."""
    return plan_chunks(
        footage.count,
        settings.chunk_frames,
        is_pinned=footage.after > 0,
        overlap=settings.overlap,
        speech=speech,
    )


def redub_scales(sampling: Sampling, settings: RedubSettings) -> tuple[float, float]:
    """Return the guidance of the audio and of the text."""
    audio = sampling.guidance[0] if settings.audio_guidance is None else settings.audio_guidance
    return audio, audio if settings.text_guidance is None else settings.text_guidance


def redub(
    parts: Parts, inputs: RedubInputs, sampling: Sampling, settings: RedubSettings | None = None, *,
    control: Control | None = None, resume: Carried | None = None,
) -> Iterator[Made]:  # fmt: skip
    """Yield the re-dubbed chunks of a shot, from the first or from `resume` on.

    Raises SettingError, NumericError, Cancelled.
    """
    return _RedubJob(parts, inputs, sampling, settings or RedubSettings(), control or Control()).run(resume)


class _RedubJob:
    """One run: what all its chunks share."""

    def __init__(
        self, parts: Parts, inputs: RedubInputs, sampling: Sampling, settings: RedubSettings, control: Control
    ) -> None:
        self.parts, self.inputs, self.sampling = parts, inputs, sampling
        self.settings, self.control = settings, control
        self.size = (inputs.reference_CHW.shape[1], inputs.reference_CHW.shape[2])
        _check(inputs, settings, self.size)
        self.chunks = redub_chunks(inputs.footage, settings, inputs.speech)
        self.skipped = round((1 - settings.strength) * sampling.steps)
        self.scales = redub_scales(sampling, settings)
        self.texts: dict[str, Memory] = {}
        self.times: TimeTable | None = None

    def run(self, resume: Carried | None) -> Iterator[Made]:
        """Make chunk after chunk."""
        with self.parts.at_hand():
            yield from self._made(resume)

    def _made(self, resume: Carried | None) -> Iterator[Made]:
        reference_CHW, keeper = self.inputs.reference_CHW, self.inputs.keeper
        reference_BCfhw = kept(
            keeper, "reference", lambda: self._encode(reference_CHW[None, :, None], self.control)
        ).to(self.parts.device)
        source_BCfhw = kept(keeper, "source", self._encode_source)
        carried = resume or Carried(0, self._opening(), torch.zeros(3, 0, *self.size))
        for index in range(carried.index, len(self.chunks)):
            made = self._make(self.chunks[index], carried, reference_BCfhw, source_BCfhw)
            carried = made.carried
            yield made

    def _make(self, chunk: Chunk, carried: Carried, reference_BCfhw: Tensor, source_BCfhw: Tensor) -> Made:
        footage, index = self.inputs.footage, carried.index
        control = self.control.named(f"chunk{index}_")
        source_CFHW = chunk_pictures(footage, chunk.start, chunk.made)
        masks_FHW = chunk_masks(footage, chunk.start, chunk.made)
        has_motion = self.settings.has_context or index > 0
        motion_latents = latent_frames(self._motion_frames)
        first = motion_latents + chunk.start // TEMPORAL_STRIDE
        known_BCfhw = source_BCfhw[:, :, first : first + chunk.made // TEMPORAL_STRIDE].to(self.parts.device)
        if index == 0:
            before_BCfhw = source_BCfhw[:, :, :motion_latents].to(self.parts.device)
        else:
            before_BCfhw = self._encode(carried.motion_CFHW[None], control)
        latent_BCfhw = self._denoise(
            chunk,
            index,
            reference_BCfhw,
            before_BCfhw if has_motion else None,
            known_BCfhw,
            masks_FHW,
            control,
        )
        prefix_BCfhw = before_BCfhw if has_motion else reference_BCfhw
        made_CFHW = self._decode(index, prefix_BCfhw, latent_BCfhw, control)
        if self.settings.is_anchored:
            made_CFHW = match_look(made_CFHW, source_CFHW, masks_FHW)
        composited_CFHW = blend(source_CFHW.float(), made_CFHW, masks_FHW)
        return self._deliver(chunk, carried, composited_CFHW)

    def _deliver(self, chunk: Chunk, carried: Carried, composited_CFHW: Tensor) -> Made:
        """Fade in over what the chunk before made of the same frames, and cut off what the next one makes."""
        faded = carried.pending_CFHW.shape[1]
        if faded:
            share_F = torch.linspace(0, 1, faded + 2)[1:-1][:, None, None]
            head_CFHW = torch.lerp(carried.pending_CFHW, composited_CFHW[:, :faded], share_F)
            composited_CFHW = torch.cat([head_CFHW, composited_CFHW[:, faded:]], dim=1)
        count = chunk.stop - chunk.start
        frames_CFHW = composited_CFHW[:, :count]
        is_last = carried.index == len(self.chunks) - 1
        pending_CFHW = composited_CFHW[:, count : count if is_last else None]
        older_CFHW = carried.motion_CFHW[:, count:]
        motion_CFHW = torch.cat([older_CFHW, frames_CFHW[:, -self._motion_frames :]], dim=1)
        following = Carried(carried.index + 1, motion_CFHW, pending_CFHW)
        return Made(chunk.start, chunk.stop, frames_CFHW, following)

    def _opening(self) -> Tensor:
        """Return the motion before the range; grey, as released, when the context is not wanted."""
        if not self.settings.has_context:
            return torch.zeros(3, self._motion_frames, *self.size)
        return motion_before(self.inputs.footage, self._motion_frames).float()

    @property
    def _motion_frames(self) -> int:
        spec = self.parts.task.transformer
        assert isinstance(spec, SpeechTransformerSpec)
        return spec.motion_frames

    def _encode_source(self) -> Tensor:
        """Return the latents of the frames before the range and of all that the chunks make, as one video."""
        last = self.chunks[-1]
        total = last.start + last.made
        latents, count = [], latent_frames(self._motion_frames) + total // TEMPORAL_STRIDE
        with self.parts.vae() as codec:
            for latent_BCfhw in codec.encode_pieces(self._source_pieces(total)):
                latents.append(latent_BCfhw.float().cpu())
                self.control.progress(Progress("encode", len(latents), count))
        return torch.cat(latents, dim=2)

    def _source_pieces(self, total: int) -> Iterator[Tensor]:
        """Yield the source as the autoencoder takes it in: a frame, then four at a time."""
        opening_BCFHW = self._opening()[None]
        yield opening_BCFHW[:, :, :1]
        yield from opening_BCFHW[:, :, 1:].split(TEMPORAL_STRIDE, dim=2)
        for start in range(0, total, TEMPORAL_STRIDE):
            yield chunk_pictures(self.inputs.footage, start, TEMPORAL_STRIDE)[None].float()

    def _denoise(
        self,
        chunk: Chunk,
        index: int,
        reference_BCfhw: Tensor,
        motion_BCfhw: Tensor | None,
        known_BCfhw: Tensor,
        masks_FHW: Tensor,
        control: Control,
    ) -> Tensor:
        sampling, stride = self.sampling, self.parts.task.vae_stride[1]
        solver = make_solver(sampling.solver, steps=sampling.steps, shift=sampling.shift, skip=self.skipped)
        mask_BCfhw = latent_mask(masks_FHW, stride, grow=self.settings.mask_grow).to(known_BCfhw)
        control.show("known", known_BCfhw)
        control.show("mask", mask_BCfhw)
        noise_BCfhw = draw_noise(tuple(known_BCfhw.shape), sampling.seed + index, self.parts.device)
        sigma = float(solver.schedule.sigmas[0])
        latent_BCfhw = start_latent(known_BCfhw, noise_BCfhw, sigma, skipped=self.skipped)
        features_BJCT = self._features(chunk)

        def prepare(model: Transformer, scale: float) -> RedubPrepared:
            return self._prepare(
                model, features_BJCT, solver.schedule, known_BCfhw, reference_BCfhw, motion_BCfhw
            )

        with self.parts.experts() as experts:
            guide = RedubGuide(experts, sampling, self.scales, self.settings.guidance_until, prepare, control)
            known_solver = KnownSolver(solver, known_BCfhw, mask_BCfhw, control)
            clips = len(self.chunks)
            return denoise(latent_BCfhw, known_solver, guide, control=control, clip=index, clips=clips)

    def _prepare(
        self,
        model: Transformer,
        features_BJCT: Tensor,
        schedule: Schedule,
        known_BCfhw: Tensor,
        reference_BCfhw: Tensor,
        motion_BCfhw: Tensor | None,
    ) -> RedubPrepared:
        assert isinstance(model, SpeechTransformer)
        if self.times is None:
            self.times = model.time_table([*map(float, schedule.timesteps.tolist()), CLEAN_TIMESTEP])
        audio, text = self.scales
        silence_BJCT = torch.zeros_like(features_BJCT)
        return RedubPrepared(
            times=self.times,
            clip=model.speech_clip(tuple(known_BCfhw.shape), reference_BCfhw, motion_BCfhw=motion_BCfhw),
            prompt=self._remember(model, "prompt", features_BJCT),
            negative=None if audio == text == 1 else self._remember(model, "negative", silence_BJCT),
            rows=lambda step: model.timestep_rows(step, schedule.steps),
            silent=None if audio == text else self._remember(model, "prompt", silence_BJCT),
        )

    def _remember(self, model: SpeechTransformer, text: str, features_BJCT: Tensor) -> SpeechMemory:
        if text not in self.texts:
            self.texts[text] = model.memory([getattr(self.inputs, text)])
        frames = self._motion_frames
        return model.speech_memory(
            self.texts[text], features_BJCT, motion_frames=frames, motion_latents=latent_frames(frames)
        )

    def _features(self, chunk: Chunk) -> Tensor:
        """Return the audio features of a chunk's frames [1, J, C, frames], each at its own time."""
        inputs = self.inputs
        start_s = chunk.start / inputs.rate
        return sample_features(inputs.features_JTC, inputs.rate, chunk.made, start_s=start_s)

    def _encode(self, video_BCFHW: Tensor, control: Control) -> Tensor:
        return encode_video(self.parts.vae, video_BCFHW, control).to(self.parts.device)

    def _decode(self, index: int, prefix_BCfhw: Tensor, latent_BCfhw: Tensor, control: Control) -> Tensor:
        """Decode a chunk behind its prefix, without the prefix's frames."""
        whole_BCfhw = torch.cat([prefix_BCfhw, latent_BCfhw], dim=2)
        control.show("decode_input", whole_BCfhw)
        total, kept = whole_BCfhw.shape[2], []
        with self.parts.vae() as codec:
            for piece in codec.decode_chunks(whole_BCfhw, skip=prefix_BCfhw.shape[2]):
                kept.append(piece[0].float().cpu())
                self.control.progress(Progress("decode", len(kept), total, index, len(self.chunks)))
        return torch.cat(kept, dim=1)


def _check(inputs: RedubInputs, settings: RedubSettings, size: tuple[int, int]) -> None:
    """Refuse what cannot be sampled. Raises SettingError."""
    if any(side % SPEECH_DIVISOR or side == 0 for side in size):
        raise SettingError(
            f"Crops of {size[0]}x{size[1]} pixels cannot be made.",
            hint=f"Both sides must be multiples of {SPEECH_DIVISOR}.",
        )
    if not 0 < settings.strength <= 1:
        raise SettingError(f"The strength is {settings.strength}; it must be above 0, and at most 1.")
    if settings.mask_grow < 0:
        raise SettingError(f"The mask cannot grow by {settings.mask_grow} pixels.")
    if inputs.features_JTC.shape[1] == 0:
        raise SettingError("There is no speech to follow.", hint="The sound needs at least 25 ms.")
