"""Audio enters the video: after some blocks, each latent frame's tokens look at that frame's audio tokens.

    x = x + CrossAttention(LN(x) * (1 + scale(g)) + shift(g), audio)      g: the frame's global audio token

Nothing of the audio's side depends on the step, so scales, shifts, keys and values are made once a clip.
Source: Wan2.2-S2V (Gao et al. 2025), section 3; Huang & Belongie 2017 (AdaIN).
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.specs import SpeechTransformerSpec
from wan_engine.transformer.blocks import CrossAttention, KeysValues
from wan_engine.transformer.fused import norm_modulate

ADAPTIVE_EPS = 1e-5  # of the norm that the audio modulates; everywhere else it is 1e-6
PLAIN_EPS = 1e-6


class AudioMemory(NamedTuple):
    """What one injection knows of a clip's audio, a row for each latent frame."""

    keys_values: KeysValues
    scale_fD: Tensor  # 1 + scale, float32
    shift_fD: Tensor


class AdaptiveNorm(nn.Module):
    """Turns the global audio token into a scale and a shift."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim * 2)

    def forward(self, global_fD: Tensor) -> tuple[Tensor, Tensor]:
        """[f, D] -> (1 + scale, shift), each [f, D] float32; the shift comes first in the weights."""
        shift, scale = self.linear(F.silu(global_fD)).float().chunk(2, dim=-1)
        return 1 + scale, shift.contiguous()


class AudioInjector(nn.Module):
    """The cross attentions of the injected blocks, in ascending order of blocks."""

    def __init__(self, spec: SpeechTransformerSpec) -> None:
        super().__init__()
        self.order = {block: index for index, block in enumerate(sorted(spec.audio_inject_layers))}
        self.injector = nn.ModuleList(
            CrossAttention(spec.dim, spec.num_heads, spec.eps) for _ in spec.audio_inject_layers
        )
        self.is_adaptive = spec.enable_adain
        if spec.enable_adain:
            self.injector_adain_layers = nn.ModuleList(
                AdaptiveNorm(spec.dim) for _ in spec.audio_inject_layers
            )

    def remember(self, local_fSD: Tensor, global_fD: Tensor) -> list[AudioMemory]:
        """Return what each injection needs of the audio tokens, which no step changes."""
        return [self._remember(index, local_fSD, global_fD) for index in range(len(self.injector))]

    def inject_(
        self,
        index: int,
        video_BLD: Tensor,
        memory: AudioMemory,
        dtype: torch.dtype,
        first: int,
        per_frame: int,
    ) -> None:
        """Add the audio in place to video tokens from the `first` on, `per_frame` of them a frame. B is 1."""
        if not video_BLD.shape[1]:
            return
        last = first + video_BLD.shape[1]
        frames = slice(first // per_frame, -(-last // per_frame))
        edges = [
            min(max(frame * per_frame, first), last) - first for frame in range(frames.start, frames.stop + 1)
        ]
        eps = ADAPTIVE_EPS if self.is_adaptive else PLAIN_EPS
        scale_fD, shift_fD = memory.scale_fD[frames], memory.shift_fD[frames]
        u_BLD = norm_modulate(video_BLD, scale_fD, shift_fD, tuple(pairwise(edges)), eps=eps, dtype=dtype)

        before, after = first % per_frame, -last % per_frame  # of the outer frames, on other devices
        if before or after:
            u_BLD = F.pad(u_BLD, (0, 0, before, after))
        u_fLD = u_BLD.view(-1, per_frame, video_BLD.shape[2])
        keys_values = KeysValues(*(part[frames] for part in memory.keys_values))
        heard_BLD = self.injector[index](u_fLD, keys_values).view(1, -1, video_BLD.shape[2])
        video_BLD.add_(heard_BLD[:, before : before + video_BLD.shape[1]])

    def _remember(self, index: int, local_fSD: Tensor, global_fD: Tensor) -> AudioMemory:
        attention = self.injector[index]
        assert isinstance(attention, CrossAttention)
        keys_values = attention.remember(local_fSD)
        if self.is_adaptive:
            return AudioMemory(keys_values, *self.injector_adain_layers[index](global_fD))
        shift_fD = torch.zeros(global_fD.shape, dtype=torch.float32, device=global_fD.device)
        return AudioMemory(keys_values, torch.ones_like(shift_fD), shift_fD)
