"""Commands about the night: schedule, forecast, report, hold."""

from typing import Annotated

import msgspec
import typer

from daemon.cli.jobs import JobArgument, print_state, until_stopped
from daemon.cli.moments import TonightOption
from daemon.cli.output import JsonOption, local_time, print_json, print_line, print_table, say
from daemon.client import Client
from daemon.protocol.errors import RequestError
from daemon.protocol.messages import ScheduleReply
from daemon.protocol.night import WEEKDAYS, ForecastJob, NightReport, ReportJob, ScheduleSettings


def schedule(
    window: Annotated[
        list[str] | None,
        typer.Option(metavar="DAY=HOURS", help="Such as fri=20:00-09:00, all=22:00-06:30 or sun=none."),
    ] = None,
    quiet: Annotated[
        str | None, typer.Option(metavar="HOURS", help="Hours in which nothing runs, or none.")
    ] = None,
    give_way: Annotated[
        bool | None, typer.Option("--give-way/--no-give-way", help="To programs that use the GPU or render.")
    ] = None,
    render_program: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another program that renders; repeatable.")
    ] = None,
    quiet_after: Annotated[
        int | None, typer.Option(metavar="S", help="Seconds that others must have been quiet.")
    ] = None,
    only_when_away: Annotated[
        bool | None, typer.Option("--only-when-away/--also-when-here", help="Only while nobody sits here.")
    ] = None,
    away_after: Annotated[
        int | None, typer.Option(metavar="MIN", help="Minutes without mouse and keyboard that count as away.")
    ] = None,
    on_battery: Annotated[
        bool | None, typer.Option("--on-battery/--not-on-battery", help="Run on battery, too.")
    ] = None,
    max_temperature: Annotated[
        int | None, typer.Option(metavar="CELSIUS", help="Rest from this heat of the GPU; 0: the driver's.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show or change when jobs of the night run, and what they give way to."""
    with Client.connect(name="cli") as client:
        found = client.schedule()
        changes = {
            "windows": _windows(found.settings, window) if window else None,
            "quiet": None if quiet is None else ("" if quiet == "none" else quiet),
            "give_way": give_way,
            "render_programs": render_program,
            "quiet_after_s": quiet_after,
            "only_when_away": only_when_away,
            "away_after_min": away_after,
            "on_battery": on_battery,
            "max_temperature": max_temperature,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        if given:
            found = client.schedule(_changed(found.settings, given))
    if as_json:
        print_json(found)
    else:
        _print_schedule(found)
    return 0


def forecast(as_json: JsonOption = False) -> int:
    """Foretell what fits into the window that is open, or the next one."""
    with Client.connect(name="cli") as client:
        found = client.forecast()
    if as_json:
        print_json(found)
        return 0
    _print_window(found.is_open, found.opens_at, found.closes_at)
    if not found.jobs:
        say("No job waits.")
        return 0
    print_table(
        ["JOB", "FITS", "ENDS", "AT THE EARLIEST", "AT THE LATEST", "DEADLINE"],
        [_forecast_row(job) for job in found.jobs],
    )
    return 0


def report(
    night: Annotated[
        str | None, typer.Argument(metavar="NIGHT", help="The date on which it began; otherwise the last.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what a night brought."""
    with Client.connect(name="cli") as client:
        found = client.report(night)
    if as_json:
        print_json(found)
        return 0
    _print_report(found.report)
    if found.html is not None:
        print_line(f"With pictures: {found.html}")
    return 0


def hold(job: JobArgument, tonight: TonightOption = False, as_json: JsonOption = False) -> int:
    """Keep a job from running until `resume`, or until tonight; a running one stops within a second."""
    with Client.connect(name="cli") as client:
        found = until_stopped(client, client.hold(job, tonight=tonight))
    return print_state(found, as_json=as_json)


def _windows(settings: ScheduleSettings, given: list[str]) -> dict[str, str]:
    """Return the windows with those of some days changed. Raises RequestError `schedule.invalid`."""
    windows: dict[str, str] = {**settings.windows}
    for text in given:
        day, _, hours = text.partition("=")
        if day not in (*WEEKDAYS, "all") or not hours:
            raise RequestError(
                "schedule.invalid", f"`{text}` is no window.",
                hint=f"Write DAY=HOURS; the days are all, {', '.join(WEEKDAYS)}.",
            )  # fmt: skip
        windows |= dict.fromkeys(WEEKDAYS if day == "all" else (day,), "" if hours == "none" else hours)
    return windows


def _changed(settings: ScheduleSettings, given: dict[str, object]) -> ScheduleSettings:
    if given.get("max_temperature") == 0:
        given["max_temperature"] = None
    try:
        return msgspec.convert({**msgspec.to_builtins(settings), **given}, ScheduleSettings)
    except msgspec.ValidationError as error:
        raise RequestError("schedule.invalid", f"The schedule is not valid: {error}.", hint="") from error


def _print_schedule(found: ScheduleReply) -> None:
    settings = found.settings
    for day in WEEKDAYS:
        print_line(f"  {day}  {settings.windows.get(day) or 'none'}")
    print_line(f"  quiet hours: {settings.quiet or 'none'}")
    print_line(f"  gives way to other programs: {_yes(settings.give_way)}")
    print_line(f"  only when nobody is here: {_yes(settings.only_when_away)}")
    print_line(f"  on battery: {_yes(settings.on_battery)}")
    _print_window(found.is_open, found.opens_at, found.closes_at)
    print_line(f"{found.waiting} jobs wait for the night.")
    for reason in found.held_back:
        print_line(f"Work rests: {reason}")


def _print_window(is_open: bool, opens_at: float | None, closes_at: float | None) -> None:
    if opens_at is None or closes_at is None:
        print_line("No window opens within a week.")
    elif is_open:
        print_line(f"A window is open until {local_time(closes_at)}.")
    else:
        print_line(f"The next window opens at {local_time(opens_at)} and closes at {local_time(closes_at)}.")


def _forecast_row(job: ForecastJob) -> list[str]:
    times = [_time(moment) for moment in (job.ends_at, job.earliest, job.latest, job.deadline)]
    if job.in_time is not None:
        times[3] += f" ({job.in_time})"
    return [job.job_id, job.fits, *times]


def _print_report(report: NightReport) -> None:
    print_line(
        f"Night of {report.night}: {sum(report.badges.values())} takes, {report.gpu_hours:.2f} GPU hours."
    )
    for title, jobs in (
        ("done", report.done),
        ("failed", report.failed),
        ("cancelled", report.cancelled),
        ("left", report.left),
    ):
        for job in jobs:
            print_line(f"  {title}: {job.job_id} {job.name}{_outcome(job)}")
    for reason in report.given_way:
        print_line(f"  work rested: {reason}")


def _outcome(job: ReportJob) -> str:
    if job.error is not None:
        return f": {job.error.message}"
    badges = ", ".join(take.badge for take in job.takes)
    return (f": {badges}" if badges else "") + (" (after its deadline)" if job.missed else "")


def _time(moment: float | None) -> str:
    return "" if moment is None else local_time(moment)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


COMMANDS = {"schedule": schedule, "forecast": forecast, "report": report, "hold": hold}
