"""LoRA files: read in any of four naming styles, checked against the model, merged or applied at run time.

A LoRA adds weight * (alpha / rank) * up @ down to a linear layer's weight (Hu et al. 2021, arXiv 2106.09685).
Step distillation files also carry plain differences of weights (`diff`) and biases (`diff_b`). Styles of
names:

    official, ComfyUI   diffusion_model.blocks.0.self_attn.q.lora_down.weight (or lora_A)
    Diffusers           transformer.blocks.0.attn1.to_q.lora_A.weight
    PEFT                base_model.model.blocks.0.self_attn.q.lora_A.default.weight
    kohya               lora_unet_blocks_0_self_attn_q.lora_down.weight

Merging happens while weights are read, in float32, so the model never needs a second copy of itself, and
unmerging is reading again: the weights come back bit for bit.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wan_engine.errors import LoraError
from wan_engine.loading.checkpoint import set_parameter
from wan_engine.loading.key_maps import TRANSFORMER_RULES, apply_rules
from wan_engine.loading.quantise import Adapter, QuantLinear
from wan_engine.loading.stored import open_weights
from wan_engine.loading.tensors import StoredTensor, Weights

_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.")
_KOHYA_PREFIXES = ("lora_unet_", "lora_transformer_")
_PARTS = {
    "lora_down.weight": "down",
    "lora_A.weight": "down",
    "lora_A.default.weight": "down",
    "lora_up.weight": "up",
    "lora_B.weight": "up",
    "lora_B.default.weight": "up",
    "alpha": "alpha",
    "diff": "diff",
    "diff_b": "diff_b",
}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class LowRank:
    """One layer's addition: up (out, rank) @ down (rank, in), times scale."""

    down: Tensor
    up: Tensor
    scale: float

    def delta(self) -> Tensor:
        """Return the addition as a whole matrix, float32."""
        return self.scale * (self.up.float().flatten(1) @ self.down.float().flatten(1))


@dataclass(frozen=True)
class Lora:
    """One file: additions by the key of the weight they belong to."""

    path: Path
    low_rank: dict[str, LowRank]
    differences: dict[str, Tensor]

    def delta(self, key: str) -> Tensor | None:
        """Return what the file adds to a weight, float32; None when it leaves it alone."""
        parts = [self.low_rank[key].delta()] if key in self.low_rank else []
        parts += [self.differences[key].float()] if key in self.differences else []
        return sum(parts[1:], parts[0].flatten(1) if len(parts) > 1 else parts[0]) if parts else None

    def keys(self) -> set[str]:
        """Return the keys of all weights the file changes."""
        return self.low_rank.keys() | self.differences.keys()


def read_lora(path: Path, shapes: Shapes, *, is_partial: bool = False) -> Lora:
    """Read a LoRA for a model whose weights have these keys and shapes.

    Layers the model lacks are an error, unless `is_partial`; layers of another size always are. Raises
    LoraError.
    """
    layers = _group(open_weights(path))
    kohya = {key.removesuffix(".weight").replace(".", "_"): key for key in shapes if key.endswith(".weight")}
    low_rank: dict[str, LowRank] = {}
    differences: dict[str, Tensor] = {}
    foreign = []
    for name, parts in layers.items():
        key = kohya.get(name) if "." not in name else _key(name)
        if key is None or key not in shapes:
            foreign.append(name)
            continue
        if "down" in parts or "up" in parts:
            low_rank[key] = _low_rank(path, key, parts, shapes[key])
        for part, target in (("diff", key), ("diff_b", key.removesuffix("weight") + "bias")):
            if part in parts:
                differences[target] = _difference(path, target, parts[part], shapes)
    if foreign and not is_partial:
        raise _foreign_error(path, foreign, len(layers), shapes)
    if not low_rank and not differences:
        raise LoraError(
            f"{path.name} changes nothing in this model.", hint="It is for another kind of model."
        )
    return Lora(path, low_rank, differences)


def merged(weights: Weights, loras: Sequence[tuple[Lora, float]]) -> Weights:
    """Return the weights with LoRAs added, each times its own factor, as they are read."""
    touched = set().union(*(lora.keys() for lora, _ in loras))
    return {
        key: _merged_tensor(key, tensor, loras) if key in touched else tensor
        for key, tensor in weights.items()
    }


def remerge(
    model: nn.Module,
    weights: Weights,
    loras: Sequence[tuple[Lora, float]],
    *,
    before: Sequence[tuple[Lora, float]] = (),
) -> None:
    """Change the LoRAs merged into a loaded model: `before` are gone, bit for bit, and `loras` are in.

    `weights` are the model's own; only the layers concerned are read again.
    """
    state = model.state_dict()
    now = merged(weights, loras)
    for key in sorted(set().union(*(lora.keys() for lora, _ in (*before, *loras)))):
        set_parameter(model, key, now[key].read().to(state[key]))


