"""The estimate of the time: learned from past jobs, corrected by the running one."""

from pathlib import Path

import pytest

from daemon.queue.eta import SHIPPED, JobEta, Sample, StageCost, fit_cost, fit_costs
from daemon.queue.store import JobStore

FLAT = dict.fromkeys(SHIPPED, StageCost(0.01, 0.0))


def test_shipped_costs_stand_in_until_something_is_known() -> None:
    assert fit_costs({}) == SHIPPED


def test_cost_is_learned_per_frame_and_megapixel() -> None:
    samples = [Sample(100, mpx, 100 * (0.02 + 0.03 * mpx)) for mpx in (0.9, 2.1, 8.3) * 5]
    cost = fit_cost(samples, StageCost(0.001, 0.001))
    assert cost.seconds(250, 2.1) == pytest.approx(250 * (0.02 + 0.03 * 2.1), rel=0.1)
    assert cost.seconds(250, 8.3) == pytest.approx(250 * (0.02 + 0.03 * 8.3), rel=0.1)


def test_one_job_is_enough_to_know_the_level() -> None:
    cost = fit_cost([Sample(100, 2.0, 50.0)], SHIPPED["track"])
    assert cost.seconds(200, 2.0) == pytest.approx(100.0)
    assert cost.frame_s > 0
    assert cost.megapixel_s > 0


def test_newer_jobs_count_more() -> None:
    samples = [Sample(100, 0.0, 10.0)] * 10 + [Sample(100, 0.0, 90.0)] * 10
    assert fit_cost(samples, SHIPPED["engine"]).seconds(100, 0.0) < 30.0


def test_cost_is_never_negative() -> None:
    shrinking = [Sample(100, 1.0, 100.0), Sample(100, 8.0, 1.0)] * 5
    cost = fit_cost(shrinking, SHIPPED["track"])
    assert cost.frame_s >= 0
    assert cost.megapixel_s >= 0


def test_samples_without_frames_are_left_out() -> None:
    assert fit_cost([Sample(0, 2.0, 5.0)], SHIPPED["probe"]) == SHIPPED["probe"]


def drive(
    eta: JobEta, speeds: dict[str, float], frames: int, takes: int = 1
) -> list[tuple[float, float, float]]:
    """Play a job whose stages need `speeds` seconds a frame; return (time, fraction, eta) of each report."""
    now = eta._begun
    reports = []
    plan = ["probe", "track", "voice", *["learn", "engine", "deliver", "check"] * takes]
    for stage in plan:
        for done in range(frames + 1):
            progress = eta.update(stage, done, frames, 2.0, now=now)
            assert progress.eta_s is not None
            reports.append((now - eta._begun, progress.fraction, progress.eta_s))
            now += speeds[stage] if done < frames else 0.0
    return reports


@pytest.mark.parametrize("takes", [1, 3])
def test_forecast_of_a_job_like_the_last_ones_is_right_from_the_start(takes: int) -> None:
    reports = drive(JobEta(FLAT, takes=takes, frames=100), dict.fromkeys(SHIPPED, 0.01), 100, takes)
    total = reports[-1][0]
    for now, _, eta_s in reports:
        assert now + eta_s == pytest.approx(total, rel=0.1, abs=0.3)


def test_fraction_grows_from_nothing_to_almost_one_and_never_falls() -> None:
    speeds = dict.fromkeys(SHIPPED, 0.01) | {"engine": 0.1}
    fractions = [fraction for _, fraction, _ in drive(JobEta(FLAT, frames=100), speeds, 100)]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05
    assert 0.95 < fractions[-1] < 1.0


def test_slow_machine_is_noticed_within_the_job() -> None:
    reports = drive(JobEta(FLAT, frames=400), dict.fromkeys(SHIPPED, 0.03), 400)
    total = reports[-1][0]
    late = next(report for report in reports if report[0] > 0.4 * total)
    assert late[0] + late[2] == pytest.approx(total, rel=0.25)


def test_estimate_stays_while_nothing_moves() -> None:
    eta = JobEta(FLAT, frames=100)
    begun = eta._begun
    eta.update("engine", 0, 100, now=begun)
    stuck = eta.update("engine", 0, 100, now=begun + 600)
    assert stuck.eta_s is not None
    assert stuck.eta_s > 10
    assert stuck.fraction < 1


def test_one_step_of_the_probe_is_not_taken_for_the_length_of_the_range() -> None:
    eta = JobEta(FLAT)  # of a range in timecode, whose length nobody knows yet
    begun = eta._begun
    assert eta.update("probe", 0, 1, now=begun + 1).fraction < 0.2


def test_unknown_stage_of_a_newer_pipeline_does_no_harm() -> None:
    progress = JobEta(FLAT).update("polish", 1, 2)
    assert progress.stage == "polish"


def test_look_at_a_shot_is_not_charged_for_a_redub() -> None:
    progress = JobEta(FLAT, frames=100, stages=[]).update("track", 0, 100)
    assert progress.eta_s == pytest.approx(1.0)


def test_machine_remembers_what_jobs_cost(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    for seconds in (1.0, 2.0):
        store.add_timings(
            "rewrite", [("engine", Sample(100, 2.0, seconds)), ("check", Sample(100, 2.0, 0.1))]
        )
    store.add_timings("wan", [("engine", Sample(100, 2.0, 300.0))])
    store.close()
    again = JobStore(tmp_path / "queue.sqlite")
    assert [sample.seconds for sample in again.timings("rewrite")["engine"]] == [2.0, 1.0]
    assert [sample.seconds for sample in again.timings("auto")["engine"]] == [300.0]
    again.close()
