"""Prompts to token ids, with the tokenizer that came with the model."""

from pathlib import Path

import torch
from tokenizers import Tokenizer as Backend
from torch import Tensor

from wan_engine.errors import CheckpointError
from wan_engine.text.prompt import clean_prompt

PAD = 0


class Tokenizer:
    """umT5's vocabulary of word pieces; every prompt ends with an end-of-sequence token."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.exists():
            raise CheckpointError(f"{path} does not exist.", hint="Finish the download of google/umt5-xxl.")
        try:
            self._backend = Backend.from_file(str(path))
        except Exception as error:  # the library raises no narrower one
            raise CheckpointError(f"{path} is no tokenizer ({error}).", hint="Download it again.") from error

    def __call__(self, prompts: list[str], length: int) -> tuple[Tensor, Tensor]:
        """Return ids and mask (B, S), S being the longest prompt's tokens, at most `length`."""
        self._backend.enable_truncation(length)
        rows = [encoding.ids for encoding in self._backend.encode_batch([clean_prompt(p) for p in prompts])]
        ids = torch.full((len(rows), max(map(len, rows))), PAD)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids, mask
