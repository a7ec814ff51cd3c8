"""What each released Wan2.2 model is: widths of the transformers, and the settings its task runs with.

A checkpoint's own `config.json` decides how a transformer is built (`transformer_spec`); the table `TASKS`
drives the pipelines. Source: the configuration files of Wan-Video/Wan2.2 and of its released checkpoints.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from wan_engine.errors import SettingError

ModelType = Literal["t2v", "i2v", "ti2v", "s2v"]
VaeName = Literal["wan21", "wan22"]


def _check(is_good: bool, name: str, value: object, allowed: str) -> None:
    if not is_good:
        raise SettingError(f"{name} is {value}; it must be {allowed}.")


@dataclass(frozen=True)
class TransformerSpec:
    """Widths of a text-, image- or text-and-image-to-video transformer."""

    model_type: ModelType
    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    in_dim: int
    out_dim: int
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    eps: float = 1e-6
    patch_size: tuple[int, int, int] = (1, 2, 2)

    def __post_init__(self) -> None:
        _check(self.dim % self.num_heads == 0, "dim", self.dim, f"a multiple of num_heads ({self.num_heads})")
        _check(self.head_dim % 2 == 0, "dim // num_heads", self.head_dim, "an even number")
        _check(self.freq_dim % 2 == 0, "freq_dim", self.freq_dim, "an even number")
        _check(tuple(self.patch_size) == (1, 2, 2), "patch_size", self.patch_size, "(1, 2, 2)")

    @property
    def head_dim(self) -> int:
        """Return the width of one attention head."""
        return self.dim // self.num_heads


@dataclass(frozen=True)
class SpeechTransformerSpec(TransformerSpec):
    """Widths of the speech-to-video transformer: the base and its audio, pose and motion parts."""

    cond_dim: int = 16
    audio_dim: int = 1024
    num_audio_token: int = 4
    audio_inject_layers: tuple[int, ...] = (0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39)
    enable_adain: bool = True
    zero_timestep: bool = True
    add_last_motion: bool = True
    framepack_drop_mode: Literal["padd", "drop"] = "padd"
    motion_frames: int = 73

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.dim % 4 == 0, "dim", self.dim, "a multiple of 4")
        _check(
            self.framepack_drop_mode in ("padd", "drop"),
            "framepack_drop_mode",
            self.framepack_drop_mode,
            "'padd' or 'drop'",
        )
        _check(
            all(0 <= layer < self.num_layers for layer in self.audio_inject_layers),
            "audio_inject_layers",
            self.audio_inject_layers,
            f"block numbers below {self.num_layers}",
        )


@dataclass(frozen=True)
class TaskSpec:
    """Everything about a task that is not a weight."""

    name: str
    transformer: TransformerSpec
    vae: VaeName
    vae_stride: tuple[int, int, int]  # pixels to one latent: frames, rows, columns
    shift: float
    steps: int
    guidance: tuple[float, float]  # low-noise expert, high-noise expert
    boundary: float | None  # noise level from which the high-noise expert is used; None: one network
    rate: int  # frames per second of the result
    frame_count: int
    sizes: tuple[str, ...]  # allowed "width*height" presets

    @property
    def is_mixture(self) -> bool:
        """Tell whether the task has two experts."""
        return self.boundary is not None


_WIDTH_14B: dict[str, Any] = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40, "out_dim": 16}
_SIZES_A14B = ("720*1280", "1280*720", "480*832", "832*480")
_SIZES_5B = ("704*1280", "1280*704")

TASKS: dict[str, TaskSpec] = {
    task.name: task
    for task in (
        TaskSpec(
            name="t2v-A14B",
            transformer=TransformerSpec(model_type="t2v", in_dim=16, **_WIDTH_14B),
            vae="wan21", vae_stride=(4, 8, 8), shift=12.0, steps=40, guidance=(3.0, 4.0), boundary=0.875,
            rate=16, frame_count=81, sizes=_SIZES_A14B,
        ),
        TaskSpec(
            name="i2v-A14B",
            transformer=TransformerSpec(model_type="i2v", in_dim=36, **_WIDTH_14B),
            vae="wan21", vae_stride=(4, 8, 8), shift=5.0, steps=40, guidance=(3.5, 3.5), boundary=0.900,
            rate=16, frame_count=81, sizes=_SIZES_A14B,
        ),
        TaskSpec(
            name="ti2v-5B",
            transformer=TransformerSpec(model_type="ti2v", dim=3072, ffn_dim=14336, num_heads=24,
                                        num_layers=30, in_dim=48, out_dim=48),
            vae="wan22", vae_stride=(4, 16, 16), shift=5.0, steps=50, guidance=(5.0, 5.0), boundary=None,
            rate=24, frame_count=121, sizes=_SIZES_5B,
        ),
        TaskSpec(
            name="s2v-14B",
            transformer=SpeechTransformerSpec(model_type="s2v", in_dim=16, **_WIDTH_14B),
            vae="wan21", vae_stride=(4, 8, 8), shift=3.0, steps=40, guidance=(4.5, 4.5), boundary=None,
            rate=16, frame_count=80, sizes=(*_SIZES_A14B, *_SIZES_5B, "1024*704", "704*1024"),
        ),
    )
}  # fmt: skip

# Fields a released config may carry that change nothing here, or only with the value given.
_IGNORED = {"window_size", "zero_init", "trainable_token", "enable_tsm"}
_FIXED: dict[str, Any] = {
    "qk_norm": True, "cross_attn_norm": True, "enable_motioner": False, "enable_framepack": True,
    "adain_mode": "attn_norm",
}  # fmt: skip


def find_task(name: str) -> TaskSpec:
    """Return the task of that name. Raises SettingError, naming the nearest one."""
    if name not in TASKS:
        raise SettingError(f"There is no task {name!r}.", hint=f"Choose one of {', '.join(TASKS)}.")
    return TASKS[name]


def transformer_spec(config: Mapping[str, Any]) -> TransformerSpec:
    """Read a transformer's `config.json`. Raises SettingError for a key or value we do not know."""
    config = {key: value for key, value in config.items() if not key.startswith("_") and key not in _IGNORED}
    model_type = config.get("model_type")
    if model_type not in ("t2v", "i2v", "ti2v", "s2v"):
        raise SettingError(f"model_type is {model_type!r}.", hint="Known are t2v, i2v, ti2v and s2v.")
    for key, value in _FIXED.items():
        _check(config.pop(key, value) == value, key, not value, f"{value} (what the released models use)")
    kind = SpeechTransformerSpec if model_type == "s2v" else TransformerSpec
    known = {field.name for field in fields(kind)}
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise SettingError(
                f"The model's config has a field {key!r} we do not know.",
                hint=f"Nearest known: {near[0]}." if near else "",
            )
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    try:
        return kind(**config)
    except TypeError as error:
        raise SettingError(f"The model's config is incomplete: {error}.") from None
