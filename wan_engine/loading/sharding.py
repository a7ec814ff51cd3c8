"""Weights shared by several devices: each holds a slice of every block and gathers the block to run it.

For models larger than a card. Results are those of the whole model, bit for bit; the price is a gathering of
every block in every forward, which computation does not hide. What is outside the blocks is whole everywhere,
and so are their modulations. While loading, each process holds the whole model in host memory.
Source: Zhao et al. 2023 (fully sharded data parallel), as PyTorch's `fully_shard`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from wan_engine.loading.placement import Lease, give_back_memory

ModelT = TypeVar("ModelT", bound=nn.Module)


def sharded(
    load: Callable[[torch.device], ModelT], device: torch.device, *, is_kept: bool = True
) -> Lease[ModelT]:
    """Return a lease on a network whose blocks all processes share; without `is_kept` it goes afterwards."""
    held: list[ModelT] = []

    @contextmanager
    def lease() -> Iterator[ModelT]:
        if not held:
            held.append(shard_blocks(load(torch.device("cpu")), device))
        try:
            yield held[0]
        finally:
            if not is_kept:
                held.clear()
                give_back_memory(device)

    return lease


def shard_blocks(model: ModelT, device: torch.device) -> ModelT:
    """Leave this process its slice of `model.blocks`, and bring that and the rest to the device."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    blocks = model.get_submodule("blocks")
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        whole = {weight for name, weight in block.named_parameters() if name == "modulation"}
        fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
        if hasattr(block, "remember"):
            register_fsdp_forward_method(block, "remember")
    for tensor in [*model.parameters(), *model.buffers()]:
        if not isinstance(tensor, DTensor):
            tensor.data = tensor.data.to(device)
    return model
