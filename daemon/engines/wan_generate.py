"""Videos of the wan engine, made as `python -m wan_engine.generate` makes them, in the worker.

The second door to wan_engine. Steps of the sampling loop are what a job counts.
"""

import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import msgspec

from daemon.config import load_config
from daemon.engines.wan_weights import let_weights_go, our_errors
from daemon.media.storage import part_of
from daemon.models.store import Store
from daemon.paths import find_paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import GENERATE_PATHS, GenerateSpec
from daemon.redub.progress import Reporter
from daemon.redub.take import note_unfinished, prepare_folder, settle
from wan_engine import generate as command
from wan_engine.processes import Processes
from wan_engine.sampling.control import Progress
from wan_engine.specs import find_task

_HINT = "Check --ckpt_dir, --task and --lora."
_MEMORY_HINT = "Set --vram_budget_gb lower, choose a smaller size, or close other programs; then retry."


def generate(spec: GenerateSpec, *, work: Path, job_id: str, reporter: Reporter) -> dict[str, Any]:
    """Make a video; return its path, frames, rate and seed.

    Raises MachineError `engine.unavailable`, `memory.full`, `dest.unwritable`, MediaError
    `source.unreadable`, RequestError `job.invalid`; Cancelled between two steps.
    """
    final = Path(spec.save_file or find_paths().takes / f"{spec.task}_{job_id[-8:]}.mp4")
    if final.is_dir():
        raise RequestError("job.invalid", f"`save_file` is {final}, which is a folder.")
    prepare_folder(final.parent)
    note_unfinished(work, final)
    part = part_of(final)  # a folder, so that the file in it keeps the ending that names its format
    options = options_for(spec, save_file=part / final.name)
    reporter.stage("engine", options.sample_steps or find_task(spec.task).steps)
    let_weights_go()
    try:
        with our_errors(_HINT, memory_hint=_MEMORY_HINT):
            written = command.make(options, Processes(), report=_Steps(reporter))
        settle(written.path, final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return {
        "path": str(final),
        "frames": written.frame_count,
        "rate": [written.rate, 1],
        "seed": written.seed,
    }


def options_for(spec: GenerateSpec, *, save_file: Path) -> Namespace:
    """Return what the command would have read from its command line."""
    given = {name: value for name, value in msgspec.structs.asdict(spec).items() if value is not None}
    paths = {name: Path(given[name]) for name in GENERATE_PATHS if name in given}
    paths["ckpt_dir"] = Store(find_paths().models).locate(spec.ckpt_dir)
    options = command.parse(["--ckpt_dir", str(paths["ckpt_dir"])])
    vars(options).update(given | paths, save_file=save_file)
    if options.vram_budget_gb is None:
        options.vram_budget_gb = load_config(find_paths().config_file).wan.memory_gb
    return options


class _Steps:
    """Counts steps over all clips for a Reporter, which raises Cancelled when the job should stop."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._clips = 1

    def __call__(self, progress: Progress) -> None:
        if progress.stage != "denoise":
            self._reporter.frames(0)
            return
        if progress.clips != self._clips:
            self._clips = progress.clips
            self._reporter.stage("engine", progress.total * progress.clips)
        self._reporter.frames(progress.clip * progress.total + progress.done)
