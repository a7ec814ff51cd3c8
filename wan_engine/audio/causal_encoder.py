"""The speech-to-video model's own audio encoder: wav2vec2's layers mixed, then brought from video to latent rate.

Two paths share their last convolutions. The local one gives a few tokens for each latent frame (what the mouth says), the
global one a single token (how the frame's normalisation is modulated). Convolutions look back only.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

NORM_EPS = 1e-6


class CausalAudioEncoder(nn.Module):
    """`casual_audio_encoder` of the checkpoint (spelled so there): [B, layers, A, T] to audio tokens."""

    def __init__(
        self, audio_dim: int, dim: int, *, tokens: int = 4, layers: int = 25, has_global: bool = True
    ) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(1, layers, 1, 1))
        self.encoder = AudioTokens(audio_dim, dim, tokens=tokens, has_global=has_global)

    def forward(self, features_BNAT: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return local tokens (B, T/4, tokens + 1, D) and the global token (B, T/4, 1, D), T/4 rounded up.

        `features_BNAT` holds wav2vec2's hidden states: batch, layer, channel, video frame.
        """
        mix = F.silu(self.weights)
        mixed_BAT = (features_BNAT.to(mix.dtype) * mix).sum(dim=1) / mix.sum(dim=1)
        return self.encoder(mixed_BAT)


class AudioTokens(nn.Module):
    """Three causal convolutions, of stride 1, 2 and 2, each followed by LayerNorm and SiLU."""

    def __init__(self, audio_dim: int, dim: int, *, tokens: int, has_global: bool) -> None:
        super().__init__()
        self.tokens = tokens
        self.conv1_local = CausalConv1d(audio_dim, dim // 4 * tokens, stride=1)
        self.conv2 = CausalConv1d(dim // 4, dim // 2, stride=2)
        self.conv3 = CausalConv1d(dim // 2, dim, stride=2)
        self.padding_tokens = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.conv1_global = CausalConv1d(audio_dim, dim // 4, stride=1) if has_global else None
        self.final_linear = nn.Linear(dim, dim) if has_global else None

    def forward(self, x_BAT: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, A, T) -> local (B, t, tokens + 1, D), global (B, t, 1, D)."""
        split = rearrange(self.conv1_local(x_BAT), "b (n c) t -> (b n) c t", n=self.tokens)
        local = rearrange(self._shrink(split), "(b n) t d -> b t n d", n=self.tokens)
        padding = self.padding_tokens.expand(local.shape[0], local.shape[1], -1, -1)
        local_BTND = torch.cat([local, padding], dim=2)
        if self.conv1_global is None or self.final_linear is None:
            return local_BTND, None
        return local_BTND, self.final_linear(self._shrink(self.conv1_global(x_BAT))).unsqueeze(2)

    def _shrink(self, x_BCT: Tensor) -> Tensor:
        """(B, C, T) -> (B, t, D), t = T/4 rounded up."""
        x_BTC = norm_silu(x_BCT)
        for conv in (self.conv2, self.conv3):
            x_BTC = norm_silu(conv(x_BTC.transpose(1, 2)))
        return x_BTC


class CausalConv1d(nn.Module):
    """A convolution of three steps, now and before; before the first step there is the first step again."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 3, stride=stride)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T / stride rounded up)."""
        return self.conv(F.pad(x_BCT, (2, 0), mode="replicate"))


def norm_silu(x_BCT: Tensor) -> Tensor:
    """Normalise each step's channels, without weights; (B, C, T) -> (B, T, C)."""
    x_BTC = x_BCT.transpose(1, 2)
    return F.silu(F.layer_norm(x_BTC, x_BTC.shape[-1:], eps=NORM_EPS))
