"""The transformers' fast paths against the plain formulas, and what they refuse."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.shapes import speech_tokens, token_grid
from wan_engine.transformer import attention as attention_module
from wan_engine.transformer.attention import attention, use_backend
from wan_engine.transformer.fused import (
    _norm_modulate,
    _norm_rotate,
    add_gated,
    linear_gelu,
    norm_modulate,
    norm_rotate,
)
from wan_engine.transformer.model import Transformer, keeps_float32
from wan_engine.transformer.modulation import cut_bounds, runs_of
from wan_engine.transformer.rope import angles, grid_positions, rotation
from wan_engine.transformer.s2v import SpeechTransformer

SHAPE = (1, 16, 3, 8, 6)


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Return the same random numbers for the same shape and seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def velocity(model: Transformer, latent: Tensor, text: list[Tensor], timestep: float = 500.0) -> Tensor:
    """Run one forward with one timestep for all tokens."""
    with torch.no_grad():
        clip = model.clip(latent.shape)
        return model(latent, model.time_table([timestep]).at((0,)), clip, model.memory(text))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_and_modulation_in_pieces_are_the_formula(dtype: torch.dtype) -> None:
    x, scale, shift = draw(1, 4000, 64), 1 + draw(3, 64, seed=1), draw(3, 64, seed=2)
    bounds = ((0, 7), (7, 3001), (3001, 4000))
    expected = torch.cat(
        [F.layer_norm(x[:, a:b], (64,)) * scale[r] + shift[r] for r, (a, b) in enumerate(bounds)], dim=1
    )
    ours = norm_modulate(x, scale, shift, bounds, eps=1e-5, dtype=dtype)
    assert ours.dtype == dtype
    torch.testing.assert_close(
        ours, expected.to(dtype), atol=2e-5, rtol=8e-3 if dtype == torch.bfloat16 else 1e-5
    )
    torch.testing.assert_close(_norm_modulate(x, scale, shift, bounds, 1e-5), expected, atol=2e-5, rtol=1e-5)


def test_norm_and_rotation_in_pieces_are_the_formula() -> None:
    grid, heads = token_grid((20, 40, 40)), 2
    table = rotation(angles(grid_positions(grid), 12)).float()
    x, weight = draw(2, grid.tokens, 24), draw(24, seed=1)
    normal = (x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight).unflatten(-1, (heads, -1, 2))
    turned = torch.view_as_complex(normal.contiguous()) * torch.view_as_complex(table)[:, None]
    expected = torch.view_as_real(turned).flatten(-2)
    ours = norm_rotate(x, weight, table, heads=heads, eps=1e-6)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(_norm_rotate(x, weight, table, heads, 1e-6), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_product_and_activation_in_pieces_are_the_formula(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=generator).to(dtype) for shape in ((2, 700, 24), (40, 24), (40,))
    )
    expected = F.gelu(F.linear(x.double(), weight.double(), bias.double()), approximate="tanh")
    found = linear_gelu(x, weight, bias)
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)


def test_each_run_has_its_own_gate() -> None:
    x, y, gate = draw(1, 6, 4), draw(1, 6, 4, seed=1), draw(2, 4, seed=2)
    expected = torch.cat([x[:, :2] + gate[0] * y[:, :2], x[:, 2:] + gate[1] * y[:, 2:]], dim=1)
    torch.testing.assert_close(add_gated(x.clone(), y, gate, ((0, 2), (2, 6))), expected)


def test_runs_group_neighbouring_tokens_and_share_rows() -> None:
    bounds, rows, values = runs_of([0.0, 0.0, 5.0, 0.0, 7.5, 7.5])
    assert bounds == ((0, 2), (2, 3), (3, 4), (4, 6))
    assert rows == (0, 1, 0, 2)
    assert values == [0.0, 5.0, 7.5]
    assert cut_bounds(bounds, 4) == ((0, 2), (2, 3), (3, 4))


def test_two_guidance_branches_in_one_batch_are_the_two_alone(base_spec: Any, make_model: Any) -> None:
    model, latent = make_model(base_spec), draw(*SHAPE)
    texts = [draw(5, 24, seed=1), draw(9, 24, seed=2)]
    both = velocity(model, latent.expand(2, -1, -1, -1, -1), texts)
    for sample, text in enumerate(texts):
        torch.testing.assert_close(
            both[sample : sample + 1], velocity(model, latent, [text]), atol=1e-5, rtol=1e-5
        )


def test_one_timestep_in_many_runs_is_one_timestep(base_spec: Any, make_model: Any) -> None:
    model, latent, text = make_model(base_spec), draw(*SHAPE), [draw(5, 24)]
    tokens = token_grid(SHAPE).tokens
    with torch.no_grad():
        clip = model.clip(SHAPE, bounds=((0, 5), (5, 6), (6, tokens)))
        parted = model(latent, model.time_table([500.0]).at((0, 0, 0)), clip, model.memory(text))
    torch.testing.assert_close(parted, velocity(model, latent, text), atol=1e-6, rtol=1e-6)


def test_bfloat16_stays_near_float32(base_spec: Any, make_model: Any) -> None:
    latent, text = draw(*SHAPE), [draw(5, 24)]
    exact = velocity(make_model(base_spec), latent, text)
    model = make_model(base_spec).set_dtype(torch.bfloat16)
    rounded = velocity(model, latent, text)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm() / exact.norm() < 0.02
    kept = {key for key, parameter in model.named_parameters() if parameter.dtype == torch.float32}
    assert kept == {key for key, _ in model.named_parameters() if keeps_float32(key)}
    assert "blocks.0.norm3.weight" in kept
    assert "blocks.0.self_attn.q.weight" not in kept


def test_a_forward_does_not_change_its_inputs(speech_spec: Any, make_model: Any) -> None:
    model = make_model(speech_spec)
    assert isinstance(model, SpeechTransformer)
    latent = draw(*SHAPE)
    with torch.no_grad():
        clip = model.speech_clip(SHAPE, draw(1, 16, 1, 8, 6), motion_BCfhw=draw(1, 16, 19, 8, 6))
        audio = draw(1, 25, 10, 12)
        memory = model.speech_memory(model.memory([draw(5, 24)]), audio, motion_frames=73, motion_latents=19)
        modulation = model.time_table([700.0, 0.0]).at((0, 1))
        first, second = (model(latent, modulation, clip, memory) for _ in range(2))
    assert torch.equal(latent, draw(*SHAPE))
    assert torch.equal(first, second)


def test_speech_tokens_are_counted_as_they_are_made(speech_spec: Any, make_model: Any) -> None:
    model = make_model(speech_spec)
    assert isinstance(model, SpeechTransformer)
    reference, motion = draw(1, 16, 1, 24, 16), draw(1, 16, 19, 24, 16)
    shape = (1, 16, 4, 24, 16)
    for given in (None, motion):
        clip = model.speech_clip(shape, reference, motion_BCfhw=given)
        expected = speech_tokens(shape, has_motion=given is not None)
        assert len(clip.layout.rotation_LP2) == clip.layout.bounds[-1][1] == expected


def test_a_missing_pose_is_a_pose_of_zeros(speech_spec: Any, make_model: Any) -> None:
    model, reference = make_model(speech_spec), draw(1, 16, 1, 8, 6)
    assert isinstance(model, SpeechTransformer)
    without = model.speech_clip(SHAPE, reference).added_BLD
    zeros = model.speech_clip(SHAPE, reference, pose_BCfhw=torch.zeros(SHAPE)).added_BLD
    assert without is not None
    assert zeros is not None
    torch.testing.assert_close(without.expand_as(zeros), zeros)


def test_a_text_longer_than_the_model_reads_is_refused(base_spec: Any, make_model: Any) -> None:
    with pytest.raises(SettingError, match="13 tokens"):
        make_model(base_spec).memory([draw(13, 24)])


def test_more_than_one_sample_of_speech_is_refused(speech_spec: Any, make_model: Any) -> None:
    model = make_model(speech_spec)
    assert isinstance(model, SpeechTransformer)
    text = model.memory([draw(5, 24)])
    with pytest.raises(SettingError, match="one sample"):
        model.speech_memory(text, draw(2, 25, 10, 12), motion_frames=73, motion_latents=19)


def test_attention_is_the_softmax_of_scaled_products() -> None:
    q, k, v = draw(2, 7, 3, 8), draw(2, 5, 3, 8, seed=1), draw(2, 5, 3, 8, seed=2)
    weights = torch.einsum("blnk,bsnk->bnls", q, k).div(8**0.5).softmax(-1)
    expected = torch.einsum("bnls,bsnk->blnk", weights, v).flatten(2)
    torch.testing.assert_close(attention(q, k, v), expected, atol=1e-6, rtol=1e-5)


def test_an_unknown_attention_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_module, "_wanted", "auto")
    with pytest.raises(SettingError, match="fastest"):
        use_backend("fastest")
    use_backend("math")
    assert attention_module._wanted == "math"
