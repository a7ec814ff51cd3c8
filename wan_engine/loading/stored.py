"""Named tensors on disk, read one at a time: safetensors (single or sharded), and PyTorch files without code.

Nothing is read before it is asked for, and nothing read is kept here; so a model is filled straight at its
own dtype and device, and the host never holds a second copy of it.
"""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wan_engine.errors import CheckpointError, UnsafeFile
from wan_engine.loading.gguf_file import open_gguf
from wan_engine.loading.tensors import AGAIN, StoredTensor, Weights


def open_weights(path: Path) -> Weights:
    """List the tensors of a file: .safetensors, an index of shards (.json), .pth / .pt / .bin, or .gguf.

    Raises CheckpointError for a missing, broken or unknown file, UnsafeFile for a pickle that holds code.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist.", hint="Check the model folder.")
    if path.name.endswith(".safetensors.index.json"):
        return open_shards(path)
    if path.suffix == ".safetensors":
        return open_safetensors(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        return open_torch(path)
    if path.suffix == ".gguf":
        return open_gguf(path)
    raise CheckpointError(f"{path.name} is no weight file we know.", hint="Known: .safetensors, .pth, .gguf.")


def open_safetensors(path: Path) -> Weights:
    """List the tensors of one safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is incomplete or broken.", hint=AGAIN, detail=str(error)) from error
    return {key: StoredTensor(path, shape, _reader(path, key)) for key, shape in shapes.items()}


def _reader(path: Path, key: str) -> Callable[[], Tensor]:
    """Return a function that maps the file into memory, takes one tensor and lets the mapping go with it."""

    def read() -> Tensor:
        try:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is incomplete or broken.", hint=AGAIN, detail=f"{key}: {error}"
            ) from error

    return read


def open_shards(index: Path) -> Weights:
    """List the tensors of all shards an index names; each must be where the index says."""
    try:
        places: dict[str, str] = dict(json.loads(index.read_text())["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{index} is no index of shards.", hint=AGAIN) from error
    files = sorted(set(places.values()))
    missing = [name for name in files if not (index.parent / name).exists()]
    if missing:
        raise CheckpointError(
            f"{index.parent} lacks {len(missing)} of its {len(files)} shards: {', '.join(missing)}.",
            hint="Finish the download.",
        )
    shards = {name: open_safetensors(index.parent / name) for name in files}
    for key, name in places.items():
        if key not in shards[name]:
            raise CheckpointError(f"{index.name} places {key} in {name}, which lacks it.", hint=AGAIN)
    return {key: tensor for shard in shards.values() for key, tensor in shard.items()}


def open_torch(path: Path) -> Weights:
    """List the tensors of a PyTorch file, mapped into memory; a file that would run code is refused."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise UnsafeFile(
                f"{path} would run code when it is read, so it was not.",
                hint="Get the weights from the model's own page, best as safetensors.",
            ) from error
        raise CheckpointError(f"{path} is incomplete or broken.", hint=AGAIN, detail=str(error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is incomplete or broken.", hint=AGAIN, detail=str(error)) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds something else than named tensors.")
    return {key: stored(path, tensor) for key, tensor in state.items()}


def stored(path: Path, tensor: Tensor) -> StoredTensor:
    """Wrap a tensor that is already at hand."""
    return StoredTensor(path, tuple(tensor.shape), lambda: tensor)


def read_json(path: Path) -> dict[str, Any]:
    """Read a model's JSON file. Raises CheckpointError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist.", hint="Check the model folder.") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is no readable JSON.", hint=AGAIN, detail=str(error)) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object.", hint=AGAIN)
    return value
