"""A mask changed by an editor, and a reading laid against the shot's own sound, with the real daemon."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.demo import SHOT
from daemon.faces.painted import fill_polygons
from daemon.protocol.jobs import JobState
from tests.clips import SIDE, make_clip, read_clip, touches
from tests.studio import Studio, command, sidecar_of

FIRST, STOP = 8, 26
STROKE = [
    [0.3 * SIDE, 0.62 * SIDE],
    [0.55 * SIDE, 0.6 * SIDE],
    [0.55 * SIDE, 0.95 * SIDE],
    [0.3 * SIDE, 0.95 * SIDE],
]


def test_painted_out_areas_keep_the_sources_pixels_and_the_sidecar_says_so(
    studio: Studio, shot: Path, voice: Path
) -> None:
    mask: dict[str, Any] = {
        "grow": 0.1,
        "feather": 0.05,
        "paint_out": [{"points": STROKE, "in": 12, "out": STOP}],
    }
    take = studio.take(shot, voice, FIRST, STOP, deliver="baked", codec="ffv1", mask=mask)
    assert sidecar_of(take)["request"]["mask"]["paint_out"][0]["points"] == STROKE
    assert sidecar_of(take)["plan"]["painted_out"] == [[12, STOP]]
    assert take.checks["outside_max_difference"] == 0
    hidden = fill_polygons([np.array(STROKE)], SIDE, SIDE)
    pairs = list(zip(read_clip(Path(take.path)).frames, read_clip(shot).frames[FIRST:STOP], strict=True))
    changed_before = 0
    for frame, (ours, theirs) in enumerate(pairs, start=FIRST):
        for mine, source in zip(ours, theirs, strict=True):
            factor = round(SIDE / mine.shape[0])
            inside = touches(hidden, factor, factor)
            if frame >= 12:
                np.testing.assert_array_equal(mine[inside], source[inside])
            else:
                changed_before += int((mine[inside] != source[inside]).sum())
        if frame in range(FIRST + 2, STOP - 2):  # at both ends the mouth fades to the source's
            assert (ours[0] != theirs[0]).any(), "beside the stroke the mouth is made anew"
    assert changed_before > 0, "before its range the stroke counts for nothing"


def test_a_wider_mask_changes_more_and_an_empty_one_is_refused(
    studio: Studio, shot: Path, voice: Path
) -> None:
    changed = []
    for grow in (-0.1, 0.1):
        take = studio.take(shot, voice, FIRST, STOP, matte=True, mask={"grow": grow})
        matte = read_clip(Path(take.matte or "")).frames
        changed.append(sum(int((frame[0] > 70).sum()) for frame in matte))
    assert changed[1] > 1.2 * changed[0]
    everything = [[-1, -1], [SIDE, -1], [SIDE, SIDE], [-1, SIDE]]
    error = studio.error(shot, voice, FIRST, STOP, mask={"paint_out": [{"points": everything}]})
    assert error.code == "job.invalid"
    assert "leaves nothing" in error.message


@pytest.mark.parametrize(
    ("mask", "word"),
    [
        ({"grow": 0.5}, "mask.grow"),
        ({"shift": [0.0, -0.4]}, "mask.shift"),
        ({"paint_out": [{"points": [[0, 0], [1, 1]]}]}, "Polygon 0"),
        ({"widen": 0.1}, "widen"),
    ],
)
def test_a_mask_that_cannot_be_is_refused_at_once(mask: dict[str, Any], word: str, tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"source": "/a.mov", "voice": "/a.wav", "in": 0, "out": 9, "mask": mask}))
    run = command("submit", job)
    assert run.status == 2
    assert word in run.document["error"]["message"]


def test_the_faces_of_a_range_come_with_the_outline_of_their_mask(studio: Studio, shot: Path) -> None:
    job = studio.finish(
        studio.client.submit({"kind": "faces", "source": str(shot), "in": FIRST, "out": STOP})
    )
    assert job.result is not None
    (face,) = job.result["faces"]
    with np.load(face["outline"], allow_pickle=False) as outline:
        count = STOP - FIRST
        assert int(outline["start"]) == FIRST
        assert (
            outline["outlines"].shape[0] == outline["to_picture"].shape[0] == len(outline["weight"]) == count
        )
        assert outline["picture"].tolist() == [SIDE, SIDE]
        matrix, shape = outline["to_picture"][0], outline["outlines"][0]
    middle = (shape @ matrix[:, :2].T + matrix[:, 2]).mean(axis=0)
    x0, y0, x1, y1 = face["box"]
    assert x0 < middle[0] < x1
    assert (y0 + y1) / 2 < middle[1] < y1


def test_a_reading_is_aligned_by_the_command_line(studio: Studio, tmp_path: Path) -> None:
    reading = make_clip(tmp_path / "reading.mov", first=100, count=75)
    run = command("align", SHOT, "--in", 110, "--out", 165, "--voice", reading)
    assert run.status == 0, run.err
    found = run.document["result"]
    assert found["voice_at"] == 100
    assert abs(found["offset_samples"] / found["sample_rate"] - 4.0) < 0.001
    assert found["confidence"] > 0.9
    assert all(110 <= part["in"] < part["out"] <= 165 for part in found["segments"])


def test_a_shot_without_sound_has_no_guide(studio: Studio, tmp_path: Path, voice: Path) -> None:
    mute = make_clip(tmp_path / "mute.mov", sound=None)
    job = studio.finish(
        studio.client.submit({"kind": "align", "source": str(mute), "voice": str(voice), "in": 0, "out": 30})
    )
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "source.no_sound"
