"""Speech to video: a picture and a voice, clip after clip, each starting where the last one ended.

For every clip the autoencoder gives the motion before it (73 frames, 19 latents), the transformer makes the
clip's latents, and the autoencoder decodes them behind a prefix it needs for context. The first clip has no
motion; its prefix is the picture. Frames come out a clip at a time. Source: Wan2.2-S2V (Gao et al. 2025).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from wan_engine.audio.buckets import FEATURE_RATE, released_embedding, sample_features
from wan_engine.errors import SettingError
from wan_engine.parallel import split_clip
from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.pictures import check_picture, pose_video, reference_video
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.timeline import (
    Span,
    frame_count,
    plan_clips,
    plan_released_clips,
    released_shown,
    shown_at,
)
from wan_engine.pipelines.video import CLEAN_TIMESTEP, encode_video
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.denoise import Guide, Prepared, denoise
from wan_engine.sampling.schedule import Schedule
from wan_engine.sampling.solver import make_solver
from wan_engine.shapes import TEMPORAL_STRIDE, latent_frames, speech_size
from wan_engine.specs import SpeechTransformerSpec
from wan_engine.transformer.model import Memory, Transformer
from wan_engine.transformer.modulation import TimeTable
from wan_engine.transformer.s2v import SpeechTransformer

OPENING_FRAMES = 6  # of the picture, as motion, when a video starts from it
NO_POSE = -1.0  # pixels of a pose video after its end


@dataclass(frozen=True)
class PoseVideo:
    """Poses to follow: uint8 frames [F, H, W, 3], their rate, and their start times where they are uneven."""

    frames_FHWC: Tensor
    rate: Fraction
    times_s: tuple[Fraction, ...] | None = None


@dataclass(frozen=True)
class SpeechInputs:
    """What a spoken video is made from."""

    prompt: Tensor  # encoded, [l, text_dim]
    negative: Tensor
    picture_HWC: Tensor  # uint8
    features_JTC: Tensor  # hidden states of the speech model, 50 a second
    area: int  # most pixels of a frame
    seconds: Fraction | None = None  # of the sound; None: as long as its features
    pose: PoseVideo | None = None
    starts_from_picture: bool = False
    clip_frames: int = 80
    most_clips: int | None = None


@dataclass(frozen=True)
class Given:
    """What was made before: how many clips, and the last frames, which the next one goes on from."""

    clips: int
    frames_CFHW: Tensor  # float32; as many as the motion has, or all there are


def speech_to_video(
    parts: Parts, inputs: SpeechInputs, sampling: Sampling, *, reference_compat: bool = False,
    control: Control | None = None, given: Given | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """Yield the video's clips [3, F, H, W] in [-1, 1]; frame k of all of them belongs to second k / 16.

    `reference_compat` keeps the released pipeline's clock. With `given` the clips after those are made, with
    the same bytes. Raises SettingError, MediaError, NumericError, Cancelled.
    """
    return _SpeechJob(parts, inputs, sampling, reference_compat, control or Control()).run(given)


def last_frames(before_CFHW: Tensor | None, clip_CFHW: Tensor, count: int) -> Tensor:
    """Return the last frames of all given so far, for `Given`."""
    frames = [clip_CFHW] if before_CFHW is None else [before_CFHW, clip_CFHW]
    return torch.cat(frames, dim=1)[:, -count:]


class _SpeechJob:
    """One video in the making: what all its clips share, and the motion that goes from clip to clip."""

    def __init__(
        self, parts: Parts, inputs: SpeechInputs, sampling: Sampling, is_released: bool, control: Control
    ) -> None:
        self.parts, self.inputs, self.sampling = parts, inputs, sampling
        self.is_released, self.control = is_released, control
        self.rate = parts.task.rate
        check_picture(inputs.picture_HWC)
        rows, columns, _ = inputs.picture_HWC.shape
        self.size = speech_size(rows, columns, inputs.area)
        if 0 in self.size:
            raise SettingError(
                "The picture is too small to make a video of.", hint="Its sides need 64 pixels each."
            )
        if inputs.features_JTC.shape[1] == 0:
            raise SettingError("There is no speech to follow.", hint="The sound needs at least 25 ms.")
        self.spans, self.released_BJCT = self._plan()
        self.poses = self._match_poses()
        self.texts: dict[str, Memory] = {}
        self.silence: dict[int, Memory] = {}
        self.times: TimeTable | None = None

    def run(self, given: Given | None) -> Iterator[Tensor]:
        """Make clip after clip, after those given."""
        with self.parts.at_hand():
            yield from self._clips(given)

    def _clips(self, given: Given | None) -> Iterator[Tensor]:
        reference_BCFHW = reference_video(self.inputs.picture_HWC, *self.size)
        reference_BCfhw = self._encode(reference_BCFHW, self.control)
        self.control.show("ref_latents", reference_BCfhw)
        motion_BCFHW = self._opening(reference_BCFHW)
        done = 0
        if given is not None and given.clips:
            done, motion_BCFHW = given.clips, self._continue(motion_BCFHW, given.frames_CFHW[None])
        for clip, span in list(enumerate(self.spans))[done:]:
            control = self.control.named(f"clip{clip}_")
            motion_BCfhw = None
            if motion_BCFHW is not None:
                motion_BCfhw = self._encode(motion_BCFHW, control)
                control.show("motion_latents", motion_BCfhw)
            latent_BCfhw = self._denoise(clip, span, reference_BCfhw, motion_BCfhw, control)
            prefix_BCfhw = reference_BCfhw if motion_BCfhw is None else motion_BCfhw
            made_BCFHW = self._decode(clip, span, prefix_BCfhw, latent_BCfhw, control)
            motion_BCFHW = self._continue(motion_BCFHW, made_BCFHW)
            yield made_BCFHW[0, :, : span.last - span.first]

    def _plan(self) -> tuple[list[Span], Tensor | None]:
        inputs = self.inputs
        if not self.is_released:
            seconds = inputs.seconds or Fraction(inputs.features_JTC.shape[1], FEATURE_RATE)
            frames = frame_count(seconds, self.rate)
            return plan_clips(frames, inputs.clip_frames, most=inputs.most_clips), None
        released_BJCT, clips = released_embedding(inputs.features_JTC, inputs.clip_frames, rate=self.rate)
        clips = min(clips, inputs.most_clips or clips)
        spans = plan_released_clips(clips, inputs.clip_frames, is_first_cut=not inputs.starts_from_picture)
        return spans, released_BJCT

    def _match_poses(self) -> list[int | None]:
        """Return the pose frame of every frame of the video."""
        pose, frames = self.inputs.pose, self.spans[-1].start + self.spans[-1].made
        if pose is None:
            return []
        count = len(pose.frames_FHWC)
        if self.is_released:
            return released_shown(count, float(pose.rate), frames, self.rate)
        times_s = pose.times_s or [frame / pose.rate for frame in range(count)]
        return shown_at(times_s, frames, self.rate)

    def _opening(self, reference_BCFHW: Tensor) -> Tensor | None:
        """Return the motion before the first clip: none, or grey that ends in the picture."""
        if not self.inputs.starts_from_picture:
            return None
        return self._continue(None, reference_BCFHW.expand(-1, -1, OPENING_FRAMES, -1, -1))

    def _grey(self) -> Tensor:
        return torch.zeros(1, 3, self._motion_frames, *self.size)

    @property
    def _motion_frames(self) -> int:
        spec = self.parts.task.transformer
        assert isinstance(spec, SpeechTransformerSpec)
        return spec.motion_frames

    def _continue(self, motion_BCFHW: Tensor | None, made_BCFHW: Tensor) -> Tensor:
        """Return the last frames of all made so far, which are the next clip's motion."""
        before = self._grey() if motion_BCFHW is None else motion_BCFHW
        return torch.cat([before, made_BCFHW], dim=2)[:, :, -self._motion_frames :]

    def _denoise(
        self, clip: int, span: Span, reference_BCfhw: Tensor, motion_BCfhw: Tensor | None, control: Control
    ) -> Tensor:
        features_BJCT = self._features(span)
        control.show("audio_input", features_BJCT)
        pose_BCfhw = self._pose_latents(span, control)
        shape = (*reference_BCfhw.shape[:2], span.made // TEMPORAL_STRIDE, *reference_BCfhw.shape[3:])
        solver = make_solver(self.sampling.solver, steps=self.sampling.steps, shift=self.sampling.shift)

        def prepare(model: Transformer, scale: float) -> Prepared:
            assert isinstance(model, SpeechTransformer)
            ready = model.speech_clip(
                shape, reference_BCfhw, motion_BCfhw=motion_BCfhw, pose_BCfhw=pose_BCfhw
            )
            tokens = self.parts.tokens
            return Prepared(
                times=self._time_table(model, solver.schedule),
                clip=split_clip(ready, tokens, num_heads=model.spec.num_heads) if tokens else ready,
                prompt=self._remember(model, "prompt", features_BJCT),
                negative=self._remember_silence(model, features_BJCT) if scale > 1 else None,
                rows=lambda step: model.timestep_rows(step, solver.schedule.steps),
            )

        noise_BCfhw = draw_noise(shape, self.sampling.seed + clip, self.parts.device)
        with self.parts.experts() as experts:
            guide = Guide(
                experts,
                self.sampling.switch,
                self.sampling.guidance,
                prepare,
                control,
                branches=self.parts.branches,
            )
            return denoise(noise_BCfhw, solver, guide, control=control, clip=clip, clips=len(self.spans))

    def _features(self, span: Span) -> Tensor:
        """Return the clip's audio features [1, J, C, frames]."""
        if self.released_BJCT is not None:
            return self.released_BJCT[..., span.start : span.start + span.made]
        start_s = Fraction(span.start, self.rate)
        return sample_features(self.inputs.features_JTC, self.rate, span.made, start_s=start_s)

    def _pose_latents(self, span: Span, control: Control) -> Tensor | None:
        """Return the clip's pose latents; its first frame goes in twice, for the latent that is dropped."""
        if self.inputs.pose is None:
            return None
        video = torch.full((1, 3, span.made, *self.size), NO_POSE)
        wanted = self.poses[span.start : span.start + span.made]
        there = [frame for frame in wanted if frame is not None]
        if there:
            video[:, :, : len(there)] = pose_video(self.inputs.pose.frames_FHWC[there], *self.size)
        pose_BCfhw = self._encode(torch.cat([video[:, :, :1], video], dim=2), control)[:, :, 1:]
        control.show("cond_latents", pose_BCfhw)
        return pose_BCfhw

    def _time_table(self, model: SpeechTransformer, schedule: Schedule) -> TimeTable:
        if self.times is None:
            self.times = model.time_table([*map(float, schedule.timesteps.tolist()), CLEAN_TIMESTEP])
        return self.times

    def _remember(self, model: SpeechTransformer, text: str, features_BJCT: Tensor) -> Memory:
        if text not in self.texts:
            self.texts[text] = model.memory([getattr(self.inputs, text)])
        frames = self._motion_frames
        return model.speech_memory(
            self.texts[text], features_BJCT, motion_frames=frames, motion_latents=latent_frames(frames)
        )

    def _remember_silence(self, model: SpeechTransformer, features_BJCT: Tensor) -> Memory:
        """Return the negative prompt with silence, the same for all clips of a length."""
        count = features_BJCT.shape[-1]
        if count not in self.silence:
            self.silence[count] = self._remember(model, "negative", torch.zeros_like(features_BJCT))
        return self.silence[count]

    def _encode(self, video_BCFHW: Tensor, control: Control) -> Tensor:
        return encode_video(self.parts.vae, video_BCFHW, control).to(self.parts.device)

    def _decode(
        self, clip: int, span: Span, prefix_BCfhw: Tensor, latent_BCfhw: Tensor, control: Control
    ) -> Tensor:
        """Decode a clip behind its prefix, without the prefix's frames and those the plan drops in front."""
        whole_BCfhw = torch.cat([prefix_BCfhw, latent_BCfhw], dim=2)
        control.show("decode_input", whole_BCfhw)
        total, kept = whole_BCfhw.shape[2], []
        with self.parts.vae() as codec:
            for piece in codec.decode_chunks(whole_BCfhw, skip=prefix_BCfhw.shape[2]):
                kept.append(piece.float().cpu())
                self.control.progress(Progress("decode", len(kept), total, clip, len(self.spans)))
        return torch.cat(kept, dim=2)[:, :, span.first :]
