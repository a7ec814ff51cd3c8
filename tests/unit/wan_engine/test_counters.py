"""What a forward costs, counted and not timed: operators, bytes, arithmetic, and what a second step repeats.

The reference's own numbers for the same small configuration, with rounding as on a GPU, are 97 operators and
539 D bytes a token in every block.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from wan_engine.loading.models import build_transformer
from wan_engine.sampling.control import Control
from wan_engine.sampling.denoise import Guide, Prepared
from wan_engine.sampling.experts import Experts, ExpertSwitch, held
from wan_engine.sampling.solver import make_solver
from wan_engine.shapes import token_grid
from wan_engine.specs import TASKS, SpeechTransformerSpec
from wan_engine.transformer.flops import forward_flops
from wan_engine.transformer.model import Clip, Memory, Transformer
from wan_engine.transformer.modulation import TimeTable
from wan_engine.transformer.s2v import SpeechTransformer

BLOCK_OPS, BLOCK_BYTES, OTHER_OPS = 30, 120, 40
SPEC = SpeechTransformerSpec(
    model_type="s2v", dim=512, ffn_dim=1382, num_heads=4, num_layers=4, in_dim=16, out_dim=16, text_dim=64,
    audio_dim=32, audio_inject_layers=(0, 2),
)  # fmt: skip
LATENT = (1, 16, 8, 32, 32)


class Count(TorchDispatchMode):
    """Counts operators that are no views, and the bytes they read and write, weights left out."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.ops: Counter[str] = Counter()
        self.bytes = 0
        self._weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _is_view(func):
            self.ops[func.name()] += 1
            self.bytes += sum(self._size(leaf) for leaf in tree_leaves((args, kwargs, result)))
        return result

    def _size(self, leaf: object) -> int:
        if not isinstance(leaf, Tensor) or leaf.untyped_storage().data_ptr() in self._weights:
            return 0
        return leaf.numel() * leaf.element_size()


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    aliases = [value.alias_info for value in returns if value.alias_info is not None]
    return func.name() == "aten::_unsafe_view" or any(not alias.is_write for alias in aliases)


