"""Run a transformer whose blocks do not all fit on the device: they pass through two buffers, one ahead.

The host keeps each block's weights in one pinned piece, so a block is one copy. While a block computes from
one buffer the next is copied to the other; an event on each side keeps a copy from overtaking the computation
that still reads its buffer. Only what every step needs is streamed: keys and values of text are made once a
clip, so the layers that make them are fetched when they are called and stay on the host otherwise. Results
are those of the resident model, bit for bit.
"""

import re
from collections import deque
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wan_engine.loading.quantise import QuantLinear
from wan_engine.loading.visiting import tensors_of, visiting

BUFFERS = 2
_ONCE_A_CLIP = re.compile(
    r"blocks\.\d+\.cross_attn\.[kv]|audio_injector\.(injector\.\d+\.[kv]|injector_adain_layers\.\d+\.linear)"
)
_PRODUCT = re.compile(r"blocks\.\d+\.(?:(?:self|cross)_attn\.[qkvo]|ffn\.[02])\.(?:weight|bias)")


def is_used_once(key: str) -> bool:
    """Tell whether a weight is needed once a clip only, so that it may stay on the host."""
    return _ONCE_A_CLIP.match(key) is not None


def is_streamed(key: str) -> bool:
    """Tell whether a weight passes through the device with its block."""
    return _PRODUCT.fullmatch(key) is not None and not is_used_once(key)


@dataclass
class _Piece:
    """One block's weights: where they are on the host, and which tensor each part of the piece is."""

    tensors: list[Tensor]  # the module's own tensors, whose data is pointed at the buffer in use
    host: dict[torch.dtype, Tensor]
    views: list[Tensor]  # of the host piece, one for each tensor

    @property
    def size_bytes(self) -> int:
        return sum(flat.nbytes for flat in self.host.values())

    def point_home(self) -> None:
        """Point the block's tensors at the host piece again."""
        for tensor, view in zip(self.tensors, self.views, strict=True):
            tensor.data = view


class BlockStream:
    """Streams `model.blocks` through a device; between `enter` and `leave` the model can be called."""

    def __init__(self, model: nn.Module, device: torch.device, *, resident_bytes: int) -> None:
        self._model, self._device = model, device
        blocks = model.get_submodule("blocks")
        assert isinstance(blocks, nn.ModuleList)
        self._blocks = blocks
        self._fetched = [layer for name, layer in model.named_modules() if _ONCE_A_CLIP.fullmatch(name)]
        apart = {id(tensor) for layer in self._fetched for tensor in tensors_of(layer)}
        self._pieces = [_piece(block, apart, is_pinned=device.type == "cuda") for block in blocks]
        self.resident_count = _count_fitting([piece.size_bytes for piece in self._pieces], resident_bytes)
        self._handles: list[Any] = []
        self._rest = ExitStack()  # what neither is streamed nor fetched, while it is on the device
        self._visits: dict[nn.Module, AbstractContextManager[None]] = {}  # of fetched layers
        self._buffers: deque[_Buffer] = deque()
        self._in_use: dict[int, _Buffer] = {}
        self._copier = torch.cuda.Stream(device) if device.type == "cuda" else None

    def enter(self) -> None:
        """Bring what stays to the device and start the first copies."""
        self._rest.enter_context(visiting(self._staying(), self._device))
        self._handles += [layer.register_forward_pre_hook(self._fetch) for layer in self._fetched]
        self._handles += [layer.register_forward_hook(self._send_home) for layer in self._fetched]
        for piece in self._pieces[: self.resident_count]:
            for tensor, view in zip(piece.tensors, piece.views, strict=True):
                tensor.data = view.to(self._device)
        streamed = self._pieces[self.resident_count :]
        if not streamed:
            return
        sizes = {dtype: max(p.host[dtype].numel() for p in streamed if dtype in p.host)
                 for p in streamed for dtype in p.host}  # fmt: skip
        self._buffers = deque(_Buffer(sizes, self._device) for _ in range(min(BUFFERS, len(streamed))))
        if self._copier is not None:
            self._copier.wait_stream(torch.cuda.current_stream(self._device))
        for index in range(self.resident_count, len(self._blocks)):
            block = self._blocks[index]
            self._handles += [
                block.register_forward_pre_hook(lambda *_, i=index: self._arrive(i)),
                block.register_forward_hook(lambda *_, i=index: self._depart(i)),
            ]
        for index in range(self.resident_count, self.resident_count + len(self._buffers)):
            self._copy(index)

    def leave(self) -> None:
        """Free the device: every weight is on the host again."""
        if self._copier is not None:
            torch.cuda.synchronize(self._device)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for piece in self._pieces:
            piece.point_home()
        self._buffers.clear()
        self._in_use.clear()
        for layer in list(self._visits):  # in whose forward something failed
            self._send_home(layer)
        self._rest.close()

    def _staying(self) -> list[Tensor]:
        """Return everything that is neither streamed nor fetched."""
        apart = {id(tensor) for piece in self._pieces for tensor in piece.tensors}
        apart |= {id(tensor) for layer in self._fetched for tensor in tensors_of(layer)}
        return [tensor for tensor in tensors_of(self._model) if id(tensor) not in apart]

    def _fetch(self, layer: nn.Module, _: Any) -> None:
        self._visits[layer] = visiting(tensors_of(layer), self._device)
        self._visits[layer].__enter__()

    def _send_home(self, layer: nn.Module, *_: Any) -> None:
        self._visits.pop(layer).__exit__(None, None, None)

    def _copy(self, index: int) -> None:
        """Start copying a block into the buffer that has been free longest."""
        buffer = self._buffers.popleft()
        self._in_use[index] = buffer
        buffer.fill(self._pieces[index], self._copier)

    def _arrive(self, index: int) -> None:
        """Make the computation wait for the block's copy, and point the block at it."""
        buffer = self._in_use[index]
        buffer.wait()
        buffer.lend(self._pieces[index])

    def _depart(self, index: int) -> None:
        """Note that the computation is done with the buffer, and start the next block's copy into it."""
        buffer = self._in_use.pop(index)
        buffer.release()
        self._pieces[index].point_home()
        self._buffers.append(buffer)
        streamed = len(self._blocks) - self.resident_count
        following = index + BUFFERS
        if following >= len(self._blocks):
            following -= streamed  # the next step begins again with the first streamed block
        if streamed >= BUFFERS and following not in self._in_use:
            self._copy(following)
        elif not self._in_use:
            self._copy(self.resident_count)


