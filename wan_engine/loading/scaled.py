"""8-bit single files with a scale beside each weight: bring the weight back to a full range while reading.

ComfyUI writes `NAME.weight` in float8 and `NAME.scale_weight` (later `NAME.weight_scale`), one number for the
tensor or one for each row, and markers that say so.
"""

import torch
from torch import Tensor

from wan_engine.loading.tensors import StoredTensor, Weights

SCALE_ENDS = (".scale_weight", ".weight_scale")
MARKERS = ("scaled_fp8", "comfy_quant")
INPUT_SCALES = (".scale_input", ".input_scale")  # for activations; ours are measured, not stored


def unscale(weights: Weights) -> Weights:
    """Return the weights with scales multiplied in and markers left out; others pass unchanged."""
    scales = {
        key.removesuffix(end) + ".weight": tensor
        for key, tensor in weights.items()
        for end in SCALE_ENDS
        if key.endswith(end)
    }
    kept = {key: tensor for key, tensor in weights.items() if not _is_extra(key)}
    return {key: _scaled(tensor, scales[key]) if key in scales else tensor for key, tensor in kept.items()}


def _is_extra(key: str) -> bool:
    name = key.rpartition(".")[2]
    return key.endswith(SCALE_ENDS + INPUT_SCALES) or name in MARKERS


def _scaled(weight: StoredTensor, scale: StoredTensor) -> StoredTensor:
    def read() -> Tensor:
        factor = scale.read().to(torch.float32)
        if factor.numel() > 1:
            factor = factor.reshape(-1, *[1] * (len(weight.shape) - 1))
        return weight.read().to(torch.float32) * factor

    return StoredTensor(weight.file, weight.shape, read)
