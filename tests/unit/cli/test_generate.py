"""`dubwright generate` has the flags of `python -m wan_engine.generate`, except those of torchrun."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest
import typer

from daemon.cli import generate as page
from daemon.cli.app import app, run
from daemon.protocol import jobs
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import GenerateSpec
from daemon.protocol.reading import spec_from_builtins

SEVERAL_PROCESSES = {"ulysses_size", "cfg_size", "dit_fsdp", "t5_fsdp"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[GenerateSpec]:
    """Collect the specs the command would put on the queue."""
    specs: list[GenerateSpec] = []

    def collect(spec: GenerateSpec, **_: bool) -> int:
        specs.append(spec)
        return 0

    monkeypatch.setattr(page, "run_spec", collect)
    return specs


def test_every_flag_of_the_engines_command_is_a_field_with_its_default_and_a_flag_here() -> None:
    pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")
    from wan_engine.generate import parse

    theirs = vars(parse(["--ckpt_dir", "/m"]))
    ours = msgspec.structs.asdict(GenerateSpec(ckpt_dir="/m"))
    assert ours.keys() == theirs.keys() - SEVERAL_PROCESSES
    assert {**ours, "ckpt_dir": None} == {name: theirs[name] for name in ours} | {"ckpt_dir": None}
    command = typer.main.get_group(app).commands["generate"]
    flags = {name for parameter in command.params for name in parameter.opts}
    assert {f"--{name}" for name in ours} <= flags


def test_the_choices_are_the_engines() -> None:
    pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")
    from wan_engine.sampling.solver import SOLVERS
    from wan_engine.specs import TASKS
    from wan_engine.text.extend import EXTENSION_METHODS, LANGUAGES

    assert set(get_args(jobs.GenerateTask)) == set(TASKS)
    assert get_args(jobs.Solver) == SOLVERS
    assert get_args(jobs.PromptMethod) == EXTENSION_METHODS
    assert get_args(jobs.PromptLanguage) == LANGUAGES


def test_flags_become_a_spec_with_absolute_paths(
    sent: list[GenerateSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "--task s2v-14B --ckpt_dir m --image a.png --audio b.wav --prompt hi --offload_model False --compile"
    )
    words += (
        " --lora x.safetensors:0.5 --lora y.safetensors --sample_solver dpm++ --base_seed 3 --save_file o.mp4"
    )
    assert run(["generate", *words.split()]) == 0
    assert sent == [
        GenerateSpec(
            ckpt_dir=str(tmp_path / "m"),
            task="s2v-14B",
            image=str(tmp_path / "a.png"),
            audio=str(tmp_path / "b.wav"),
            prompt="hi",
            offload_model=False,
            compile=True,
            lora=[str(tmp_path / "x.safetensors:0.5"), str(tmp_path / "y.safetensors")],
            sample_solver="dpm++",
            base_seed=3,
            save_file=str(tmp_path / "o.mp4"),
        )
    ]


@pytest.mark.parametrize(
    "words",
    ["--offload_model maybe", "--task dance", "--quantise int2", "--base_seed -2", "--save_file a.txt"],
)
def test_a_wrong_value_ends_with_status_2(words: str, sent: list[GenerateSpec]) -> None:
    assert run(["generate", "--ckpt_dir", "m", *words.split()]) == 2
    assert not sent


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(RequestError) as caught:
        spec_from_builtins({"kind": "generate", "ckpt_dir": "/m", "sample_step": 3})
    assert "`sample_steps`" in (caught.value.hint or "")
