"""The tracker on real footage: two people, gaps, cuts, small faces, a turned source, jitter."""

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.engines.rewrite.rule import expected_mouths
from daemon.faces.evidence import OwnSound, mouth_aperture
from daemon.faces.mesh import FaceMesh
from daemon.faces.pose import pose_parameters
from daemon.faces.speaker import choose_speaker
from daemon.faces.tracks import FaceTrack, FaceTracker, box_of, face_side
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MachineError, MediaError, RequestError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from footage import IDENTITY, follow, read_pictures, read_sound, side_by_side

RATE = Fraction(25)
COUNT = 125


@pytest.fixture(scope="module")
def woman(media: Path) -> list[np.ndarray]:
    return read_pictures(media / "latentsync_demo1.mp4", COUNT)


@pytest.fixture(scope="module")
def man(media: Path) -> list[np.ndarray]:
    return read_pictures(media / "latentsync_demo2.mp4", COUNT)


@pytest.fixture(scope="module")
def pair(woman: list[np.ndarray], man: list[np.ndarray], face_models: Path) -> list[FaceTrack]:
    """Return tracks of the woman on the left and the man on the right; she is away in frames 40 to 59."""
    pictures = side_by_side(woman, man)
    for picture in pictures[40:60]:
        picture[:, :180] = 60
    return follow(face_models, pictures)[0]


def left_and_right(tracks: list[FaceTrack]) -> tuple[FaceTrack, FaceTrack]:
    left, right = sorted(tracks, key=lambda track: float(track.points[..., 0].mean()))
    return left, right


def test_two_people_keep_their_ids_across_a_gap(pair: list[FaceTrack]) -> None:
    left, right = left_and_right(pair)
    assert {left.track_id, right.track_id} == {1, 2}
    assert list(right.frames) == list(range(COUNT))
    assert set(left.frames) == {*range(40), *range(60, COUNT)}
    assert left.points_at(50) is None
    assert (left.points[..., 0].mean(axis=1) < 180).all()
    assert (right.points[..., 0].mean(axis=1) > 180).all()


def test_a_person_keeps_the_id_across_cuts(
    woman: list[np.ndarray], man: list[np.ndarray], face_models: Path
) -> None:
    pictures = [(woman if frame // 20 % 2 == 0 else man)[frame] for frame in range(100)]
    tracks, _ = follow(face_models, pictures)
    hers = [frame for frame in range(100) if frame // 20 % 2 == 0]
    assert sorted(list(track.frames) for track in tracks) == sorted([hers, sorted({*range(100)} - {*hers})])


def test_the_face_whose_mouth_goes_with_the_sound_is_chosen(media: Path, face_models: Path) -> None:
    clips = [media / f"latentsync_demo{number}.mp4" for number in (1, 2)]
    pictures = [read_pictures(clip, 2 * COUNT, side=480) for clip in clips]
    hers, his = left_and_right(follow(face_models, side_by_side(*pictures))[0])
    for clip, speaker in zip(clips, (hers, his), strict=True):
        sound = OwnSound(read_sound(clip, 2 * COUNT * 640), 0, expected_mouths)
        chosen = choose_speaker(
            [hers, his],
            "auto",
            wanted=FrameRange(80, 200),
            rate=RATE,
            upright_to_square=IDENTITY,
            sound=sound,
        )
        assert chosen.track is speaker
        assert chosen.doubt is not None
        assert chosen.doubt < 1
        assert "2 people are seen" in chosen.notes[0]


@pytest.mark.parametrize("samples", [None, 0, 100, 16_000 * 5])
def test_without_a_sound_that_tells_the_most_prominent_face_is_chosen(
    pair: list[FaceTrack], samples: int | None
) -> None:
    sound = None if samples is None else OwnSound(np.zeros(samples, np.float32), 0, expected_mouths)
    chosen = choose_speaker(
        pair, "auto", wanted=FrameRange(0, COUNT), rate=RATE, upright_to_square=IDENTITY, sound=sound
    )
    assert (chosen.track, chosen.doubt) == (pair[0], 1.0)


def test_a_face_is_chosen_by_id_and_by_point(pair: list[FaceTrack]) -> None:
    left, right = left_and_right(pair)
    for track in (left, right):
        box = box_of(track.points[0])
        point = f"{(box[0] + box[2]) / 2},{(box[1] + box[3]) / 2}"
        for face in (str(track.track_id), point):
            chosen = choose_speaker(
                pair, face, wanted=FrameRange(0, 50), rate=RATE, upright_to_square=IDENTITY
            )
            assert (chosen.track, chosen.notes) == (track, [])


@pytest.mark.parametrize(
    ("face", "code"), [("7", "face.not_found"), ("5,600", "face.not_found"), ("him", "job.invalid")]
)
def test_a_face_that_is_not_there_is_refused(pair: list[FaceTrack], face: str, code: str) -> None:
    with pytest.raises((MediaError, RequestError)) as caught:
        choose_speaker(pair, face, wanted=FrameRange(0, 50), rate=RATE, upright_to_square=IDENTITY)
    assert caught.value.code == code


def test_boxes_with_nulls_leave_those_frames_out(pair: list[FaceTrack]) -> None:
    left, _ = left_and_right(pair)
    wanted = FrameRange(5, 35)
    boxes = [None if frame % 3 == 0 else (0.0, 0.0, 180.0, 320.0) for frame in wanted]
    chosen = choose_speaker(
        pair, "auto", wanted=wanted, rate=RATE, upright_to_square=IDENTITY, boxes=boxes
    ).track
    assert chosen.track_id == left.track_id
    assert [frame for frame in chosen.frames if frame in range(5, 35)] == [f for f in wanted if f % 3]
    assert np.array_equal(chosen.points_at(7), left.points_at(7))
    with pytest.raises(RequestError, match="29 boxes for 30 frames"):
        choose_speaker(pair, "auto", wanted=wanted, rate=RATE, upright_to_square=IDENTITY, boxes=boxes[1:])


def test_no_face_in_the_range_is_said(pair: list[FaceTrack]) -> None:
    left, _ = left_and_right(pair)
    with pytest.raises(MediaError) as caught:
        choose_speaker([left], "auto", wanted=FrameRange(42, 50), rate=RATE, upright_to_square=IDENTITY)
    assert caught.value.code == "face.none"


def test_a_face_of_a_twentieth_of_the_width_is_followed(woman: list[np.ndarray], face_models: Path) -> None:
    width = face_side(FaceMesh(face_models).detect(woman[0])[0].points) * 0.8
    scale = 0.05 * 1280 / width
    tracker, hits = FaceTracker(face_models), 0
    for frame, picture in enumerate(woman[:30]):
        large = np.full((720, 1280, 3), 90, np.uint8)
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x, y = 400 + 4 * frame, 60 + frame
        large[y : y + small.shape[0], x : x + small.shape[1]] = small
        half = cv2.resize(large, (640, 360), interpolation=cv2.INTER_AREA)
        to_stored = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]])
        seen = tracker.update(frame, half, to_stored, detail=lambda large=large: (large, IDENTITY))
        hits += len(seen) == 1 and x < seen[0][1][:, 0].mean() < x + small.shape[1]
    assert hits == 30


