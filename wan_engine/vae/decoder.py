"""What both decoders are: layers in order, the last of them in tiles, and none of them run for nothing.

A convolution in time looks two frames back, so a layer looks back only so far. Where the end of a video alone
is wanted, as a chunk behind the motion before it, the last layers, which cost most, have to see but a few
latents before it, the first layers more of them. What comes out is what decoding everything gives.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from wan_engine.vae.causal import CausalConv3d, Stream, run_layers
from wan_engine.vae.resample import Upsample
from wan_engine.vae.tiling import Tiling, run_tiled, tiles

_ENTRY = 2  # layers before the upsampling ones


class StreamedDecoder(nn.Module):
    """The decoder of either autoencoder: a subclass makes the layers and says how they may be cut."""

    conv1: CausalConv3d
    middle: nn.ModuleList
    upsamples: nn.ModuleList
    head: nn.ModuleDict
    coarse_layers: int  # of `upsamples`; those behind them may be cut into tiles
    tiling: Tiling

    def forward(
        self, latent_BCfhw: Tensor, stream: Stream, tile: int | None = None, *, early: int = 0
    ) -> Tensor | None:
        """(B, c, f, h, w) -> (B, C, F, H, W), or None where nothing of the chunk is wanted.

        `early`: how many latents the chunk's last one lies before the first wanted. `tile` is in pixels of
        the result.
        """
        layers = [self.conv1, self.middle, *self.upsamples, self.head]
        needed = [layer for layer, before in zip(layers, warm_ups(layers), strict=True) if before >= early]
        coarse, fine = needed[: _ENTRY + self.coarse_layers], needed[_ENTRY + self.coarse_layers :]
        x_BCFHW = run_layers(coarse, latent_BCfhw, stream)
        tile = int(tile / self.tiling.scale) if tile else max(x_BCFHW.shape[3:])
        if early <= 0:
            return run_tiled(partial(run_layers, fine), x_BCFHW, stream, tile=tile, tiling=self.tiling)
        for part in tiles(x_BCFHW, stream, tile=tile, tiling=self.tiling):
            run_layers(fine, part.x_BCFHW, part.stream)
        return None


def warm_ups(layers: Sequence[nn.Module]) -> list[int]:
    """Return for each layer how many latents before the first wanted one it has to see."""
    rate = 2 ** sum(map(_doublings, layers))  # frames to a latent
    frames, found = 0, []
    for layer in reversed(layers):
        frames = look_back(layer, frames)
        rate //= 2 ** _doublings(layer)
        found.append(-(-frames // rate))
    return found[::-1]


def look_back(layer: nn.Module, frames: int) -> int:
    """Return how many frames back a layer looks for what it shows of so many frames back."""
    if isinstance(layer, CausalConv3d):
        return frames + layer.reach
    if isinstance(layer, Upsample):
        return frames if layer.time_conv is None else -(-frames // 2) + layer.time_conv.reach
    for part in reversed(list(layer.children())):
        frames = look_back(part, frames)
    return frames


def _doublings(layer: nn.Module) -> int:
    """Return how often a layer doubles the frames."""
    return sum(isinstance(part, Upsample) and part.time_conv is not None for part in layer.modules())
