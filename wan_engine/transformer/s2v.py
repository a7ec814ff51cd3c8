"""The speech-to-video transformer: the base, with a reference picture, past motion, a pose and audio.

Tokens stand in the order video, reference, packed motion. The video's have the step's timestep, the others
timestep 0, for they are clean. A learned row tells the three kinds apart. The pose is summed with the video's
tokens; the audio enters after some blocks. Source: Wan2.2-S2V (Gao et al. 2025), section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wan_engine.errors import SettingError
from wan_engine.shapes import token_grid
from wan_engine.specs import SpeechTransformerSpec
from wan_engine.transformer.audio_encoder import CausalAudioEncoder
from wan_engine.transformer.audio_injector import AudioInjector, AudioMemory
from wan_engine.transformer.blocks import PatchEmbedding
from wan_engine.transformer.framepack import KEEP_ALL, FramePacker
from wan_engine.transformer.model import Clip, Memory, Transformer
from wan_engine.transformer.rope import speech_positions

VIDEO, REFERENCE, MOTION = 0, 1, 2  # rows of the learned mask


@dataclass(frozen=True)
class SpeechMemory(Memory):
    """What one guidance branch looks at: its text in every block, its audio in every injection."""

    audio: list[AudioMemory]


class SpeechTransformer(Transformer):
    """Predicts the velocity of a clip that speaks."""

    spec: SpeechTransformerSpec

    def __init__(self, spec: SpeechTransformerSpec) -> None:
        super().__init__(spec)
        self.cond_encoder = PatchEmbedding(spec.cond_dim, spec.dim)
        self.casual_audio_encoder = CausalAudioEncoder(spec.audio_dim, spec.dim, spec.num_audio_token)
        self.audio_injector = AudioInjector(spec)
        self.trainable_cond_mask = nn.Embedding(3, spec.dim)
        self.frame_packer = FramePacker(spec.in_dim, spec.dim, spec.framepack_drop_mode)
        self.requires_grad_(False)

    def speech_clip(
        self,
        latent_shape: tuple[int, ...],
        reference_BCfhw: Tensor,
        *,
        motion_BCfhw: Tensor | None = None,
        pose_BCfhw: Tensor | None = None,
        last_motion: int = KEEP_ALL,
    ) -> Clip:
        """Prepare a clip of latents [.., f, h, w].

        `motion` are up to 19 latents before the clip; None for a first clip without them. `pose` has the
        clip's shape; without one only the pose layer's bias is left, which acts all the same.
        """
        grid, mask = token_grid(latent_shape), self.trainable_cond_mask.weight
        tail, positions = [self.patch_embedding(reference_BCfhw) + mask[REFERENCE]], []
        if motion_BCfhw is not None:
            packed_BLD, positions = self.frame_packer(motion_BCfhw, last_motion * self.spec.add_last_motion)
            tail.append(packed_BLD + mask[MOTION])
        pose_BLD = self.cond_encoder.bias[None, None] if pose_BCfhw is None else self.cond_encoder(pose_BCfhw)
        positions_L3 = speech_positions(latent_shape, positions)
        bounds = ((0, grid.tokens), (grid.tokens, len(positions_L3)))
        layout = self._layout(positions_L3, bounds)
        return Clip(grid, layout, added_BLD=pose_BLD + mask[VIDEO], tail_BLD=torch.cat(tail, dim=1))

    def audio_tokens(
        self, features_BJCT: Tensor, motion_frames: int, motion_latents: int
    ) -> tuple[Tensor, Tensor]:
        """Return the clip's audio tokens: local [B, f, S, D] and global [B, f, 1, D].

        `features` are one column for each video frame. In front of them go as many copies of the first as
        there are motion frames, whose tokens are then dropped.
        """
        past = features_BJCT[..., :1].expand(*features_BJCT.shape[:-1], motion_frames)
        local, style = self.casual_audio_encoder(torch.cat([past, features_BJCT], dim=-1))
        return local[:, motion_latents:], style[:, motion_latents:]

    def speech_memory(
        self, text: Memory, features_BJCT: Tensor, *, motion_frames: int, motion_latents: int
    ) -> SpeechMemory:
        """Return what every block remembers of the prompt and every injection of the audio. B is 1."""
        if len(features_BJCT) != 1:
            raise SettingError("Speech-to-video takes one sample at a time.")
        local, style = self.audio_tokens(features_BJCT.to(self.device), motion_frames, motion_latents)
        audio = self.audio_injector.remember(local[0].to(self.dtype), style[0, :, 0].to(self.dtype))
        return SpeechMemory(text.text, audio)

    def timestep_rows(self, step: int, clean_row: int) -> tuple[int, int]:
        """Return the table rows of the two runs at a step; `clean_row` is the row of timestep 0."""
        return step, clean_row if self.spec.zero_timestep else step

    def after_block(self, index: int, x_BLD: Tensor, clip: Clip, memory: Memory) -> Tensor:
        """Add the audio after the blocks that hear it."""
        order = self.audio_injector.order.get(index)
        if order is not None:
            assert isinstance(memory, SpeechMemory)
            first = clip.layout.shard.start if clip.layout.shard else 0
            per_frame = clip.grid.rows * clip.grid.columns
            self.audio_injector.inject_(
                order, self._video(x_BLD, clip), memory.audio[order], clip.layout.dtype, first, per_frame
            )
        return x_BLD
