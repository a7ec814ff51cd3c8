"""Forwards and guidance shared by two and four processes, against one process alone."""

import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.distributed.tensor import DTensor

from wan_engine.errors import SettingError
from wan_engine.loading.sharding import shard_blocks
from wan_engine.parallel import split_clip
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.settings import sampling_for
from wan_engine.pipelines.text_to_video import text_to_video
from wan_engine.sampling.control import Control
from wan_engine.sampling.denoise import Guide, Prepared
from wan_engine.sampling.experts import Experts, ExpertSwitch, held
from wan_engine.specs import TASKS, SpeechTransformerSpec, TransformerSpec
from wan_engine.transformer.model import Clip, Memory, Transformer
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae

SPEECH = SpeechTransformerSpec(
    model_type="s2v", dim=48, ffn_dim=80, num_heads=4, num_layers=2, in_dim=16, out_dim=16, freq_dim=32,
    text_dim=24, text_len=12, audio_dim=10, audio_inject_layers=(0, 1),
)  # fmt: skip
BASE = TransformerSpec(
    model_type="t2v", dim=48, ffn_dim=80, num_heads=2, num_layers=2, in_dim=16, out_dim=16, freq_dim=32,
    text_dim=24, text_len=12,
)  # fmt: skip
SHAPE = (1, 16, 3, 10, 6)  # 45 video tokens: neither 2 nor 4 divide them, and cuts fall inside frames


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Return the same random numbers in every process."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(spec: TransformerSpec) -> Transformer:
    """Return a model with the same random weights in every process."""
    model = SpeechTransformer(spec) if isinstance(spec, SpeechTransformerSpec) else Transformer(spec)
    for index, parameter in enumerate(model.parameters()):
        parameter.data = draw(*parameter.shape, seed=index) * 0.1
    return model


def prepare(model: Transformer) -> tuple[Clip, Memory]:
    """Prepare a clip with reference, motion, text and audio."""
    assert isinstance(model, SpeechTransformer)
    clip = model.speech_clip(SHAPE, draw(1, 16, 1, 10, 6), motion_BCfhw=draw(1, 16, 19, 10, 6, seed=5))
    text = model.memory([draw(5, 24)])
    return clip, model.speech_memory(text, draw(1, 25, 10, 12), motion_frames=73, motion_latents=19)


def forward(group: Any) -> Tensor:
    """Run one forward, shared when there is a group."""
    model = make(SPEECH)
    clip, memory = prepare(model)
    if group is not None:
        clip = split_clip(clip, group, num_heads=SPEECH.num_heads)
    return model(draw(*SHAPE, seed=9), model.time_table([600.0, 0.0]).at((0, 1)), clip, memory)


def guided(group: Any) -> Tensor:
    """Return a guided velocity, its branches shared when there is a group."""
    model = make(SPEECH)
    clip, memory = prepare(model)
    assert isinstance(model, SpeechTransformer)
    text = model.memory([draw(4, 24, seed=3)])
    other = model.speech_memory(text, torch.zeros(1, 25, 10, 12), motion_frames=73, motion_latents=19)

    def prepared(network: Transformer, scale: float) -> Prepared:
        return Prepared(network.time_table([600.0, 0.0]), clip, memory, other, lambda step: (0, 1))

    with Experts([held(model)]) as experts:
        guide = Guide(experts, ExpertSwitch(), (4.0, 4.0), prepared, Control(), branches=group)
        return guide.velocity(draw(*SHAPE, seed=9), 0, 0.6, 600)


def sliced(group: Any) -> Tensor:
    """Return a forward of blocks whose weights are shared when there is a group, half of them here."""
    model, (clip, memory) = make(SPEECH), prepare(make(SPEECH))
    whole = sum(parameter.nbytes for parameter in model.blocks.parameters())
    if group is not None:
        shard_blocks(model, torch.device("cpu"))
        here = [p.to_local() if isinstance(p, DTensor) else p for p in model.blocks.parameters()]
        assert sum(part.nbytes for part in here) < whole * (1 / dist.get_world_size() + 0.05)
        assert isinstance(model, SpeechTransformer)
        clip, memory = prepare(model)
    return model(draw(*SHAPE, seed=9), model.time_table([600.0, 0.0]).at((0, 1)), clip, memory)


def film(group: Any) -> Tensor:
    """Make a tiny film, its forwards shared when there is a group."""
    spec = replace(BASE, num_heads=4)
    torch.manual_seed(0)
    vae = Wan21Vae(Wan21Config(width=4)).eval().requires_grad_(False)
    for index, parameter in enumerate(vae.parameters()):
        parameter.data = draw(*parameter.shape, seed=index) * 0.1
    task = replace(TASKS["t2v-A14B"], transformer=spec)
    parts = Parts(task, (held(make(spec)), held(make(spec))), held(vae), str_to_text, tokens=group)
    sampling = sampling_for(task, steps=2)
    return text_to_video(
        parts, draw(5, 24), draw(4, 24, seed=1), width=48, height=80, frame_count=5, sampling=sampling
    )


def str_to_text(prompt: str) -> Tensor:
    """Stand for a text encoder that must not be asked."""
    raise AssertionError(prompt)


WORK = {"forward": forward, "guided": guided, "sliced": sliced, "film": film}


def work(rank: int, ranks: int, port: int, what: str, folder: str) -> None:
    """Run in each process."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group(
        "gloo", init_method=address, rank=rank, world_size=ranks, timeout=timedelta(seconds=120)
    )
    with torch.no_grad():
        result = WORK[what](dist.group.WORLD)
    torch.save(result, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "ranks"),
    [("forward", 2), ("forward", 4), ("guided", 2), ("sliced", 2), ("sliced", 4), ("film", 2)],
)
def test_processes_agree_with_one_alone(what: str, ranks: int, tmp_path: Path) -> None:
    mp.spawn(work, args=(ranks, free_port(), what, str(tmp_path)), nprocs=ranks)
    with torch.no_grad():
        expected = WORK[what](None)
    for rank in range(ranks):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        exact = {"atol": 0.0, "rtol": 0.0}
        rounded = {"atol": 2e-5, "rtol": 1e-5}
        torch.testing.assert_close(found, expected, **(exact if what == "sliced" else rounded))


def test_heads_that_do_not_divide_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "get_world_size", lambda group: 3)
    monkeypatch.setattr(dist, "get_rank", lambda group: 0)
    model = make(SPEECH)
    group: Any = None
    with pytest.raises(SettingError, match="4 heads"):
        split_clip(prepare(model)[0], group, num_heads=4)
