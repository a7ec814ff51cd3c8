"""Several people, nobody, and frames to pass over: who is re-dubbed, and that nobody else is."""

from pathlib import Path

import numpy as np
import pytest

from daemon.protocol.jobs import FacesSpec, JobState, Take
from tests.clips import SIDE, make_clip, pictures, read_clip
from tests.studio import Studio

FIRST, STOP = 10, 34
LEFT, RIGHT = (160.0, 130.0), (160.0 + SIDE, 130.0)  # points in the two faces
LEFT_BOX, RIGHT_BOX = (0.0, 0.0, float(SIDE), float(SIDE)), (float(SIDE), 0.0, 2.0 * SIDE, float(SIDE))


@pytest.fixture(scope="module")
def pair(studio: Studio) -> Path:
    """The actor on the left, who speaks; on the right his mirror image, who does not open his mouth."""
    silent = pictures(4, 1)[0][:, ::-1]  # before the first word

    def beside(number: int, picture: np.ndarray) -> np.ndarray:
        return np.hstack([picture, np.roll(silent, number // 6, axis=1)])

    return make_clip(studio.folder / "pair.mov", count=60, edit=beside)


@pytest.fixture(scope="module")
def faces(studio: Studio, pair: Path) -> dict[str, int]:
    """The ids of the two, by side."""
    job = studio.client.submit(FacesSpec(source=str(pair), in_=FIRST, out=STOP))
    job = studio.finish(job)
    assert job.state is JobState.DONE, job.error
    found = (job.result or {})["faces"]
    assert len(found) == 2
    assert all(Path(face["thumbnail"]).stat().st_size > 1000 for face in found)
    return {"left" if face["box"][0] < SIDE / 2 else "right": face["id"] for face in found}


def touched(take: Take) -> tuple[bool, bool]:
    """Return whether a take's matte covers anything left and right of the middle."""
    mattes = np.stack([planes[0] for planes in read_clip(Path(take.matte or "")).frames])
    assert mattes.shape[2] == 2 * SIDE
    return bool(mattes[..., :SIDE].any()), bool(mattes[..., SIDE:].any())


def other_half_is_kept(take: Take, source: Path, half: slice) -> bool:
    """Return whether every sample of one half of the picture is the source's."""
    shown, before = read_clip(Path(take.path)).frames, read_clip(source).frames[FIRST:STOP]
    return all(
        np.array_equal(ours[0][:, half], theirs[0][:, half])
        for ours, theirs in zip(shown, before, strict=True)
    )


@pytest.mark.parametrize("who", ["auto", "id left", "id right", "point left", "point right"])
def test_only_the_one_asked_for_gets_a_new_mouth(
    who: str, studio: Studio, pair: Path, voice: Path, faces: dict[str, int]
) -> None:
    is_left = not who.endswith("right")
    point = LEFT if is_left else RIGHT
    face = {"auto": "auto", "id": str(faces["left" if is_left else "right"])}.get(
        who.split()[0], f"{point[0]:g},{point[1]:g}"
    )
    take = studio.take(
        pair, voice, FIRST, STOP, face=face, matte=True, deliver="baked", codec="ffv1"
    )  # fmt: skip
    assert touched(take) == (is_left, not is_left)
    assert other_half_is_kept(take, pair, slice(SIDE, None) if is_left else slice(0, SIDE))


def test_boxes_say_who_frame_by_frame_and_null_leaves_alone(studio: Studio, pair: Path, voice: Path) -> None:
    boxes = [RIGHT_BOX] * 10 + [None] * 4 + [RIGHT_BOX] * 10
    take = studio.take(pair, voice, FIRST, STOP, boxes=boxes, matte=True, deliver="baked", codec="ffv1")
    assert touched(take) == (False, True)
    assert other_half_is_kept(take, pair, slice(0, SIDE))
    assert take.checks["passed_through"] == [[FIRST + 10, FIRST + 14]]
    mattes = [planes[0] for planes in read_clip(Path(take.matte or "")).frames]
    assert [mattes[k].any() for k in range(10, 14)] == [False] * 4
    assert mattes[4].any()
    assert mattes[20].any()


def test_boxes_in_which_nobody_is_are_refused(studio: Studio, pair: Path, voice: Path) -> None:
    boxes = [(0.0, 300.0, 20.0, 319.0)] * (STOP - FIRST)
    assert studio.error(pair, voice, FIRST, STOP, boxes=boxes).code == "face.not_found"


@pytest.mark.parametrize(
    ("face", "code"), [("17", "face.not_found"), ("5,315", "face.not_found"), ("the left one", "job.invalid")]
)
def test_a_face_that_is_not_there_is_refused(
    face: str, code: str, studio: Studio, pair: Path, voice: Path
) -> None:
    error = studio.error(pair, voice, FIRST, STOP, face=face)
    assert error.code == code
    assert error.message
    assert error.hint


@pytest.mark.parametrize("codec", [None, "ffv1"])
def test_frames_without_a_face_pass_through_and_are_listed(
    codec: str | None, studio: Studio, voice: Path, tmp_path: Path
) -> None:
    dark = range(18, 24)
    path = make_clip(
        tmp_path / "dark.mov",
        count=44,
        edit=lambda number, picture: picture * 0 if number in dark else picture,
    )
    how = {} if codec is None else {"deliver": "baked", "codec": codec}
    take = studio.take(path, voice, FIRST, STOP, matte=True, **how)
    (listed,) = take.checks["passed_through"]
    assert listed[0] <= dark.start
    assert listed[1] >= dark.stop
    assert len(dark) <= take.checks["frames_passed_through"] <= len(dark) + 4
    assert take.frames == STOP - FIRST
    shown, source = read_clip(Path(take.path)), read_clip(path)
    for frame in dark:
        ours = shown.frames[frame - FIRST]
        if codec is None:
            assert not ours[3].any()
        else:
            assert all(np.array_equal(a, b) for a, b in zip(ours, source.frames[frame], strict=True))
    assert shown.frames[2][0].shape == (SIDE, SIDE)


def test_a_face_that_comes_late_is_done_from_there_on(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "late.mov", count=44, edit=lambda number, picture: picture * (number >= 20)
    )  # fmt: skip
    take = studio.take(path, voice, FIRST, STOP, matte=True)
    (listed,) = take.checks["passed_through"]
    assert listed[0] == FIRST
    assert 20 <= listed[1] <= 23


def test_everything_left_alone_is_refused(studio: Studio, pair: Path, voice: Path) -> None:
    error = studio.error(pair, voice, FIRST, STOP, leave_alone=[[0, 60]])
    assert error.code == "face.none"
