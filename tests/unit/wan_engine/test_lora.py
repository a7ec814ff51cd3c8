"""LoRAs: four spellings, exact merging and unmerging, run-time adapters, and refusals."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from wan_engine.errors import LoraError
from wan_engine.loading.checkpoint import fill
from wan_engine.loading.lora import attach, detach, merged, read_lora, remerge
from wan_engine.loading.models import build_transformer
from wan_engine.loading.quantise import QuantLinear, quantising
from wan_engine.loading.stored import stored
from wan_engine.loading.tensors import Weights
from wan_engine.specs import TransformerSpec
from wan_engine.transformer.model import Transformer

SPEC = TransformerSpec(
    model_type="t2v", dim=32, ffn_dim=64, num_heads=2, num_layers=3, in_dim=16, out_dim=16, freq_dim=16,
    text_dim=24, text_len=12,
)  # fmt: skip
KEY = "blocks.1.self_attn.q.weight"
RANK = 4
STYLES = {
    "official": ("diffusion_model.blocks.1.self_attn.q", "lora_down.weight", "lora_up.weight"),
    "diffusers": ("transformer.blocks.1.attn1.to_q", "lora_A.weight", "lora_B.weight"),
    "peft": ("base_model.model.blocks.1.self_attn.q", "lora_A.default.weight", "lora_B.default.weight"),
    "kohya": ("lora_unet_blocks_1_self_attn_q", "lora_down.weight", "lora_up.weight"),
}


@pytest.fixture
def weights() -> Weights:
    torch.manual_seed(0)
    return {
        key: stored(Path("model"), torch.randn(value.shape).to(torch.bfloat16))
        for key, value in build_transformer(SPEC).state_dict().items()
    }


@pytest.fixture
def shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    return {key: tensor.shape for key, tensor in weights.items()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    def write(tensors: dict[str, Tensor]) -> Path:
        save_file(tensors, tmp_path / "lora.safetensors")
        return tmp_path / "lora.safetensors"

    return write


def low_rank(style: str = "official", width: int = 32) -> dict[str, Tensor]:
    torch.manual_seed(1)
    name, down, up = STYLES[style]
    return {
        f"{name}.{down}": torch.randn(RANK, width),
        f"{name}.{up}": torch.randn(width, RANK),
        f"{name}.alpha": torch.tensor(2.0),
    }


def loaded(weights: Weights) -> Transformer:
    model = build_transformer(SPEC)
    fill(model, weights, dtype=torch.bfloat16)
    return model


@pytest.mark.parametrize("style", STYLES)
def test_every_spelling_adds_the_same(style: str, write, weights, shapes) -> None:
    tensors = low_rank(style)
    down, up, alpha = tensors.values()
    now = merged(weights, [(read_lora(write(tensors), shapes), 0.5)])
    expected = weights[KEY].read().float() + 0.5 * (alpha / RANK) * (up @ down)
    torch.testing.assert_close(now[KEY].read(), expected)
    assert all(now[key] is weights[key] for key in weights if key != KEY)


def test_several_add_up(write, weights, shapes) -> None:
    lora = read_lora(write(low_rank()), shapes)
    both = merged(weights, [(lora, 0.25), (lora, 0.5)])[KEY].read()
    torch.testing.assert_close(both, merged(weights, [(lora, 0.75)])[KEY].read())


def test_without_alpha_the_scale_is_one(write, shapes) -> None:
    tensors = {key: value for key, value in low_rank().items() if not key.endswith("alpha")}
    assert read_lora(write(tensors), shapes).low_rank[KEY].scale == 1


def test_whole_differences_of_weights_and_biases_are_added(write, weights, shapes) -> None:
    name = "diffusion_model.blocks.0.norm3"
    tensors = {f"{name}.diff": torch.ones(32), f"{name}.diff_b": torch.full((32,), 2.0)}
    now = merged(weights, [(read_lora(write(tensors), shapes), 1.0)])
    for end, added in (("weight", 1), ("bias", 2)):
        key = f"blocks.0.norm3.{end}"
        torch.testing.assert_close(now[key].read(), weights[key].read().float() + added)


def test_taking_a_lora_out_of_a_loaded_model_gives_its_weights_back_bit_for_bit(
    write, weights, shapes
) -> None:
    lora = read_lora(write(low_rank()), shapes)
    model = loaded(weights)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    remerge(model, weights, [(lora, 1.0)])
    assert not torch.equal(model.state_dict()[KEY], before[KEY])
    remerge(model, weights, [], before=[(lora, 1.0)])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_beside_quantised_weights_a_lora_is_applied_at_run_time(write, weights, shapes) -> None:
    model = build_transformer(SPEC)
    prepare = quantising(model, "int8", block_count=3, dtype=lambda key: torch.float32, device="cpu")
    fill(model, weights, dtype=torch.float32, prepare=prepare)
    layer = model.get_submodule(KEY.removesuffix(".weight"))
    assert isinstance(layer, QuantLinear)
    lora, x = read_lora(write(low_rank()), shapes), torch.randn(5, 32)
    plain = layer(x)
    attach(model, lora, 0.5)
    torch.testing.assert_close(layer(x), plain + 0.5 * x @ lora.low_rank[KEY].delta().T)
    assert any(
        name.endswith(f"{KEY.removesuffix('weight')}adapters.0.down") for name, _ in model.named_buffers()
    )
    detach(model)
    assert torch.equal(layer(x), plain)


def test_run_time_application_needs_quantised_layers(write, weights, shapes) -> None:
    with pytest.raises(LoraError, match="not quantised"):
        attach(loaded(weights), read_lora(write(low_rank()), shapes))


def test_a_lora_of_a_model_of_another_size_is_refused(write, shapes) -> None:
    with pytest.raises(LoraError, match=r"another model: .* is 48x48 there and 32x32 here"):
        read_lora(write(low_rank(width=48)), shapes)


def test_layers_the_model_lacks_are_refused_or_left_out_when_asked(write, shapes) -> None:
    foreign = {key.replace("self_attn.q", "cross_attn.k_img"): value for key, value in low_rank().items()}
    path = write(low_rank() | foreign)
    with pytest.raises(LoraError, match=r"1 of 2 layers.*Wan2\.1 image-to-video"):
        read_lora(path, shapes)
    assert list(read_lora(path, shapes, is_partial=True).low_rank) == [KEY]


def test_a_lora_that_changes_nothing_is_refused(write, shapes) -> None:
    foreign = {key.replace("blocks.1", "layers.1"): value for key, value in low_rank().items()}
    with pytest.raises(LoraError, match="changes nothing"):
        read_lora(write(foreign), shapes, is_partial=True)


@pytest.mark.parametrize("tensors", [{"a.weight": torch.zeros(2)}, {"x.dora_scale": torch.zeros(2)}])
def test_what_is_no_plain_lora_is_refused(tensors: dict[str, Tensor], write, shapes) -> None:
    with pytest.raises(LoraError, match="no LoRA we know"):
        read_lora(write(tensors), shapes)


def test_half_a_layer_is_refused(write, shapes) -> None:
    tensors = {key: value for key, value in low_rank().items() if "up" not in key}
    with pytest.raises(LoraError, match="only half"):
        read_lora(write(tensors), shapes)
