"""Audio enters the video: after some blocks, each latent frame's tokens look at that frame's audio tokens.

    x = x + CrossAttention(LN(x) * (1 + scale(g)) + shift(g), audio)      g: the frame's global audio token

Nothing of the audio's side depends on the step, so scales, shifts, keys and values are made once a clip.
Source: Wan2.2-S2V (Gao et al. 2025), section 3; Huang & Belongie 2017 (AdaIN).
"""

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

    def inject_(self, index: int, video_BLD: Tensor, memory: AudioMemory, dtype: torch.dtype) -> None:
        """Add the audio to the video's tokens in place; B is 1."""
        frames = len(memory.scale_fD)
        per_frame = video_BLD.shape[1] // frames
        bounds = tuple((frame * per_frame, (frame + 1) * per_frame) for frame in range(frames))
        eps = ADAPTIVE_EPS if self.is_adaptive else PLAIN_EPS
        u_BLD = norm_modulate(video_BLD, memory.scale_fD, memory.shift_fD, bounds, eps=eps, dtype=dtype)
        heard_fLD = self.injector[index](u_BLD.view(frames, per_frame, -1), memory.keys_values)
        video_BLD.add_(heard_fLD.view_as(video_BLD))

    def _remember(self, index: int, local_fSD: Tensor, global_fD: Tensor) -> AudioMemory:
        attention = self.injector[index]
        assert isinstance(attention, CrossAttention)
        keys_values = attention.remember(local_fSD)
        if self.is_adaptive:
            return AudioMemory(keys_values, *self.injector_adain_layers[index](global_fD))
        shift_fD = torch.zeros(global_fD.shape, dtype=torch.float32, device=global_fD.device)
        return AudioMemory(keys_values, torch.ones_like(shift_fD), shift_fD)
