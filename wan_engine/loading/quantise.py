"""8-bit linear layers: weights in int8 or float8 with a scale for each row, half the bytes of bfloat16.

Weight-only layers bring their weight back before the product: memory is saved, not time. Dynamic ones also
round each row of the input to 8 bits and use the 8-bit matrix units (int8 from Ampere, float8 from Ada).

What rounding costs, as relative error of one layer's output for normal weights and inputs: about 0.9 % with
int8 (127 steps over the largest of a row) and 2.6 % with float8 (3 bits of mantissa). Embeddings, norms, the
head, audio injection and the first and last block are sensitive and stay as they are.
"""

import re
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.loading.checkpoint import set_parameter

Kind = Literal["int8", "fp8"]
TOLERANCE: dict[Kind, float] = {"int8": 0.015, "fp8": 0.04}  # relative L2 error of a layer's output
_LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
_DTYPES: dict[Kind, torch.dtype] = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
_BLOCK_LINEAR = re.compile(r"blocks\.(\d+)\.(self_attn\.[qkvo]|cross_attn\.[qkvo]|ffn\.[02])\.weight$")


class Adapter(nn.Module):
    """What a LoRA adds to a layer's output, at run time."""

    down: Tensor
    up: Tensor

    def __init__(self, down: Tensor, up: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("up", up, persistent=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(F.linear(x, self.down), self.up) * self.scale


class QuantLinear(nn.Module):
    """A linear layer with an 8-bit weight, a scale for each output, and adapters added at run time."""

    weight: Tensor
    scale: Tensor

    def __init__(
        self, weight: Tensor, scale: Tensor, bias: Tensor | None, *, is_dynamic: bool = False
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.is_dynamic = is_dynamic
        self.adapters = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        y = self._dynamic(x) if self.is_dynamic else self._weight_only(x)
        for adapter in self.adapters:
            y = y + adapter(x)
        return y

    def _weight_only(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype) * self.scale.to(x.dtype)[:, None]
        return F.linear(x, weight, self.bias)

    def _dynamic(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        rounded, row_scale = quantise_rows(rows, self.weight.dtype)
        if self.weight.dtype == torch.int8:
            product = torch._int_mm(rounded, self.weight.t())  # pyright: ignore[reportPrivateImportUsage]
            product = product.to(torch.float32)
            y = (product * row_scale[:, None] * self.scale).to(x.dtype)
        else:
            y = torch._scaled_mm(  # pyright: ignore[reportPrivateImportUsage]
                rounded,
                self.weight.t(),
                scale_a=row_scale[:, None],
                scale_b=self.scale[None],
                out_dtype=x.dtype,
            )
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], -1)


def quantise_rows(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return rows rounded to 8 bits, and the scale of each: its largest value over the largest code."""
    x = x.to(torch.float32)
    scale = x.abs().amax(dim=1).clamp_min(1e-12) / _LARGEST[dtype]
    scaled = x / scale[:, None]
    return (scaled.round() if dtype == torch.int8 else scaled).to(dtype), scale


def is_quantised(key: str, block_count: int) -> bool:
    """Tell whether a weight is one that may be rounded: a block's products, first and last block excepted."""
    match = _BLOCK_LINEAR.match(key)
    return match is not None and 0 < int(match[1]) < block_count - 1


def quantising(
    model: nn.Module,
    kind: Kind,
    *,
    block_count: int,
    dtype: Callable[[str], torch.dtype],
    device: torch.device | str,
    is_dynamic: bool = False,
) -> Callable[[str, Tensor], None]:
    """Return what `checkpoint.fill` hands each tensor to; no 16-bit copy of the model is ever held."""

    def prepare(key: str, tensor: Tensor) -> None:
        if not is_quantised(key, block_count):
            set_parameter(model, key, tensor.to(device=device, dtype=dtype(key)))
            return
        path, _, name = key.removesuffix(".weight").rpartition(".")
        owner = model.get_submodule(path)
        linear = owner.get_submodule(name)
        assert isinstance(linear, nn.Linear), f"{key} is no weight of a linear layer"
        weight, scale = quantise_rows(tensor.to(device), _DTYPES[kind])
        layer = QuantLinear(weight, scale, linear.bias, is_dynamic=is_dynamic)
        owner.add_module(name, layer)  # the bias is still on the meta device; it comes under its own key

    return prepare


def can_be_dynamic(kind: Kind, device: torch.device | str) -> bool:
    """Tell whether a device multiplies this kind of 8-bit number."""
    device = torch.device(device)
    if device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= ((8, 0) if kind == "int8" else (8, 9))
