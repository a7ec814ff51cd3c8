"""Halving and doubling of space and time inside the autoencoders."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wan_engine.vae.causal import CausalConv3d, Stream, fold_frames, unfold_frames


class Downsample(nn.Module):
    """Halve rows and columns, and with `temporal` the frames after the first."""

    def __init__(self, channels: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 3, stride=2)})
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if temporal else None

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C, F or F', H/2, W/2); F' = (F+1)/2 in the first chunk, else F/2."""
        x_NCHW, batch = fold_frames(x_BCFHW)
        x_BCFHW = unfold_frames(self.resample["1"](F.pad(x_NCHW, (0, 1, 0, 1))), batch)
        return x_BCFHW if self.time_conv is None else self._halve_time(self.time_conv, x_BCFHW, stream)

    def _halve_time(self, time_conv: nn.Conv3d, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        joined = stream.join(self, x_BCFHW, keep=1)
        if not stream.is_first:
            return time_conv(joined)
        if x_BCFHW.shape[2] == 1:
            return x_BCFHW
        return torch.cat([x_BCFHW[:, :, :1], time_conv(joined)], dim=2)


class Upsample(nn.Module):
    """Double rows and columns, and with `temporal` the frames after the first."""

    def __init__(self, in_channels: int, out_channels: int, *, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(in_channels, out_channels, 3, padding=1)})
        self.time_conv = CausalConv3d(in_channels, 2 * in_channels, (3, 1, 1)) if temporal else None

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C', F or F', 2H, 2W); F' = 2F - 1 in the first chunk, else 2F."""
        if self.time_conv is not None:
            x_BCFHW = self._double_time(self.time_conv, x_BCFHW, stream)
        x_NCHW, batch = fold_frames(x_BCFHW)
        conv = self.resample["1"]
        assert isinstance(conv, nn.Conv2d)
        return unfold_frames(convolve_doubled(x_NCHW, conv.weight, conv.bias), batch)

    def _double_time(self, time_conv: CausalConv3d, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        if not stream.is_first:
            return _interleave_frames(time_conv(x_BCFHW, stream))
        first, rest = x_BCFHW[:, :, :1], x_BCFHW[:, :, 1:]  # the first frame is no context for the second
        if rest.shape[2] == 0:
            return first
        return torch.cat([first, _interleave_frames(time_conv(rest, stream))], dim=2)


def _interleave_frames(x_BCFHW: Tensor) -> Tensor:
    """Read 2C channels as two frames of C channels, the earlier frame's first."""
    frames = rearrange(x_BCFHW, "b (two c) f h w -> b (f two) h w c", two=2)
    return rearrange(frames, "b f h w c -> b c f h w")  # a view: channels stay last in memory


def convolve_doubled(x_NCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Double a picture by nearest neighbour and convolve it 3x3, without ever making the doubled picture.

    In a doubled picture a 3x3 window covers only 2x2 different pixels, so each of the four output phases is a
    2x2 convolution of the small picture whose taps are sums of the 3x3 taps: 16 multiplications a pixel for
    36.
    """
    count, _, rows, columns = x_NCHW.shape
    out = x_NCHW.new_empty((count, 2 * rows, 2 * columns, weight.shape[0])).permute(0, 3, 1, 2)
    for row, row_taps in enumerate(_phase_taps(weight, 2)):
        for column, taps in enumerate(_phase_taps(row_taps, 3)):
            phase = F.conv2d(x_NCHW, taps, bias, padding=1)
            out[:, :, row::2, column::2] = phase[:, :, row : row + rows, column : column + columns]
    return out


def _phase_taps(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Sum the three taps along `dim` to the two each phase sees: (w0, w1 + w2) and (w0 + w1, w2)."""
    w0, w1, w2 = weight.split(1, dim)
    return torch.cat([w0, w1 + w2], dim), torch.cat([w0 + w1, w2], dim)