def test_points_of_a_turned_source_are_in_stored_pixels(woman: list[np.ndarray], face_models: Path) -> None:
    upright = woman[0]
    plain = FaceTracker(face_models).update(0, upright, IDENTITY)[0][1]
    # Stored a quarter turn to the left: upright (x, y) lies at stored (y, W - 1 - x).
    turned = FaceTracker(face_models).update(
        0, upright, np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, upright.shape[1] - 1]])
    )
    assert np.allclose(turned[0][1][:, 0], plain[:, 1], atol=1e-3)
    before, after = pose_parameters(plain), pose_parameters(turned[0][1])
    assert after[2] == pytest.approx(before[2], abs=1e-4)
    assert after[3] - before[3] == pytest.approx(-np.pi / 2, abs=1e-4)


def test_the_mouth_of_a_still_portrait_stands_still(media: Path, face_models: Path) -> None:
    tracks, _ = follow(face_models, read_pictures(media / "musetalk_sun.mp4", 75))
    jitter = np.diff(mouth_aperture(tracks[0].points), 2)
    assert jitter.std() / np.sqrt(6) < 0.002


def test_smoothing_keeps_a_quick_closure(woman: list[np.ndarray], face_models: Path) -> None:
    tracks, raw = follow(face_models, woman[:100])
    plain = mouth_aperture(np.stack([next(iter(points.values())) for points in raw]))
    smooth = mouth_aperture(tracks[0].points)
    assert 0.9 < smooth.std() / plain.std() < 1.05
    assert np.corrcoef(smooth, plain)[0, 1] > 0.97


def test_a_missing_or_foreign_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        FaceMesh(tmp_path)
    assert caught.value.code == "models.missing"
    (tmp_path / "face_detection_short_range.tflite").write_bytes(b"not a model")
    with pytest.raises(MachineError, match="is not the file"):
        FaceMesh(tmp_path)


def test_an_empty_picture_has_no_face(face_models: Path) -> None:
    assert FaceTracker(face_models).update(0, np.full((360, 640, 3), 120, np.uint8), IDENTITY) == []
