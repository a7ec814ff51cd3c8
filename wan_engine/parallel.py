"""One forward on several devices: each holds a run of the tokens, and attention trades tokens for heads.

Everything but self attention works token by token, so a rank does it for its own tokens, the audio included.
For self attention each rank sends every other its tokens of that rank's heads, attends over all tokens with
its heads, and sends the result back. The runs need not be equally long. Guidance can be split as well: one
rank for the prompt, one for the negative. Source: Jacobs et al. 2023 (DeepSpeed-Ulysses).
"""

from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.transformer.model import Clip


@dataclass(frozen=True)
class TokenShard:
    """This rank's run of the tokens, and how long every rank's is."""

    group: dist.ProcessGroup
    rank: int
    lengths: tuple[int, ...]

    @property
    def start(self) -> int:
        """Return the first token of this rank."""
        return sum(self.lengths[: self.rank])

    @property
    def stop(self) -> int:
        """Return the token after this rank's last."""
        return self.start + self.lengths[self.rank]

    def to_heads(self, x_BLNK: Tensor) -> Tensor:
        """Give this rank's tokens of all heads, get all tokens of its: [B, l, N, K] -> [B, L, N/P, K]."""
        ranks, (batch, _, heads, width) = len(self.lengths), x_BLNK.shape
        sent = [part.contiguous() for part in x_BLNK.chunk(ranks, dim=2)]
        got = [x_BLNK.new_empty(batch, length, heads // ranks, width) for length in self.lengths]
        return torch.cat(_exchange(got, sent, self.group), dim=1)

    def to_tokens(self, x_BLD: Tensor) -> Tensor:
        """Undo `to_heads` for attention's merged heads: [B, L, D/P] -> [B, l, D]."""
        sent = [part.contiguous() for part in x_BLD.split(self.lengths, dim=1)]
        got = [torch.empty_like(sent[self.rank]) for _ in self.lengths]
        return torch.cat(_exchange(got, sent, self.group), dim=2)

    def gather(self, x_BLP: Tensor, stop: int) -> Tensor:
        """Return the first `stop` tokens of all ranks, of which this one has its own."""
        counts = [max(0, min(stop, sum(self.lengths[: rank + 1])) - sum(self.lengths[:rank]))
                  for rank in range(len(self.lengths))]  # fmt: skip
        got = [x_BLP.new_empty(len(x_BLP), count, x_BLP.shape[2]) for count in counts]
        sent = [x_BLP.contiguous() for _ in counts]
        return torch.cat(_exchange(got, sent, self.group), dim=1)


def split_clip(clip: Clip, group: dist.ProcessGroup, *, num_heads: int) -> Clip:
    """Return the clip as this rank of the group sees it. Raises SettingError when the heads do not divide."""
    ranks, rank = dist.get_world_size(group), dist.get_rank(group)
    if num_heads % ranks:
        raise SettingError(
            f"{num_heads} heads cannot be split between {ranks} devices.", hint="Use a divisor of the heads."
        )
    tokens = len(clip.layout.rotation_LP2)
    lengths = tuple(tokens // ranks + (index < tokens % ranks) for index in range(ranks))
    shard = TokenShard(group, rank, lengths)
    bounds = tuple((_within(start, shard), _within(stop, shard)) for start, stop in clip.layout.bounds)
    rotation_LP2 = clip.layout.rotation_LP2[shard.start : shard.stop].contiguous()
    return replace(clip, layout=clip.layout._replace(rotation_LP2=rotation_LP2, bounds=bounds, shard=shard))


def share_branches(mine: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, Tensor]:
    """Give this rank's guidance branch, get both: the prompt's from rank 0, the negative's from rank 1."""
    prompt, negative = torch.empty_like(mine), torch.empty_like(mine)
    dist.all_gather([prompt, negative], mine.contiguous(), group=group)
    return prompt, negative


def _within(token: int, shard: TokenShard) -> int:
    """Return a token's place in the rank's run, or the end of it that is nearer."""
    return min(max(token - shard.start, 0), shard.stop - shard.start)


def _exchange(got: list[Tensor], sent: list[Tensor], group: dist.ProcessGroup) -> list[Tensor]:
    """Send part i to rank i and receive its part for this rank."""
    flat = torch.empty(sum(part.numel() for part in got), dtype=got[0].dtype, device=got[0].device)
    dist.all_to_all_single(
        flat,
        torch.cat([part.flatten() for part in sent]),
        [part.numel() for part in got],
        [part.numel() for part in sent],
        group=group,
    )
    parts = flat.split([part.numel() for part in got])
    return [part.view_as(like) for part, like in zip(parts, got, strict=True)]
