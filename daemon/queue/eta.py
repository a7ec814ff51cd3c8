"""Says how long a job will take, from what its stages cost on this machine before and how it goes now.

A stage's cost is modelled as seconds a frame plus seconds a frame and megapixel. Before anything is known the
shipped costs below stand in; a few jobs later they count for little.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from daemon.protocol.jobs import JobSpec, Position, Progress, RedubSpec, SpeakSpec
from daemon.redub.progress import STAGES

PER_TAKE = ("learn", "engine", "deliver", "check")
"""Stages that a job goes through once for each take."""

FADE = 0.85
"""An older job counts this much less than the next newer one."""

PRIOR_WEIGHT = 0.3
"""How many jobs the shipped split between frames and pixels is worth."""

DEFAULT_FRAMES = 125
"""Assumed for a stage whose length nobody knows yet."""

USUAL_RATE = 25.0
"""Assumed for a range in timecode whose rate nobody knows yet."""

MOST_FRAMES = 10_000_000

HD_MEGAPIXELS = 2.07
"""Assumed for a source whose size nobody knows yet."""


@dataclass(frozen=True)
class StageCost:
    """What a stage costs."""

    frame_s: float  # seconds a frame
    megapixel_s: float  # seconds a frame and megapixel

    def seconds(self, frames: float, megapixels: float) -> float:
        """Return the time for `frames` frames of that size."""
        return frames * (self.frame_s + self.megapixel_s * megapixels)


@dataclass(frozen=True)
class Sample:
    """What a stage did cost once."""

    frames: int
    megapixels: float  # of one source frame; 0: not known
    seconds: float


SHIPPED: dict[str, StageCost] = {
    "probe": StageCost(0.001, 0.0),
    "track": StageCost(0.006, 0.004),
    "voice": StageCost(0.010, 0.0),
    "learn": StageCost(0.003, 0.0),
    "engine": StageCost(0.060, 0.0),
    "deliver": StageCost(0.020, 0.010),
    "check": StageCost(0.020, 0.010),
}
"""Rough costs on two CPU cores, for the first job on a new machine."""

FOLLOWS = {"learn": "track"}
"""Stages that go over the same frames as an earlier one; the others go over the job's range."""


def cost_name(spec: JobSpec, engine: str = "") -> str:
    """Return the name under which a job's costs are kept: its engine, with what it is told, or its kind.

    `engine` is the one that made the takes, where the spec leaves the choice.
    """
    if not isinstance(spec, RedubSpec):
        return str(spec.__struct_config__.tag)
    engine = engine or spec.engine
    if engine != "wan":
        return engine
    told = [f"{name} {getattr(spec, name)}" for name in ("model", "crop", "steps") if getattr(spec, name)]
    return ", ".join([f"wan {spec.quality}", *told])


def frames_of(spec: JobSpec) -> int | None:
    """Return the length of a job's range in frames; a range in timecode is taken at the job's rate, or 25."""
    first, stop = getattr(spec, "in_", None), getattr(spec, "out", None)
    if isinstance(first, int) and isinstance(stop, int):
        return stop - first
    seconds = (_seconds_of(first), _seconds_of(stop))
    if seconds[0] is None or seconds[1] is None:
        return None
    try:
        rate = float(Fraction(getattr(spec, "rate", None) or USUAL_RATE))
    except (ValueError, ZeroDivisionError, OverflowError):
        rate = USUAL_RATE
    frames = round((seconds[1] - seconds[0]) * rate)
    return frames if 0 < frames < MOST_FRAMES else None


def _seconds_of(position: Position | None) -> float | None:
    """Return the seconds of a timecode, its frames left out; None for what is none."""
    parts = re.split("[:;]", position) if isinstance(position, str) else []
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 2 for part in parts):
        return None
    hours, minutes, seconds, _ = (int(part) for part in parts)
    return hours * 3600.0 + minutes * 60 + seconds


def fit_cost(samples: Sequence[Sample], prior: StageCost) -> StageCost:
    """Return the cost that explains `samples`, newest first.

    Weighted least squares with a pull towards how `prior` splits it between frames and pixels, scaled to the
    level that was measured; neither part is ever negative.
    """
    usable = [sample for sample in samples if sample.frames > 0]
    if not usable:
        return prior
    weights = [FADE**age for age in range(len(usable))]
    costs = [sample.seconds / sample.frames for sample in usable]
    sizes = [sample.megapixels for sample in usable]
    total = sum(weights)
    cost_mean = sum(w * y for w, y in zip(weights, costs, strict=True)) / total
    size_mean = sum(w * m for w, m in zip(weights, sizes, strict=True)) / total
    if size_mean <= 0:
        return StageCost(cost_mean, 0.0)
    level = cost_mean / max(prior.seconds(1, size_mean), 1e-12)
    pull = PRIOR_WEIGHT * size_mean**2
    spread = sum(w * (m - size_mean) ** 2 for w, m in zip(weights, sizes, strict=True))
    joint = sum(w * (m - size_mean) * (y - cost_mean) for w, m, y in zip(weights, sizes, costs, strict=True))
    slope = (joint + pull * level * prior.megapixel_s) / (spread + pull)
    slope = min(max(slope, 0.0), cost_mean / size_mean)
    return StageCost(cost_mean - slope * size_mean, slope)


