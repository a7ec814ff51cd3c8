"""The rewrite engine: the actor's own mouths, chosen anew for another voice, and painted into the shot.

Needs no weights and no GPU. Learns from each source which sound goes with which mouth (predict.py), chooses
units (choose.py), and paints them (paint.py). After Video Rewrite (Bregler, Covell, Slaney, SIGGRAPH 1997).
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from daemon.engines.engine import Shot
from daemon.engines.rewrite.paint import Piece, move_skin, paint_mouth
from daemon.engines.rewrite.plan import Plan, make_plan, ramp_in
from daemon.engines.rewrite.predict import Lesson, predict
from daemon.engines.rewrite.rule import fit_rule
from daemon.engines.rewrite.shape import influence, learn_modes, read_heads
from daemon.engines.rewrite.units import Units, collect_units, steady_shapes, to_patch, turns_of
from daemon.engines.rewrite.warp_only import plan_warp
from daemon.media.segment import FrameRange
from daemon.redub.progress import Reporter

CHUNK_S = 1
_MIN_UNITS = 25
_MIN_MOVEMENT = (
    0.045  # eye distances between a nearly closed and a nearly open mouth; less is a still portrait
)


class RewriteEngine:
    """An Engine (daemon/engines/engine.py) that repaints the mouth from the actor's own footage."""

    name = "rewrite"

    def __init__(self) -> None:
        """Make an engine for one take."""
        self.notes: list[str] = []

    def foretell(self, frames: int, rate: Fraction) -> list[str]:
        """Return nothing: a draft takes seconds on any machine."""
        return []

    def prepare(self, shot: Shot, reporter: Reporter) -> list[FrameRange]:
        """Learn the actor and plan the whole range; return chunks of about a second."""
        self._shot = shot
        rate = float(shot.rate)
        points, is_seen = _points_over(shot)
        self._heads = read_heads(points)
        self._own = steady_shapes(np.arange(len(points)), self._heads.shapes, rate)
        units = collect_units(shot.material, rate, reporter)
        self._units = units
        self._influence = influence(self._own)
        self.plan = self._make_plan(ramp_in(shot.editable & is_seen, rate))
        self._picture = lru_cache(maxsize=8)(self._read_picture)
        return _chunks(shot.frames, max(1, round(CHUNK_S * shot.rate)))

    def _make_plan(self, amount: np.ndarray) -> Plan:
        shot, units, rate = self._shot, self._units, float(self._shot.rate)
        speaks = (
            len(units) >= _MIN_UNITS
            and float(np.ptp(np.percentile(units.measures[:, 0], (5, 95)))) > _MIN_MOVEMENT
        )
        lesson = _lesson(shot, units) if speaks else None
        prediction = predict(lesson, shot.voice, shot.rate, len(shot.frames))
        if not speaks:
            self.notes.append(
                "The footage shows no speaking mouth of this person: the frame's own mouth was warped "
                "after the voice."
            )
            return plan_warp(prediction, self._own, shot.speech, amount, rate)
        if not prediction.is_learned:
            if shot.speech.any():  # of silence nothing could be learnt: the note would be on the wrong sound
                self.notes.append(
                    "The source's sound does not tell how this person's mouth moves: mouths were chosen "
                    "by a general rule."
                )
            prediction = fit_rule(prediction, units.measures, shot.speech)
        modes = learn_modes(units.shapes, units.measures)
        return make_plan(
            prediction, units, modes, turns_of(self._heads), shot.speech, amount, rate, shot.seed
        )

    def render(self, chunk: FrameRange, reporter: Reporter) -> Iterator[np.ndarray]:
        """Yield the chunk's crops, (S, S, 3) float32, each painted when it is asked for."""
        for frame in chunk:
            yield self._paint(frame)
            reporter.frames(frame + 1 - self._shot.frames.start)

    def close(self) -> None:
        """Do nothing: no GPU is used."""

    def _paint(self, frame: int) -> np.ndarray:
        crop = self._shot.crop(frame)
        index = frame - self._shot.frames.start
        amount = float(self.plan.amount[index])
        if amount <= 0:
            return crop
        old, new = self._controls(frame, index)
        support = np.clip(self._shot.region.mask(frame) * 1.5, 0, 1)
        skin = move_skin(crop, old, new, support)
        pieces = [
            Piece(*self._picture(int(unit)), float(share))
            for unit, share in zip(self.plan.units[index], self.plan.shares[index], strict=True)
            if share > 0
        ]
        if not pieces:
            pieces = [Piece(crop, old, 1.0, is_own=True)]
        return paint_mouth(skin, new, pieces, support * np.float32(amount))

    def _controls(self, frame: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the frame's own controls and the new ones, (c, 2) crop pixels."""
        head = self._heads
        own, amount = self._own[index], self.plan.amount[index]
        moved = own + (self._influence * amount)[:, None] * (self.plan.shapes[index] - own)
        both = np.stack([own, moved])
        places = head.scale[index] * both @ head.rotation[index].T + head.position[index]
        matrix = self._shot.region.matrices[frame - self._shot.region.frames.start]
        crop = (places[..., :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return crop[0], crop[1]

    def _read_picture(self, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a unit's patch as float32 in 0..1 and its controls there."""
        frame = int(self._units.frames[unit])
        patch, matrix = self._shot.material.patch(frame), self._shot.material.patch_matrix(frame)
        points = self._shot.material.track.points_at(frame)
        assert patch is not None
        assert matrix is not None
        assert points is not None
        return patch.astype(np.float32) / 255, to_patch(points, matrix)


def _points_over(shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 468, 3) points over the range, those of the nearest seen frame in gaps, and where they are
    seen.
    """
    track = shot.material.track
    wanted = np.arange(shot.frames.start, shot.frames.stop)
    right = np.clip(np.searchsorted(track.frames, wanted), 0, len(track.frames) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(track.frames[left] - wanted) < np.abs(track.frames[right] - wanted)
    row = np.where(nearer, left, right)
    inside = wanted - shot.region.frames.start
    return track.points[row], (track.frames[row] == wanted) & shot.region.usable[inside]


def _lesson(shot: Shot, units: Units) -> Lesson | None:
    material = shot.material
    if material.sound is None:
        return None
    times_s = (units.frames - material.frames.start) * float(1 / shot.rate)
    return Lesson(material.sound, times_s, units.measures, shot.rate)


def _chunks(frames: FrameRange, length: int) -> list[FrameRange]:
    return [
        FrameRange(start, min(start + length, frames.stop))
        for start in range(frames.start, frames.stop, length)
    ]
