"""Bring tensors to a device for a while. The host keeps them, so nothing is ever copied back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def visiting(tensors: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Have tensors on a device meanwhile. What is written to them there is lost."""
    homes = [tensor.data for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = tensor.data.to(device)
        yield
    finally:
        for tensor, home in zip(tensors, homes, strict=True):
            tensor.data = home


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Return a module's parameters and buffers."""
    return [*module.parameters(), *module.buffers()]
