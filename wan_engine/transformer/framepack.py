"""The frame packer: 19 latents of past motion as few tokens, the older the coarser.

The newest latent keeps the video's own patches; the two before it share patches twice as large in every axis,
the sixteen before those patches four times as large. Source: Zhang & Agrawala 2025 (FramePack), section 3;
Wan2.2-S2V.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.shapes import MOTION_BUCKETS, MOTION_KERNELS, MOTION_LATENTS
from wan_engine.transformer.blocks import PatchEmbedding
from wan_engine.transformer.rope import motion_positions

KEEP_ALL = 2  # `last_motion`: 2 keeps every bucket, 1 empties the newest latent, 0 the three newest


class FramePacker(nn.Module):
    """Packs motion latents into tokens, newest bucket first."""

    def __init__(self, channels: int, dim: int, drop_mode: str) -> None:
        super().__init__()
        one, two, four = MOTION_KERNELS
        self.drop_mode = drop_mode
        self.proj = PatchEmbedding(channels, dim, one)
        self.proj_2x = PatchEmbedding(channels, dim, two)
        self.proj_4x = PatchEmbedding(channels, dim, four)

    def forward(self, motion_BCfhw: Tensor, last_motion: int = KEEP_ALL) -> tuple[Tensor, list[Tensor]]:
        """Return the tokens [B, L, D] and the positions [L, 3] of each bucket that is there.

        Fewer than 19 latents are filled up with zeros at the old end; of more, the newest 19 count.
        """
        buffer = motion_BCfhw[:, :, -MOTION_LATENTS:]
        buffer = F.pad(buffer, (0, 0, 0, 0, MOTION_LATENTS - buffer.shape[2], 0))
        emptied = sum(MOTION_BUCKETS[: KEEP_ALL - last_motion])
        if self.drop_mode == "padd" and emptied:
            buffer = F.pad(buffer[:, :, :-emptied], (0, 0, 0, 0, 0, emptied))
        newest_first = buffer.split(MOTION_BUCKETS[::-1], dim=2)[::-1]
        projections = (self.proj, self.proj_2x, self.proj_4x)
        first = KEEP_ALL - last_motion if self.drop_mode == "drop" else 0
        tokens = [project(part) for project, part in zip(projections, newest_first, strict=True)][first:]
        return torch.cat(tokens, dim=1), motion_positions(motion_BCfhw.shape)[first:]
