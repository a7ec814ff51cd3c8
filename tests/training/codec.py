"""The small autoencoder: the released architecture 12 channels wide, computed in seconds.

With its residual branches at zero the encoder is linear, and each of its halvings can be told which
directions of what it sees to keep: the principal components of the drawn heads, those at the mouth counting
more, with mean and difference in time. The norm and the SiLU of its head do not bend a channel that has its
negative beside it and a large constant above it: silu(x) - silu(-x) = x. So the latents are linear in the
pixels, and what they are good for is known before anything is trained. decoder.py fits the way back.
"""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from wan_engine.shapes import TEMPORAL_STRIDE
from wan_engine.vae.causal import Head, ResidualBlock, Stream
from wan_engine.vae.resample import Downsample
from wan_engine.vae.wan21 import Encoder, Wan21Config, Wan21Vae

WIDTH, CHANNELS, STRIDE = 12, 16, 8
MEANS = 10  # latent channels for the mean of four frames; the others are for what changes within them
LOUD = 1000.0  # the constant beside which all else is small
MOUTH_ROWS, MOUTH_COLUMNS, MOUTH_WEIGHT = (0.3, 0.85), (0.2, 0.8), 12.0  # shares of the crop
FLATTENING = 0.7  # 0 leaves each component its spread, 1 gives all the same
EVERY = 5  # pairs of a scene that the fit skips to the next one


def new_codec() -> Wan21Vae:
    """Return the autoencoder before it is fitted."""
    codec = Wan21Vae(Wan21Config(WIDTH)).requires_grad_(False)
    assert isinstance(codec.encoder, Encoder)
    for part in (codec.encoder, codec.conv1, codec.conv2):
        for name, parameter in part.named_parameters():
            nn.init.constant_(parameter, float(name.endswith("gamma")))
    nn.init.dirac_(codec.conv2.weight)
    codec.encoder.conv1.weight[range(3), range(3), -1, 1, 1] = 1
    for layer in codec.encoder.downsamples:
        if isinstance(layer, ResidualBlock) and layer.shortcut is not None:
            nn.init.dirac_(layer.shortcut.weight)
    return codec


@torch.no_grad()
def fit_encoder(codec: Wan21Vae, scenes: Sequence[np.ndarray]) -> tuple[Tensor, list[Tensor]]:
    """Fit the encoder to crops (F, H, W, 3) uint8; return latents of them, and what it saw on the way."""
    x_NCFHW = pixels_NCFHW = torch.cat([_fours(as_video(crops)) for crops in scenes])
    first, second, third = (layer for layer in codec.encoder.downsamples if isinstance(layer, Downsample))
    means, directions, _ = components(cells(x_NCFHW), 3 * 4)
    _set_cells(first, directions, means)
    x_NCFHW = _project(cells(x_NCFHW), directions, means)
    means, directions, _ = components(cells(x_NCFHW), WIDTH)
    _set_cells(second, directions, means)
    _set_haar(second)
    fine_NCFHW = x_NCFHW
    x_NCFHW = haar(_project(cells(x_NCFHW), directions, means))
    seen = cells(x_NCFHW)
    means, steady, spread = components((seen[:, 0::2] + seen[:, 1::2]) / 2, MEANS)
    _, moving, moving_spread = components(
        (seen[:, 1::2] - seen[:, 0::2]) / 2, CHANNELS - MEANS, is_centred=True
    )
    _set_latents(third, steady, moving, means)
    assert isinstance(codec.encoder, Encoder)
    _open_head(codec.encoder.head)
    gains = _normalise(codec, torch.cat([spread, moving_spread]))
    steady_NCFHW = _project((seen[:, 0::2] + seen[:, 1::2]) / 2, steady, means)
    moving_NCFHW = _project((seen[:, 1::2] - seen[:, 0::2]) / 2, moving, torch.zeros_like(means))
    latent_NCfhw = torch.cat([steady_NCFHW, moving_NCFHW], dim=1) * gains[:, None, None, None]
    return latent_NCfhw, [x_NCFHW, fine_NCFHW, pixels_NCFHW]


