"""Prompts to features: the tokenizer and umT5 together, each prompt encoded once and kept on disk.

Features of a prompt are a few megabytes, the encoder eleven gigabytes; a prompt seen before costs no encoder.
"""

import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from wan_engine.text.prompt import clean_prompt
from wan_engine.text.tokenizer import Tokenizer
from wan_engine.text.umt5 import UmT5Encoder

SAMPLED_BYTES = 1 << 20  # of a model file's start and end, to know it again


class TextLease(Protocol):
    """Gives the encoder on its device for as long as the context lasts."""

    def __call__(self) -> AbstractContextManager[UmT5Encoder]: ...


class PromptEncoder:
    """Called with a prompt, returns its features (length, D) on the host."""

    def __init__(
        self, lease: TextLease, tokenizer: Tokenizer, length: int, *, cache: Path | None = None, model: Path
    ) -> None:
        self._lease, self._tokenizer, self._length = lease, tokenizer, length
        self._cache = cache
        self._model = identify_file(model)
        self._known: dict[str, Tensor] = {}

    def __call__(self, prompt: str) -> Tensor:
        """Return the prompt's features, from memory, from disk, or freshly made."""
        prompt = clean_prompt(prompt)
        if prompt not in self._known:
            self._known[prompt] = self._recall(prompt)
        return self._known[prompt]

    def _recall(self, prompt: str) -> Tensor:
        path = self._path(prompt)
        if path is not None and path.exists():
            try:
                return load_file(path)["features"]
            except (SafetensorError, OSError, KeyError):
                path.unlink(missing_ok=True)  # a broken cache file is as good as none
        features = self._encode(prompt)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            save_file({"features": features.contiguous()}, unfinished)
            unfinished.replace(path)
        return features

    def _encode(self, prompt: str) -> Tensor:
        ids, mask = self._tokenizer([prompt], self._length)
        with self._lease() as encoder, torch.no_grad():
            device = encoder.token_embedding.weight.device
            return encoder.encode(ids.to(device), mask.to(device))[0].cpu()

    def _path(self, prompt: str) -> Path | None:
        if self._cache is None:
            return None
        key = f"{self._model}\0{self._length}\0{prompt}".encode()
        return self._cache / f"{hashlib.sha256(key).hexdigest()}.safetensors"


def identify_file(path: Path) -> str:
    """Return a short name for a file's contents: a hash of its size, its start and its end."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(SAMPLED_BYTES))
        file.seek(max(0, size - SAMPLED_BYTES))
        digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()
