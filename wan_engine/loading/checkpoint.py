"""Fill a model built on the meta device with stored tensors, strictly.

A missing, unexpected or misshapen tensor is an error that names it, its file and the likely cause.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wan_engine.errors import KeyMismatch
from wan_engine.loading.tensors import Weights

NAMED = 4  # tensors a message names before it says "and so many more"


def fill(
    module: nn.Module,
    weights: Weights,
    *,
    dtype: torch.dtype | Callable[[str], torch.dtype],
    device: torch.device | str = "cpu",
    prepare: Callable[[str, Tensor], None] | None = None,
) -> None:
    """Give every parameter its stored tensor, at `dtype` (or what it returns for a key) and `device`.

    With `prepare`, tensors go to it instead, by key, as read (a quantiser wants them so). Raises KeyMismatch
    before anything is read.
    """
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    check_keys(expected, weights, type(module).__name__)
    for key in expected:
        tensor = weights[key].read()
        if prepare is not None:
            prepare(key, tensor)
            continue
        wanted = dtype if isinstance(dtype, torch.dtype) else dtype(key)
        set_parameter(module, key, tensor.to(device=device, dtype=wanted))


def set_parameter(module: nn.Module, key: str, tensor: Tensor) -> None:
    """Put a tensor in the place of the parameter or buffer named `key`."""
    path, _, name = key.rpartition(".")
    owner = module.get_submodule(path)
    if name in owner._parameters:
        owner._parameters[name] = nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[name] = tensor


def check_keys(expected: dict[str, tuple[int, ...]], weights: Weights, model: str) -> None:
    """Raise KeyMismatch unless the stored tensors are exactly those expected."""
    missing = [key for key in expected if key not in weights]
    unexpected = [key for key in weights if key not in expected]
    wrong = [
        f"{key} is {_size(weights[key].shape)}, not {_size(shape)}"
        for key, shape in expected.items()
        if key in weights and weights[key].shape != shape
    ]
    if not (missing or unexpected or wrong):
        return
    file = next((stored.file for stored in weights.values()), None)
    lines = [
        f"{text}: {_name_some(keys)}"
        for text, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
        if keys
    ]
    raise KeyMismatch(
        f"{file or 'The file'} does not hold the weights that its model needs.",
        hint=_likely_cause(expected, missing, unexpected, wrong),
        detail=f"{model}: {'; '.join(lines)}",
    )


def _likely_cause(
    expected: dict[str, tuple[int, ...]], missing: list[str], unexpected: list[str], wrong: list[str]
) -> str:
    speech = "casual_audio_encoder."
    if any(key.startswith(speech) for key in unexpected):
        return "This is a speech-to-video model: use the task s2v-14B."
    if any(key.startswith(speech) for key in missing) and len(missing) < len(expected):
        return "This is no speech-to-video model: use another task, or the s2v-14B weights."
    if len(missing) == len(expected):
        return "The file holds another kind of model, or names its tensors in a way we do not know."
    if wrong:
        return "The weights belong to a model of another size or another task."
    if missing and not unexpected:
        return "The download is not complete."
    return "The weights belong to another variant of the model."


def _name_some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
