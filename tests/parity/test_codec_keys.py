"""The full-size codecs and encoders have exactly the tensors of the released files."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from wan_engine.audio.wav2vec2 import Wav2Vec2, adapt_keys
from wan_engine.text.umt5 import UmT5Encoder
from wan_engine.vae.wan21 import Wan21Vae
from wan_engine.vae.wan22 import Wan22Vae

KEYS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "keys"


def listed(name: str) -> dict[str, list[int]]:
    path = KEYS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"the reference's key lists are not here ({KEYS})")
    return json.loads(path.read_text())["state_dict"]


@pytest.mark.parametrize(
    ("name", "kind"), [("vae2.1", Wan21Vae), ("vae2.2", Wan22Vae), ("umt5-xxl-encoder", UmT5Encoder)]
)
def test_keys_and_shapes_are_the_released_ones(name: str, kind: type[nn.Module]) -> None:
    expected = listed(name)
    with torch.device("meta"):
        model = kind()
    assert {key: list(value.shape) for key, value in model.state_dict().items()} == expected


def test_the_released_wav2vec2_becomes_ours() -> None:
    released = {
        key: torch.empty(shape, device="meta") for key, shape in listed("wav2vec2-large-xlsr-53").items()
    }
    with torch.device("meta"):
        model = Wav2Vec2()
    adapted = {key: list(value.shape) for key, value in adapt_keys(released).items()}
    assert adapted == {key: list(value.shape) for key, value in model.state_dict().items()}
