"""Who is to be re-dubbed: the face asked for, or the one whose mouth moves with the source's sound."""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from daemon.faces.evidence import OwnSound, speech_evidence
from daemon.faces.tracks import FaceTrack, box_of, face_side
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MediaError, RequestError
from daemon.protocol.jobs import Box

MIN_EVIDENCE = 0.03
POINT_REACH_S = 1  # a point names the face there in the first frame, or one seen this soon after


@dataclass(frozen=True)
class Speaker:
    """The track to work on; where it was chosen among `people` > 1 by their mouths, how nearly it had been
    another: `doubt`, 0 sure to 1 a guess.
    """

    track: FaceTrack
    people: int = 1
    doubt: float | None = None

    @property
    def notes(self) -> list[str]:
        """Return what the editor should know of the choice, in sentences."""
        if self.doubt is None:
            return []
        return [
            f"{self.people} people are seen in the range; face {self.track.track_id} was taken for "
            "the speaker. If it is another, name it (--face; `dubwright faces` lists them)."
        ]


def choose_speaker(
    tracks: list[FaceTrack],
    face: str,
    *,
    wanted: FrameRange,
    rate: Fraction,
    upright_to_square: np.ndarray,
    boxes: list[Box | None] | None = None,
    sound: OwnSound | None = None,
) -> Speaker:
    """Return who is to be re-dubbed in the frames `wanted`.

    `boxes`, one a wanted frame, win over `face` ("auto", a track id, or "X,Y" in the first wanted frame);
    both are in pixels of the upright full-size picture; (2, 3) `upright_to_square` leads to square ones.

    Raises MediaError `face.none` where nobody is seen, `face.not_found` where not the one asked for, and
    RequestError `boxes.invalid` or `job.invalid`.
    """
    seen = [track for track in tracks if count_frames(track, wanted)]
    if not seen:
        raise MediaError("face.none", f"No face is seen in frames {wanted.start} to {wanted.stop - 1}.")
    if boxes is not None:
        return Speaker(_by_boxes(seen, boxes, wanted, upright_to_square))
    if face == "auto":
        return _by_sound(seen, wanted, rate, sound)
    if re.fullmatch(r"\d+", face.strip()):
        return Speaker(_by_id(seen, int(face), wanted))
    return Speaker(_by_point(seen, face, wanted, rate, upright_to_square))


def count_frames(track: FaceTrack, frames: FrameRange) -> int:
    """Return in how many of `frames` the person is seen."""
    return int(((track.frames >= frames.start) & (track.frames < frames.stop)).sum())


def _by_sound(tracks: list[FaceTrack], wanted: FrameRange, rate: Fraction, sound: OwnSound | None) -> Speaker:
    """Choose the one who speaks; where nobody evidently does, the largest and longest."""
    if len(tracks) == 1:
        return Speaker(tracks[0])
    sizes = np.array([_weight_on_screen(track, wanted) for track in tracks])
    heard = None if sound is None else sound.near(wanted, rate)
    if heard is not None:
        evidence = np.array([speech_evidence(track, heard, wanted, rate) for track in tracks])
        if evidence.max() > MIN_EVIDENCE:
            ranked = evidence * (0.5 + sizes / sizes.max())
            second, best = np.sort(ranked)[-2:]
            return Speaker(tracks[int(ranked.argmax())], len(tracks), float(second / best))
    return Speaker(tracks[int(sizes.argmax())], len(tracks), 1.0)


def _weight_on_screen(track: FaceTrack, wanted: FrameRange) -> float:
    inside = (track.frames >= wanted.start) & (track.frames < wanted.stop)
    return float(sum(face_side(points) for points in track.points[inside]))


def _by_id(tracks: list[FaceTrack], track_id: int, wanted: FrameRange) -> FaceTrack:
    for track in tracks:
        if track.track_id == track_id:
            return track
    known = ", ".join(str(track.track_id) for track in tracks)
    raise MediaError(
        "face.not_found",
        f"There is no face {track_id} in frames {wanted.start} to {wanted.stop - 1}; there are: {known}.",
    )


