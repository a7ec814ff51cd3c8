"""The plan of a take: which units show in each frame, with what share, and the mouth shape they are drawn to.

Letters: n frames, u units, c controls.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter1d, maximum_filter1d

from daemon.engines.rewrite.choose import Wish, choose, target_costs, vary
from daemon.engines.rewrite.prediction import Prediction, from_log, sure_closure, to_log
from daemon.engines.rewrite.shape import SLOW, Modes, keep_lips_apart, measure
from daemon.engines.rewrite.units import Units

_FADE_S = 0.05  # either side of a join
_ANCHOR_S = 0.12  # at both ends of what is changed
_PAUSE_S = 0.24  # around speech in which the mouth still follows the sound
_FOLLOW = np.array([1.0, 0.7, 0.7, 0.7, 0.7])  # how far a unit's measures are drawn to those asked for
_SHUT_APERTURE = 2  # percentile of the actor's apertures that counts as lips together
_SHUT_STEPS = 2  # lips curve: the modes, straight lines, come near in the first
_STEADY_S = 0.025
_STEADY_JAW_S = 0.05
_REST_APERTURE = 15  # percentile of the actor's apertures that counts as a mouth at rest


@dataclass(frozen=True)
class Plan:
    """`units` and `shares` (n, 2): what is painted; `shapes` (n, c, 3): the new mouth in head space;
    `amount` (n,): 0 leaves the frame alone, 1 is all new.
    """

    units: np.ndarray
    shares: np.ndarray
    shapes: np.ndarray
    amount: np.ndarray


def ramp_in(editable: np.ndarray, rate: float) -> np.ndarray:
    """Return (n,) how much of each frame is new: rising from 0 at both ends and beside frames left alone."""
    padded = np.concatenate([[False], editable, [False]])
    away = np.asarray(distance_transform_edt(padded))[1:-1]
    share = np.clip(away / (max(2.0, _ANCHOR_S * rate) + 1), 0, 1)
    return share * share * (3 - 2 * share)


def pauses(speech: np.ndarray, rate: float) -> np.ndarray:
    """Return (n,) 1 where the voice is silent and not about to speak, 0 where it speaks."""
    reach = 2 * round(_PAUSE_S * rate) + 1
    heard = maximum_filter1d(np.clip(speech, 0, 1), reach, mode="nearest")
    return 1 - np.clip(gaussian_filter1d(heard.astype(np.float64), 0.06 * rate, mode="nearest"), 0, 1)


def make_plan(
    prediction: Prediction,
    units: Units,
    modes: Modes,
    turns: np.ndarray,
    speech: np.ndarray,
    amount: np.ndarray,
    rate: float,
    seed: int,
) -> Plan:
    """Choose the units for n frames and the shapes they are drawn to."""
    shown = units.measures.copy()
    shown[:, 0] = to_log(shown[:, 0])
    rest = pauses(speech, rate)
    shut = sure_closure(prediction.closed) * (1 - rest)
    asked = _close(_calm(prediction.values, shown, rest), shown, shut)
    context = _context_distance(prediction) if prediction.context is not None else None
    wish = Wish(asked, prediction.skill, turns, rest, shut)
    path = choose(vary(target_costs(wish, units, shown, context), seed), units, rest, rate)
    pairs, shares = _cross_fade(path, units, rate)
    shapes = np.einsum("nk,nkcd->ncd", shares, units.shapes[pairs])
    trust = np.append(1.0, prediction.skill[1:])
    measures = np.einsum("nk,nkm->nm", shares, units.measures[pairs])
    change = _change(asked, measures, _FOLLOW * trust)
    drawn = _steady(modes.move_all(shapes, change), rate)
    return Plan(pairs, shares, _shut(drawn, modes, shut), amount)


def _steady(shapes: np.ndarray, rate: float) -> np.ndarray:
    """Return the shapes with joins smoothed away; the jaw is heavier than the lips and moves more slowly."""
    lips, jaw = (
        gaussian_filter1d(shapes, max(span * rate, 0.3), axis=0, mode="nearest")
        for span in (_STEADY_S, _STEADY_JAW_S)
    )
    lips[:, SLOW] = jaw[:, SLOW]
    return keep_lips_apart(lips)


def _calm(asked: np.ndarray, shown: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return the measures asked for, brought to the actor's closed mouth where the voice rests."""
    closed = shown[:, 0] <= np.percentile(shown[:, 0], _REST_APERTURE)
    resting = shown[closed].mean(axis=0)
    return asked * (1 - rest[:, None]) + resting * rest[:, None]


