"""The people of a shot: every face followed from frame to frame, under an id that survives gaps and cuts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from daemon.faces.detection import Detection, overlap
from daemon.faces.identity import Look, group_pieces, look_distance, take_look
from daemon.faces.mesh import FaceMesh
from daemon.faces.smoothing import smooth_points

MIN_PRESENCE = 0.5
SMALL_FACE = 96.0  # px; below this the mesh's window is cut from the larger picture, where there is one
MAX_GAP = 75  # frames after which position no longer says who it is
CUT_DIFFERENCE = 24.0  # mean change of an 8-bit grey thumbnail from one frame to the next
LOOK_EVERY = 8  # frames between two looks at a face
MAX_LOOKS = 16
RECOVERY_LOOK = 1.3  # a face that reappears in place may look this different and still be the same person

Detail = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Gives a larger picture of the same frame and its matrix to square pixels."""


@dataclass(frozen=True)
class FaceTrack:
    """One person: `points` (n, 468, 3) float32 in square pixels, one for each of `frames` (n,).

    `pieces` are the provisional ids, as `FaceTracker.update` gave them, that turned out to be this person.
    """

    track_id: int
    frames: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    pieces: tuple[int, ...] = ()

    def points_at(self, frame: int) -> np.ndarray | None:
        """Return the (468, 3) points in `frame`, or None where the person is not seen."""
        index = int(np.searchsorted(self.frames, frame))
        if index == len(self.frames) or self.frames[index] != frame:
            return None
        return self.points[index]


@dataclass
class Piece:
    """A face followed without doubt: a stretch of a track between losses that position cannot bridge."""

    piece_id: int
    last: np.ndarray  # (468, 3) in pixels of the small picture
    last_frame: int
    is_active: bool = True
    is_behind_cut: bool = False
    frames: list[int] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    look_step: int = LOOK_EVERY

    def add(self, frame: int, seen: np.ndarray, stored: np.ndarray, score: float) -> None:
        """Append a frame."""
        self.last, self.last_frame, self.is_active = seen, frame, True
        self.frames.append(frame)
        self.points.append(stored)
        self.scores.append(score)

    def add_look(self, look: Look) -> None:
        """Keep the look; when there are many, keep every other one and look half as often."""
        self.looks.append(look)
        if len(self.looks) > MAX_LOOKS:
            self.looks = self.looks[::2]
            self.look_step *= 2


