"""Exact spatial tiling: windows with a margin as wide as the receptive field, their margins thrown away.

Only the stages at high resolution are tiled. They hold nearly all of the memory, and a small margin covers
what their few convolutions see; the attention over a whole frame stays outside. So tiles change the memory
needed, not the result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from wan_engine.vae.causal import Stream

Stage = Callable[[Tensor, Stream], Tensor]


@dataclass(frozen=True)
class Window:
    """One tile along one axis: what is read (start..stop), and what of it is kept (keep_start..keep_stop)."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@dataclass(frozen=True)
class Tiling:
    """How a stage may be cut: margin and alignment in input pixels, and output pixels per input pixel."""

    margin: int
    align: int
    scale: Fraction


def windows(length: int, tile: int, tiling: Tiling) -> list[Window]:
    """Cut `length` into tiles of about `tile` pixels, with margins that stop at the picture's edges."""
    step = max(tiling.align, tile // tiling.align * tiling.align)
    margin = -(-tiling.margin // tiling.align) * tiling.align
    return [
        Window(max(0, start - margin), min(length, start + step + margin), start, min(length, start + step))
        for start in range(0, length, step)
    ]


@dataclass(frozen=True)
class Tile:
    """A tile of a chunk: what is read, its own memory, and what of it is kept along rows and columns."""

    x_BCFHW: Tensor
    stream: Stream
    row: Window
    column: Window


def tiles(x_BCFHW: Tensor, stream: Stream, *, tile: int, tiling: Tiling) -> list[Tile]:
    """Cut a chunk into tiles of about `tile` pixels, as the chunks before it: each has its own stream."""
    rows = windows(x_BCFHW.shape[3], tile, tiling)
    columns = windows(x_BCFHW.shape[4], tile, tiling)
    if len(rows) == len(columns) == 1:
        return [Tile(x_BCFHW, stream, rows[0], columns[0])]
    return [
        Tile(x_BCFHW[..., row.start : row.stop, column.start : column.stop], stream.tile((i, j)), row, column)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]


def run_tiled(stage: Stage, x_BCFHW: Tensor, stream: Stream, *, tile: int, tiling: Tiling) -> Tensor:
    """Run `stage` tile by tile and put the kept parts together; equal to `stage(x, stream)`.

    `tile` is in pixels of the stage's input.
    """
    parts = tiles(x_BCFHW, stream, tile=tile, tiling=tiling)
    if len(parts) == 1:
        return stage(x_BCFHW, stream)
    out = None
    for part in parts:
        result = stage(part.x_BCFHW, part.stream)
        if out is None:
            out = result.new_empty((*result.shape[:3], *_scaled(x_BCFHW.shape[3:], tiling.scale)))
        row_in, row_out = _kept(part.row, tiling.scale)
        column_in, column_out = _kept(part.column, tiling.scale)
        out[..., row_out, column_out] = result[..., row_in, column_in]
    assert out is not None, "an empty picture has no tiles"
    return out


def _scaled(size: tuple[int, ...], scale: Fraction) -> tuple[int, ...]:
    return tuple(int(length * scale) for length in size)


def _kept(window: Window, scale: Fraction) -> tuple[slice, slice]:
    """Return the kept part as slices of the tile's result and of the whole result."""
    start, stop = int(window.keep_start * scale), int(window.keep_stop * scale)
    offset = int(window.start * scale)
    return slice(start - offset, stop - offset), slice(start, stop)
