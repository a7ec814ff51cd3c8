"""Reading a transformer's config, and finding a task."""

from typing import Any

import pytest

from wan_engine.errors import SettingError
from wan_engine.shapes import check_frame_count, parse_size
from wan_engine.specs import TASKS, SpeechTransformerSpec, find_task, transformer_spec

CONFIG: dict[str, Any] = {
    "_class_name": "WanModel", "model_type": "t2v", "dim": 64, "ffn_dim": 96, "num_heads": 2, "num_layers": 3,
    "in_dim": 16, "out_dim": 16,
}  # fmt: skip


def test_fields_a_config_leaves_out_are_the_released_ones() -> None:
    spec = transformer_spec(CONFIG)
    assert (spec.text_dim, spec.text_len, spec.freq_dim, spec.eps) == (4096, 512, 256, 1e-6)
    assert spec.head_dim == 32


def test_a_speech_config_is_a_speech_spec() -> None:
    spec = transformer_spec(CONFIG | {"model_type": "s2v", "audio_inject_layers": [0, 2]})
    assert isinstance(spec, SpeechTransformerSpec)
    assert spec.audio_inject_layers == (0, 2)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_layer": 3}, "num_layers"),
        ({"model_type": "animate"}, "animate"),
        ({"num_heads": 3}, "multiple of num_heads"),
        ({"qk_norm": False}, "qk_norm"),
        ({"patch_size": [2, 2, 2]}, "patch_size"),
        ({"model_type": "s2v", "enable_motioner": True}, "enable_motioner"),
        ({"model_type": "s2v", "framepack_drop_mode": "pad"}, "framepack_drop_mode"),
        ({"model_type": "s2v", "audio_inject_layers": [0, 7]}, "audio_inject_layers"),
    ],
)
def test_a_config_we_cannot_build_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        transformer_spec(CONFIG | change)


def test_an_incomplete_config_says_what_is_missing() -> None:
    with pytest.raises(SettingError, match="ffn_dim"):
        transformer_spec({key: value for key, value in CONFIG.items() if key != "ffn_dim"})


def test_an_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(SettingError, match="s2v-14B"):
        find_task("s2v")
    assert find_task("ti2v-5B") is TASKS["ti2v-5B"]


@pytest.mark.parametrize("count", [0, 2, 80, -3])
def test_a_frame_count_the_autoencoder_would_cut_is_refused(count: int) -> None:
    with pytest.raises(SettingError, match="4n \\+ 1"):
        check_frame_count(count)


def test_frame_counts_of_the_right_form_pass() -> None:
    for count in (1, 5, 81, 121):
        check_frame_count(count)


def test_sizes_are_read_as_width_and_height() -> None:
    assert parse_size("832*480") == parse_size("832x480") == (832, 480)
    with pytest.raises(SettingError, match="480p"):
        parse_size("480p")
