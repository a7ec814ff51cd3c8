"""Who is to be re-dubbed: the face asked for, or the one whose mouth moves with the source's sound."""

import re
from fractions import Fraction

import numpy as np
from scipy.signal import butter, sosfiltfilt

from daemon.faces.landmarks import INNER_PAIRS, MOUTH_CORNERS
from daemon.faces.pose import fit_head
from daemon.faces.tracks import FaceTrack, box_of, face_side
from daemon.faces.voice_match import SOUND_RATE, agreement, predict_held_out, sound_features, without_drift
from daemon.media.segment import FrameRange, sample_at
from daemon.protocol.errors import MediaError, RequestError
from daemon.protocol.jobs import Box

MAX_SOUND_S = 60  # of sound before and after the wanted frames that is listened to
SILENCE = 0.003  # of full scale: a source whose sound never gets louder has none
STILL_MOUTH = 0.12  # eye distances a second: a mouth that moves less is not speaking
BUSY_MOUTH = 0.35  # and one that moves this much certainly is
MOTION_ALONE = 0.1  # of the evidence: a mouth that moves, but not with the sound
MIN_EVIDENCE = 0.03
MIN_SECONDS = 0.8  # less sound than this tells nothing
POINT_REACH_S = 1  # a point names the face there in the first frame, or one seen this soon after


def choose_speaker(
    tracks: list[FaceTrack],
    face: str,
    *,
    wanted: FrameRange,
    rate: Fraction,
    upright_to_square: np.ndarray,
    boxes: list[Box | None] | None = None,
    sound: np.ndarray | None = None,
    sound_start: int = 0,
) -> FaceTrack:
    """Return the track to work on in the frames `wanted`.

    `boxes`, one a wanted frame, win over `face` ("auto", a track id, or "X,Y" in the first wanted frame);
    both are in pixels of the upright full-size picture; (2, 3) `upright_to_square` leads to square ones.
    `sound` is the source's own, 16 kHz mono, its first sample at frame `sound_start`.

    Raises MediaError `face.none` where nobody is seen, `face.not_found` where not the one asked for, and
    RequestError `boxes.invalid` or `job.invalid`.
    """
    seen = [track for track in tracks if count_frames(track, wanted)]
    if not seen:
        raise MediaError("face.none", f"No face is seen in frames {wanted.start} to {wanted.stop - 1}.")
    if boxes is not None:
        return _by_boxes(seen, boxes, wanted, upright_to_square)
    if face == "auto":
        return _by_sound(seen, wanted, rate, sound, sound_start)
    if re.fullmatch(r"\d+", face.strip()):
        return _by_id(seen, int(face), wanted)
    return _by_point(seen, face, wanted, rate, upright_to_square)


def count_frames(track: FaceTrack, frames: FrameRange) -> int:
    """Return in how many of `frames` the person is seen."""
    return int(((track.frames >= frames.start) & (track.frames < frames.stop)).sum())


def mouth_aperture(points: np.ndarray) -> np.ndarray:
    """Return how far the inner lips of (n, 468, 3) points are apart, in eye distances."""
    gaps = [np.linalg.norm(points[:, low] - points[:, high], axis=-1) for high, low in INNER_PAIRS]
    return np.mean(gaps, axis=0) / fit_head(points)[0]


def loudness(sound: np.ndarray, frames: int, rate: Fraction) -> np.ndarray:
    """Return (frames,) decibels of the voice band of 16 kHz `sound`, frame by frame, floored at -60."""
    band = butter(2, (150, 4000), "bandpass", fs=SOUND_RATE, output="sos")
    voice = sosfiltfilt(band, sound) if len(sound) > 64 else sound
    power = np.concatenate([[0.0], np.cumsum(np.square(voice, dtype=np.float64))])
    edges = [min(sample_at(frame, rate, SOUND_RATE), len(sound)) for frame in range(frames + 1)]
    counts = np.maximum(np.diff(edges), 1)
    return 10 * np.log10(np.diff(power[edges]) / counts + 1e-6)


def speech_evidence(
    track: FaceTrack, sound: np.ndarray, *, start: int, wanted: FrameRange, rate: Fraction
) -> float:
    """Return 0..1: how much the mouth of `track` moves in the frames `wanted`, and with the sound.

    `sound`, 16 kHz mono from frame `start`, may reach further than `wanted`: the more it holds, the surer.
    """
    count = int(len(sound) * rate / SOUND_RATE)
    inside = (track.frames >= start) & (track.frames < start + count)
    if inside.sum() < MIN_SECONDS * rate:
        return 0.0
    frames, points = track.frames[inside] - start, track.points[inside]
    mouth = np.stack([mouth_aperture(points), _mouth_width(points)], axis=1)
    targets = without_drift(mouth, float(rate))
    predicted = predict_held_out(sound_features(sound, count, rate)[frames], targets)
    level = loudness(sound, count, rate)
    is_heard = (
        (level[frames] > level.max() - 30.0)
        & (frames >= wanted.start - start)
        & (frames < wanted.stop - start)
    )
    busy = _busy(_speed(frames, mouth[:, 0], float(rate)), is_heard)
    return float(busy * (MOTION_ALONE + (1 - MOTION_ALONE) * max(0.0, agreement(predicted, targets))))


def _busy(speed: np.ndarray, is_heard: np.ndarray) -> float:
    mean = float(speed[is_heard].mean()) if is_heard.any() else 0.0
    return float(np.clip((mean - STILL_MOUTH) / (BUSY_MOUTH - STILL_MOUTH), 0.0, 1.0))


def _speed(frames: np.ndarray, aperture: np.ndarray, rate: float) -> np.ndarray:
    """Return how fast the mouth opens or closes, in eye distances a second."""
    return np.abs(np.gradient(aperture, frames)) * rate


def _mouth_width(points: np.ndarray) -> np.ndarray:
    right, left = MOUTH_CORNERS
    return np.linalg.norm(points[:, right] - points[:, left], axis=-1) / fit_head(points)[0]


def _by_sound(
    tracks: list[FaceTrack], wanted: FrameRange, rate: Fraction, sound: np.ndarray | None, sound_start: int
) -> FaceTrack:
    """Choose the one who speaks; where nobody evidently does, the largest and longest."""
    sizes = [_weight_on_screen(track, wanted) for track in tracks]
    if sound is not None and len(tracks) > 1 and len(sound) and np.abs(sound).max() > SILENCE:
        part, start = _near(sound, sound_start, wanted, rate)
        evidence = [speech_evidence(track, part, start=start, wanted=wanted, rate=rate) for track in tracks]
        ranked = [proof * (0.5 + size / max(sizes)) for proof, size in zip(evidence, sizes, strict=True)]
        if max(evidence) > MIN_EVIDENCE:
            return tracks[int(np.argmax(ranked))]
    return tracks[int(np.argmax(sizes))]


def _near(sound: np.ndarray, sound_start: int, wanted: FrameRange, rate: Fraction) -> tuple[np.ndarray, int]:
    """Return the sound within a minute of the wanted frames, and the frame of its first sample."""
    reach = round(MAX_SOUND_S * rate)
    first = max(sound_start, wanted.start - reach)
    last = wanted.stop + reach
    edges = [sample_at(frame - sound_start, rate, SOUND_RATE) for frame in (first, last)]
    return sound[edges[0] : edges[1]], first


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
    outside = [(main, int(frame)) for frame in main.frames if frame not in wanted and frame < wanted.start]
    after = [(main, int(frame)) for frame in main.frames if frame >= wanted.stop]
    return _assemble(main, outside + picks + after)


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