def attach(model: nn.Module, lora: Lora, factor: float = 1.0) -> None:
    """Apply a LoRA at run time, beside a quantised model's 8-bit weights. Raises LoraError."""
    if lora.differences:
        raise LoraError(f"{lora.path.name} changes whole weights.", hint="Give it when the model is loaded.")
    layers = {key: model.get_submodule(key.removesuffix(".weight")) for key in lora.low_rank}
    for key, layer in layers.items():
        if not isinstance(layer, QuantLinear):
            raise LoraError(f"{key} is not quantised.", hint="Give the LoRA when the model is loaded.")
    for key, layer in layers.items():
        assert isinstance(layer, QuantLinear)
        added = lora.low_rank[key]
        like = layer.scale.device, torch.float32 if layer.bias is None else layer.bias.dtype
        layer.adapters.append(Adapter(added.down.to(*like), added.up.to(*like), factor * added.scale))


def detach(model: nn.Module) -> None:
    """Take every LoRA applied at run time off again."""
    for layer in model.modules():
        if isinstance(layer, QuantLinear):
            layer.adapters = nn.ModuleList()


def _merged_tensor(key: str, tensor: StoredTensor, loras: Sequence[tuple[Lora, float]]) -> StoredTensor:
    def read() -> Tensor:
        value = tensor.read()
        total = value.to(torch.float32)
        for lora, factor in loras:
            delta = lora.delta(key)
            if delta is not None:
                total = total + factor * delta.view_as(total)
        return total

    return StoredTensor(tensor.file, tensor.shape, read)


def _group(weights: Weights) -> dict[str, dict[str, StoredTensor]]:
    """Collect the tensors of each layer under the layer's name."""
    layers: dict[str, dict[str, StoredTensor]] = defaultdict(dict)
    strange = []
    for key, tensor in weights.items():
        name, part = _split(key)
        if part is None:
            strange.append(key)
        else:
            layers[name][part] = tensor
    if strange or not layers:
        raise LoraError(
            f"{next(iter(weights.values())).file.name if weights else 'The file'} holds "
            f"{', '.join(strange[:3]) or 'nothing'}, which is no LoRA we know.",
            hint="Plain LoRAs in the official, ComfyUI, Diffusers, PEFT and kohya styles can be used.",
        )
    return layers


def _split(key: str) -> tuple[str, str | None]:
    """Return a tensor's layer and its part in it; None for a part we do not know."""
    for end, part in _PARTS.items():
        if key.endswith("." + end):
            return _bare(key.removesuffix("." + end)), part
    return key, None


def _bare(name: str) -> str:
    for prefix in _PREFIXES + _KOHYA_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _key(name: str) -> str:
    """Return the key of the weight a dotted layer name means, whichever of the dotted styles it is in."""
    return apply_rules(f"{name}.weight", TRANSFORMER_RULES)


def _low_rank(path: Path, key: str, parts: dict[str, StoredTensor], shape: tuple[int, ...]) -> LowRank:
    if "down" not in parts or "up" not in parts:
        raise LoraError(f"{path.name} has only half of {key}.", hint="Download the file again.")
    down, up = parts["down"].read(), parts["up"].read()
    rank = down.shape[0]
    made_for = (up.shape[0], down[0].numel())
    if up.shape[1] != rank or made_for != (shape[0], torch.Size(shape[1:]).numel()):
        raise LoraError(
            f"{path.name} was made for another model: {key} is {_by(made_for)} there and {_by(shape)} here.",
            hint="Use a LoRA of this model's size.",
        )
    alpha = float(parts["alpha"].read()) if "alpha" in parts else float(rank)
    return LowRank(down, up, alpha / rank)


def _difference(path: Path, key: str, part: StoredTensor, shapes: Shapes) -> Tensor:
    if shapes.get(key) != part.shape:
        raise LoraError(
            f"{path.name} was made for another model: {key} is {_by(part.shape)} there"
            f" and {_by(shapes.get(key, ()))} here.",
            hint="Use a LoRA of this model's size.",
        )
    return part.read()


def _foreign_error(path: Path, foreign: list[str], count: int, shapes: Shapes) -> LoraError:
    near = difflib.get_close_matches(foreign[0], [key.removesuffix(".weight") for key in shapes], n=1)
    hint = f"Nearest to {foreign[0]} is {near[0]}." if near else "It is for another kind of model."
    if any(re.search(r"k_img|img_emb", name) for name in foreign):
        hint = "It is for Wan2.1 image-to-video, which has layers for a picture that Wan2.2 lacks."
    return LoraError(f"{path.name} has {len(foreign)} of {count} layers this model lacks.", hint=hint)


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "missing"