class FaceTracker:
    """Follows every face through frames given in order. Not safe to share between threads."""

    def __init__(
        self, folder: Path | None = None, *, mesh: FaceMesh | None = None, search_every: int = 25
    ) -> None:
        """`search_every` frames it looks for new people (about one second). Raises as `FaceMesh`."""
        self._mesh = FaceMesh(folder) if mesh is None else mesh
        self._search_every = search_every
        self._pieces: list[Piece] = []
        self._thumb: np.ndarray | None = None
        self._last_search: int | None = None
        self._lost_until = -1

    def update(
        self,
        frame: int,
        upright_rgb8: np.ndarray,
        upright_to_square: np.ndarray,
        *,
        detail: Detail | None = None,
    ) -> list[tuple[int, np.ndarray]]:
        """Follow the faces into `frame`; return (provisional id, (468, 3) points in square pixels) of each.

        `upright_rgb8` is upright, (H, W, 3), about 640 px long; `detail` gives a larger one for small faces.
        """
        picture = _Picture(upright_rgb8, np.asarray(upright_to_square, np.float64), detail)
        is_cut = self._is_cut(upright_rgb8)
        if is_cut:
            self._end_pieces()
        seen = [self._follow(piece, frame, picture) for piece in self._pieces if piece.is_active]
        self._drop_doubles()
        lost = not all(seen)
        if lost:
            self._lost_until = frame + self._search_every
        if self._should_search(frame, is_cut or lost):
            self._search(frame, picture)
        return [
            (piece.piece_id, piece.points[-1])
            for piece in self._pieces
            if piece.is_active and piece.last_frame == frame
        ]

    def tracks(self) -> list[FaceTrack]:
        """Return the people seen so far, ids from 1 in order of screen time times size, points smoothed."""
        pieces = [piece for piece in self._pieces if len(piece.frames) >= 2 or len(self._pieces) == 1]
        groups = group_pieces(
            [(np.array(piece.frames), np.stack(piece.points), piece.looks) for piece in pieces]
        )
        people = [_join([pieces[index] for index in group]) for group in groups]
        people.sort(key=lambda track: (-prominence(track), int(track.frames[0])))
        return [
            FaceTrack(number, track.frames, track.points, track.scores, track.pieces)
            for number, track in enumerate(people, start=1)
        ]

    def _is_cut(self, picture: np.ndarray) -> bool:
        grey = cv2.cvtColor(cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        now = grey.astype(np.float32)
        before, self._thumb = self._thumb, now
        if before is None:
            return False
        plain = np.abs(now - before).mean()
        relit = np.abs((now - now.mean()) - (before - before.mean())).mean()
        return bool(min(plain, 1.3 * relit) > CUT_DIFFERENCE)

    def _end_pieces(self) -> None:
        for piece in self._pieces:
            piece.is_active = False
            piece.is_behind_cut = True

    def _follow(self, piece: Piece, frame: int, picture: "_Picture") -> bool:
        """Follow one face into the frame; return whether it is still there."""
        points, score = picture.track(self._mesh, piece.last)
        piece.is_active = score >= MIN_PRESENCE and _moved_little(piece.last, points)
        if piece.is_active:
            self._add(piece, frame, picture, points, score)
        return piece.is_active

    def _add(self, piece: Piece, frame: int, picture: "_Picture", points: np.ndarray, score: float) -> None:
        piece.add(frame, points, picture.to_square(points), score)
        if (len(piece.frames) - 1) % piece.look_step == 0:
            piece.add_look(take_look(picture.small, points))

    def _drop_doubles(self) -> None:
        """Let go of the younger of two pieces that slid onto one face, and of its last frame."""
        active = [piece for piece in self._pieces if piece.is_active]
        for position, older in enumerate(active):
            for younger in active[position + 1 :]:
                if (
                    older.is_active
                    and younger.is_active
                    and overlap(box_of(older.last), box_of(younger.last)) > 0.5
                ):
                    younger.is_active = False
                    if (len(younger.frames) - 1) % younger.look_step == 0:
                        younger.looks.pop()  # it shows the other's face
                    for history in (younger.frames, younger.points, younger.scores):
                        history.pop()
        self._pieces = [piece for piece in self._pieces if piece.frames]

    def _should_search(self, frame: int, is_urgent: bool) -> bool:
        if is_urgent or self._last_search is None or frame <= self._lost_until:
            return True
        is_empty = not any(piece.is_active for piece in self._pieces)
        return is_empty or frame - self._last_search >= self._search_every

    def _search(self, frame: int, picture: "_Picture") -> None:
        is_regular = self._last_search is None or frame - self._last_search >= self._search_every
        has_face = any(piece.is_active for piece in self._pieces)
        for found in picture.find(self._mesh, is_thorough=is_regular or not has_face):
            active = [piece for piece in self._pieces if piece.is_active]
            if any(overlap(found.box, box_of(piece.last)) > 0.15 for piece in active):
                continue
            points, score = picture.fit(self._mesh, found)
            if score < MIN_PRESENCE or any(overlap(box_of(points), box_of(p.last)) > 0.3 for p in active):
                continue
            self._add(self._recover(frame, picture, points), frame, picture, points, score)
        if is_regular or not has_face:
            self._last_search = frame

    def _recover(self, frame: int, picture: "_Picture", points: np.ndarray) -> Piece:
        """Return the lost piece that reappears at `points`, or a new one."""
        look = take_look(picture.small, points)
        best, best_distance = None, RECOVERY_LOOK
        for piece in self._pieces:
            if piece.is_active or piece.is_behind_cut or not _could_be(piece, frame, points):
                continue
            distance = min((look_distance(look, known) for known in piece.looks), default=0.0)
            if distance < best_distance:
                best, best_distance = piece, distance
        if best is None:
            best = Piece(1 + max((piece.piece_id for piece in self._pieces), default=0), points, frame)
            self._pieces.append(best)
        return best


class _Picture:
    """A frame as the tracker sees it: small for finding, larger where a face is small."""

    def __init__(self, small: np.ndarray, matrix: np.ndarray, detail: Detail | None) -> None:
        self.small = small
        self._matrix = matrix
        self._detail = detail
        self._large: tuple[np.ndarray, np.ndarray] | None = None

    def find(self, mesh: FaceMesh, *, is_thorough: bool) -> list[Detection]:
        """Find faces; thoroughly means in overlapping tiles too, finer ones while nothing is found."""
        short = min(self.small.shape[:2])
        found = mesh.find(self.small, tile_sides=(0.62 * short,) if is_thorough else ())
        if not found and is_thorough:
            found = mesh.find(self.small, tile_sides=(0.34 * short,))
        return found

    def fit(self, mesh: FaceMesh, found: Detection) -> tuple[np.ndarray, float]:
        """Fit the mesh to a detection, then once more from its own points, which lie better."""
        first = mesh.fit(self.small, found)
        if first.score < MIN_PRESENCE:
            return first.points, first.score
        return self.track(mesh, first.points)

    def track(self, mesh: FaceMesh, previous: np.ndarray) -> tuple[np.ndarray, float]:
        """Fit the mesh near `previous`; points in and out are in pixels of the small picture."""
        if self._detail is None or face_side(previous) >= SMALL_FACE:
            face = mesh.track(self.small, previous)
            return face.points, face.score
        if self._large is None:
            self._large = self._detail()
        large, large_to_square = self._large
        to_large = _compose(_invert(large_to_square), self._matrix)
        face = mesh.track(large, _apply(to_large, previous))
        return _apply(_invert(to_large), face.points), face.score

    def to_square(self, points: np.ndarray) -> np.ndarray:
        """Return the points in square pixels (source.SourceInfo.squeeze)."""
        return _apply(self._matrix, points)


def box_of(points: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 around (468, 2 or 3) points."""
    return np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])


def face_side(points: np.ndarray) -> float:
    """Return the longer side of the box around the points."""
    box = box_of(points)
    return float((box[2:] - box[:2]).max())


def prominence(track: FaceTrack) -> float:
    """Return screen time times size: the sum of the face's side over its frames."""
    return float(sum(face_side(points) for points in track.points))


def _join(pieces: list[Piece]) -> FaceTrack:
    frames = np.concatenate([np.array(piece.frames, np.int32) for piece in pieces])
    points = np.concatenate([smooth_points(np.array(p.frames), np.stack(p.points)) for p in pieces])
    scores = np.concatenate([np.array(piece.scores, np.float32) for piece in pieces])
    order = np.argsort(frames, kind="stable")
    ids = tuple(piece.piece_id for piece in pieces)
    return FaceTrack(0, frames[order], points[order], scores[order], ids)


def _moved_little(before: np.ndarray, after: np.ndarray) -> bool:
    """Say whether a face can have gone from `before` to `after` within one frame."""
    side = face_side(before)
    step = np.hypot(*(after[:, :2].mean(axis=0) - before[:, :2].mean(axis=0)))
    return bool(step < 0.5 * side and 0.6 < face_side(after) / side < 1.7)


def _could_be(piece: Piece, frame: int, points: np.ndarray) -> bool:
    """Say whether a face lost at `piece.last` can have come to `points` by now."""
    gap = frame - piece.last_frame
    side = face_side(piece.last)
    step = np.hypot(*(points[:, :2].mean(axis=0) - piece.last[:, :2].mean(axis=0)))
    return bool(
        0 < gap <= MAX_GAP and step < side * (0.6 + 0.04 * gap) and 0.6 < face_side(points) / side < 1.7
    )


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    out = np.empty_like(points)
    out[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    out[:, 2] = points[:, 2] * scale
    return out


def _invert(matrix: np.ndarray) -> np.ndarray:
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def _compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])
