"""The command in several processes, as torchrun starts them, against one process alone."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from wan_engine.errors import SettingError
from wan_engine.loading.assemble import Placement
from wan_engine.processes import Processes
from wan_engine.specs import TASKS
from wan_engine.tiny import write_tiny

ALONE = ["-m", "wan_engine.generate"]


def generate(folder: Path, out: Path, *flags: str, ranks: int = 1) -> np.ndarray:
    """Run the command on a tiny model and return the pixels of its film."""
    arguments = [*ALONE, "--task", "ti2v-5B", "--ckpt_dir", str(folder), "--prompt", "a boat", "--size"]
    arguments += ["704*1280"]
    arguments += [
        "--frame_num",
        "1",
        "--sample_steps",
        "2",
        "--base_seed",
        "1",
        "--save_file",
        str(out),
        *flags,
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    if ranks > 1:
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    started = [
        subprocess.Popen(
            [sys.executable, *arguments], env=shared | {"RANK": str(rank)} if ranks > 1 else shared
        )
        for rank in range(ranks)
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0] * ranks
    finally:
        for process in started:
            process.kill()
    with av.open(str(out)) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_make_the_film_that_one_makes(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model", TASKS["ti2v-5B"])
    alone = generate(tmp_path / "model", tmp_path / "alone.mp4").astype(int)
    for name, flags in {
        "tokens": ["--ulysses_size", "2"],
        "branches": ["--cfg_size", "2"],
        "weights": ["--dit_fsdp", "--t5_fsdp"],
    }.items():
        together = generate(tmp_path / "model", tmp_path / f"{name}.mp4", *flags, ranks=2).astype(int)
        assert together.shape == alone.shape
        assert abs(together - alone).max() <= 2, name  # of 255; sums are rounded in another order


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_can_compile(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model", TASKS["ti2v-5B"])
    plain = generate(tmp_path / "model", tmp_path / "plain.mp4").astype(int)
    compiled = generate(tmp_path / "model", tmp_path / "compiled.mp4", "--compile").astype(int)
    assert (
        abs(compiled - plain).mean() < 0.05
    )  # of 255: a rounding may tip a coefficient of the file's coding
    assert abs(compiled - plain).max() <= 8


@pytest.mark.parametrize(("tokens", "branches"), [(2, 1), (3, 2), (0, 1)])
def test_processes_that_cannot_be_shared_out_are_refused(tokens: int, branches: int) -> None:
    with pytest.raises(SettingError, match="torchrun"):
        Processes(rank=0, count=4).groups(tokens, branches)


@pytest.mark.parametrize(
    "placement",
    [
        Placement(is_sharded=True, is_compiled=True),
        Placement(is_sharded=True, quantise="int8"),
        Placement(is_sharded=True, budget_gb=8),
        Placement(is_text_sharded=True, is_text_on_cpu=True),
        Placement(is_text_sharded=True, prompt_cache=Path("prompts")),
    ],
)
def test_places_that_exclude_each_other_are_refused(placement: Placement) -> None:
    with pytest.raises(SettingError, match="Leave out"):
        placement.check()


def test_one_process_agrees_with_itself() -> None:
    alone = Processes()
    assert alone.is_first
    assert alone.agree(7) == 7
    assert alone.groups(1, 1) == (None, None)
