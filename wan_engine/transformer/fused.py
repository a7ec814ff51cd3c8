"""The elementwise work between the matrix products, each piece as one operator.

A block's matrix products need few bytes; norms, modulations and rotations, written as chains of tensor
operations, would move several times as many. Each chain here is one operator that reads its input and writes
its output once: it walks over rows in pieces that stay in the processor's cache, in float32. Under
`torch.compile` the same formulas are given to the compiler in one piece, which fuses them with their
neighbours.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from wan_engine.transformer.rope import rotate

Bounds = tuple[tuple[int, int], ...]
"""Runs of tokens [start, stop) that share a timestep; together they cover the sequence in order."""

# Of float32 scratch: half a second-level cache of a common core, and of a large GPU.
_PIECE_BYTES = {"cpu": 1 << 19, "cuda": 1 << 24}
_PRODUCT_ROWS = 1024  # of a product in pieces: as fast as the whole, few enough for the last cache


def norm_modulate(
    x_BLD: Tensor, scale_RD: Tensor, shift_RD: Tensor, bounds: Bounds, *, eps: float, dtype: torch.dtype
) -> Tensor:
    """Return layer_norm(x) * scale + shift as `dtype`; each run of tokens has its own scale and shift."""
    if torch.compiler.is_compiling():
        return _norm_modulate(x_BLD, scale_RD, shift_RD, bounds, eps).to(dtype)
    starts = [start for start, _ in bounds]
    return _norm_modulate_op(x_BLD, scale_RD, shift_RD, starts, eps, dtype)


def norm_rotate(
    x_BLD: Tensor, weight_D: Tensor, rotation_LP2: Tensor | None, *, heads: int, eps: float
) -> Tensor:
    """Return RMS-normalised, rotated heads [B, L, N, K] of x.

    The norm runs over the whole width, before heads.
    """
    if torch.compiler.is_compiling():
        return _norm_rotate(x_BLD, weight_D, rotation_LP2, heads, eps).to(x_BLD.dtype)
    return _norm_rotate_op(x_BLD, weight_D, rotation_LP2, heads, eps)


def linear_gelu(x_BLD: Tensor, weight_ED: Tensor, bias_E: Tensor) -> Tensor:
    """Return GELU(x W' + b), tanh form, [B, L, E]; what the product gives is not read again from memory.

    On a GPU the activation is the product's own epilogue, on a processor it follows piece by piece.
    """
    return _linear_gelu_op(x_BLD, weight_ED, bias_E)


def add_gated(x_BLD: Tensor, y_BLD: Tensor, gate_RD: Tensor, bounds: Bounds) -> Tensor:
    """Return x + gate * y, each run of tokens with its own gate; x is overwritten, but by the compiler."""
    if torch.compiler.is_compiling():
        return x_BLD + y_BLD * _per_token(gate_RD, bounds)
    for (start, stop), gate_D in zip(bounds, gate_RD, strict=True):
        x_BLD[:, start:stop].addcmul_(y_BLD[:, start:stop], gate_D)
    return x_BLD


def add(x_BLD: Tensor, y_BLD: Tensor) -> Tensor:
    """Return x + y; x is overwritten, but by the compiler."""
    return x_BLD + y_BLD if torch.compiler.is_compiling() else x_BLD.add_(y_BLD)


def _norm_modulate(x_BLD: Tensor, scale_RD: Tensor, shift_RD: Tensor, bounds: Bounds, eps: float) -> Tensor:
    normal_BLD = F.layer_norm(x_BLD.float(), x_BLD.shape[-1:], eps=eps)
    return normal_BLD * _per_token(scale_RD, bounds) + _per_token(shift_RD, bounds)


def _per_token(values_RD: Tensor, bounds: Bounds) -> Tensor:
    """Return each token's value [L or 1, D]; the compiler computes it where it is used and stores nothing."""
    tokens_L1 = torch.arange(bounds[-1][1], device=values_RD.device)[:, None]
    chosen = values_RD[0]
    for (start, _), value_D in zip(bounds[1:], values_RD[1:], strict=True):
        chosen = torch.where(tokens_L1 < start, chosen, value_D)
    return chosen


def _norm_rotate(
    x_BLD: Tensor, weight_D: Tensor, rotation_LP2: Tensor | None, heads: int, eps: float
) -> Tensor:
    y_BLD = F.rms_norm(x_BLD.float(), x_BLD.shape[-1:], weight_D.float(), eps)
    y_BLNK = y_BLD.unflatten(-1, (heads, -1))
    return y_BLNK if rotation_LP2 is None else rotate(y_BLNK, rotation_LP2)


def _piece_rows(x_BLD: Tensor) -> int:
    """Return how many rows of float32 scratch fit the cache."""
    piece_bytes = _PIECE_BYTES.get(x_BLD.device.type, x_BLD.numel() * 4)
    return max(1, piece_bytes // (4 * x_BLD.shape[0] * x_BLD.shape[2]))


@torch.library.custom_op("wan_engine::norm_modulate", mutates_args=())
def _norm_modulate_op(
    x_BLD: Tensor, scale_RD: Tensor, shift_RD: Tensor, starts: list[int], eps: float, dtype: torch.dtype
) -> Tensor:
    length, width, rows = x_BLD.shape[1], x_BLD.shape[-1:], _piece_rows(x_BLD)
    u_BLD = torch.empty_like(x_BLD, dtype=dtype)
    for run, start in enumerate(starts):
        stop = starts[run + 1] if run + 1 < len(starts) else length
        for first in range(start, stop, rows):
            piece = slice(first, min(first + rows, stop))
            x = x_BLD[:, piece].float()
            u_BLD[:, piece] = F.layer_norm(x, width, scale_RD[run], shift_RD[run], eps)
    return u_BLD


@_norm_modulate_op.register_fake
def _(
    x_BLD: Tensor, scale_RD: Tensor, shift_RD: Tensor, starts: list[int], eps: float, dtype: torch.dtype
) -> Tensor:
    return torch.empty_like(x_BLD, dtype=dtype)


@torch.library.custom_op("wan_engine::norm_rotate", mutates_args=())
def _norm_rotate_op(
    x_BLD: Tensor, weight_D: Tensor, rotation_LP2: Tensor | None, heads: int, eps: float
) -> Tensor:
    rows, width, weight_D = _piece_rows(x_BLD), x_BLD.shape[-1:], weight_D.float()
    y_BLD = torch.empty_like(x_BLD)
    turn_LP = None if rotation_LP2 is None else torch.view_as_complex(rotation_LP2).unsqueeze(1)
    for first in range(0, x_BLD.shape[1], rows):
        piece = slice(first, first + rows)
        y = F.rms_norm(x_BLD[:, piece].float(), width, weight_D, eps)
        if turn_LP is not None:
            torch.view_as_complex(y.view(*y.shape[:2], heads, -1, 2)).mul_(turn_LP[piece])
        y_BLD[:, piece] = y
    return y_BLD.unflatten(-1, (heads, -1))


@_norm_rotate_op.register_fake
def _(x_BLD: Tensor, weight_D: Tensor, rotation_LP2: Tensor | None, heads: int, eps: float) -> Tensor:
    return torch.empty_like(x_BLD).unflatten(-1, (heads, -1))


@torch.library.custom_op("wan_engine::linear_gelu", mutates_args=())
def _linear_gelu_op(x_BLD: Tensor, weight_ED: Tensor, bias_E: Tensor) -> Tensor:
    rows_RD = x_BLD.flatten(0, -2)
    if x_BLD.device.type == "cuda":  # where this epilogue is the tanh form; on a processor it is the other
        y_RE = torch.ops.aten._addmm_activation(bias_E, rows_RD, weight_ED.t(), use_gelu=True)
        return y_RE.unflatten(0, x_BLD.shape[:-1])
    y_RE = x_BLD.new_empty(len(rows_RD), len(weight_ED))
    for first in range(0, len(rows_RD), _PRODUCT_ROWS):
        piece = y_RE[first : first + _PRODUCT_ROWS]
        torch.addmm(bias_E, rows_RD[first : first + _PRODUCT_ROWS], weight_ED.t(), out=piece)
        torch.ops.aten.gelu_(piece, approximate="tanh")
    return y_RE.unflatten(0, x_BLD.shape[:-1])


@_linear_gelu_op.register_fake
def _(x_BLD: Tensor, weight_ED: Tensor, bias_E: Tensor) -> Tensor:
    return x_BLD.new_empty(*x_BLD.shape[:-1], len(weight_ED))


@register_flop_formula(torch.ops.wan_engine.linear_gelu)
def _linear_gelu_flops(x_BLD: Any, weight_ED: Any, *_: Any, **__: Any) -> int:
    """Return the arithmetic of the product, from the shapes of its factors."""
    return 2 * math.prod(x_BLD) * weight_ED[0]
