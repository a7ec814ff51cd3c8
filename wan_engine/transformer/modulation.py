"""What the timestep does to the network: scales, shifts and gates, computed once for all steps of a job.

A clip's tokens see one timestep, or two: reference, motion and given frames are clean, so theirs is 0. So
instead of one modulation for each token there is one for each *run* of tokens, and as the steps of a job are
known when it starts, one table holds them all: after that a step only adds two small tensors. Source: Peebles
& Xie 2023 (DiT), section 3.2 (adaLN-Zero).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from wan_engine.transformer.fused import Bounds

SLOWEST = 10000.0  # the longest wave of a timestep, over the shortest
SCALES = (1, 4)  # of the six rows: shift, scale, gate of attention; shift, scale, gate of the feed-forward


def sinusoid(timesteps_T: Tensor, width: int) -> Tensor:
    """Return the float64 sinusoids [T, width] of timesteps, cosines first.

    Source: DDPM; Vaswani et al. 2017.
    """
    half = width // 2
    rates = SLOWEST ** -(torch.arange(half, dtype=torch.float64, device=timesteps_T.device) / half)
    phase = timesteps_T.double()[:, None] * rates
    return torch.cat([phase.cos(), phase.sin()], dim=1)


class Modulation(NamedTuple):
    """One forward's modulations, float32; scales hold 1 + scale. Row r belongs to run r."""

    blocks_RI6D: Tensor  # I: block index
    head_R2D: Tensor


@dataclass(frozen=True)
class TimeTable:
    """Modulations of every timestep of a job."""

    embedding_TD: Tensor  # the time embedding, which the head uses
    projection_T6D: Tensor  # its projection, which the blocks use
    blocks_I6D: Tensor  # the blocks' own rows, with 1 added to the scales
    head_2D: Tensor  # the head's own rows, with 1 added to the scale

    def at(self, rows: tuple[int, ...]) -> Modulation:
        """Return the modulation whose run r has the timestep of row `rows[r]`."""
        projection = torch.stack([self.projection_T6D[row] for row in rows])
        embedding = torch.stack([self.embedding_TD[row] for row in rows])
        return Modulation(projection[:, None] + self.blocks_I6D, embedding[:, None] + self.head_2D)


def runs_of(timesteps: list[float]) -> tuple[Bounds, tuple[int, ...], list[float]]:
    """Group tokens by timestep: the runs, the row of each run, and the timestep of each row."""
    bounds: list[tuple[int, int]] = []
    rows: list[int] = []
    distinct: dict[float, int] = {}
    for token, timestep in enumerate(timesteps):
        row = distinct.setdefault(timestep, len(distinct))
        if rows and rows[-1] == row:
            bounds[-1] = (bounds[-1][0], token + 1)
        else:
            bounds.append((token, token + 1))
            rows.append(row)
    return tuple(bounds), tuple(rows), list(distinct)


def cut_bounds(bounds: Bounds, stop: int) -> Bounds:
    """Return the runs that lie before token `stop`, the last one shortened to it."""
    return tuple((start, min(end, stop)) for start, end in bounds if start < stop)
