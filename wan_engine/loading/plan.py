"""What will sit where and the peak it needs: said before anything is loaded, refused where it cannot fit."""

from dataclasses import dataclass

import torch
from torch import nn

from wan_engine.errors import MemoryShortage
from wan_engine.loading.models import build_transformer
from wan_engine.loading.quantise import Kind, is_quantised
from wan_engine.loading.streaming import BUFFERS, is_streamed, is_used_once
from wan_engine.specs import SpeechTransformerSpec, TransformerSpec, VaeName
from wan_engine.transformer.model import keeps_float32

GB = 10**9
HEADROOM = 1.1  # allocator's fragments and small tensors, over what is counted
TILES = (None, 512, 256, 128)  # pixels a tile, from fastest to leanest
# What a decode holds for each pixel of a tile and channel of the last level: about four tensors of a chunk
# of four frames (input, normalised, result, the past of every layer).
VAE_TENSORS = 4 * 4
VAE_MARGIN = 80  # pixels read around a tile
VAE_CHANNELS: dict[VaeName, float] = {"wan21": 96, "wan22": 256 / 4}  # at the picture's own resolution


@dataclass(frozen=True)
class Need:
    """Bytes of one transformer and its job."""

    block: int  # of the largest block, as streamed
    blocks: int  # of all blocks, as streamed
    once: int  # needed once a clip, so on the host when blocks are streamed
    rest: int  # everything else
    activations: int

    @property
    def whole(self) -> int:
        """Return the bytes with every block on the device."""
        return self.blocks + self.once + self.rest + self.activations

    @property
    def least(self) -> int:
        """Return the bytes with no block resident, only the buffers they pass through."""
        return BUFFERS * self.block + self.rest + self.activations


@dataclass(frozen=True)
class Plan:
    """The decision: how the transformer is placed, how the autoencoder is cut, and the peak that follows."""

    is_streamed: bool
    is_roomy: bool  # all networks of a job fit on the device together
    resident_bytes: int  # of blocks that stay on the device, when streamed
    tile: int | None
    peak_bytes: int
    budget_bytes: int

    def describe(self) -> str:
        """Say it in one line."""
        tile = f"in tiles of {self.tile}" if self.tile else "whole"
        return (
            f"The transformer {self._how()}; frames are decoded {tile}; "
            f"peak {self.peak_bytes / GB:.1f} of {self.budget_bytes / GB:.1f} GB."
        )

    def _how(self) -> str:
        if self.is_streamed:
            return f"streams its blocks, {self.resident_bytes / GB:.1f} GB resident"
        return (
            "stays on the device for the whole job"
            if self.is_roomy
            else "leaves the device while frames are coded"
        )


def transformer_need(
    spec: TransformerSpec, *, tokens: int, dtype: torch.dtype, quantise: Kind | None = None
) -> Need:
    """Count a transformer's bytes off its shapes, and its job's off the number of tokens."""
    model = build_transformer(spec)
    sizes = {name: _size(name, value, spec, dtype, quantise) for name, value in model.named_parameters()}
    streamed = {name: size for name, size in sizes.items() if is_streamed(name)}
    once = sum(size for name, size in sizes.items() if is_used_once(name))
    blocks = [
        sum(size for name, size in streamed.items() if name.startswith(f"blocks.{i}."))
        for i in range(spec.num_layers)
    ]
    rest = sum(sizes.values()) - sum(blocks) - once
    return Need(max(blocks), sum(blocks), once, rest, _activations(spec, tokens, dtype))


def make_plan(
    need: Need,
    *,
    vae: VaeName,
    size: tuple[int, int],
    vae_dtype: torch.dtype,
    budget_bytes: int,
    beside_bytes: int = 0,
) -> Plan:
    """Fit a job into `budget_bytes` of device memory. Raises MemoryShortage, naming what would help.

    `beside_bytes`: weights of the job's other networks, which may stay, too, where there is room for all.
    """
    tile = _tile(vae, size, vae_dtype, budget_bytes)
    decode = vae_bytes(vae, size, vae_dtype, tile)
    together = int((need.whole + beside_bytes + decode) * HEADROOM)
    if together <= budget_bytes:
        return Plan(False, True, need.blocks, tile, together, budget_bytes)
    if need.whole * HEADROOM <= budget_bytes:
        peak = int(max(need.whole * HEADROOM, decode))
        return Plan(False, False, need.blocks, tile, peak, budget_bytes)
    if need.least * HEADROOM > budget_bytes:
        rows, columns = size
        raise MemoryShortage(
            f"{rows}x{columns} needs {need.least * HEADROOM / GB:.1f} GB on the device even with every block "
            f"streamed; {budget_bytes / GB:.1f} GB are allowed.",
            hint="Choose a smaller size or fewer frames, 8-bit weights, or a larger budget.",
        )
    resident = int(budget_bytes / HEADROOM) - need.rest - need.activations
    peak = int((need.rest + need.activations + resident) * HEADROOM)
    return Plan(True, False, resident, tile, max(peak, decode), budget_bytes)


def vae_bytes(vae: VaeName, size: tuple[int, int], dtype: torch.dtype, tile: int | None) -> int:
    """Return about what decoding holds at its peak."""
    rows, columns = (min(side, tile + VAE_MARGIN) if tile else side for side in size)
    frame = size[0] * size[1] * 3 * 4 * 4
    return int((rows * columns * VAE_CHANNELS[vae] * VAE_TENSORS * dtype.itemsize + frame) * HEADROOM)


def _tile(vae: VaeName, size: tuple[int, int], dtype: torch.dtype, budget_bytes: int) -> int | None:
    for tile in TILES:
        if vae_bytes(vae, size, dtype, tile) <= budget_bytes:
            return tile
    raise MemoryShortage(
        f"Decoding needs {vae_bytes(vae, size, dtype, TILES[-1]) / GB:.1f} GB even in the smallest tiles; "
        f"{budget_bytes / GB:.1f} GB are allowed.",
        hint="Choose a smaller size or a larger budget.",
    )


def _size(
    name: str, value: nn.Parameter, spec: TransformerSpec, dtype: torch.dtype, quantise: Kind | None
) -> int:
    if quantise and is_quantised(name, spec.num_layers):
        return value.numel()
    return value.numel() * (4 if keeps_float32(name) else dtype.itemsize)


def _activations(spec: TransformerSpec, tokens: int, dtype: torch.dtype) -> int:
    """Return what a forward holds: the residual stream, the widest layer, keys and values of both prompts."""
    dim, item = spec.dim, dtype.itemsize
    widest = max(5 * dim, dim + spec.ffn_dim)  # input, queries, keys, values, result; or input and hidden
    per_token = 4 * dim + item * widest + 8 * spec.head_dim
    prompts = 2 * 2 * spec.num_layers * spec.text_len * dim * item
    audio = 0
    if isinstance(spec, SpeechTransformerSpec):
        audio = 2 * 2 * len(spec.audio_inject_layers) * 20 * (spec.num_audio_token + 2) * dim * item
    return tokens * per_token + prompts + audio