def _fours(video_CFHW: Tensor) -> Tensor:
    """Return some of the groups of four frames that make a latent, (n, C, 4, H, W)."""
    usable = (video_CFHW.shape[1] - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE
    return video_CFHW[:, 1 : 1 + usable].unflatten(1, (-1, TEMPORAL_STRIDE))[:, ::EVERY].transpose(0, 1)


def cells(x_NCFHW: Tensor) -> Tensor:
    """Cut pictures into cells of 2x2: (N, F, H / 2, W / 2, 4C)."""
    return rearrange(x_NCFHW, "n c f (h y) (w x) -> n f h w (c y x)", y=2, x=2)


def components(cells_NFHWD: Tensor, count: int, *, is_centred: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean of cells, their principal directions [D, count], and the spread along each."""
    weight_HW1 = mouth_weight(*cells_NFHWD.shape[2:4])[..., None]
    total = weight_HW1.sum() * cells_NFHWD.shape[:2].numel()
    flat = cells_NFHWD.double()
    mean = (flat * weight_HW1).sum((0, 1, 2, 3)) / total
    if is_centred:
        mean = torch.zeros_like(mean)
    flat = (flat - mean).flatten(0, 1)
    products = torch.einsum("nhwd,hwk,nhwe->de", flat, weight_HW1.double(), flat) / total
    variances, directions = torch.linalg.eigh(products)
    spread = variances.flip(0)[:count].clamp_min(1e-8).sqrt()
    return mean.float(), directions.flip(1)[:, :count].float(), spread.float()


def mouth_weight(rows: int, columns: int) -> Tensor:
    """Return how much each place of a crop counts, [rows, columns]."""
    weight_HW = torch.ones(rows, columns)
    (top, bottom), (left, right) = MOUTH_ROWS, MOUTH_COLUMNS
    weight_HW[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)] = (
        MOUTH_WEIGHT
    )
    return weight_HW


def _project(cells_NFHWD: Tensor, directions: Tensor, mean: Tensor) -> Tensor:
    return torch.einsum("nfhwd,dk->nkfhw", cells_NFHWD - mean, directions)


def haar(x_NCFHW: Tensor) -> Tensor:
    """Make one frame of two: their mean, and half their difference behind it."""
    earlier, later = x_NCFHW[:, :, 0::2], x_NCFHW[:, :, 1::2]
    return torch.cat([(earlier + later) / 2, (later - earlier) / 2], dim=1)


def _set_cells(layer: Downsample, directions: Tensor, mean: Tensor, *, first: int = 0) -> None:
    """Have a halving's channels from `first` on hold the cells along some directions."""
    conv = layer.resample["1"]
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    span = slice(first, first + directions.shape[1])
    taps = rearrange(directions, "(c y x) k -> k c y x", y=2, x=2)
    conv.weight[span, : taps.shape[1], :2, :2] = taps
    conv.bias[span] = -mean @ directions


def _set_haar(layer: Downsample) -> None:
    half = layer.time_conv.weight.shape[0] // 2
    for channel in range(half):
        _mean_and_difference(layer, channel, channel, half + channel)


def _set_latents(layer: Downsample, steady: Tensor, moving: Tensor, mean: Tensor) -> None:
    """Have the last halving give the latents, their negatives and the constant; a still has no movement.

    A video's first frame passes by the convolution in time, so its latents stand where those come out.
    """
    conv, time = layer.resample["1"], layer.time_conv
    assert time is not None
    spare = 2 * CHANNELS + 1
    _set_cells(layer, steady, mean)
    _set_cells(layer, -steady, mean, first=CHANNELS)
    _set_cells(layer, moving, torch.zeros_like(mean), first=spare)
    for sign, start in ((1.0, 0), (-1.0, CHANNELS)):
        for channel in range(CHANNELS):
            if channel < MEANS:
                time.weight[start + channel, start + channel, 1:] = 0.5
            else:
                source = spare + channel - MEANS
                time.weight[start + channel, source, 1], time.weight[start + channel, source, 2] = (
                    -sign / 2,
                    sign / 2,
                )
    conv.bias[2 * CHANNELS] = time.bias[2 * CHANNELS] = LOUD


def _mean_and_difference(layer: Downsample, source: int, mean: int, difference: int) -> None:
    weight = layer.time_conv.weight
    weight[mean, source, 1] = weight[mean, source, 2] = 0.5
    weight[difference, source, 1], weight[difference, source, 2] = -0.5, 0.5


def _open_head(head: Head) -> None:
    weight = head["2"].weight
    gain = LOUD / weight.shape[1] ** 0.5
    for channel in range(CHANNELS):
        weight[channel, channel, -1, 1, 1], weight[channel, CHANNELS + channel, -1, 1, 1] = gain, -gain


def _normalise(codec: Wan21Vae, spread: Tensor) -> Tensor:
    """Bring the latents to the size that the released statistics take for granted; return the factors."""
    scale = spread**FLATTENING
    scale *= (spread / scale).square().mean().sqrt()
    statistics = codec.statistics
    for channel, (mean, std) in enumerate(zip(statistics.mean, statistics.std, strict=True)):
        codec.conv1.weight[channel, channel] = std / scale[channel]
        codec.conv1.bias[channel] = mean
    return torch.tensor(statistics.std) / scale


def as_video(crops: np.ndarray) -> Tensor:
    """(..., F, H, W, 3) uint8 -> (..., 3, F, H, W) in [-1, 1]."""
    return torch.from_numpy(np.moveaxis(crops, -1, -4).astype(np.float32)) / 127.5 - 1


@torch.no_grad()
def latents_of(codec: Wan21Vae, crops: np.ndarray) -> Tensor:
    """Return the latents [c, f, h, w] of crops (F, H, W, 3) uint8, past the branches that give nothing."""
    assert isinstance(codec.encoder, Encoder)
    stream, latents = Stream(), []
    video_BCFHW = as_video(crops)[None].to(codec.conv1.weight)
    for piece in (video_BCFHW[:, :, :1], video_BCFHW[:, :, 1 : 4 * ((len(crops) - 1) // 4) + 1]):
        if piece.shape[2]:
            x_BCFHW = codec.encoder.conv1(piece, stream)
            for layer in codec.encoder.downsamples:
                if isinstance(layer, Downsample):
                    x_BCFHW = layer(x_BCFHW, stream)
                elif layer.shortcut is not None:
                    x_BCFHW = layer.shortcut(x_BCFHW, stream)
            latents.append(
                codec._normalise(codec.conv1(codec.encoder.head(x_BCFHW, stream), stream)[:, :CHANNELS])
            )
            stream.advance()
    return torch.cat(latents, dim=2)[0]
