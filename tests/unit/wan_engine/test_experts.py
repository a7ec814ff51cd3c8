"""Which expert a step asks, and that only one of them is held."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wan_engine.errors import SettingError
from wan_engine.pipelines.settings import sampling_for
from wan_engine.sampling.experts import HIGH, LOW, Experts, ExpertSwitch, half_log_snr_of
from wan_engine.sampling.solver import make_solver
from wan_engine.specs import TASKS


@pytest.mark.parametrize(("task", "high", "low"), [("t2v-A14B", 26, 14), ("i2v-A14B", 15, 25)])
def test_the_released_boundary_splits_forty_steps_as_released(task: str, high: int, low: int) -> None:
    sampling = sampling_for(TASKS[task])
    schedule = make_solver("unipc", steps=sampling.steps, shift=sampling.shift).schedule
    steps = zip(schedule.sigmas.tolist(), schedule.timesteps.tolist(), strict=False)
    shares = [sampling.switch.high_share(sigma, timestep) for sigma, timestep in steps]
    assert shares == [1.0] * high + [0.0] * low


def test_a_threshold_is_a_half_log_snr() -> None:
    switch = ExpertSwitch(0.875, threshold=half_log_snr_of(0.6))
    assert switch.shares(0.61, 610) == [(HIGH, 1.0)]
    assert switch.shares(0.59, 590) == [(LOW, 1.0)]


def test_half_log_snr_at_the_ends() -> None:
    assert half_log_snr_of(1.0) == -math.inf
    assert half_log_snr_of(0.0) == math.inf
    assert half_log_snr_of(0.5) == 0.0
    assert half_log_snr_of(0.25) == pytest.approx(math.log(3))


def test_inside_the_blend_both_are_asked_linearly_in_half_log_snr() -> None:
    switch = ExpertSwitch(0.875, threshold=0.0, blend=2.0)
    for distance in (-0.9, -0.4, 0.0, 0.5, 0.8):
        sigma = 1 / (1 + math.exp(distance))
        (first, high), (second, low) = switch.shares(sigma, int(sigma * 1000))
        assert (first, second) == (HIGH, LOW)
        assert high == pytest.approx(0.5 - distance / 2)
        assert high + low == 1.0
    assert switch.shares(0.99, 990) == [(HIGH, 1.0)]
    assert switch.shares(0.01, 10) == [(LOW, 1.0)]


def test_one_network_has_nothing_to_switch() -> None:
    assert ExpertSwitch().shares(0.999, 999) == [(LOW, 1.0)]
    with pytest.raises(SettingError, match="one network"):
        sampling_for(TASKS["ti2v-5B"], expert_threshold=0.0)
    with pytest.raises(SettingError, match="one network"):
        sampling_for(TASKS["s2v-14B"], expert_blend=1.0)


@pytest.mark.parametrize(
    ("arguments", "named"), [({"boundary": 1.5}, "1.5"), ({"boundary": 0.9, "blend": -1.0}, "-1.0"),
                             ({"boundary": 0.9, "threshold": math.inf}, "inf")],
)  # fmt: skip
def test_a_switch_out_of_range_is_refused(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        ExpertSwitch(**arguments)


def test_only_one_expert_is_held_at_a_time() -> None:
    held: set[int] = set()
    seen: list[set[int]] = []

    def lease(number: int) -> Any:
        @contextmanager
        def context() -> Iterator[int]:
            held.add(number)
            seen.append(set(held))
            yield number
            held.remove(number)

        return context

    with Experts([lease(0), lease(1)]) as experts:
        used = [experts.use(expert) for expert in (1, 1, 0, 0)]
    assert used == [1, 1, 0, 0]
    assert seen == [{1}, {0}]
    assert held == set()


def test_experts_are_given_back_after_an_error() -> None:
    held: set[int] = set()

    @contextmanager
    def lease() -> Iterator[Any]:
        held.add(0)
        try:
            yield None
        finally:
            held.clear()

    def fail() -> None:
        with Experts([lease]) as experts:
            experts.use(0)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert held == set()
