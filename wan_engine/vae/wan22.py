"""The Wan2.2 video autoencoder of TI2V-5B: 48 latent channels, 16x16 pixels and 4 frames to a latent.

Two things differ from Wan2.1: pixels are unshuffled 2x2 into channels before the encoder (and shuffled back
after the decoder), and every level has a shortcut without weights, after DC-AE (Chen et al. 2024, arXiv
2410.10733): averaging space-to-depth going down, duplicating depth-to-space going up.
"""

from dataclasses import dataclass, field

import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from wan_engine.vae.causal import CausalConv3d, Head, Middle, ResidualBlock, Stream, run_layers
from wan_engine.vae.codec import LatentStatistics, VideoCodec
from wan_engine.vae.decoder import StreamedDecoder
from wan_engine.vae.resample import Downsample, Upsample
from wan_engine.vae.tiling import run_tiled
from wan_engine.vae.wan21 import FINE_LEVELS, decoder_tiling, encoder_tiling

SHUFFLE = 2


@dataclass(frozen=True)
class Wan22Config:
    """Widths and switches; the released file has the defaults."""

    width: int = 160
    decoder_width: int = 256
    latent_channels: int = 48
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    residual_blocks: int = 2
    halves_time: tuple[bool, ...] = (False, True, True)
    statistics: LatentStatistics = field(
        default=LatentStatistics(
            mean=(
                *(-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557),
                *(-0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825),
                *(-0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502),
                *(-0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230),
                *(-0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748),
                *(0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667),
            ),
            std=(
                *(0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013),
                *(0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978),
                *(0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659),
                *(0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093),
                *(0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887),
                *(0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744),
            ),
        )
    )


class Wan22Vae(VideoCodec):
    """`Wan2.2_VAE.pth`."""

    def __init__(self, config: Wan22Config | None = None) -> None:
        config = config or Wan22Config()
        super().__init__(config.latent_channels)
        self.statistics = config.statistics
        self.spatial_stride = SHUFFLE * 2 ** (len(config.multipliers) - 1)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)


