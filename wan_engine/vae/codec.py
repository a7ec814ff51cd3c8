"""A video autoencoder as its users see it: videos in, normalised latents out, and back, chunk by chunk.

The first frame is a chunk of its own (it is a latent of its own), then every four frames make one latent.
Chunks bound the memory; any chunk size computes the same numbers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wan_engine.shapes import latent_frames, pixel_frames
from wan_engine.vae.causal import CausalConv3d, Stream


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of each latent channel over the training videos, as released."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class VideoCodec(nn.Module):
    """What both autoencoders share: the two 1x1x1 convolutions at the latent, and the streaming.

    A subclass gives `encoder` and `decoder` (chunk and stream to chunk), the statistics, and how many pixels
    a latent pixel stands for.
    """

    statistics: LatentStatistics
    spatial_stride: int
    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, latent_channels: int) -> None:
        super().__init__()
        self.tile: int | None = None  # of every call that names none; pixels
        self.conv1 = CausalConv3d(2 * latent_channels, 2 * latent_channels, 1)
        self.conv2 = CausalConv3d(latent_channels, latent_channels, 1)

    def encode(self, video_BCFHW: Tensor, *, latents_per_chunk: int = 1, tile: int | None = None) -> Tensor:
        """Turn video in [-1, 1] into normalised latents (B, c, 1 + (F-1)//4, H/stride, W/stride).

        Frames beyond 1 + 4n have no latent and are left out. `tile` (pixels) bounds memory without changing
        the result.
        """
        chunks = self.encode_chunks(video_BCFHW, latents_per_chunk=latents_per_chunk, tile=tile)
        return torch.cat(list(chunks), dim=2)

    def encode_chunks(
        self, video_BCFHW: Tensor, *, latents_per_chunk: int = 1, tile: int | None = None
    ) -> Iterator[Tensor]:
        """Yield normalised latents as they are made: the first alone, then `latents_per_chunk` at a time."""
        check_video(video_BCFHW, self.spatial_stride)
        bounds = chunk_bounds(latent_frames(video_BCFHW.shape[2]), latents_per_chunk)
        pieces = (
            video_BCFHW[:, :, max(0, pixel_frames(start)) : pixel_frames(stop)] for start, stop in bounds
        )
        yield from self.encode_pieces(pieces, tile=tile)

    def encode_pieces(self, pieces: Iterable[Tensor], *, tile: int | None = None) -> Iterator[Tensor]:
        """Yield the normalised latents of a video in pieces: its first frame, then 4n at a time."""
        stream = Stream()
        for piece_BCFHW in pieces:
            with torch.no_grad():
                entered = self._enter(piece_BCFHW)
                moments = self.conv1(self.encoder(entered, stream, tile or self.tile), stream)
                latent = self._normalise(moments.chunk(2, dim=1)[0])
            stream.advance()
            yield latent

    def decode(
        self, latent_BCfhw: Tensor, *, latents_per_chunk: int = 1, tile: int | None = None, clamp: bool = True
    ) -> Tensor:
        """Turn normalised latents into video (B, 3, 1 + 4(f-1), H, W), clamped to [-1, 1]."""
        video, done = None, 0
        for chunk in self.decode_chunks(
            latent_BCfhw, latents_per_chunk=latents_per_chunk, tile=tile, clamp=clamp
        ):
            if video is None:
                frames = pixel_frames(latent_BCfhw.shape[2])
                video = chunk.new_empty((*chunk.shape[:2], frames, *chunk.shape[3:]))
            video[:, :, done : done + chunk.shape[2]] = chunk
            done += chunk.shape[2]
        assert video is not None, "chunk_bounds refuses an empty latent"
        return video

    def decode_chunks(
        self,
        latent_BCfhw: Tensor,
        *,
        skip: int = 0,
        latents_per_chunk: int = 1,
        tile: int | None = None,
        clamp: bool = True,
    ) -> Iterator[Tensor]:
        """Yield decoded frames as they are made: the first frame alone, then 4 for each latent.

        Of the first `skip` latents only that is computed which those behind them see; they give no frames.
        """
        stream = Stream()
        for start, stop in chunk_bounds(latent_BCfhw.shape[2], latents_per_chunk, border=skip):
            with torch.no_grad():
                latent = self._denormalise(self._enter(latent_BCfhw[:, :, start:stop]))
                entered = self.conv2(latent, stream)
                video = self.decoder(entered, stream, tile or self.tile, early=skip - stop + 1)
                if video is None:
                    video = self._no_frames(latent_BCfhw)
                elif clamp:
                    video = video.clamp_(-1.0, 1.0)
            stream.advance()
            yield video

    def _no_frames(self, latent_BCfhw: Tensor) -> Tensor:
        batch, _, _, rows, columns = latent_BCfhw.shape
        stride = self.spatial_stride
        return self.conv1.weight.new_empty(batch, 3, 0, rows * stride, columns * stride)

    def _enter(self, chunk: Tensor) -> Tensor:
        """Move a chunk to where the weights are; channels last is the layout convolutions are fastest in."""
        weight = self.conv1.weight
        return chunk.to(weight.device, weight.dtype).contiguous(memory_format=torch.channels_last_3d)

    def _normalise(self, mean_BCfhw: Tensor) -> Tensor:
        shift, scale = self._channel_statistics(mean_BCfhw)
        return (mean_BCfhw - shift) * scale

    def _denormalise(self, latent_BCfhw: Tensor) -> Tensor:
        shift, scale = self._channel_statistics(latent_BCfhw)
        return latent_BCfhw / scale + shift

    def _channel_statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and 1/std of each channel, shaped to broadcast over `like`."""
        mean = torch.tensor(self.statistics.mean, dtype=like.dtype, device=like.device)
        std = torch.tensor(self.statistics.std, dtype=like.dtype, device=like.device)
        return mean.view(1, -1, 1, 1, 1), std.reciprocal().view(1, -1, 1, 1, 1)


def chunk_bounds(latents: int, latents_per_chunk: int, *, border: int = 0) -> list[tuple[int, int]]:
    """Cut `latents` latent frames into chunks: the first alone, then `latents_per_chunk` each; none goes
    over the border.
    """
    if latents < 1:
        raise ValueError(f"a video needs at least one latent frame, not {latents}")
    if latents_per_chunk < 1:
        raise ValueError(f"latents_per_chunk is {latents_per_chunk}; it must be at least 1")
    if not 0 <= border < latents:
        raise ValueError(f"of {latents} latents {border} cannot be skipped")
    starts = sorted({0, border, *range(1, latents, latents_per_chunk)})
    return list(zip(starts, [*starts[1:], latents], strict=True))


def check_video(video_BCFHW: Tensor, stride: int) -> None:
    """Raise ValueError for a video the codec cannot encode."""
    if video_BCFHW.ndim != 5 or video_BCFHW.shape[1] != 3:
        raise ValueError(f"expected a video (B, 3, F, H, W), got {tuple(video_BCFHW.shape)}")
    if video_BCFHW.shape[2] == 0:
        raise ValueError("the video has no frames")
    rows, columns = video_BCFHW.shape[3:]
    if rows % stride or columns % stride:
        raise ValueError(f"rows and columns must be multiples of {stride}, got {rows}x{columns}")
