"""What fits into a window of the schedule, by what jobs cost on this machine before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.protocol.jobs import JobSpec
from daemon.protocol.night import Certainty, ForecastJob
from daemon.queue.eta import (
    DEFAULT_FRAMES,
    HD_MEGAPIXELS,
    PER_TAKE,
    SHIPPED,
    Sample,
    StageCost,
    fit_cost,
    frames_of,
)
from daemon.schedule.windows import Window

UNSURE = (0.5, 2.5)
"""How much faster and slower than foretold a stage may go of which fewer than two jobs are known."""

ENOUGH_SAMPLES = 2

BEYOND_RANGE = ("track", "learn")
"""Stages that go over footage around the range too: as much as they did before."""


@dataclass(frozen=True)
class Estimate:
    """How long a job takes, in seconds: going as fast as it ever did, as foretold, as slowly as ever."""

    fast: float
    usual: float
    slow: float


@dataclass(frozen=True)
class Planned:
    """A job that will run. `estimate`: of what is left of it; None: nobody knows."""

    job_id: str
    estimate: Estimate | None
    tonight: bool
    is_running: bool = False
    deadline: float | None = None


def estimate(spec: JobSpec, samples: Mapping[str, Sequence[Sample]]) -> Estimate | None:
    """Return how long a job takes, given what stages of jobs like it cost, newest first.

    None when there is no telling: a wan job, of which none has been done here. The shipped costs are those of
    the rewrite engine.
    """
    stages = list(SHIPPED) if getattr(spec, "engine", None) in ("auto", "rewrite") else list(samples)
    if not stages:
        return None
    length = frames_of(spec) or DEFAULT_FRAMES
    takes = getattr(spec, "takes", 1)
    fast = usual = slow = 0.0
    for stage in stages:
        frames = length
        known = [sample for sample in samples.get(stage, ()) if sample.frames > 0]
        cost = fit_cost(known, SHIPPED.get(stage, StageCost(0.0, 0.0)))
        if stage in BEYOND_RANGE and known:
            frames = max(frames, round(sum(sample.frames for sample in known) / len(known)))
        sizes = [sample.megapixels for sample in known if sample.megapixels > 0]
        megapixels = sum(sizes) / len(sizes) if sizes else HD_MEGAPIXELS
        seconds = cost.seconds(frames, megapixels) * (takes if stage in PER_TAKE else 1)
        low, high = _spread(known, cost)
        fast, usual, slow = fast + low * seconds, usual + seconds, slow + high * seconds
    return Estimate(fast, usual, slow)


def _spread(samples: Sequence[Sample], cost: StageCost) -> tuple[float, float]:
    """Return how much faster and slower than `cost` a stage has gone."""
    if len(samples) < ENOUGH_SAMPLES:
        return UNSURE
    ratios = [
        sample.seconds / max(cost.seconds(sample.frames, sample.megapixels), 1e-9) for sample in samples
    ]
    return min(1.0, *ratios), max(1.0, *ratios)


def forecast(jobs: Sequence[Planned], window: Window | None, now: float) -> list[ForecastJob]:
    """Return when each job will run, the jobs given in the order of the queue.

    Jobs of the night begin when the window opens and stop when it closes; the others run at once.
    """
    ends = {kind: _ends(jobs, window, now, kind) for kind in ("fast", "usual", "slow")}
    found = []
    unknown = {True: False, False: False}  # whether one nobody knows runs before: jobs of the night, others
    for job in jobs:
        begin, end = ends["usual"].get(job.job_id, (None, None))
        earliest, latest = (ends[kind].get(job.job_id, (None, None))[1] for kind in ("fast", "slow"))
        closes_at = window.closes_at if window is not None else None
        known = job.estimate is not None and not unknown[job.tonight]
        if job.estimate is None:
            unknown = {True: True, False: unknown[False] or not job.tonight}
        found.append(
            ForecastJob(
                job_id=job.job_id,
                fits=_certainty(earliest, latest, closes_at, known=known),
                begins_at=begin,
                ends_at=end,
                earliest=earliest,
                latest=latest,
                deadline=job.deadline,
                in_time=None
                if job.deadline is None
                else _certainty(earliest, latest, job.deadline, known=known),
            )
        )
    return found


def _ends(
    jobs: Sequence[Planned], window: Window | None, now: float, kind: str
) -> dict[str, tuple[float, float]]:
    """Play the queue through; return when each job that gets its turn begins and ends."""
    clock, waiting = now, list(jobs)
    found: dict[str, tuple[float, float]] = {}
    while waiting:
        is_open = window is not None and window.opens_at <= clock < window.closes_at
        ready = [job for job in waiting if job.is_running or is_open or not job.tonight]
        if not ready:
            if window is None or clock >= window.closes_at:
                break
            clock = window.opens_at
            continue
        job = min(ready, key=lambda job: not job.is_running)  # else the first: they are in order
        waiting.remove(job)
        if job.estimate is None:
            break
        end = clock + getattr(job.estimate, kind)
        found[job.job_id] = clock, end
        clock = end
    return found


def _certainty(
    earliest: float | None, latest: float | None, limit: float | None, *, known: bool
) -> Certainty:
    if not known:
        return "unknown"
    if limit is None or earliest is None or earliest > limit:
        return "no"
    return "yes" if latest is not None and latest <= limit else "maybe"