class Encoder(nn.Module):
    """Pixels to the moments of the latent; `downsamples` is one module a level."""

    def __init__(self, config: Wan22Config) -> None:
        super().__init__()
        widths = [config.width * m for m in (1, *config.multipliers)]
        levels = len(config.multipliers)
        self.conv1 = CausalConv3d(3 * SHUFFLE**2, widths[0], 3)
        self.downsamples = nn.ModuleList(
            DownLevel(
                widths[level],
                widths[level + 1],
                blocks=config.residual_blocks,
                halves_space=level < levels - 1,
                halves_time=level < levels - 1 and config.halves_time[level],
            )
            for level in range(levels)
        )
        self.middle = Middle(widths[-1])
        self.head = Head(widths[-1], 2 * config.latent_channels)
        self.tiling = encoder_tiling(config.residual_blocks, levels)

    def forward(self, video_BCFHW: Tensor, stream: Stream, tile: int | None = None) -> Tensor:
        """(B, 3, F, H, W) -> (B, 2c, f, h, w)."""
        x_BCFHW = unshuffle(video_BCFHW)
        tile = tile // SHUFFLE if tile else max(x_BCFHW.shape[3:])
        x_BCFHW = run_tiled(self._fine, x_BCFHW, stream, tile=tile, tiling=self.tiling)
        x_BCFHW = run_layers(self.downsamples[FINE_LEVELS:], x_BCFHW, stream)
        return self.head(self.middle(x_BCFHW, stream), stream)

    def _fine(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        return run_layers(self.downsamples[:FINE_LEVELS], self.conv1(x_BCFHW, stream), stream)


class Decoder(StreamedDecoder):
    """Latent to pixels; `upsamples` is one module a level."""

    def __init__(self, config: Wan22Config) -> None:
        super().__init__()
        multipliers = (config.multipliers[-1], *config.multipliers[::-1])
        widths = [config.decoder_width * m for m in multipliers]
        levels = len(config.multipliers)
        self.conv1 = CausalConv3d(config.latent_channels, widths[0], 3)
        self.middle = Middle(widths[0])
        self.upsamples = nn.ModuleList(
            UpLevel(
                widths[level],
                widths[level + 1],
                blocks=config.residual_blocks + 1,
                doubles_space=level < levels - 1,
                doubles_time=level < levels - 1 and config.halves_time[::-1][level],
            )
            for level in range(levels)
        )
        self.coarse_layers = max(0, levels - FINE_LEVELS)
        self.head = Head(widths[-1], 3 * SHUFFLE**2)
        self.tiling = decoder_tiling(config.residual_blocks + 1, levels)

    def forward(
        self, latent_BCfhw: Tensor, stream: Stream, tile: int | None = None, *, early: int = 0
    ) -> Tensor | None:
        """(B, c, f, h, w) -> (B, 3, F, H, W); as in StreamedDecoder."""
        deep_BCFHW = super().forward(latent_BCfhw, stream, tile // SHUFFLE if tile else None, early=early)
        return None if deep_BCFHW is None else shuffle(deep_BCFHW)


class DownLevel(nn.Module):
    """Residual blocks and a `Downsample`, plus the averaged space-to-depth of the input."""

    def __init__(
        self, in_channels: int, out_channels: int, *, blocks: int, halves_space: bool, halves_time: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            ResidualBlock(in_channels if i == 0 else out_channels, out_channels) for i in range(blocks)
        ]
        if halves_space:
            layers.append(Downsample(out_channels, temporal=halves_time))
        self.downsamples = nn.ModuleList(layers)
        self.out_channels = out_channels
        self.factors = (2 if halves_time else 1, 2 if halves_space else 1)

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C', F', H', W')."""
        shortcut = average_down(x_BCFHW, self.out_channels, *self.factors)
        return run_layers(self.downsamples, x_BCFHW, stream).add_(shortcut)


class UpLevel(nn.Module):
    """Residual blocks and, but for the last level, an `Upsample` plus duplicated depth-to-space."""

    def __init__(
        self, in_channels: int, out_channels: int, *, blocks: int, doubles_space: bool, doubles_time: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            ResidualBlock(in_channels if i == 0 else out_channels, out_channels) for i in range(blocks)
        ]
        if doubles_space:
            layers.append(Upsample(out_channels, out_channels, temporal=doubles_time))
        self.upsamples = nn.ModuleList(layers)
        self.out_channels = out_channels
        self.factors = (2 if doubles_time else 1, 2) if doubles_space else None

    def forward(self, x_BCFHW: Tensor, stream: Stream) -> Tensor:
        """(B, C, F, H, W) -> (B, C', F', H', W')."""
        y_BCFHW = run_layers(self.upsamples, x_BCFHW, stream)
        if self.factors is None:
            return y_BCFHW
        shortcut = duplicate_up(x_BCFHW, self.out_channels, *self.factors)
        return y_BCFHW.add_(shortcut[:, :, self.factors[0] - 1 :] if stream.is_first else shortcut)


def average_down(x_BCFHW: Tensor, out_channels: int, ft: int, fs: int) -> Tensor:
    """Move ft frames of fs x fs pixels into channels, then average neighbours down to `out_channels`.

    A chunk whose length is no multiple of ft (the stream's first) gets a zero frame in front, which counts in
    the mean.
    """
    missing = -x_BCFHW.shape[2] % ft
    if missing:
        x_BCFHW = F.pad(x_BCFHW, (0, 0, 0, 0, missing, 0))
    group = x_BCFHW.shape[1] * ft * fs * fs // out_channels
    deep = rearrange(x_BCFHW, "b c (f ft) (h fh) (w fw) -> b f h w (c ft fh fw)", ft=ft, fh=fs, fw=fs)
    return rearrange(reduce(deep, "b f h w (c g) -> b f h w c", "mean", g=group), "b f h w c -> b c f h w")


def duplicate_up(x_BCFHW: Tensor, out_channels: int, ft: int, fs: int) -> Tensor:
    """Repeat each channel up to out_channels * ft * fs * fs, then move those into frames and pixels."""
    repeats = out_channels * ft * fs * fs // x_BCFHW.shape[1]
    deep = x_BCFHW.permute(0, 2, 3, 4, 1).repeat_interleave(repeats, dim=-1)
    grid = rearrange(deep, "b f h w (c ft fh fw) -> b (f ft) (h fh) (w fw) c", ft=ft, fh=fs, fw=fs)
    return rearrange(grid, "b f h w c -> b c f h w")


def unshuffle(video_BCFHW: Tensor) -> Tensor:
    """Move each 2x2 square of pixels into channels, ordered (channel, column, row)."""
    deep = rearrange(video_BCFHW, "b c f (h r) (w q) -> b f h w (c q r)", q=SHUFFLE, r=SHUFFLE)
    return rearrange(deep, "b f h w c -> b c f h w")


def shuffle(x_BCFHW: Tensor) -> Tensor:
    """Undo `unshuffle`."""
    return rearrange(x_BCFHW, "b (c q r) f h w -> b c f (h r) (w q)", q=SHUFFLE, r=SHUFFLE)
