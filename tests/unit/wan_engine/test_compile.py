"""The compiled blocks: the same numbers, one graph for all blocks, and fewer bytes than uncompiled."""

import logging
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from wan_engine.loading.quantise import QuantLinear, is_quantised, quantise_rows
from wan_engine.loading.streaming import BlockStream
from wan_engine.specs import TransformerSpec
from wan_engine.transformer.model import Transformer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

BYTES = 110  # D bytes a token and block, weights left out; the reference has 539
SPEC = TransformerSpec(
    model_type="t2v", dim=512, ffn_dim=1382, num_heads=4, num_layers=2, in_dim=16, out_dim=16, text_dim=64
)


@pytest.fixture
def model(make_model: Any) -> Transformer:
    """Return a small transformer in bfloat16."""
    torch._dynamo.reset()
    return make_model(SPEC).set_dtype(torch.bfloat16)


def forward(model: Transformer, frames: int) -> torch.Tensor:
    """Run one forward whose first latent frame is clean."""
    generator = torch.Generator().manual_seed(1)
    shape = (1, 16, frames, 32, 32)
    with torch.no_grad():
        clip = model.clip(shape, bounds=((0, 256), (256, 256 * frames)))
        memory = model.memory([torch.randn(20, 64, generator=generator)])
        return model(
            torch.randn(shape, generator=generator), model.time_table([0.0, 700.0]).at((0, 1)), clip, memory
        )


def test_compiled_blocks_agree_share_a_graph_and_move_fewer_bytes(model: Transformer) -> None:
    from torch._inductor import config, metrics  # warns when imported, so not before the test
    from torch._inductor.compile_fx import inductor_metrics_log

    plain = [forward(model, frames) for frames in (10, 4)]
    counters.clear()
    metrics.reset()
    inductor_metrics_log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings(), config.patch(force_disable_caches=True):
            model.compile_blocks()
            compiled = [forward(model, 10)]
            moved, graphs = metrics.num_bytes_accessed, counters["stats"]["unique_graphs"]
            compiled.append(forward(model, 4))
    finally:
        inductor_metrics_log.setLevel(logging.NOTSET)
    for ours, expected in zip(compiled, plain, strict=True):
        assert (ours - expected).norm() / expected.norm() < 1e-2  # bfloat16 rounds in another order
    weights = sum(parameter.nbytes for parameter in model.blocks[0].parameters())
    assert graphs == 1
    assert counters["stats"]["unique_graphs"] <= 2
    assert not counters["graph_break"]
    assert (moved - weights) / (2560 * SPEC.dim) <= BYTES


def test_in_float32_compiled_blocks_agree_to_rounding(make_model: Any) -> None:
    torch._dynamo.reset()
    model = make_model(SPEC)
    plain, compiled = forward(model, 4), forward(model.compile_blocks(), 4)
    assert (compiled - plain).norm() / plain.norm() < 1e-5


def test_compiled_blocks_that_are_streamed_change_no_bit(model: Transformer) -> None:
    resident = forward(model.compile_blocks(), 4)
    stream = BlockStream(model, torch.device("cpu"), resident_bytes=0)
    assert stream.resident_count == 0
    for _ in range(2):
        stream.enter()
        try:
            streamed = forward(model, 4)
        finally:
            stream.leave()
        assert torch.equal(streamed, resident)


def test_compiled_blocks_in_eight_bits_agree_with_uncompiled_ones(make_model: Any) -> None:
    torch._dynamo.reset()
    spec = replace(SPEC, num_layers=3)  # the first and the last block keep their weights
    model = make_model(spec)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    for name, layer in layers.items():
        if is_quantised(f"{name}.weight", spec.num_layers):
            rows = quantise_rows(layer.weight, torch.int8)
            model.set_submodule(name, QuantLinear(*rows, layer.bias, is_dynamic=False))
    assert any(isinstance(layer, QuantLinear) for layer in model.modules())
    plain, compiled = forward(model, 4), forward(model.compile_blocks(), 4)
    assert (compiled - plain).norm() / plain.norm() < 1e-5
