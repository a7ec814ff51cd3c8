"""What is said about the night: what will fit, when a job will run, what the morning finds."""

from collections.abc import Sequence
from pathlib import Path

from daemon.protocol.messages import ForecastReply
from daemon.protocol.night import Certainty, ForecastJob, NightReport, ReportJob
from gui.models.job_words import clock_text, duration_text, time_text
from gui.models.take_list import BADGE_KEYS
from gui.texts import Key, text

FITS_KEYS: dict[Certainty, Key] = {
    "yes": "night.fits_yes",
    "maybe": "night.fits_maybe",
    "no": "night.fits_no",
    "unknown": "night.fits_unknown",
}
FITS_COLOURS: dict[Certainty, str] = {"yes": "good", "maybe": "warn", "no": "bad", "unknown": "muted"}


def window_text(found: ForecastReply) -> str:
    """Return when the window is, and how many jobs fit into it how surely."""
    if found.opens_at is None or found.closes_at is None:
        return text("night.none")
    key = "night.open" if found.is_open else "night.next"
    words = [text(key, opens=time_text(found.opens_at), closes=clock_text(found.closes_at))]
    for fits, said in FITS_KEYS.items():
        count = sum(1 for job in found.jobs if job.fits == fits)
        if count:
            words.append(text(said, n=count))
    return "   ".join(words if found.jobs else [*words, text("night.nothing")])


def forecast_text(job: ForecastJob) -> str:
    """Return when a job will run, as far as can be told."""
    if job.begins_at is None or job.ends_at is None:
        return text("night.job_unknown")
    words = text("night.job", begins=time_text(job.begins_at), ends=clock_text(job.ends_at))
    if job.earliest is not None and job.latest is not None:
        span = {"earliest": clock_text(job.earliest), "latest": clock_text(job.latest)}
        words += " " + text("night.job_span", **span)
    return words


def report_title(report: NightReport) -> str:
    """Return what happened in one line."""
    return text("report.title", done=len(report.done), failed=len(report.failed), left=len(report.left))


def report_facts(report: NightReport) -> list[str]:
    """Return the window, the badges, the hours, and why work rested."""
    facts = [
        text("report.window", opens=time_text(report.opened_at), closes=clock_text(report.closed_at)),
        text("report.hours", busy=_hours(report.busy_hours), gpu=_hours(report.gpu_hours)),
    ]
    badges = [
        f"{text(BADGE_KEYS[badge])} {report.badges[badge]}" for badge in BADGE_KEYS if badge in report.badges
    ]
    if badges:
        facts.append(text("report.badges", badges=", ".join(badges)))
    return [*facts, *report.given_way]


def report_line(job: ReportJob) -> str:
    """Return what became of one job."""
    parts = [Path(job.name).name]
    if job.hours > 0:
        parts.append(duration_text(job.hours * 3600))
    parts += [text(BADGE_KEYS[take.badge]) for take in job.takes]
    if job.missed:
        parts.append(text("report.missed"))
    if job.error is not None:
        parts.append(f"{job.error.message} {job.error.hint}".strip())
    return "   ".join(parts)


def report_parts(report: NightReport) -> list[tuple[Key, Sequence[ReportJob]]]:
    """Return the jobs by what became of them; those that need a person come first."""
    parts: list[tuple[Key, Sequence[ReportJob]]] = [
        ("report.failed", report.failed),
        ("report.left", report.left),
        ("report.done", report.done),
        ("report.cancelled", report.cancelled),
    ]
    return [(key, jobs) for key, jobs in parts if jobs]


def _hours(hours: float) -> str:
    return duration_text(hours * 3600) if hours > 0 else text("report.no_time")
