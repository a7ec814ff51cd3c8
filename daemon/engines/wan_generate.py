"""Videos of the wan engine, made as `python -m wan_engine.generate` makes them, in the worker.

The second door to wan_engine. Steps of the sampling loop are what a job counts. Each clip is kept as it is
made, so that a job which was stopped goes on after its last one.
"""

import shutil
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import msgspec

from daemon import __version__
from daemon.config import load_config
from daemon.engines.wan import look, weights_for
from daemon.engines.wan_kept import WorkKeeper, digest
from daemon.engines.wan_settings import PROMPT, quality_for
from daemon.engines.wan_weights import let_weights_go, our_errors
from daemon.media.storage import part_of
from daemon.models.store import Store
from daemon.paths import find_paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import GENERATE_PATHS, GenerateSpec, Quality, SpeakSpec, Take
from daemon.provenance.delivery import provenance_of, sign
from daemon.provenance.seal import parts_of_seal
from daemon.provenance.statement import video_statement
from daemon.redub.progress import Reporter
from daemon.redub.take import (
    TakeFiles,
    file_stem,
    note_unfinished,
    prepare_folder,
    read_take,
    settle,
    write_sidecar,
)
from daemon.redub.take import digest as digest_of
from wan_engine import generate as command
from wan_engine.pipeline import Pipeline
from wan_engine.processes import Processes
from wan_engine.sampling.control import Progress
from wan_engine.specs import find_task

_HINT = "Check --ckpt_dir, --task and --lora."
_UNMEASURED = "A new shot: there is nothing to measure it against. Look at it."
_SPEAK_MEMORY_HINT = "Choose a smaller --size, set `wan.memory_gb` lower, or close programs; then retry."
_MEMORY_HINT = "Set --vram_budget_gb lower, choose a smaller size, or close other programs; then retry."


def generate(spec: GenerateSpec, *, work: Path, job_id: str, reporter: Reporter) -> Take:
    """Make a video; clips that an earlier attempt at the job finished are not made again.

    Raises MachineError `engine.unavailable`, `memory.full`, `dest.unwritable`, MediaError
    `source.unreadable`, RequestError `job.invalid`; Cancelled between two steps.
    """
    final = Path(spec.save_file or find_paths().takes / f"{spec.task}_{job_id[-8:]}.mp4")
    video = _Video(spec, final, f"{job_id}-1")
    with our_errors(_HINT, memory_hint=_MEMORY_HINT):
        let_weights_go()
        return _make(video, spec, None, work=work, reporter=reporter)


def speak(spec: SpeakSpec, *, work: Path, job_id: str, reporter: Reporter) -> list[Take]:
    """Make every take of a new talking shot. Raises as `generate`."""
    folder, lora, _ = weights_for(spec.model, is_draft=spec.quality == "draft")
    dest = Path(spec.dest) if spec.dest else find_paths().takes / file_stem(Path(spec.picture))
    pipeline, takes = None, []
    let_weights_go()
    for number in range(1, spec.takes + 1):
        name = f"{file_stem(Path(spec.picture))}_{job_id[-8:]}_take{number:02}.mp4"
        flags = _flags(spec, folder, lora, seed=spec.seed + number - 1)
        video = _Video(spec, dest / name, f"{job_id}-{number}", quality=spec.quality)
        with our_errors(memory_hint=_SPEAK_MEMORY_HINT):
            pipeline = pipeline or command.open_pipeline(options_for(flags, save_file=dest), Processes())
            takes.append(_make(video, flags, pipeline, work=work, reporter=reporter))
        reporter.take(takes[-1])
    return takes


@dataclass(frozen=True)
class _Video:
    """A video to make, and what its take will say of it."""

    request: GenerateSpec | SpeakSpec
    final: Path
    take_id: str
    quality: Quality | None = None

    @property
    def files(self) -> TakeFiles:
        return TakeFiles(self.final, self.final.with_suffix(".json"), None)

    def finished(self) -> Take | None:
        """Return the take, if it exists already. Raises RequestError for a file that is not ours."""
        if not self.files.sidecar.exists():
            return None
        try:
            take = read_take(self.files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(
                "job.invalid",
                f"{self.files.sidecar} is in the way: what is known of the video goes there.",
                hint="Choose another name for the video.",
            ) from error
        return take if take.take_id == self.take_id and self.final.is_file() else None


def _make(
    video: _Video, flags: GenerateSpec, pipeline: Pipeline | None, *, work: Path, reporter: Reporter
) -> Take:
    final = video.final
    if final.is_dir():
        raise RequestError("job.invalid", f"`save_file` is {final}, which is a folder.")
    prepare_folder(final.parent)
    if (take := video.finished()) is not None:
        return take
    note_unfinished(work, final, *parts_of_seal(final))
    part = part_of(final)  # a folder, so that the file in it keeps the ending that names its format
    options = options_for(flags, save_file=part / final.name)
    if options.base_seed < 0:
        options.base_seed = seed_of(video.take_id)
    reporter.stage("engine", options.sample_steps or find_task(flags.task).steps)
    clips = work / f"clips{video.take_id.rpartition('-')[2]}"
    keeper = WorkKeeper(clips, __version__, flags, options.base_seed)
    try:
        written = command.make(
            options,
            Processes(),
            report=_Steps(reporter),
            is_cancelled=lambda: look(reporter),
            keeper=keeper,
            pipeline=pipeline,
        )
        statement = video_statement(video.request, model=flags.ckpt_dir, seed=written.seed)
        settle(sign(written.path, final, statement, log=reporter.log), final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _record(video, written)


def _record(video: _Video, written: command.Written) -> Take:
    """Write the sidecar that makes a video a take."""
    take = Take(
        take_id=video.take_id,
        path=str(video.final),
        sidecar=str(video.files.sidecar),
        frames=written.frame_count,
        rate=(written.rate, 1),
        seed=written.seed,
        engine="wan",
        badge="look",
        checks={"badge": "look", "reasons": [_UNMEASURED], "sha256": digest_of(video.final)},
        quality=video.quality,
    )
    about = {"request": video.request, "provenance": provenance_of(video.final), "dubwright": __version__}
    write_sidecar(video.files, {"take": take, **about})
    return take


def _flags(spec: SpeakSpec, folder: Path, lora: str | None, *, seed: int) -> GenerateSpec:
    """Return the flags of the public command that a speak job means."""
    quality = quality_for(spec, is_distilled=lora is not None)
    return GenerateSpec(
        ckpt_dir=str(folder), task="s2v-14B", size=spec.size, prompt=spec.prompt or PROMPT,
        image=spec.picture, audio=spec.voice, pose_video=spec.pose, infer_frames=spec.chunk,
        start_from_ref=spec.from_picture, sample_solver=quality.solver, sample_steps=quality.steps,
        sample_guide_scale=quality.guidance, base_seed=seed, lora=[lora] if lora else [],
    )  # fmt: skip


def seed_of(take_id: str) -> int:
    """Return the seed of a video for which none was chosen: another for each, the same in every attempt."""
    return int(digest(take_id)[:7], 16)


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
