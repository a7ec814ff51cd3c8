"""A parity case: its tensors, its configuration, and the comparison of our outputs with the stored ones."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wan_engine.errors import MediaError

ModuleT = TypeVar("ModuleT", bound=nn.Module)

HALF_ROUNDING = 5e-4  # outputs stored in float16 have lost this much of values up to 1


@dataclass(frozen=True)
class Comparison:
    """One output beside the reference's."""

    name: str
    max_abs: float
    relative_l2: float
    tolerance: float
    is_ok: bool
    note: str = ""


@dataclass(frozen=True)
class Case:
    """One case file and the JSON beside it."""

    path: Path
    name: str
    config: dict[str, Any]
    tolerance: dict[str, Any]
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def weights_of(self, part: str) -> dict[str, Tensor]:
        """Return the weights of one of several models in the case."""
        return {
            key[len(part) + 1 :]: value for key, value in self.weights.items() if key.startswith(f"{part}/")
        }

    def whole(self, name: str) -> int:
        """Return an input that is one whole number."""
        return int(self.inputs[name])

    def compare(self, name: str, ours: Tensor | None) -> Comparison:
        """Compare one output; one that is missing or has another shape fails."""
        reference, note = self.outputs[name], ""
        if ours is None:
            return Comparison(name, float("inf"), float("inf"), 0.0, False, "not computed")
        if name.startswith("tap.") and ours.shape[1] < reference.shape[1]:
            reference, note = (
                reference[:, : ours.shape[1]],
                "(rows of padding, which nothing reads, left out)",
            )
        if tuple(ours.shape) != tuple(reference.shape):
            note = f"shape {tuple(ours.shape)}, expected {tuple(reference.shape)}"
            return Comparison(name, float("inf"), float("inf"), 0.0, False, note)
        ours, expected = ours.detach().cpu().double(), reference.double()
        difference = ours - expected
        largest = float(difference.abs().max()) if difference.numel() else 0.0
        norm = float(expected.norm())
        relative = float(difference.norm()) / norm if norm else float(difference.norm())
        tolerance = self._tolerance(reference)
        return Comparison(name, largest, relative, tolerance, largest <= tolerance, note)

    def _tolerance(self, reference: Tensor) -> float:
        if self.tolerance.get("exact"):
            return 0.0
        largest = float(reference.double().abs().max()) if reference.numel() else 0.0
        half = HALF_ROUNDING if reference.dtype == torch.float16 else 0.0
        return self.tolerance["atol"] + self.tolerance["rtol"] * largest + half


def read_case(path: Path) -> Case:
    """Read a case file and its JSON. Raises MediaError when either cannot be read."""
    try:
        description = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tensors = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise MediaError(f"{path} is not a readable case: {error}.") from error
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "inputs": {}, "outputs": {}}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = value
    name = description.get("case", path.stem)
    return Case(path, name, description.get("config", {}), description["tolerance"], **parts)


def load_strictly(model: ModuleT, weights: dict[str, Tensor]) -> ModuleT:
    """Give a model its weights; every key must be there and no other."""
    model.load_state_dict(weights, strict=True)
    return model.eval().requires_grad_(False)
