"""What is said about a job: the cells of its row, its tooltip, lengths of time."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.protocol.job_messages import LogEntry
from daemon.protocol.jobs import (
    AlignSpec,
    CheckSpec,
    FacesSpec,
    GenerateSpec,
    Job,
    JobState,
    ProbeSpec,
    RedubSpec,
    SpeakSpec,
)
from gui.texts import Key, text

_HIDDEN = (FacesSpec, AlignSpec, ProbeSpec, CheckSpec)  # the app's own questions, not anybody's work


def is_work(job: Job) -> bool:
    """Say whether somebody waits for what a job makes."""
    return not isinstance(job.spec, _HIDDEN)


def cell_texts(job: Job) -> tuple[str, ...]:
    """Return the words of a job's row, in the order of the columns."""
    shot, voice, engine, takes = _spec_texts(job)
    is_known = job.state is JobState.RUNNING and job.progress and job.progress.eta_s is not None
    sender = _SENDER_KEYS.get(job.submitted_by)
    return (
        text("state.tonight" if job.tonight and job.state is JobState.HELD else JOB_STATE_KEYS[job.state]),
        shot,
        voice,
        engine,
        takes,
        progress_text(job),
        duration_text(job.progress.eta_s or 0) if is_known and job.progress else "",
        job.submitted_by if sender is None else text(sender),
        time_text(job.submitted_at),
    )


def _spec_texts(job: Job) -> tuple[str, str, str, str]:
    spec = job.spec
    if isinstance(spec, RedubSpec):
        shot = f"{Path(spec.source).name}  {spec.in_} – {spec.out}"
        engine = text("job.auto") if spec.engine == "auto" else spec.engine
        return shot, Path(spec.voice).name, engine, str(spec.takes)
    if isinstance(spec, SpeakSpec):
        return Path(spec.picture).name, Path(spec.voice).name, "wan", str(spec.takes)
    if isinstance(spec, GenerateSpec):
        return text("job.generate", task=spec.task), Path(spec.audio or "").name, "wan", ""
    return type(spec).__name__.removesuffix("Spec").lower(), "", "", ""


def progress_text(job: Job) -> str:
    """Return how far a job is, in words."""
    if job.state is JobState.RUNNING and job.progress is not None:
        stage = text(_STAGE_KEYS.get(job.progress.stage, "stage.other"))
        return f"{job.progress.fraction:.0%}  {stage}"
    if job.state is JobState.DONE and job.started_at and job.finished_at:
        return text("job.took", time=duration_text(job.finished_at - job.started_at))
    if job.state is JobState.FAILED and job.error is not None:
        return job.error.message
    return ""


def counts_text(counts: Mapping[JobState, int], *, has_all: bool = True) -> str:
    """Return how many jobs run, wait, rest and failed; of none nothing is said."""
    groups: list[tuple[Key, tuple[JobState, ...]]] = [
        ("queue.count_running", (JobState.RUNNING,)),
        ("queue.count_waiting", (JobState.QUEUED,)),
        ("queue.count_held", (JobState.HELD, JobState.PAUSED)),
        ("queue.count_failed", (JobState.FAILED,)),
    ]
    said = [(key, sum(counts.get(state, 0) for state in states)) for key, states in groups]
    return text("list.comma").join(text(key, n=n) for key, n in (said if has_all else said[:2]) if n)


def history(job: Job, log: Sequence[LogEntry]) -> list[str]:
    """Return what happened to a job, line by line, oldest first: its own dates and the daemon's log."""
    sender = _SENDER_KEYS.get(job.submitted_by)
    by = job.submitted_by if sender is None else text(sender)
    entries = [
        (job.submitted_at, text("job.submitted", by=by)),
        *((entry.at, entry.sentence) for entry in log),
    ]
    if job.started_at is not None:
        entries.append((job.started_at, text("job.began")))
    if job.finished_at is not None:
        entries.append((job.finished_at, text(_ENDED_KEYS.get(job.state, "job.ended"))))
    return [f"{time_text(at)}  {sentence}" for at, sentence in sorted(entries, key=lambda entry: entry[0])]


def job_tooltip(job: Job) -> str:
    """Return the paths of a job, and its error with the hint."""
    spec = job.spec
    lines = [spec.source, spec.voice] if isinstance(spec, RedubSpec) else [_spec_texts(job)[0]]
    if job.error is not None:
        lines += [job.error.message, job.error.hint]
    return "\n".join(line for line in lines if line)


def duration_text(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 60:
        return text("time.seconds", n=max(1, round(seconds)))
    if seconds < 3600:
        return text("time.minutes", n=round(seconds / 60))
    return text("time.hours", n=int(seconds // 3600), m=int(seconds % 3600 // 60))


def clock_text(at: float) -> str:
    """Return a moment's time of day."""
    return time.strftime("%H:%M", time.localtime(at))


def time_text(at: float) -> str:
    """Return a moment: the time of today, else with the date."""
    moment = time.localtime(at)
    if moment[:3] == time.localtime()[:3]:
        return clock_text(at)
    month = text("time.months").split()[moment.tm_mon - 1]
    return text("time.date", day=moment.tm_mday, month=month, clock=clock_text(at))


JOB_STATE_KEYS: dict[JobState, Key] = {
    JobState.QUEUED: "state.queued",
    JobState.HELD: "state.held",
    JobState.RUNNING: "state.running",
    JobState.PAUSED: "state.paused",
    JobState.DONE: "state.done",
    JobState.FAILED: "state.failed",
    JobState.CANCELLED: "state.cancelled",
}
_SENDER_KEYS: dict[str, Key] = {
    "app": "sender.app",
    "cli": "sender.cli",
    "demo": "sender.demo",
    "plugin": "sender.plugin",
}
_ENDED_KEYS: dict[JobState, Key] = {
    JobState.DONE: "job.ended_done",
    JobState.FAILED: "job.ended_failed",
    JobState.CANCELLED: "job.ended_cancelled",
}
_STAGE_KEYS: dict[str, Key] = {
    "probe": "stage.probe",
    "track": "stage.track",
    "voice": "stage.voice",
    "learn": "stage.learn",
    "engine": "stage.engine",
    "deliver": "stage.deliver",
    "check": "stage.check",
}
