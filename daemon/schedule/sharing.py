"""Whether jobs of the night and of the GPU may run now: rules over readings of the machine, nothing else.

A draft on the processor that somebody asks for now always runs. What is asked for the night, and what needs
the GPU, gives way to other programs, to whoever sits at the machine if so wished, to battery and to heat.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.protocol.night import GpuInfo, GpuProcess, ScheduleSettings

BUSY_UTILISATION = 10
"""Per cent of a GPU from which another program counts as working: a desktop that is looked at draws less."""

CROWDED_SHARE = 0.5
"""Of a GPU's memory: another program that holds as much leaves too little, even while it idles."""

HEAT_MARGIN = 5
"""Degrees below the driver's own limit at which work rests, when the settings name none."""

COOLED_BY = 10
"""Degrees that a GPU must have cooled before work goes on."""


def memory_left(gpu: GpuInfo, setting_gb: float | None) -> int:
    """Return the most bytes of a GPU that a job may take: what others leave, up to what the setting says."""
    ours = sum(process.memory or 0 for process in gpu.processes if process.is_ours)
    left = max(0, gpu.memory_total - gpu.memory_used + ours)
    return left if setting_gb is None else min(left, round(setting_gb * 2**30))


@dataclass(frozen=True)
class Readings:
    """The machine at one moment. None: it cannot be told."""

    gpus: Sequence[GpuInfo] = ()
    heat_limits: dict[int, int] = field(default_factory=dict)  # degrees at which each GPU slows itself down
    rendering: Sequence[str] = ()  # names of programs that render
    idle_s: float | None = None  # since somebody last used mouse or keyboard
    on_battery: bool | None = None


@dataclass(frozen=True)
class Sharing:
    """Whether work rests, and why, in sentences."""

    at_rest: bool = False
    reasons: tuple[str, ...] = ()
    clear_since: float | None = None  # nothing has been in the way since then


def decide(
    before: Sharing, settings: ScheduleSettings, readings: Readings, *, is_quiet: bool, now: float
) -> Sharing:
    """Return what follows from the readings at `now` (seconds, of any clock).

    Work rests at once, and goes on when nothing has been in the way for `quiet_after_s`.
    """
    reasons = tuple(objections(settings, readings, is_quiet=is_quiet, at_rest=before.at_rest))
    if reasons:
        return Sharing(True, reasons)
    if not before.at_rest:
        return Sharing()
    since = now if before.clear_since is None else min(before.clear_since, now)
    if now - since < settings.quiet_after_s:
        return Sharing(True, before.reasons, since)
    return Sharing()


def objections(settings: ScheduleSettings, readings: Readings, *, is_quiet: bool, at_rest: bool) -> list[str]:
    """Return why work should rest, in sentences; none: it may run."""
    found = []
    if is_quiet:
        found.append("These are quiet hours.")
    if settings.give_way:
        found += [_named(gpu, process) for gpu in readings.gpus for process in _others_at_work(gpu)]
        found += [f"{name} renders." for name in readings.rendering]
    if settings.only_when_away:
        if readings.idle_s is None:
            found.append("It cannot be told whether somebody uses this machine.")
        elif readings.idle_s < settings.away_after_min * 60:
            found.append("Somebody uses this machine.")
    if readings.on_battery and not settings.on_battery:
        found.append("The machine runs on battery.")
    return found + [reason for gpu in readings.gpus if (reason := _heat(gpu, settings, readings, at_rest))]


def _others_at_work(gpu: GpuInfo) -> list[GpuProcess]:
    """Return the programs of others that take the GPU.

    Where the driver does not tell whose the work is, any is taken for another's while we have none there.
    """
    others = [process for process in gpu.processes if not process.is_ours]
    is_ours_there = any(process.is_ours for process in gpu.processes)
    found = []
    for process in others:
        used = process.utilisation
        if used is None and not is_ours_there:
            used = gpu.utilisation
        if (used or 0) >= BUSY_UTILISATION or (process.memory or 0) > CROWDED_SHARE * gpu.memory_total:
            found.append(process)
    return found


def _named(gpu: GpuInfo, process: GpuProcess) -> str:
    return f"{process.name or f'Process {process.pid}'} uses the {gpu.name}."


def _heat(gpu: GpuInfo, settings: ScheduleSettings, readings: Readings, at_rest: bool) -> str | None:
    limit = settings.max_temperature
    if limit is None and gpu.index in readings.heat_limits:
        limit = readings.heat_limits[gpu.index] - HEAT_MARGIN
    if limit is None or gpu.temperature is None:
        return None
    if gpu.temperature < limit - (COOLED_BY if at_rest else 0):
        return None
    return f"The {gpu.name} is hot: {gpu.temperature} °C."
