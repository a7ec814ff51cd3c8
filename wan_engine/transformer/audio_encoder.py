"""From speech features at the video's frame rate to audio tokens at the latents' rate.

The 25 layers of the speech model are mixed with learned weights, then convolved causally in time, twice with
stride 2. A local path gives a few tokens a latent frame, a global one a single token that sets the style of
the norm. Runs in float32. Source: Wan2.2-S2V (Gao et al. 2025), section 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AUDIO_LAYERS = 25  # of the speech model: its input embedding and 24 transformer layers


class CausalConv1d(nn.Module):
    """A convolution over time that sees the past only; before the first step stand copies of it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 3, stride=stride)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, ceil(T / stride), C']."""
        x_BCT = F.pad(x_BTC.transpose(1, 2), (2, 0), mode="replicate")
        return self.conv(x_BCT).transpose(1, 2)


class MotionEncoder(nn.Module):
    """The convolutions of both paths; the second and third are shared by them."""

    def __init__(self, audio_dim: int, dim: int, num_tokens: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.conv1_local = CausalConv1d(audio_dim, dim // 4 * num_tokens, stride=1)
        self.conv1_global = CausalConv1d(audio_dim, dim // 4, stride=1)
        self.conv2 = CausalConv1d(dim // 4, dim // 2, stride=2)
        self.conv3 = CausalConv1d(dim // 2, dim, stride=2)
        self.final_linear = nn.Linear(dim, dim)
        self.padding_tokens = nn.Parameter(torch.zeros(1, 1, 1, dim))

    def forward(self, x_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, C] -> local [B, T', tokens + 1, D] and global [B, T', 1, D], T' = ceil(ceil(T / 2) / 2)."""
        batch = len(x_BTC)
        local = self.conv1_local(x_BTC).unflatten(-1, (self.num_tokens, -1)).transpose(1, 2).flatten(0, 1)
        local = self._quarter_rate(local).unflatten(0, (batch, -1)).transpose(1, 2)
        padding = self.padding_tokens.expand(batch, local.shape[1], 1, -1)
        style = self.final_linear(self._quarter_rate(self.conv1_global(x_BTC)))
        return torch.cat([local, padding], dim=2), style.unsqueeze(2)

    def _quarter_rate(self, x_BTC: Tensor) -> Tensor:
        return norm_silu(self.conv3(norm_silu(self.conv2(norm_silu(x_BTC)))))


class CausalAudioEncoder(nn.Module):
    """Mixes the speech model's layers and encodes them in time."""

    def __init__(self, audio_dim: int, dim: int, num_tokens: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((1, AUDIO_LAYERS, 1, 1), 0.01))
        self.encoder = MotionEncoder(audio_dim, dim, num_tokens)

    def forward(self, features_BJCT: Tensor) -> tuple[Tensor, Tensor]:
        """[B, J layers, C, T] -> local [B, T', tokens + 1, D], global [B, T', 1, D]."""
        weights = F.silu(self.weights.float())
        mixed_BCT = (features_BJCT.float() * weights).sum(1) / weights.sum(1)
        return self.encoder(mixed_BCT.transpose(1, 2))


def norm_silu(x_BTC: Tensor) -> Tensor:
    """Normalise over channels, without weights, then SiLU."""
    return F.silu(F.layer_norm(x_BTC, x_BTC.shape[-1:], eps=1e-6))
