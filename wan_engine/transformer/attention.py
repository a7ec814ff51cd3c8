"""Attention: one function, and the choice of the kernel that computes it.

No masks anywhere: every sequence is one clip, all of whose tokens see each other. Kernels differ in speed and
in rounding only. `use_backend` chooses for the whole process; "auto" takes the first that the device has,
logs it, and tries it on a small input first: one that fails is passed over with a warning.
"""

import importlib.util
import logging
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from wan_engine.errors import SettingError

logger = logging.getLogger(__name__)

_TORCH_KERNELS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
_PACKAGES = {"flash3": "flash_attn_interface", "flash2": "flash_attn", "sage": "sageattention"}
BACKENDS = ("auto", *_PACKAGES, *_TORCH_KERNELS)

# cuDNN leads on compute capability 9 and 10, flash elsewhere. Sage rounds to 8 bits: never automatic.
_ORDER_HOPPER = ("flash3", "cudnn", "flash2", "flash", "efficient", "math")
_ORDER = ("flash2", "flash", "cudnn", "efficient", "math")

_wanted = "auto"


def use_backend(name: str) -> None:
    """Choose the kernel for every attention from now on. Raises SettingError for an unknown name."""
    global _wanted
    if name not in BACKENDS:
        raise SettingError(
            f"There is no attention backend {name!r}.", hint=f"Choose one of {', '.join(BACKENDS)}."
        )
    _wanted = name


def installed_backends() -> list[str]:
    """Return the kernels this environment has, whether or not its device can run them."""
    names = [name for name in BACKENDS if name != "auto"]
    return [name for name in names if name not in _PACKAGES or _is_installed(name)]


def attention(q_BLNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
    """Return softmax(q k' / sqrt(K)) v with heads merged: [B, L, N K]."""
    if q_BLNK.device.type != "cuda":
        return _torch_attention(q_BLNK, k_BSNK, v_BSNK)
    return _chosen(_wanted, q_BLNK.device, q_BLNK.dtype)(q_BLNK, k_BSNK, v_BSNK)


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(_PACKAGES[name]) is not None


def _torch_attention(q_BLNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
    q, k, v = (part.transpose(1, 2) for part in (q_BLNK, k_BSNK, v_BSNK))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _with_kernel(kernel: SDPBackend) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def attend(q_BLNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
        with sdpa_kernel(kernel):
            return _torch_attention(q_BLNK, k_BSNK, v_BSNK)

    return attend


def _from_package(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    module = importlib.import_module(_PACKAGES[name])
    if name == "sage":
        return lambda q, k, v: module.sageattn(q, k, v, tensor_layout="NHD").flatten(2)

    def attend(q_BLNK: Tensor, k_BSNK: Tensor, v_BSNK: Tensor) -> Tensor:
        merged = module.flash_attn_func(q_BLNK, k_BSNK, v_BSNK)
        return (merged[0] if isinstance(merged, tuple) else merged).flatten(2)

    return attend


@cache
def _chosen(
    wanted: str, device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    order = _ORDER_HOPPER if torch.cuda.get_device_capability(device)[0] in (9, 10) else _ORDER
    names = order if wanted == "auto" else (wanted, *order)
    for name in names:
        if name in _PACKAGES and not _is_installed(name):
            if name == wanted:
                logger.warning("attention: %s is not installed, using another kernel", name)
            continue
        attend = _from_package(name) if name in _PACKAGES else _with_kernel(_TORCH_KERNELS[name])
        if _works(attend, name, device, dtype):
            logger.info("attention: %s on %s for %s", name, torch.cuda.get_device_name(device), dtype)
            return attend
    return _torch_attention


def _works(attend: Callable[[Tensor, Tensor, Tensor], Tensor], name: str, device: torch.device,
           dtype: torch.dtype) -> bool:  # fmt: skip
    """Try a kernel on a small input against the plain one; one that fails or disagrees is not used."""
    generator = torch.Generator(device).manual_seed(0)
    q, k, v = (torch.randn(1, 256, 2, 128, generator=generator, device=device, dtype=dtype) for _ in range(3))
    try:
        difference = (attend(q, k, v).float() - _with_kernel(SDPBackend.MATH)(q, k, v).float()).abs().max()
        is_close = bool(difference < 0.05)
    except Exception as error:  # noqa: BLE001 - a kernel may refuse a device in any way it likes
        logger.warning("attention: %s does not run here (%s), trying the next", name, error)
        return False
    if not is_close:
        logger.warning(
            "attention: %s differs by %.3g from the plain kernel, trying the next", name, difference
        )
    return is_close
