"""The path through the units."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from daemon.engines.rewrite.choose import Wish, choose, target_costs, vary
from daemon.engines.rewrite.units import Units


def wish_for(units: Units, wanted: np.ndarray) -> Wish:
    count = len(wanted)
    return Wish(units.measures[wanted], np.ones(5), np.zeros((count, 2)), np.zeros(count), np.zeros(count))


def test_a_run_that_fits_is_kept_whole(make_units: Callable[..., Units]):
    units, wanted = make_units(), np.arange(20, 45)
    costs = target_costs(wish_for(units, wanted), units, units.measures, None)
    assert choose(costs, units, np.zeros(25), 25.0).tolist() == wanted.tolist()


def test_a_gap_in_the_footage_is_not_taken_for_a_run(make_units: Callable[..., Units]):
    units = make_units()
    assert units.next_unit[59] == -1
    assert units.next_unit[58] == 59


def test_a_resting_mouth_may_stand_still(make_units: Callable[..., Units]):
    units, wanted = make_units(), np.full(12, 30)
    costs = target_costs(wish_for(units, wanted), units, units.measures, None)
    assert set(choose(costs, units, np.ones(12), 25.0).tolist()) == {30}


def test_seeds_give_other_takes_that_still_fit(make_units: Callable[..., Units]):
    units = make_units()
    wanted = np.arange(5, 55)
    costs = target_costs(wish_for(units, wanted + 3), units, units.measures, None)
    paths = {seed: choose(vary(costs, seed), units, np.zeros(50), 25.0) for seed in (0, 1, 1, 2)}
    again = choose(vary(costs, 1), units, np.zeros(50), 25.0)
    assert (paths[1] == again).all()
    assert np.array_equal(vary(costs, 0), costs)
    assert not np.array_equal(vary(costs, 1), vary(costs, 2))


def test_a_single_unit_is_enough(make_units: Callable[..., Units]):
    units = make_units(2)
    costs = np.zeros((4, 2))
    assert len(choose(costs, units, np.zeros(4), 25.0)) == 4


def test_a_unit_that_must_be_drawn_open_costs_more_than_one_that_must_be_closed(
    make_units: Callable[..., Units],
):
    units = make_units()
    wish = wish_for(units, np.array([50]))
    shown = np.repeat(wish.measures, len(units), axis=0)
    shown[10, 0] += 0.03
    shown[20, 0] -= 0.03
    costs = target_costs(wish, units, shown, None)[0]
    assert costs[20] > 1.5 * costs[10] > 0


def test_where_a_sound_shuts_the_lips_shut_ones_go_before_those_that_sounded_alike(
    make_units: Callable[..., Units],
):
    units = make_units()
    wish = wish_for(units, np.array([50]))
    shown = np.repeat(wish.measures, len(units), axis=0)
    shown[:, 0] += np.linspace(0, 0.06, len(units))
    closed, ajar = 0, len(units) // 3
    sounds = np.full((1, len(units)), 4.0)
    sounds[0, ajar] = 0.0
    chosen = [
        int(target_costs(asked, units, shown, sounds)[0].argmin())
        for asked in (wish, replace(wish, shut=np.ones(1)))
    ]
    assert chosen == [ajar, closed]