def _by_point(
    tracks: list[FaceTrack], face: str, wanted: FrameRange, rate: Fraction, upright_to_square: np.ndarray
) -> FaceTrack:
    try:
        x, y = (float(part) for part in face.split(","))
    except ValueError:
        raise RequestError(
            "job.invalid", f"`face` is {face!r}; it must be auto, a track id, or X,Y."
        ) from None
    point = upright_to_square[:, :2] @ np.array([x, y]) + upright_to_square[:, 2]
    for frame in range(wanted.start, min(wanted.stop, wanted.start + 1 + round(POINT_REACH_S * rate))):
        distances = [_distance(track.points_at(frame), point) for track in tracks]
        if min(distances) < 0.75:
            return tracks[int(np.argmin(distances))]
    raise MediaError("face.not_found", f"No face is seen at {x:g},{y:g} in frame {wanted.start}.")


def _distance(points: np.ndarray | None, point: np.ndarray) -> float:
    """Return the distance of `point` from the middle of a face, in sides of the face."""
    if points is None:
        return np.inf
    box = box_of(points)
    return float(np.hypot(*((box[:2] + box[2:]) / 2 - point)) / face_side(points))


def _by_boxes(
    tracks: list[FaceTrack], boxes: list[Box | None], wanted: FrameRange, upright_to_square: np.ndarray
) -> FaceTrack:
    """Return one track made of the face in each frame's box; frames whose box is null or empty are not in it.

    Outside the wanted frames it is the person most often boxed.
    """
    if len(boxes) != len(wanted):
        raise RequestError("boxes.invalid", f"There are {len(boxes)} boxes for {len(wanted)} frames.")
    picks: list[tuple[FaceTrack, int]] = []
    for frame, box in zip(wanted, boxes, strict=True):
        track = None if box is None else _in_box(tracks, frame, _stored_box(box, frame, upright_to_square))
        if track is not None:
            picks.append((track, frame))
    if not picks:
        raise MediaError("face.not_found", "No face is seen in any of the boxes.")
    counts = {id(track): sum(other is track for other, _ in picks) for track, _ in picks}
    main = max((track for track, _ in picks), key=lambda track: counts[id(track)])
    before = [(main, int(frame)) for frame in main.frames if frame < wanted.start]
    after = [(main, int(frame)) for frame in main.frames if frame >= wanted.stop]
    return _assemble(main, before + picks + after)


def _stored_box(box: Box, frame: int, upright_to_square: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    if not (np.isfinite(box).all() and x1 > x0 and y1 > y0):
        raise RequestError(
            "boxes.invalid", f"The box of frame {frame} is {list(box)}; x0 < x1 and y0 < y1 must hold."
        )
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ upright_to_square[:, :2].T
    return box_of(corners + upright_to_square[:, 2])


def _in_box(tracks: list[FaceTrack], frame: int, box: np.ndarray) -> FaceTrack | None:
    """Return the track whose face lies most in `box`; at least half of it must."""
    best, best_share = None, 0.5
    for track in tracks:
        points = track.points_at(frame)
        if points is None:
            continue
        share = float(((points[:, :2] >= box[:2]) & (points[:, :2] <= box[2:])).all(axis=1).mean())
        if share > best_share:
            best, best_share = track, share
    return best


def _assemble(main: FaceTrack, picks: list[tuple[FaceTrack, int]]) -> FaceTrack:
    rows = [(track, int(np.searchsorted(track.frames, frame))) for track, frame in picks]
    return FaceTrack(
        main.track_id,
        np.array([frame for _, frame in picks], np.int32),
        np.stack([track.points[row] for track, row in rows]),
        np.array([track.scores[row] for track, row in rows], np.float32),
        tuple(sorted({piece for track, _ in rows for piece in track.pieces})),
    )
