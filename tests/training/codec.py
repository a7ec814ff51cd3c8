"""The small codec: a linear one, fitted to the drawn heads in seconds, that streams as the released ones do.

A latent is a block of 8x8 pixels in one frame (the first) or in four, written in its most telling directions:
the principal components of such blocks in the training's crops, those at the mouth counting more. Encoding
is exact and causal, and decoding is its transpose, so whatever else a re-dub shows is not the codec's.
"""

from collections.abc import Iterable

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from wan_engine.shapes import TEMPORAL_STRIDE
from wan_engine.vae.causal import Stream
from wan_engine.vae.codec import LatentStatistics, VideoCodec

STRIDE = 8
CHANNELS = 32
MOUTH_CELLS, MOUTH_WEIGHT = slice(2, 6), 8.0  # rows and columns of blocks that count more in the fit
FLATTENING = 0.5  # 0 leaves each component its spread, 1 gives all the same
EVERY = 3  # of the latents a scene has, this one is fitted to


class LinearCodec(VideoCodec):
    """A codec of blocks, with a basis for the first frame and one for four frames."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__(channels)
        self.statistics = LatentStatistics((0.0,) * channels, (1.0,) * channels)
        self.spatial_stride = STRIDE
        for convolution in (self.conv1, self.conv2):
            nn.init.dirac_(convolution.weight)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
        bases = nn.ModuleDict({"still": Basis(1, channels), "moving": Basis(TEMPORAL_STRIDE, channels)})
        self.encoder, self.decoder = Encoder(bases), Decoder(bases)
        self.requires_grad_(False)

    def fit(self, scenes: Iterable[np.ndarray]) -> None:
        """Fit both bases to crops (F, H, W, 3) uint8."""
        videos = [as_video(crops)[:, 1:] for crops in scenes]
        for name, basis in self.encoder.bases.items():
            assert isinstance(basis, Basis)
            basis.fit(videos, every=EVERY if name == "moving" else EVERY * TEMPORAL_STRIDE)


class Basis(nn.Module):
    """Directions in which blocks of some frames differ."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__()
        self.frames, size = frames, 3 * frames * STRIDE**2
        self.mean = nn.Parameter(torch.zeros(size))
        self.directions = nn.Parameter(torch.eye(size)[:, :channels].clone())
        self.scale = nn.Parameter(torch.ones(channels))

    def encode(self, video_BCFHW: Tensor) -> Tensor:
        """(B, 3, F, H, W) -> (B, c, F / frames, H / 8, W / 8)."""
        latent = (self._blocks(video_BCFHW) - self.mean) @ self.directions / self.scale
        return rearrange(latent, "b f h w c -> b c f h w")

    def decode(self, latent_BCfhw: Tensor) -> Tensor:
        """Undo `encode` as far as it can be."""
        latent = rearrange(latent_BCfhw, "b c f h w -> b f h w c") * self.scale
        return rearrange(
            latent @ self.directions.T + self.mean, "b f h w (c t y x) -> b c (f t) (h y) (w x)",
            c=3, t=self.frames, y=STRIDE,
        )  # fmt: skip

    def fit(self, videos: list[Tensor], *, every: int) -> None:
        """Take the principal components of the blocks in videos (3, F, H, W)."""
        size = len(self.mean)
        products, total, count = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size), 0.0
        for video in videos:
            usable = video.shape[1] // self.frames * self.frames
            blocks = self._blocks(video[None, :, :usable])[0, ::every]
            weights = torch.ones(blocks.shape[:3])
            weights[:, MOUTH_CELLS, MOUTH_CELLS] = MOUTH_WEIGHT
            flat, weight = blocks.reshape(-1, size), weights.reshape(-1, 1)
            products += ((flat * weight).T @ flat).double()
            total += (flat * weight).sum(0)
            count += float(weight.sum())
        mean = (total / count).double()
        variances, directions = torch.linalg.eigh(products / count - torch.outer(mean, mean))
        channels = len(self.scale)
        spread = variances.flip(0)[:channels].clamp_min(1e-8).sqrt()
        scale = spread**FLATTENING
        self.mean.copy_(mean)
        self.directions.copy_(directions.flip(1)[:, :channels])
        self.scale.copy_(scale * (spread / scale).square().mean().sqrt())

    def _blocks(self, video_BCFHW: Tensor) -> Tensor:
        return rearrange(
            video_BCFHW, "b c (f t) (h y) (w x) -> b f h w (c t y x)", t=self.frames, y=STRIDE, x=STRIDE
        )


class Encoder(nn.Module):
    """Pixels to the moments of the latent, of which only the mean says something."""

    def __init__(self, bases: nn.ModuleDict) -> None:
        super().__init__()
        self.bases = bases

    def forward(self, video_BCFHW: Tensor, stream: Stream, tile: int | None = None) -> Tensor:
        """(B, 3, F, H, W) -> (B, 2c, f, h, w)."""
        basis = self.bases["still" if stream.is_first else "moving"]
        assert isinstance(basis, Basis)
        mean = basis.encode(video_BCFHW)
        return torch.cat([mean, torch.zeros_like(mean)], dim=1)


class Decoder(nn.Module):
    """Latents to pixels."""

    def __init__(self, bases: nn.ModuleDict) -> None:
        super().__init__()
        self.bases = bases

    def forward(self, latent_BCfhw: Tensor, stream: Stream, tile: int | None = None) -> Tensor:
        """(B, c, f, h, w) -> (B, 3, F, H, W)."""
        basis = self.bases["still" if stream.is_first else "moving"]
        assert isinstance(basis, Basis)
        return basis.decode(latent_BCfhw)


def as_video(crops: np.ndarray) -> Tensor:
    """(..., F, H, W, 3) uint8 -> (..., 3, F, H, W) in [-1, 1]."""
    return torch.from_numpy(np.moveaxis(crops, -1, -4).astype(np.float32)) / 127.5 - 1


def latents_of(codec: VideoCodec, crops: np.ndarray) -> Tensor:
    """Return the latents [c, f, h, w] of crops (F, H, W, 3) uint8."""
    return codec.encode(as_video(crops)[None], latents_per_chunk=16)[0]
