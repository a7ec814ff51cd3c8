"""What happened in a window of the schedule: the report, and its place on disk."""

from collections import Counter
from pathlib import Path

import msgspec

from daemon.connection import write_private
from daemon.paths import Paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import Job, JobState
from daemon.protocol.night import NightReport, ReportJob
from daemon.queue.nights import Run
from daemon.queue.store import JobStore
from daemon.schedule.windows import Window

LEFT = (JobState.RUNNING, JobState.QUEUED, JobState.HELD)
LEFT_SHOWN = 200


def make_report(store: JobStore, window: Window, now: float, given_way: list[str]) -> NightReport:
    """Return the report of a window, until now if it is still open."""
    until = min(window.closes_at, now)
    runs = store.runs(window.opens_at, until)
    ended = store.ended(window.opens_at, until)
    left = [job for job in store.list(LEFT) if job.tonight and job.submitted_at < until][:LEFT_SHOWN]
    hours = _hours(runs)

    def told(*states: JobState) -> list[ReportJob]:
        return [_tell(job, hours, now) for job in ended if job.state in states]

    done = told(JobState.DONE)
    return NightReport(
        night=window.night.isoformat(),
        opened_at=window.opens_at,
        closed_at=window.closes_at,
        written_at=now,
        done=done,
        failed=told(JobState.FAILED),
        cancelled=told(JobState.CANCELLED),
        left=[_tell(job, hours, now) for job in left],
        badges=dict(Counter(take.badge for job in done for take in job.takes)),
        gpu_hours=_sum(runs, only_gpu=True),
        busy_hours=_sum(runs, only_gpu=False),
        given_way=given_way,
    )


def is_worth_telling(report: NightReport) -> bool:
    """Return whether anything happened, or was to happen."""
    return bool(report.done or report.failed or report.cancelled or report.left or report.busy_hours)


def report_path(paths: Paths, night: str) -> Path:
    """Return where the report of a night lies; the page beside it ends with .html."""
    return paths.reports / f"{night}.json"


def save_report(paths: Paths, report: NightReport) -> Path:
    """Write a report; return its path. Raises MachineError."""
    path = report_path(paths, report.night)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return path


def load_report(paths: Paths, night: str) -> NightReport:
    """Read the report of a night. Raises RequestError `report.not_found`."""
    try:
        is_date = len(night) == 10 and night.replace("-", "").isdigit()
        data = report_path(paths, night).read_bytes() if is_date else b""
        return msgspec.json.decode(data, type=NightReport)
    except (OSError, msgspec.DecodeError) as error:
        raise RequestError("report.not_found", f"There is no report of {night[:40]}.") from error


def headline(report: NightReport) -> str:
    """Say in a line what the night brought."""
    takes = sum(report.badges.values())
    parts = [f"{takes} {'take' if takes == 1 else 'takes'}"]
    parts += [f"{report.badges[badge]} to {badge}" for badge in ("look",) if report.badges.get(badge)]
    parts += [f"{report.badges['fail']} failed their checks"] if report.badges.get("fail") else []
    parts += [f"{len(report.failed)} failed"] if report.failed else []
    parts += [f"{len(report.left)} left"] if report.left else []
    return ", ".join(parts)


def name_of(job: Job) -> str:
    """Return what a person calls a job: its clip's name and where it begins, or its kind."""
    spec = job.spec
    source = (
        getattr(spec, "source", None) or getattr(spec, "save_file", None) or getattr(spec, "picture", None)
    )
    if source is None:
        return str(spec.__struct_config__.tag)
    begins = getattr(spec, "in_", None)
    return Path(source).name + ("" if begins is None else f" at {begins}")


def _tell(job: Job, hours: dict[str, float], now: float) -> ReportJob:
    end = job.finished_at or now
    return ReportJob(
        job_id=job.job_id,
        name=name_of(job),
        kind=str(job.spec.__struct_config__.tag),
        state=job.state,
        hours=hours.get(job.job_id, 0.0),
        takes=job.takes,
        error=job.error,
        deadline=job.deadline,
        missed=job.deadline is not None and end > job.deadline,
    )


def _hours(runs: list[Run]) -> dict[str, float]:
    found: dict[str, float] = {}
    for run in runs:
        found[run.job_id] = found.get(run.job_id, 0.0) + (run.ended_at - run.began_at) / 3600
    return {job_id: round(value, 4) for job_id, value in found.items()}


def _sum(runs: list[Run], *, only_gpu: bool) -> float:
    seconds = sum(run.ended_at - run.began_at for run in runs if run.uses_gpu or not only_gpu)
    return round(seconds / 3600, 6)