class _Buffer:
    """A place on the device for one block's weights."""

    def __init__(self, sizes: dict[torch.dtype, int], device: torch.device) -> None:
        self._flat = {dtype: torch.empty(size, dtype=dtype, device=device) for dtype, size in sizes.items()}
        self._is_cuda = device.type == "cuda"
        self._copied = torch.cuda.Event() if self._is_cuda else None
        self._released = torch.cuda.Event() if self._is_cuda else None

    def fill(self, piece: _Piece, copier: Any) -> None:
        """Copy a piece here, on the copying stream, after the last computation from here."""
        if not self._is_cuda:
            self._copy(piece)
            return
        with torch.cuda.stream(copier):
            copier.wait_event(self._released)
            self._copy(piece)
            self._copied.record(copier)  # pyright: ignore[reportOptionalMemberAccess]

    def _copy(self, piece: _Piece) -> None:
        for dtype, flat in piece.host.items():
            self._flat[dtype][: flat.numel()].copy_(flat, non_blocking=True)

    def wait(self) -> None:
        """Let the computation wait for the copy."""
        if self._copied is not None:
            torch.cuda.current_stream().wait_event(self._copied)

    def lend(self, piece: _Piece) -> None:
        """Point a block's tensors here."""
        offsets = dict.fromkeys(piece.host, 0)
        for tensor, view in zip(piece.tensors, piece.views, strict=True):
            start = offsets[view.dtype]
            tensor.data = self._flat[view.dtype][start : start + view.numel()].view(view.shape)
            offsets[view.dtype] = start + view.numel()

    def release(self) -> None:
        """Note that what has been queued so far is the last to read from here."""
        if self._released is not None:
            self._released.record(torch.cuda.current_stream())


def _piece(block: nn.Module, apart: set[int], *, is_pinned: bool) -> _Piece:
    """Put the weights of a block's products, but for those set apart, into one piece a dtype."""
    products = [layer for layer in block.modules() if isinstance(layer, nn.Linear | QuantLinear)]
    tensors = [tensor for layer in products for tensor in tensors_of(layer) if id(tensor) not in apart]
    host: dict[torch.dtype, Tensor] = {}
    views: list[Tensor] = []
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        total = sum(tensor.numel() for tensor in tensors if tensor.dtype == dtype)
        host[dtype] = torch.empty(total, dtype=dtype, pin_memory=is_pinned)
    offsets = dict.fromkeys(host, 0)
    for tensor in tensors:
        start = offsets[tensor.dtype]
        view = host[tensor.dtype][start : start + tensor.numel()].view(tensor.shape)
        view.copy_(tensor.data)
        tensor.data = view
        views.append(view)
        offsets[tensor.dtype] = start + tensor.numel()
    return _Piece(tensors, host, views)


def _count_fitting(sizes: list[int], budget: int) -> int:
    """Return how many blocks, from the first, fit `budget` bytes beside the buffers the others need."""
    if sum(sizes) <= budget:
        return len(sizes)
    left = budget - BUFFERS * max(sizes, default=0)
    count = 0
    for size in sizes:
        if size > left:
            break
        left -= size
        count += 1
    return count
