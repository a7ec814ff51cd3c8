"""Where a network's weights are while it works and while it waits.

A lease is a context that gives a network on its device. How it got there is one of:

    kept        loaded at first use, stays on the device
    parked      loaded once, in host memory, and copied to the device while leased
    borrowed    loaded at every lease, gone afterwards
    streamed    the first blocks stay on the device, the others pass through it one by one (see `streaming`)

A parked or streamed network may be taken again while it is held; it leaves the device with the first lease.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
from torch import nn

from wan_engine.loading.streaming import BlockStream
from wan_engine.loading.visiting import tensors_of, visiting

ModelT = TypeVar("ModelT", bound=nn.Module)
Load = Callable[[torch.device], ModelT]
Lease = Callable[[], AbstractContextManager[ModelT]]


def kept(load: Load[ModelT], device: torch.device) -> Lease[ModelT]:
    """Return a lease on a network that is loaded at first use and stays."""
    held: list[ModelT] = []

    @contextmanager
    def lease() -> Iterator[ModelT]:
        if not held:
            held.append(load(device))
        yield held[0]

    return lease


def parked(load: Load[ModelT], device: torch.device) -> Lease[ModelT]:
    """Return a lease on a network that waits in host memory."""
    if device.type == "cpu":
        return kept(load, device)
    held: list[ModelT] = []

    @contextmanager
    def lease() -> Iterator[ModelT]:
        if not held:
            held.append(load(torch.device("cpu")))
        try:
            with visiting(tensors_of(held[0]), device):
                yield held[0]
        finally:
            give_back_memory(device)

    return nested(lease)


def borrowed(load: Load[ModelT], device: torch.device) -> Lease[ModelT]:
    """Return a lease on a network that is read from disk each time and dropped afterwards."""

    @contextmanager
    def lease() -> Iterator[ModelT]:
        model = load(device)
        try:
            yield model
        finally:
            del model
            give_back_memory(device)

    return lease


def streamed(load: Load[ModelT], device: torch.device, resident_bytes: int) -> Lease[ModelT]:
    """Return a lease on a transformer of which at most `resident_bytes` of blocks stay on the device."""
    held: list[tuple[ModelT, BlockStream]] = []

    @contextmanager
    def lease() -> Iterator[ModelT]:
        if not held:
            model = load(torch.device("cpu"))
            held.append((model, BlockStream(model, device, resident_bytes=resident_bytes)))
        model, stream = held[0]
        stream.enter()
        try:
            yield model
        finally:
            stream.leave()
            give_back_memory(device)

    return nested(lease)


def nested(lease: Lease[ModelT]) -> Lease[ModelT]:
    """Return a lease that gives the network as it is while somebody holds it."""
    held: list[ModelT] = []

    @contextmanager
    def once() -> Iterator[ModelT]:
        if held:
            yield held[0]
            return
        with lease() as model:
            held.append(model)
            try:
                yield model
            finally:
                held.clear()

    return once


def give_back_memory(device: torch.device) -> None:
    """Return freed device memory to the driver, for whoever comes next."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