@pytest.fixture(scope="module")
def speech() -> Iterator[tuple[SpeechTransformer, TimeTable, Clip, Memory]]:
    """A small speech transformer in bfloat16, ready for its first step."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    model = SpeechTransformer(SPEC)
    for parameter in model.parameters():
        parameter.data = draw(*parameter.shape) * 0.02
    model.set_dtype(torch.bfloat16)
    with torch.no_grad():
        times = model.time_table([999.0, 500.0, 0.0])
        clip = model.speech_clip(LATENT, draw(1, 16, 1, 32, 32), motion_BCfhw=draw(1, 16, 19, 32, 32))
        memory = model.speech_memory(
            model.memory([draw(20, 64)]), draw(1, 25, 32, 32), motion_frames=73, motion_latents=19
        )
        yield model, times, clip, memory


def test_a_block_is_few_operators_and_few_bytes(speech: Any) -> None:
    model, times, clip, memory = speech
    x_BLD = model._embed(torch.zeros(LATENT), clip)
    modulation_R6D = times.at((0, 2)).blocks_RI6D[:, 1]
    with Count(model) as count:
        model.blocks[1](x_BLD, modulation_R6D, clip.layout, memory.text[1])
    per_token = count.bytes / x_BLD.shape[1] / SPEC.dim
    assert count.ops.total() <= BLOCK_OPS
    assert per_token <= BLOCK_BYTES


def test_little_happens_outside_the_blocks(speech: Any) -> None:
    model, times, clip, memory = speech
    latent = torch.zeros(LATENT)
    with Count(model) as whole:
        model(latent, times.at((1, 2)), clip, memory)
    x_BLD = model._embed(latent, clip)
    with Count(model) as block:
        model.blocks[1](x_BLD, times.at((1, 2)).blocks_RI6D[:, 1], clip.layout, memory.text[1])
    with Count(model) as injection:
        model.after_block(0, x_BLD, clip, memory)
    inside = SPEC.num_layers * block.ops.total() + len(SPEC.audio_inject_layers) * injection.ops.total()
    assert whole.ops.total() - inside <= OTHER_OPS


def test_steps_cost_the_same_and_leave_nothing_behind(speech: Any) -> None:
    model, times, clip, memory = speech
    costs, held = [], []
    for step in (0, 1, 0):
        with Count(model) as count:
            model(torch.zeros(LATENT), times.at((step, 2)), clip, memory)
        costs.append((count.ops.total(), count.bytes))
        held.append(_bytes_alive())
    assert len(set(costs)) == 1
    assert len(set(held)) == 1


def _bytes_alive() -> int:
    """Return the bytes of every tensor there is, shared storage counted once."""
    gc.collect()
    alive = [thing for thing in gc.get_objects() if type(thing) in (Tensor, torch.nn.Parameter)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in alive}
    return sum(storages.values())


@contextmanager
def counted_steps(model: Transformer, steps: int) -> Iterator[list[int]]:
    """Run sampling steps with guidance and yield the operators each one took."""
    solver = make_solver("unipc", steps=steps, shift=5.0)
    text = torch.zeros(4, model.spec.text_dim, device=model.device)
    shape = (1, 16, 2, 8, 8)

    def prepare(network: Transformer, scale: float) -> Prepared:
        times = network.time_table([*map(float, solver.schedule.timesteps.tolist())])
        memory = network.memory([text])
        return Prepared(times, network.clip(shape), memory, memory, lambda step: (step,))

    latent = torch.zeros(shape, device=model.device)
    counts = []
    with Experts([held(model)]) as experts, torch.no_grad():
        guide = Guide(experts, ExpertSwitch(), (4.0, 4.0), prepare, Control())
        for step in range(steps):
            with Count(model) as count:
                latent = solver.step(latent, guide.velocity(latent, step, 0.5, 500))
            counts.append(count.ops.total())
    yield counts


def test_the_first_step_prepares_and_later_ones_do_not(base_spec: Any, make_model: Any) -> None:
    with counted_steps(make_model(base_spec), 4) as counts:
        assert max(counts[1:]) < counts[0]
        assert counts[3] <= counts[2]  # the second adds the solver's corrector, none adds anything after it


def test_a_step_never_reads_a_number_back_from_the_device(base_spec: Any) -> None:
    """Tensors on the meta device have no values: reading one would raise."""
    with counted_steps(build_transformer(base_spec), 4) as counts:
        assert len(counts) == 4


REAL = {
    "s2v-14B": (1, 16, 20, 64, 64),
    "t2v-A14B": (1, 16, 21, 60, 104),
    "i2v-A14B": (1, 16, 21, 60, 104),
    "ti2v-5B": (1, 48, 31, 44, 80),
}


@pytest.mark.parametrize("task", REAL)
def test_the_arithmetic_at_real_sizes_is_the_formula(task: str) -> None:
    shape, spec = REAL[task], TASKS[task].transformer
    model = build_transformer(spec)
    with torch.device("meta"), torch.no_grad():
        text = model.memory([torch.empty(20, spec.text_dim)])
        if isinstance(model, SpeechTransformer):
            motion = torch.empty(1, 16, 19, *shape[3:])
            clip = model.speech_clip(shape, torch.empty(1, 16, 1, *shape[3:]), motion_BCfhw=motion)
            features = torch.empty(1, 25, 1024, 80)
            text = model.speech_memory(text, features, motion_frames=73, motion_latents=19)
        else:
            condition = torch.empty(1, 20, *shape[2:]) if spec.model_type == "i2v" else None
            clip = model.clip(shape, condition_BCfhw=condition)
        rows = (0,) * len(clip.layout.bounds)
        modulation = model.time_table(torch.zeros(1)).at(rows)
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(shape), modulation, clip, text)
    formula = forward_flops(spec, token_grid(shape), tokens=len(clip.layout.rotation_LP2))
    assert counter.get_total_flops() == pytest.approx(formula, rel=0.005)
