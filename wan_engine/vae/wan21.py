"""The Wan2.1 video autoencoder: 16 latent channels, 8x8 pixels and 4 frames to a latent.

Source: "Wan: Open and Advanced Large-Scale Video Generative Models", section on Wan-VAE (arXiv 2503.20314).
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from torch import Tensor, nn

from wan_engine.vae.causal import CausalConv3d, Head, Middle, ResidualBlock, Stream, run_layers
from wan_engine.vae.codec import LatentStatistics, VideoCodec
from wan_engine.vae.decoder import StreamedDecoder
from wan_engine.vae.resample import Downsample, Upsample
from wan_engine.vae.tiling import Tiling, run_tiled

FINE_LEVELS = 2  # the levels at the highest resolutions, which hold nearly all of the memory


@dataclass(frozen=True)
class Wan21Config:
    """Widths and switches; the released file has the defaults."""

    width: int = 96
    latent_channels: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    residual_blocks: int = 2
    halves_time: tuple[bool, ...] = (False, True, True)
    statistics: LatentStatistics = field(
        default=LatentStatistics(
            mean=(
                *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
                *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
            ),
            std=(
                *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
                *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
            ),
        )
    )


class Wan21Vae(VideoCodec):
    """`Wan2.1_VAE.pth`, used by every 14B model."""

    def __init__(self, config: Wan21Config | None = None) -> None:
        config = config or Wan21Config()
        super().__init__(config.latent_channels)
        self.statistics = config.statistics
        self.spatial_stride = 2 ** (len(config.multipliers) - 1)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)


class Encoder(nn.Module):
    """Pixels to the moments of the latent; `downsamples` is one flat list over all levels."""

    def __init__(self, config: Wan21Config) -> None:
        super().__init__()
        widths = [config.width * m for m in (1, *config.multipliers)]
        layers: list[nn.Module] = []
        self.fine_layers = 0
        for level, (narrow, wide) in enumerate(pairwise(widths)):
            layers += [ResidualBlock(narrow if i == 0 else wide, wide) for i in range(config.residual_blocks)]
            if level < len(widths) - 2:
                layers.append(Downsample(wide, temporal=config.halves_time[level]))
            if level < FINE_LEVELS:
                self.fine_layers = len(layers)
        self.conv1 = CausalConv3d(3, widths[0], 3)
        self.downsamples = nn.ModuleList(layers)
        self.middle = Middle(widths[-1])
        self.head = Head(widths[-1], 2 * config.latent_channels)
        self.tiling = encoder_tiling(config.residual_blocks, len(config.multipliers))

    def forward(self, video_BCFHW: Tensor, stream: Stream, tile: int | None = None) -> Tensor:
        """(B, 3, F, H, W) -> (B, 2c, f, h, w)."""
        tile = tile or max(video_BCFHW.shape[3:])
        x_BCFHW = run_tiled(self._fine, video_BCFHW, stream, tile=tile, tiling=self.tiling)
        x_BCFHW = run_layers(self.downsamples[self.fine_layers :], x_BCFHW, stream)
        return self.head(self.middle(x_BCFHW, stream), stream)

    def _fine(self, video_BCFHW: Tensor, stream: Stream) -> Tensor:
        x_BCFHW = self.conv1(video_BCFHW, stream)
        return run_layers(self.downsamples[: self.fine_layers], x_BCFHW, stream)


class Decoder(StreamedDecoder):
    """Latent to pixels; each `Upsample` halves the channels."""

    def __init__(self, config: Wan21Config) -> None:
        super().__init__()
        widths = [config.width * m for m in (config.multipliers[-1], *config.multipliers[::-1])]
        levels = len(config.multipliers)
        layers: list[nn.Module] = []
        self.coarse_layers = 0
        for level, (narrow, wide) in enumerate(pairwise(widths)):
            if level == levels - FINE_LEVELS:
                self.coarse_layers = len(layers)
            entry = narrow if level == 0 else narrow // 2
            layers += [
                ResidualBlock(entry if i == 0 else wide, wide) for i in range(config.residual_blocks + 1)
            ]
            if level < levels - 1:
                doubles_time = config.halves_time[::-1][level]
                layers.append(Upsample(wide, wide // 2, temporal=doubles_time))
        self.conv1 = CausalConv3d(config.latent_channels, widths[0], 3)
        self.middle = Middle(widths[0])
        self.upsamples = nn.ModuleList(layers)
        self.head = Head(widths[-1], 3)
        self.tiling = decoder_tiling(config.residual_blocks + 1, levels)


def encoder_tiling(blocks: int, levels: int) -> Tiling:
    """Return how an encoder's first levels may be cut: a block sees 2 pixels, a `Downsample` 2 more."""
    fine = min(FINE_LEVELS, levels)
    halvings = min(FINE_LEVELS, levels - 1)
    margin = 1 + sum(2 * blocks * 2**level for level in range(fine)) + sum(2 * 2**i for i in range(halvings))
    return Tiling(margin=margin, align=2**halvings, scale=Fraction(1, 2**halvings))


def decoder_tiling(blocks: int, levels: int) -> Tiling:
    """Return how the last levels of a decoder may be cut, in pixels of the resolution they start at."""
    doublings = min(FINE_LEVELS, levels) - 1
    seen = sum(Fraction(2 * blocks, 2**level) for level in range(doublings + 1))
    seen += sum(Fraction(1, 2**i) for i in range(1, doublings + 1)) + Fraction(1, 2**doublings)
    return Tiling(margin=-(-seen.numerator // seen.denominator), align=1, scale=Fraction(2**doublings))
