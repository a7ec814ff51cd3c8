"""GGUF files, as made for ComfyUI: the released names, block-quantised weights.

Needs the `gguf` package. Weights are dequantised one at a time while loading.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wan_engine.errors import CheckpointError
from wan_engine.loading.tensors import AGAIN, StoredTensor, Weights

_SHAPE_FIELD = "comfy.gguf.orig_shape."  # where a converter notes shapes of more than four axes


def open_gguf(path: Path) -> Weights:
    """List the tensors of a GGUF file."""
    try:
        import gguf
    except ImportError:
        raise CheckpointError(f"{path.name} needs the package gguf.", hint="pip install gguf") from None
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, OSError, IndexError) as error:
        raise CheckpointError(f"{path} is incomplete or broken.", hint=AGAIN, detail=str(error)) from error
    return {entry.name: _stored(path, entry, _shape(reader, entry)) for entry in reader.tensors}


def _stored(path: Path, entry: Any, shape: tuple[int, ...]) -> StoredTensor:
    def read() -> Tensor:
        import gguf

        values = gguf.dequantize(entry.data, entry.tensor_type)
        return torch.from_numpy(values.copy()).reshape(shape)

    return StoredTensor(path, shape, read)


def _shape(reader: Any, entry: Any) -> tuple[int, ...]:
    """Return the shape a tensor had; GGUF counts axes from the fastest."""
    field = reader.get_field(_SHAPE_FIELD + entry.name)
    if field is not None:
        return tuple(int(field.parts[index][0]) for index in field.data)
    return tuple(int(length) for length in reversed(entry.shape))
