"""Fits the small autoencoder's decoder: each doubling is the best linear one, by least squares.

Like the encoder (codec.py) it is the released architecture with its residual branches at zero. A doubling
sees 3 x 3 pixels of what the one before it gave, doubled, and is fitted to what the encoder saw at that
resolution. It makes two frames of one by giving each its own channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.training.codec import LOUD, mouth_weight
from wan_engine.vae.causal import CausalConv3d, ResidualBlock
from wan_engine.vae.resample import Upsample
from wan_engine.vae.wan21 import Decoder, Wan21Vae

RIDGE = 1e-5  # of the inputs' mean square
AT_ONCE = 8  # videos
RGB = 3


@torch.no_grad()
def fit_decoder(codec: Wan21Vae, latent_NCfhw: Tensor, seen: Sequence[Tensor]) -> None:
    """Fit to centred latents and what the encoder saw of the same videos, coarsest first and pixels last."""
    decoder = codec.decoder
    assert isinstance(decoder, Decoder)
    for name, parameter in decoder.named_parameters():
        nn.init.constant_(parameter, float(name.endswith("gamma")))
    _pass_on(decoder.conv1)
    decoder.conv1.bias[: codec.conv2.out_channels] = -torch.tensor(codec.statistics.mean)
    for layer in decoder.upsamples:
        if isinstance(layer, ResidualBlock) and layer.shortcut is not None:
            _pass_on(layer.shortcut)
    doublings = [layer for layer in decoder.upsamples if isinstance(layer, Upsample)]
    x_NCFHW = latent_NCfhw
    for layer, target_NCFHW in zip(doublings, seen, strict=True):
        x_NCFHW = _fit_doubling(layer, x_NCFHW, target_NCFHW)
    _show(doublings[-1], decoder)


def _pass_on(conv: CausalConv3d) -> None:
    nn.init.dirac_(conv.weight)
    if conv.reach:  # the present is the last of a causal convolution's taps
        conv.weight.copy_(conv.weight.roll(conv.reach // 2, dims=2))


def _fit_doubling(layer: Upsample, x_NCFHW: Tensor, target_NCFHW: Tensor) -> Tensor:
    """Fit one doubling; return what it gives."""
    conv, time, channels = layer.resample["1"], layer.time_conv, x_NCFHW.shape[1]
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    made, frames = [], 1 if time is None else 2
    for place in range(frames):
        weight, bias = least_squares(x_NCFHW, target_NCFHW[:, :, place::frames], has_bias=time is None)
        first = place * channels
        conv.weight[: len(weight), first : first + channels] = weight
        if time is None:
            conv.bias[: len(weight)] = bias
        else:
            for channel in range(channels):
                time.weight[place * conv.in_channels + first + channel, channel, -1] = 1
        made.append(torch.cat([_doubled(part, weight, bias) for part in x_NCFHW.split(AT_ONCE)]))
    return torch.stack(made, dim=3).flatten(2, 3)


def least_squares(x_NCFHW: Tensor, target_NKFHW: Tensor, *, has_bias: bool) -> tuple[Tensor, Tensor]:
    """Return the 3 x 3 convolution [K, C, 3, 3] and bias that make the target of the doubled input."""
    channels, wanted = x_NCFHW.shape[1], target_NKFHW.shape[1]
    size = 9 * channels + 1
    products, sums = (
        torch.zeros(size, size, dtype=torch.float64),
        torch.zeros(size, wanted, dtype=torch.float64),
    )
    weight_L = mouth_weight(*target_NKFHW.shape[3:]).flatten()
    for x, target in zip(x_NCFHW.split(AT_ONCE), target_NKFHW.split(AT_ONCE), strict=True):
        rows_NDL = F.unfold(_nearest(x), 3, padding=1)
        rows_NDL = torch.cat([rows_NDL, torch.full_like(rows_NDL[:, :1], float(has_bias))], dim=1)
        target_NKL = target.transpose(1, 2).flatten(0, 1).flatten(2)
        weighted_NDL = rows_NDL * weight_L
        products += torch.einsum("ndl,nel->de", weighted_NDL, rows_NDL).double()
        sums += torch.einsum("ndl,nkl->dk", weighted_NDL, target_NKL).double()
    products += RIDGE * products.diagonal().mean() * torch.eye(size)
    solution = torch.linalg.solve(products, sums).float()
    return solution[:-1].T.reshape(wanted, channels, 3, 3), solution[-1] * has_bias


def _nearest(x_NCFHW: Tensor) -> Tensor:
    """Double pictures as the decoder does, frames among the videos."""
    return x_NCFHW.transpose(1, 2).flatten(0, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)


def _doubled(x_NCFHW: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    made = F.conv2d(_nearest(x_NCFHW), weight, bias, padding=1)
    return made.unflatten(0, (len(x_NCFHW), -1)).transpose(1, 2)


def _show(layer: Upsample, decoder: Decoder) -> None:
    """Have the last doubling give colours, their negatives and the constant, and the head take them apart."""
    conv, last = layer.resample["1"], decoder.head["2"]
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    assert isinstance(last, CausalConv3d)
    conv.weight[RGB : 2 * RGB], conv.bias[RGB : 2 * RGB] = -conv.weight[:RGB], -conv.bias[:RGB]
    conv.bias[2 * RGB] = LOUD
    gain = LOUD / last.in_channels**0.5
    for colour in range(RGB):
        last.weight[colour, colour, -1, 1, 1], last.weight[colour, RGB + colour, -1, 1, 1] = gain, -gain