def fit_costs(samples: Mapping[str, Sequence[Sample]]) -> dict[str, StageCost]:
    """Return the cost of every stage, given each stage's samples, newest first."""
    return {stage: fit_cost(samples.get(stage, ()), SHIPPED[stage]) for stage in STAGES}


class JobEta:
    """Follows one running job.

    `frames` is the length of the job's range when the spec tells it; `stages` are those the job goes through.
    """

    def __init__(
        self,
        costs: Mapping[str, StageCost],
        *,
        takes: int = 1,
        frames: int | None = None,
        stages: Sequence[str] = STAGES,
    ) -> None:
        self._costs = costs
        self._stages = stages
        self._takes = takes
        self._frames = frames
        self._megapixels = HD_MEGAPIXELS
        self._entered: dict[str, int] = {}  # how often each stage began
        self._totals: dict[str, int] = {}
        self._current, self._done = "", 0
        self._begun = self._stage_begun = time.monotonic()
        self._foretold_s = self._actual_s = 0.0  # of the stages that ended
        self._fraction = 0.0

    def update(
        self, stage: str, done: int, total: int, megapixels: float = 0.0, *, now: float | None = None
    ) -> Progress:
        """Take in where the job is and return what to show for it; `fraction` never falls."""
        now = time.monotonic() if now is None else now
        if megapixels > 0:
            self._megapixels = megapixels
        if stage != self._current or done < self._done:
            self._enter(stage, now)
        self._done = done
        self._totals[stage] = total
        left_s = self._stage_left(stage, done, total, now) + self._later(stage)
        spent_s = now - self._begun
        self._fraction = max(self._fraction, min(spent_s / max(spent_s + left_s, 1e-9), 0.99))
        return Progress(
            stage=stage, done=done, total=total, fraction=round(self._fraction, 4), eta_s=round(left_s, 1)
        )

    @property
    def stage_s(self) -> float:
        """What the present stage should take as a whole, in seconds."""
        return self._foretell(self._current) * self._pace()

    def _enter(self, stage: str, now: float) -> None:
        if self._current:
            self._actual_s += now - self._stage_begun
            self._foretold_s += self._foretell(self._current)
        self._current, self._stage_begun = stage, now
        self._entered[stage] = self._entered.get(stage, 0) + 1

    def _foretell(self, stage: str) -> float:
        """Return what one run of a stage should cost on this machine."""
        cost = self._costs.get(stage)
        if cost is None:
            return 0.0
        return cost.seconds(self._frames_of(stage), self._megapixels)

    def _frames_of(self, stage: str) -> int:
        """Return how many frames a stage goes over, as far as is known."""
        known = self._totals.get(stage) or self._totals.get(FOLLOWS.get(stage, ""))
        others = (total for other, total in self._totals.items() if other != "probe")  # which has one step
        return known or self._frames or max(others, default=DEFAULT_FRAMES)

    def _stage_left(self, stage: str, done: int, total: int, now: float) -> float:
        """Blend what the stage should cost with how fast it goes; after a quarter only the latter counts."""
        elapsed = now - self._stage_begun
        part = min(done / total, 1.0) if total > 0 else 0.0
        foretold = max(self._foretell(stage) * self._pace() * (1 - part), 0.05 * elapsed * (part < 1))
        if part <= 0:
            return foretold
        trust = min(1.0, 4 * part)
        return trust * elapsed * (1 - part) / part + (1 - trust) * foretold

    def _later(self, current: str) -> float:
        """Return what the runs of stages that have not begun should cost."""
        here = self._stages.index(current) if current in self._stages else -1
        seconds = 0.0
        for place, stage in enumerate(self._stages):
            wanted = self._takes if stage in PER_TAKE else 1
            if stage not in PER_TAKE and place < here:
                continue  # this job had no need of it
            seconds += max(wanted - self._entered.get(stage, 0), 0) * self._foretell(stage)
        return seconds * self._pace()

    def _pace(self) -> float:
        """Return how this job compares with its forecast so far; 1 until a second or two are known."""
        pace = (self._actual_s + 2.0) / (self._foretold_s + 2.0)
        return math.exp(min(max(math.log(pace), -1.0), 1.0))


def eta_of(spec: JobSpec, costs: Mapping[str, StageCost]) -> JobEta:
    """Return what will follow a job of this spec."""
    if isinstance(spec, RedubSpec):
        return JobEta(costs, takes=spec.takes, frames=frames_of(spec))
    if isinstance(spec, SpeakSpec):
        return JobEta(costs, takes=spec.takes, stages=["engine"])
    return JobEta(costs, frames=frames_of(spec), stages=[])  # such a job has one stage
