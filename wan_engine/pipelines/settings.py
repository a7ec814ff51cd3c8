"""How a job is sampled: the released settings of its task, with what the caller changes."""

from dataclasses import dataclass

from wan_engine.errors import SettingError
from wan_engine.sampling.experts import ExpertSwitch
from wan_engine.sampling.solver import SOLVERS
from wan_engine.specs import TaskSpec


@dataclass(frozen=True)
class Sampling:
    """Everything the sampling loop needs to know beside the networks."""

    steps: int
    shift: float
    guidance: tuple[float, float]  # low-noise expert, high-noise expert
    switch: ExpertSwitch
    solver: str = "unipc"
    seed: int = 0


def sampling_for(
    task: TaskSpec,
    *,
    steps: int | None = None,
    shift: float | None = None,
    guidance: float | tuple[float, float] | None = None,
    solver: str = "unipc",
    seed: int = 0,
    expert_threshold: float | None = None,
    expert_blend: float = 0.0,
) -> Sampling:
    """Return a task's settings with the caller's in place of the released ones. Raises SettingError."""
    if solver not in SOLVERS:
        raise SettingError(f"There is no solver {solver!r}.", hint=f"Choose one of {', '.join(SOLVERS)}.")
    steps = task.steps if steps is None else steps
    if steps < 1:
        raise SettingError(
            f"{steps} steps cannot be taken.", hint=f"Use 1 or more; {task.steps} is the released setting."
        )
    if guidance is None:
        guidance = task.guidance
    low, high = (guidance, guidance) if isinstance(guidance, int | float) else guidance
    switch = ExpertSwitch(task.boundary, expert_threshold, expert_blend)
    return Sampling(
        steps, task.shift if shift is None else shift, (float(low), float(high)), switch, solver, seed
    )
