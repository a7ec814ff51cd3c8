"""Rotary positions in three axes: which angle each token has, and turning queries and keys by it.

A head's channels are read as complex pairs (2j, 2j+1). The first pairs turn with the frame, the next with the
row, the rest with the column of a token; axis a with n real channels turns pair j by position *
10000^(-2j/n). Everything is computed in float64 and kept as a float32 table, made once per shape. Source: Su
et al. 2021 (RoFormer), section 3.4; the split of the axes from Wan2.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from wan_engine.shapes import MOTION_BUCKETS, Grid, motion_grids, token_grid

THETA = 10000.0
REFERENCE_FRAME = 30  # temporal position of the reference picture, whatever the clip's length


def axis_widths(head_dim: int) -> tuple[int, int, int]:
    """Return the complex pairs that turn with frame, row and column."""
    pairs = head_dim // 2
    return pairs - 2 * (pairs // 3), pairs // 3, pairs // 3


def angles(positions_L3: Tensor, head_dim: int) -> Tensor:
    """Return the angle [L, K/2] in float64 of each pair at each (frame, row, column) position."""
    parts = []
    for axis, pairs in enumerate(axis_widths(head_dim)):
        rates = THETA ** -(torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
        parts.append(positions_L3[:, axis, None].double() * rates)
    return torch.cat(parts, dim=1)


def rotation(angle_LP: Tensor) -> Tensor:
    """Return (cosine, sine) [L, K/2, 2] of the angles, in their dtype."""
    return torch.stack([angle_LP.cos(), angle_LP.sin()], dim=-1)


def rotate(x_BLNK: Tensor, rotation_LP2: Tensor) -> Tensor:
    """Turn each pair of a head's channels by its token's angle, in the dtype of the table."""
    pairs = x_BLNK.unflatten(-1, (-1, 2))
    cosine, sine = rotation_LP2[:, None, :, :1], rotation_LP2[:, None, :, 1:]
    sign = torch.arange(-1, 2, 2, device=sine.device)  # -1 for the real part, 1 for the imaginary one
    return (pairs * cosine + pairs.flip(-1) * (sine * sign)).flatten(-2)


def grid_positions(grid: Grid) -> Tensor:
    """Return the integer positions [L, 3] of a video's tokens, row-major."""
    return torch.cartesian_prod(*(torch.arange(size) for size in grid)).reshape(-1, 3)


def speech_positions(latent_shape: tuple[int, ...], motion: Sequence[Tensor] = ()) -> Tensor:
    """Return the positions [L, 3] of speech-to-video tokens: video, reference, then packed motion frames."""
    grid = token_grid(latent_shape)
    reference = grid_positions(Grid(1, grid.rows, grid.columns))
    reference[:, 0] = REFERENCE_FRAME
    return torch.cat([grid_positions(grid), reference, *motion])


def motion_positions(latent_shape: tuple[int, ...]) -> list[Tensor]:
    """Return the positions [L, 3] of each motion bucket's tokens, newest bucket first.

    Motion frames lie before frame 0, so their temporal positions are negative; a bucket's tokens are spread
    evenly over its frames and over the video's rows and columns.
    """
    grid, newest = token_grid(latent_shape), 0
    parts = []
    for frames, bucket in zip(MOTION_BUCKETS, motion_grids(*latent_shape[-2:]), strict=True):
        oldest = newest + frames
        times = [-oldest + step for step in _spread(bucket.frames, frames)]
        rows, columns = _spread(bucket.rows, grid.rows), _spread(bucket.columns, grid.columns)
        axes = [torch.tensor(axis, dtype=torch.long) for axis in (times, rows, columns)]
        parts.append(torch.cartesian_prod(*axes).reshape(-1, 3))
        newest = oldest
    return parts


def _spread(points: int, size: int) -> list[int]:
    """Return `points` whole numbers spread evenly over 0 .. size-1, both ends included, rounded down."""
    return [k * (size - 1) // (points - 1) if points > 1 else 0 for k in range(points)]
