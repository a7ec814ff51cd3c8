"""Quantised, streamed and planned: what rounding costs, that streaming is exact, and what fits where."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wan_engine.errors import MemoryShortage, SettingError
from wan_engine.loading.assemble import Placement, job_tokens, load_parts
from wan_engine.loading.checkpoint import fill
from wan_engine.loading.models import build_transformer
from wan_engine.loading.placement import borrowed, kept, nested
from wan_engine.loading.plan import GB, make_plan, transformer_need
from wan_engine.loading.quantise import TOLERANCE, Kind, QuantLinear, is_quantised, quantise_rows, quantising
from wan_engine.loading.stored import stored
from wan_engine.loading.streaming import BlockStream, is_streamed, is_used_once
from wan_engine.loading.visiting import tensors_of, visiting
from wan_engine.specs import TASKS, TransformerSpec, find_task
from wan_engine.text.encoder import PromptEncoder
from wan_engine.tiny import write_tiny
from wan_engine.transformer.model import Transformer

SPEC = TransformerSpec(
    model_type="t2v", dim=48, ffn_dim=80, num_heads=2, num_layers=5, in_dim=16, out_dim=16, freq_dim=32,
    text_dim=24, text_len=12,
)  # fmt: skip
CPU = torch.device("cpu")


def forward(model: Transformer, count: int = 2) -> Tensor:
    """Run a few steps of a clip."""
    random = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        times = model.time_table([900.0, 400.0])
        clip = model.clip((16, 2, 8, 8))
        memory = model.memory([torch.randn(5, 24, generator=random)])
        latents = torch.randn(count, 1, 16, 2, 8, 8, generator=random)
        return torch.stack([model(x, times.at((i % 2,)), clip, memory) for i, x in enumerate(latents)])


@pytest.mark.parametrize(("resident", "count"), [(0, 0), (100_000, 0), (300_000, 1), (10**9, 5)])
def test_streaming_blocks_changes_no_bit(
    resident: int, count: int, make_model: Callable[[TransformerSpec], Transformer]
) -> None:
    model = make_model(SPEC)
    plain = forward(model)
    stream = BlockStream(model, CPU, resident_bytes=resident)
    for _ in range(2):
        stream.enter()
        assert torch.equal(forward(model), plain)
        stream.leave()
    assert torch.equal(forward(model), plain)
    assert stream.resident_count == count


def test_streaming_keeps_within_its_budget(make_model: Callable[[TransformerSpec], Transformer]) -> None:
    model = make_model(SPEC)
    block = sum(p.nbytes for name, p in model.named_parameters() if is_streamed(name)) // SPEC.num_layers
    for budget in (3 * block, 4 * block):
        stream = BlockStream(model, CPU, resident_bytes=budget)
        assert (stream.resident_count + 2) * block <= budget


def test_streaming_quantised_blocks_changes_no_bit(
    make_model: Callable[[TransformerSpec], Transformer],
) -> None:
    model = quantised(make_model(SPEC), "int8")
    plain = forward(model)
    stream = BlockStream(model, CPU, resident_bytes=0)
    stream.enter()
    assert torch.equal(forward(model), plain)


def quantised(model: Transformer, kind: Kind) -> Transformer:
    weights = {key: stored(Path("model"), value) for key, value in model.state_dict().items()}
    rounded = build_transformer(model.spec)
    prepare = quantising(
        rounded, kind, block_count=model.spec.num_layers, dtype=lambda key: torch.float32, device="cpu"
    )
    fill(rounded, weights, dtype=torch.float32, prepare=prepare)
    return rounded


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_a_quantised_layer_is_within_its_tolerance(kind: Kind) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 256), torch.randn(40, 256)
    dtype = torch.int8 if kind == "int8" else torch.float8_e4m3fn
    exact = x @ weight.T
    codes, scale = quantise_rows(weight, dtype)
    error = (QuantLinear(codes, scale, None)(x) - exact).norm() / exact.norm()
    assert error < TOLERANCE[kind]
    assert codes.element_size() == 1


def test_products_of_8_bit_inputs_are_within_tolerance() -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(96, 256), torch.randn(96), torch.randn(2, 20, 256)
    exact = x @ weight.T + bias
    layer = QuantLinear(*quantise_rows(weight, torch.int8), torch.nn.Parameter(bias), is_dynamic=True)
    assert (layer(x) - exact).norm() / exact.norm() < TOLERANCE["int8"]


@pytest.mark.parametrize(("kind", "tolerance"), [("int8", 0.02), ("fp8", 0.06)])
def test_a_quantised_model_stays_close(
    kind: Kind, tolerance: float, make_model: Callable[[TransformerSpec], Transformer]
) -> None:
    model = make_model(SPEC)
    exact, rough = forward(model), forward(quantised(model, kind))
    assert 0 < (rough - exact).norm() / exact.norm() < tolerance


@pytest.mark.parametrize(
    ("key", "is_rounded"),
    [
        ("blocks.1.ffn.0.weight", True),
        ("blocks.1.cross_attn.o.weight", True),
        ("blocks.0.ffn.0.weight", False),
        ("blocks.4.ffn.0.weight", False),
        ("blocks.1.ffn.0.bias", False),
        ("blocks.1.norm3.weight", False),
        ("head.head.weight", False),
        ("audio_injector.injector.1.q.weight", False),
    ],
)
def test_only_the_products_of_inner_blocks_are_rounded(key: str, is_rounded: bool) -> None:
    assert is_quantised(key, 5) is is_rounded


def test_every_block_product_is_streamed_or_used_once() -> None:
    names = {name for name, value in build_transformer(SPEC).named_parameters() if value.ndim == 2}
    products = {name for name in names if name.startswith("blocks.") and "norm" not in name}
    assert all(is_streamed(name) != is_used_once(name) for name in products)


def plan_for(task: str, size: tuple[int, int], budget_gb: float, quantise: Kind | None = None):
    spec = TASKS[task]
    tokens = job_tokens(spec, size, spec.frame_count)
    need = transformer_need(spec.transformer, tokens=tokens, dtype=torch.bfloat16, quantise=quantise)
    return make_plan(
        need,
        vae=spec.vae,
        size=size,
        vae_dtype=torch.float32,
        budget_bytes=int(budget_gb * GB),
        beside_bytes=GB // 2,
    )


def test_a_large_card_keeps_everything_and_a_smaller_one_streams() -> None:
    largest, large = (plan_for("s2v-14B", (512, 512), budget_gb) for budget_gb in (80, 40))
    assert largest.is_roomy
    assert not largest.is_streamed
    assert not large.is_roomy
    assert not large.is_streamed
    assert large.peak_bytes < largest.peak_bytes < 80 * GB
    plan = plan_for("s2v-14B", (512, 512), 24)
    assert plan.is_streamed
    assert not plan.is_roomy
    assert plan.peak_bytes <= plan.budget_bytes
    assert "24.0 GB" in plan.describe()


def test_eight_bit_weights_need_less() -> None:
    assert (
        plan_for("t2v-A14B", (480, 832), 80, "fp8").peak_bytes
        < plan_for("t2v-A14B", (480, 832), 80).peak_bytes
    )


def test_a_small_card_decodes_in_tiles() -> None:
    assert plan_for("ti2v-5B", (704, 1280), 80).tile is None
    assert plan_for("ti2v-5B", (704, 1280), 3.2).tile is not None


def test_what_cannot_fit_is_refused_with_what_would_help() -> None:
    with pytest.raises(MemoryShortage, match="smaller size"):
        plan_for("s2v-14B", (704, 1280), 6)


def test_the_released_parameters_that_every_step_needs() -> None:
    need = transformer_need(TASKS["s2v-14B"].transformer, tokens=0, dtype=torch.bfloat16)
    assert need.blocks / 2 / 1e9 == pytest.approx(4.195 + 2.098 + 5.663, rel=1e-3)  # billions of parameters
    assert need.once / 2 / 1e9 == pytest.approx(2.098 + 0.629 + 0.629, rel=1e-2)


def test_leases_keep_or_drop_what_they_load() -> None:
    loads: list[torch.nn.Linear] = []

    def load(device: torch.device) -> torch.nn.Linear:
        loads.append(torch.nn.Linear(1, 1))
        return loads[-1]

    for lease, expected in ((kept(load, CPU), 1), (borrowed(load, CPU), 2)):
        loads.clear()
        for _ in range(2):
            with lease() as model:
                assert model is loads[-1]
        assert len(loads) == expected


def test_a_network_taken_again_is_brought_once_and_goes_home_as_it_was() -> None:
    layer, visits = torch.nn.Linear(2, 2).requires_grad_(False), 0
    weight, there = layer.weight.clone(), torch.zeros(2, 2)

    @contextmanager
    def lend() -> Iterator[torch.nn.Linear]:
        nonlocal visits
        visits += 1
        with visiting(tensors_of(layer), CPU):
            layer.weight.data = there
            yield layer

    lease = nested(lend)
    for _ in range(2):
        with lease() as model:
            with lease() as again:
                assert again is model
            assert torch.equal(model.weight, there)
        assert torch.equal(layer.weight, weight)
    assert visits == 2


@pytest.mark.parametrize("resident", [0, 10**9])
def test_a_streamed_network_is_at_home_again_after_an_error(
    resident: int, make_model: Callable[[TransformerSpec], Transformer]
) -> None:
    model = make_model(SPEC)
    plain, stream = forward(model), BlockStream(model, CPU, resident_bytes=resident)
    homes = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    stream.enter()
    fetched = model.blocks[1].cross_attn.k
    with pytest.raises(RuntimeError):
        fetched(torch.zeros(1, 1))
    stream.leave()
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == homes
    assert torch.equal(forward(model), plain)


def test_a_prompt_is_encoded_once_and_found_on_disk_afterwards(tmp_path: Path) -> None:
    task = find_task("t2v-A14B")
    write_tiny(tmp_path / "model", task)
    placement = Placement(prompt_cache=tmp_path / "cache")
    first = load_parts("t2v-A14B", tmp_path / "model", placement=placement).encode_text
    features = first("a  cat&amp;dog")
    assert torch.equal(first("a cat&dog"), features)
    again = load_parts("t2v-A14B", tmp_path / "model", placement=placement).encode_text
    assert isinstance(again, PromptEncoder)

    @contextmanager
    def no_encoder():
        raise AssertionError("the encoder is not needed")
        yield

    again._lease = no_encoder
    assert torch.equal(again("a cat&dog"), features)
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(b"broken")
    third = load_parts("t2v-A14B", tmp_path / "model", placement=placement).encode_text
    assert torch.equal(third("a cat&dog"), features)


def test_a_budget_of_nothing_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path, find_task("ti2v-5B"))
    with pytest.raises(SettingError, match="budget"):
        load_parts("ti2v-5B", tmp_path, placement=Placement(budget_gb=0))
