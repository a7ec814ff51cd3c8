"""Several processes for one job, as `torchrun` starts them: who is who, and what they share.

Every process runs the whole pipeline with the same settings; they meet inside the forwards (`parallel.py`),
and, where weights are shared, in every block (`loading/sharding.py`). The first one writes the file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

from wan_engine.errors import SettingError

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Processes:
    """This process among those of the job."""

    rank: int = 0
    count: int = 1
    device: torch.device | None = None  # of this process; None: the usual one

    @property
    def is_first(self) -> bool:
        """Tell whether this is the process that reports and writes."""
        return self.rank == 0

    def agree(self, value: ValueT) -> ValueT:
        """Return the first process's value in all of them."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def groups(
        self, token_ranks: int, branch_ranks: int
    ) -> tuple[dist.ProcessGroup | None, dist.ProcessGroup | None]:
        """Return the group that shares this process's tokens, and the one that shares the guidance.

        Raises SettingError when the processes cannot be shared out so.
        """
        if branch_ranks not in (1, 2):
            raise SettingError(f"Guidance cannot be shared by {branch_ranks}.", hint="It has two branches.")
        if token_ranks < 1 or (token_ranks * branch_ranks not in (1, self.count)):
            raise SettingError(
                f"{token_ranks} x {branch_ranks} processes are asked for, but this job has {self.count}.",
                hint=f"Start it with torchrun --nproc_per_node {max(1, token_ranks) * branch_ranks}.",
            )
        rows = [list(range(first, first + token_ranks)) for first in range(0, self.count, token_ranks)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        tokens = self._group_of(rows) if token_ranks > 1 else None
        return tokens, self._group_of(columns) if branch_ranks > 1 else None

    def _group_of(self, ranks: list[list[int]]) -> dist.ProcessGroup | None:
        """Make all groups, as every process has to, and return this one's."""
        made = [(members, dist.new_group(members)) for members in ranks]
        group = next(group for members, group in made if self.rank in members)
        assert isinstance(group, dist.ProcessGroup), "this process is a member"
        return group


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that `torchrun` started; alone when it did not."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    rank, device = int(os.environ["RANK"]), torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("gloo" if device.type == "cpu" else "nccl", rank=rank, world_size=count)
    try:
        yield Processes(rank, count, device)
    finally:
        dist.destroy_process_group()
