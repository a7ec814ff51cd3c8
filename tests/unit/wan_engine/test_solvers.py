"""Schedules and solvers: the exact flow is followed, orders hold, edges do not break them."""

import pytest
import torch
from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.sampling.schedule import UNIPC_SIGMA_MAX, make_schedule
from wan_engine.sampling.solver import SOLVERS, Solver, make_solver


def run(solver: Solver, latent: Tensor, clean: Tensor) -> Tensor:
    """Follow the velocity of a network that always knows the clean latent."""
    for index in range(solver.schedule.steps):
        latent = solver.step(latent, (latent - clean) / solver.schedule.sigmas[index])
    return latent


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_network_that_knows_the_answer_is_followed_to_it(name: str, steps: int) -> None:
    noise, clean = torch.randn(2, 4, 8)
    torch.testing.assert_close(run(make_solver(name, steps=steps, shift=5.0), noise, clean), clean)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("shift", [1.0, 3.0, 12.0])
def test_a_whole_run_of_many_steps_stays_finite(name: str, shift: float) -> None:
    solver = make_solver(name, steps=120, shift=shift)  # beyond the 92 steps at which the reference gives up
    latent = torch.randn(4, 8)
    for index in range(120):
        latent = solver.step(latent, torch.tanh(latent + 0.01 * index))
    assert torch.isfinite(latent).all()


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("dpm++", 2), ("unipc", 2)])
def test_solvers_converge_with_their_order(name: str, order: int) -> None:
    """Clean latent = sin(3 sigma): compare N and 2N steps with a fine run from the same noise level."""
    errors = []
    noise = torch.ones(1, dtype=torch.float64)
    exact = _solve("euler", 20_000, noise)
    for steps in (40, 80):
        errors.append((_solve(name, steps, noise) - exact).abs().item())
    assert errors[0] / errors[1] > 0.8 * 2**order


def _solve(name: str, steps: int, latent: Tensor) -> Tensor:
    solver = make_solver(name, steps=steps, shift=1.0)
    for sigma in solver.schedule.sigmas[:-1].double():
        latent = solver.advance(latent, latent * 0 + torch.sin(3 * sigma) * sigma)
    return latent


def test_the_released_unipc_schedule() -> None:
    schedule = make_schedule(40, 3.0, sigma_max=UNIPC_SIGMA_MAX)
    assert schedule.timesteps[:5].tolist() == [999, 991, 982, 973, 963]
    assert schedule.timesteps[-2:].tolist() == [136, 71]
    assert schedule.sigmas[-1] == 0


def test_the_released_dpmpp_schedule_begins_at_pure_noise() -> None:
    schedule = make_schedule(40, 3.0)
    assert schedule.timesteps[:5].tolist() == [1000, 991, 982, 973, 964]
    assert schedule.sigmas[0] == 1


def test_shift_moves_steps_towards_noise() -> None:
    low, high = make_schedule(10, 1.0).sigmas, make_schedule(10, 12.0).sigmas
    assert (high[1:-1] > low[1:-1]).all()


def test_an_edited_clean_latent_is_where_the_run_ends() -> None:
    solver, known = make_solver("unipc", steps=6, shift=5.0), torch.full((3,), 0.25)
    latent = torch.randn(3)
    for _ in range(6):
        solver.clean(latent, torch.randn(3))
        latent = solver.advance(latent, known)
    torch.testing.assert_close(latent, known)


@pytest.mark.parametrize(("steps", "shift"), [(0, 5.0), (-1, 5.0), (10, 0.0), (10, -3.0), (10, float("nan"))])
def test_schedules_that_cannot_be_are_refused(steps: int, shift: float) -> None:
    with pytest.raises(SettingError):
        make_schedule(steps, shift)


def test_an_unknown_solver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match="unipc"):
        make_solver("ddim", steps=4, shift=1.0)
