"""Small transformers with random weights, the same for every test that asks for the same widths."""

from collections.abc import Callable

import pytest
import torch

from wan_engine.specs import SpeechTransformerSpec, TransformerSpec
from wan_engine.transformer.model import Transformer
from wan_engine.transformer.s2v import SpeechTransformer


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: for models this small a second one only waits."""
    torch.set_num_threads(1)


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Give every weight a small random value, those that start at zero or one included."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    model.requires_grad_(False).eval()


@pytest.fixture
def base_spec() -> TransformerSpec:
    """Return the widths of a tiny text-to-video transformer."""
    return TransformerSpec(
        model_type="t2v", dim=48, ffn_dim=80, num_heads=2, num_layers=2, in_dim=16, out_dim=16, freq_dim=32,
        text_dim=24, text_len=12,
    )  # fmt: skip


@pytest.fixture
def speech_spec() -> SpeechTransformerSpec:
    """Return the widths of a tiny speech-to-video transformer."""
    return SpeechTransformerSpec(
        model_type="s2v", dim=48, ffn_dim=80, num_heads=2, num_layers=3, in_dim=16, out_dim=16, freq_dim=32,
        text_dim=24, text_len=12, audio_dim=10, audio_inject_layers=(0, 2),
    )  # fmt: skip


@pytest.fixture
def make_model() -> Callable[[TransformerSpec], Transformer]:
    """Return a function that builds a transformer with random weights."""

    def make(spec: TransformerSpec) -> Transformer:
        is_speech = isinstance(spec, SpeechTransformerSpec)
        model = SpeechTransformer(spec) if is_speech else Transformer(spec)
        randomise(model)
        return model

    return make
