"""Choose the units: the path through the material that best fits the voice and hangs together.

Viterbi over all frames of the range, as in Video Rewrite (Bregler, Covell, Slaney, SIGGRAPH 1997): a unit
costs what its mouth differs from the one the voice asks for; a join costs what the next mouth differs from
the one that really followed. Letters: n frames, u units, k candidates of a frame.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.rewrite.units import Units

_CANDIDATES = 150
_JOIN = 2.2  # of leaving a run at all, at 25 frames a second
_MEASURE_WEIGHTS = np.array([2.0, 0.8, 0.5, 0.3, 0.3])
_TOO_CLOSED = 1.5  # more for a mouth that must be drawn open: teeth stretch, lips that close do not
_RESTING = 2.0  # more for the aperture where the voice is silent
_SHUT = 4.0  # more for aperture and turn of the head than for sound and joins, where the lips are shut
_CONTEXT_WEIGHT = 1.0
_TURN_WEIGHT, _TURN = 0.35, np.radians(10.0)
_BLUR_WEIGHT = 0.8
_VARIETY = 0.35
_HOLD = 1.2  # of showing the same unit again while the voice speaks


@dataclass(frozen=True)
class Wish:
    """What is asked of each of n frames: `measures` (n, 5), aperture as a logarithm, and how much each counts
    (`trust` (5,) 0..1); `turns` (n, 2) the head's; `rest` (n,) 1 where the voice is silent, `shut` (n,) 1
    where a sound of it shuts the lips."""

    measures: np.ndarray
    trust: np.ndarray
    turns: np.ndarray
    rest: np.ndarray
    shut: np.ndarray


def target_costs(
    wish: Wish, units: Units, unit_measures: np.ndarray, context: np.ndarray | None
) -> np.ndarray:
    """Return (n, u) what each unit costs in each frame; `context` (n, u) is the distance in sound, about 1
    on average.
    """
    spread = unit_measures.std(axis=0) + 1e-3
    weights = _MEASURE_WEIGHTS * np.append(1.0, 0.2 + 0.8 * wish.trust[1:])
    shut = 1 + _SHUT * wish.shut[:, None]
    asked, shown = wish.measures / spread, unit_measures / spread
    costs = np.zeros((len(asked), len(units)))
    for column, weight in enumerate(weights):
        missed = asked[:, column, None] - shown[None, :, column]
        boost = shut + _RESTING * wish.rest[:, None] + _TOO_CLOSED * (missed > 0) if column == 0 else 1.0
        costs += weight * boost * missed**2
    if context is not None:
        costs += _CONTEXT_WEIGHT * (1 - wish.rest[:, None]) * context
    turned = (wish.turns[:, None] - units.turns[None]) / _TURN
    costs += _TURN_WEIGHT * shut * np.minimum((turned**2).sum(axis=-1), 9.0)
    return costs + _BLUR_WEIGHT * units.blur


def vary(costs: np.ndarray, seed: int) -> np.ndarray:
    """Return the costs with a preference, drawn from `seed`, for some of the material; 0 has none."""
    if seed == 0 or costs.shape[1] < 2:
        return costs
    taste = gaussian_filter1d(np.random.default_rng(seed).normal(size=costs.shape[1]), 4.0, mode="wrap")
    scale = _VARIETY * float(np.median(costs.min(axis=1)) + 1.0)
    return costs + scale * taste / (taste.std() + 1e-9)


def choose(costs: np.ndarray, units: Units, rest: np.ndarray, rate: float) -> np.ndarray:
    """Return (n,) the units of the cheapest path through (n, u) target costs."""
    here, after = _joints(units)
    follower = units.next_unit
    candidates = _candidates(costs)
    total = costs[0, candidates[0]]
    back = []
    for frame in range(1, len(costs)):
        before, now = candidates[frame - 1], candidates[frame]
        step = _join_costs(after[before], here[now]) * (rate / 25)
        step[follower[before][:, None] == now[None]] = 0.0
        hold = 0.02 + _HOLD * (1 - rest[frame])
        same = before[:, None] == now[None]
        step[same] = np.minimum(step[same], hold)
        paths = total[:, None] + step
        best = paths.argmin(axis=0)
        back.append(best)
        total = paths[best, np.arange(len(now))] + costs[frame, now]
    return _trace(total, back, candidates)


def _joints(units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Return each unit's features and those of the frame that really followed it."""
    spread = units.measures.std(axis=0) + 1e-3
    here = np.concatenate([units.measures / spread, 1.5 * units.looks, units.turns / np.radians(8.0)], axis=1)
    follower = units.next_unit
    after = np.where(follower[:, None] >= 0, here[follower], here)
    return here, after


def _join_costs(after: np.ndarray, here: np.ndarray) -> np.ndarray:
    squares = (after**2).sum(axis=1)[:, None] + (here**2).sum(axis=1) - 2 * after @ here.T
    return _JOIN + 0.7 * np.sqrt(np.maximum(squares, 0))


def _candidates(costs: np.ndarray) -> np.ndarray:
    """Return (n, k) the cheapest units of each frame, in order of their number."""
    count = min(_CANDIDATES, costs.shape[1])
    return np.sort(np.argsort(costs, axis=1, kind="stable")[:, :count], axis=1)


def _trace(total: np.ndarray, back: list[np.ndarray], candidates: np.ndarray) -> np.ndarray:
    slot = int(total.argmin())
    path = [slot]
    for best in reversed(back):
        slot = int(best[slot])
        path.append(slot)
    slots = np.array(path[::-1])
    return candidates[np.arange(len(slots)), slots]