def _close(asked: np.ndarray, shown: np.ndarray, shut: np.ndarray) -> np.ndarray:
    """Return the measures asked for with the lips brought by `shut` (n,) 0..1 to where this actor's are
    together; `shown` (u, 5) are the actor's measures.
    """
    asked = asked.copy()
    together = np.percentile(shown[:, 0], _SHUT_APERTURE)
    asked[:, 0] += shut * np.minimum(together - asked[:, 0], 0)
    return asked


def _shut(shapes: np.ndarray, modes: Modes, shut: np.ndarray) -> np.ndarray:
    """Return the (n, c, 3) shapes with lips that must meet brought together; smoothing had parted them.

    They meet at no aperture, not at the little that is measured of an actor's closed lips: a unit that shows
    more than that, drawn to it, still shows a slit.
    """
    wanted = measure(shapes)[:, 0] * (1 - shut)
    for _ in range(_SHUT_STEPS):
        change = np.zeros((len(shapes), 5))
        change[:, 0] = np.minimum(wanted - measure(shapes)[:, 0], 0)
        shapes = modes.move_all(shapes, change)
    return shapes


def _context_distance(prediction: Prediction) -> np.ndarray:
    assert prediction.context is not None
    assert prediction.lesson_context is not None
    a, b = prediction.context, prediction.lesson_context
    distance = np.sqrt(np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0))
    return distance / max(float(distance.mean()), 1e-9)


def _change(asked: np.ndarray, shown: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Return (n, 5) how far the measures are moved: part of the way to those asked for, within what a
    picture bears.
    """
    target = asked.copy()
    target[:, 0] = from_log(asked[:, 0])
    change = (target - shown) * trust
    change[:, 0] = np.clip(change[:, 0], -0.75 * shown[:, 0], 0.6 * shown[:, 0] + 0.02)
    limits = np.array([np.inf, 0.06, 0.05, 0.02, 0.02])
    return np.clip(change, -limits, limits)


def _cross_fade(path: np.ndarray, units: Units, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 2) units and shares: where a run ends and another begins, each goes on a little into the
    other.
    """
    count = len(path)
    reach = max(1, round(_FADE_S * rate))
    pairs = np.stack([path, path], axis=1)
    shares = np.stack([np.ones(count), np.zeros(count)], axis=1)
    steps = np.diff(path)
    joins = np.flatnonzero((steps != 0) & (units.next_unit[path[:-1]] != path[1:])) + 1
    for number, join in enumerate(joins.tolist()):
        low = joins[number - 1] if number else 0
        high = joins[number + 1] if number + 1 < len(joins) else count
        before, after = min(reach, (join - low + 1) // 2), min(reach, (high - join + 1) // 2)
        for frame in range(join - before, join + after):
            position = (frame - join + 0.5 + before) / (before + after)
            newer = position * position * (3 - 2 * position)
            other = _continue(path, units, frame, join)
            is_new = frame >= join
            pairs[frame] = path[frame], other
            shares[frame] = (newer, 1 - newer) if is_new else (1 - newer, newer)
    return pairs, shares


def _continue(path: np.ndarray, units: Units, frame: int, join: int) -> int:
    """Return the unit that the run on the other side of `join` would show in `frame`."""
    anchor = join - 1 if frame >= join else join
    step = frame - anchor
    unit = int(path[anchor])
    other = min(max(unit + step, 0), len(units) - 1)
    is_same_run = units.frames[other] - units.frames[unit] == other - unit
    return other if is_same_run else unit
