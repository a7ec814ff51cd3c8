"""The building blocks both video autoencoders share, written for streams.

A causal network sees the present and the past only. So a video can be pushed through it in chunks, if every
layer remembers the last frames it was given. `Stream` is that memory. Pushing the whole video as one chunk is
the same computation, which is how the streamed path is tested.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

ONEDNN_LIMIT = 20480


class Stream:
    """What the layers of a causal network remember between two chunks of one video."""

    def __init__(self) -> None:
        self.is_first = True
        self._past: dict[nn.Module, Tensor] = {}
        self._tiles: dict[tuple[int, int], Stream] = {}

    def join(self, layer: nn.Module, x_BCFHW: Tensor, keep: int) -> Tensor:
        """Put the frames `layer` remembers before `x`, and remember the last `keep` of the result."""
        past = self._past.get(layer)
        joined = x_BCFHW if past is None else torch.cat([past, x_BCFHW], dim=2)
        self._past[layer] = joined[:, :, -keep:].clone()
        return joined

    def tile(self, place: tuple[int, int]) -> Stream:
        """Return the stream of one spatial tile (row, column)."""
        stream = self._tiles.setdefault(place, Stream())
        stream.is_first = self.is_first
        return stream

    def advance(self) -> None:
        """Say that a chunk has gone through the whole network."""
        self.is_first = False


class CausalConv3d(nn.Conv3d):
    """A convolution that looks back only; before the stream's first frame there are zeros."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int, int]) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.reach = self.kernel_size[0] - 1
        self.spatial_padding = (self.kernel_size[1] // 2, self.kernel_size[2] // 2)

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, F, H, W) -> (B, C', F, H, W)."""
        if self.reach == 0:
            return convolve(x_BCFHW, self.weight, self.bias, (0, 0, 0))
        joined = stream.join(self, x_BCFHW, keep=self.reach)
        missing = self.reach - (joined.shape[2] - x_BCFHW.shape[2])
        weight = self.weight
        if missing and x_BCFHW.shape[2] == 1:
            weight = weight[:, :, missing:]  # the frames before the first are zero: leave their taps out
        elif missing:
            joined = F.pad(joined, (0, 0, 0, 0, missing, 0))
        return convolve(joined, weight, self.bias, (0, *self.spatial_padding))


def convolve(x_BCFHW: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int, int]) -> Tensor:
    """Convolve with stride 1, by the kernel that is fastest for the shape.

    One tap in time is a convolution of pictures, for which kernels are more than twice as fast. On a
    processor PyTorch has a slow kernel for small inputs; those go to oneDNN. The limit is that of
    `use_mkldnn` in PyTorch's aten/src/ATen/native/Convolution.cpp.
    """
    if weight.shape[2] == 1:
        x_NCHW, batch = fold_frames(x_BCFHW)
        return unfold_frames(F.conv2d(x_NCHW, weight[:, :, 0], bias, padding=padding[1:]), batch)
    is_small = x_BCFHW.device.type == "cpu" and x_BCFHW.shape[:4].numel() <= ONEDNN_LIMIT
    if is_small and x_BCFHW.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x_BCFHW, weight, bias, padding, (1, 1, 1), (1, 1, 1), 1)
    return F.conv3d(x_BCFHW, weight, bias, padding=padding)


class ChannelNorm(nn.Module):
    """x / max(|x|, 1e-12) * sqrt(C) * gamma over the channels of each pixel of each frame."""

    def __init__(self, channels: int, *, dimensions: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * dimensions))

    def forward(self, x_BC: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C, ...), always a new tensor."""
        length = torch.linalg.vector_norm(x_BC, dim=1, keepdim=True, dtype=_statistics_dtype(x_BC))
        scale = length.clamp_min(1e-12).reciprocal() * x_BC.shape[1] ** 0.5
        return (x_BC * scale.to(x_BC.dtype)).mul_(self.gamma)


def _statistics_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


class ResidualBlock(nn.Module):
    """Norm, SiLU, 3x3x3, norm, SiLU, 3x3x3, and the input added; parts without weights have no key."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.ModuleDict(
            {
                "0": ChannelNorm(in_channels),
                "2": CausalConv3d(in_channels, out_channels, 3),
                "3": ChannelNorm(out_channels),
                "6": CausalConv3d(out_channels, out_channels, 3),
            }
        )
        self.shortcut = CausalConv3d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C', F, H, W)."""
        y_BCFHW = norm_silu_conv(self.residual["0"], self.residual["2"], x_BCFHW, stream)
        y_BCFHW = norm_silu_conv(self.residual["3"], self.residual["6"], y_BCFHW, stream)
        return y_BCFHW.add_(x_BCFHW if self.shortcut is None else self.shortcut(x_BCFHW, stream))


def norm_silu_conv(norm: nn.Module, conv: nn.Module, x_BCFHW: Tensor, stream: Stream) -> Tensor:
    """Apply the triple every block and both heads are made of."""
    return conv(F.silu(norm(x_BCFHW), inplace=True), stream)


class AttentionBlock(nn.Module):
    """Single-head attention over the pixels of each frame, with the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, dimensions=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C, F, H, W); frames do not see each other, so nothing is remembered."""
        x_NCHW, batch = fold_frames(x_BCFHW)
        qkv = rearrange(self.to_qkv(self.norm(x_NCHW)), "n (part c) h w -> part n 1 (h w) c", part=3)
        y = F.scaled_dot_product_attention(*qkv.unbind(0))
        y_NCHW = rearrange(y, "n 1 (h w) c -> n c h w", h=x_NCHW.shape[2])
        return unfold_frames(self.proj(y_NCHW).add_(x_NCHW), batch)


class Middle(nn.ModuleList):
    """The bottleneck of encoder and decoder: residual, attention, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            [ResidualBlock(channels, channels), AttentionBlock(channels), ResidualBlock(channels, channels)]
        )

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C, F, H, W)."""
        return run_layers(self, x_BCFHW, stream)


class Head(nn.ModuleDict):
    """Norm, SiLU and the last 3x3x3 convolution (`head.0`, `head.2`)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__({"0": ChannelNorm(in_channels), "2": CausalConv3d(in_channels, out_channels, 3)})

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C', F, H, W)."""
        return norm_silu_conv(self["0"], self["2"], x_BCFHW, stream)


def run_layers(layers: Iterable[nn.Module], x_BCFHW: Tensor, stream: Stream) -> Tensor:
    """Push a chunk through layers in order."""
    for layer in layers:
        x_BCFHW = layer(x_BCFHW, stream)
    return x_BCFHW


def fold_frames(x_BCFHW: Tensor) -> tuple[Tensor, int]:
    """Make a batch of pictures of a batch of videos; returns the number of videos too."""
    return rearrange(x_BCFHW, "b c f h w -> (b f) c h w"), x_BCFHW.shape[0]


def unfold_frames(x_NCHW: Tensor, batch: int) -> Tensor:
    """Undo `fold_frames`."""
    return rearrange(x_NCHW, "(b f) c h w -> b c f h w", b=batch)
