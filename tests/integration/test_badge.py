"""The badge: good takes of real footage are not flagged, sabotaged ones are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.cli.takes import MEANINGS
from daemon.media.colour import coding_of
from daemon.media.deliver import OVERLAY_PIXELS, open_writer
from daemon.media.segment import FrameRange
from daemon.media.source import open_source
from daemon.protocol.jobs import RedubSpec
from daemon.redub.composite import overlay_planes, place_patch
from daemon.redub.production import check_file, make_take
from daemon.redub.progress import SilentReporter
from daemon.redub.stage import Stage, set_stage

Planes = tuple[np.ndarray, ...]
Made = tuple[Stage, Path]
Sabotage = Callable[[list[Planes]], list[Planes]]


@pytest.fixture(scope="module")
def made(media: Path, face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A take of a real shot, and the stage it was made on."""
    folder = tmp_path_factory.mktemp("badge")
    spec = RedubSpec(
        source=str(media / "latentsync_demo2.mp4"),
        in_=100,
        out=175,
        dest=str(folder),
        voice=str(media / "latentsync_demo1_voice.wav"),
    )
    with set_stage(spec, work=folder / "work", job_id="badge", reporter=SilentReporter()) as stage:
        take = make_take(stage, 1)
        yield stage, Path(take.path)


def judge_file(stage: Stage, media: Path) -> dict:
    frames = stage.plan.frames
    chunks = [
        FrameRange(start, min(start + 25, frames.stop)) for start in range(frames.start, frames.stop, 25)
    ]
    return check_file(stage, media, chunks, engine="rewrite", tick=lambda done: None)


def sabotage(stage: Stage, media: Path, change: Sabotage) -> dict:
    """Write the take anew with its frames changed, and judge it (12 bits as decoded, 10 as written)."""
    with open_source(media) as take:
        frames = [
            tuple(plane.astype(np.uint16) >> 2 for plane in frame.planes)
            for frame in take.frames(take.info.frames)
        ]
    spoiled = media.with_name("spoiled.mov")
    writer = open_writer(
        spoiled, codec="prores4444", info=stage.plan.info, first_frame=0, alpha=True, voice=None
    )
    for planes in change(frames):
        writer.write(planes, OVERLAY_PIXELS)
    writer.close().replace(spoiled)
    return judge_file(stage, spoiled)


def shifted(by: int) -> Sabotage:
    def change(frames: list[Planes]) -> list[Planes]:
        empty = tuple(np.zeros_like(plane) for plane in frames[0])
        return ([empty] * by + frames)[: len(frames)] if by > 0 else frames[-by:] + [empty] * -by

    return change


def test_a_good_take_is_not_flagged(made: Made) -> None:
    figures = judge_file(*made)

    assert figures["badge"] == "pass", figures
    assert figures["frames_found"] == 75
    assert abs(figures["av_offset_ms"]) < 40
    assert set(figures) - {"badge", "reasons"} == set(MEANINGS), "`dubwright checks` says what each means"


@pytest.mark.parametrize("by", [3, -3])
def test_a_take_shifted_by_three_frames_is_flagged(made: Made, by: int) -> None:
    stage, media = made

    figures = resync(stage, media, by)

    assert figures["badge"] == "fail", figures
    assert figures["av_offset_ms"] == pytest.approx(40 * by, abs=30)


def resync(stage: Stage, media: Path, by: int) -> dict:
    """Shift the mouth against the voice: each mouth is drawn `by` frames later, where the head then is."""
    region, info = stage.shot.region, stage.plan.info
    with open_source(media) as take:
        crops = list(take.frames(take.info.frames))
        count = len(crops)
        spoiled = media.with_name("shifted.mov")
        writer = open_writer(spoiled, codec="prores4444", info=info, first_frame=0, alpha=True, voice=None)
        for index in range(count):
            other = min(max(index - by, 0), count - 1)
            to_crop = cv2.invertAffineTransform(region.matrices[other])
            matrix = region.matrices[index] @ np.vstack([to_crop, [0, 0, 1]])
            planes = tuple(
                cv2.warpAffine(plane >> 2, matrix, (info.width, info.height)) for plane in crops[other].planes
            )
            writer.write(planes, OVERLAY_PIXELS)
    writer.close().replace(spoiled)
    return judge_file(stage, spoiled)


def test_a_frozen_mouth_is_flagged(made: Made) -> None:
    stage, media = made
    region, info = stage.shot.region, stage.plan.info

    def freeze(frames: list[Planes]) -> list[Planes]:
        to_crop = cv2.invertAffineTransform(region.matrices[0])
        moves = [matrix @ np.vstack([to_crop, [0, 0, 1]]) for matrix in region.matrices]
        return [
            tuple(cv2.warpAffine(plane, move, (info.width, info.height)) for plane in frames[0])
            for move in moves
        ]

    assert sabotage(stage, media, freeze)["badge"] == "fail"


@pytest.mark.parametrize("plane", [1, 2])
def test_a_colour_cast_is_flagged(made: Made, plane: int) -> None:
    def tint(frames: list[Planes]) -> list[Planes]:
        out = []
        for planes in frames:
            tinted = list(planes)
            tinted[plane] = planes[plane] + 24
            out.append(tuple(tinted))
        return out

    assert sabotage(*made, tint)["badge"] in ("look", "fail")


def test_another_persons_mouth_is_flagged(made: Made, media: Path, face_models: Path) -> None:
    stage, take = made
    spec = RedubSpec(
        source=str(media / "latentsync_demo1.mp4"),
        in_=60,
        out=135,
        dest=str(take.parent),
        voice=str(media / "latentsync_demo2_voice.wav"),
    )
    region = stage.shot.region
    with set_stage(spec, work=take.parent / "other", job_id="other", reporter=SilentReporter()) as other:
        strangers = [other.crops.crop(frame) for frame in other.plan.frames]
    info = stage.plan.info
    coding = coding_of(OVERLAY_PIXELS, info.colour, info.height)

    def replace(frames: list[Planes]) -> list[Planes]:
        out = []
        for index, stranger in enumerate(strangers):
            crop = cv2.resize(stranger, (region.size, region.size))
            patch = place_patch(
                crop,
                region.mask(region.frames.start + index),
                region.matrices[index],
                info.width,
                info.height,
            )
            out.append(overlay_planes(patch, coding, info.width, info.height))
        return out

    figures = sabotage(stage, take, replace)
    assert figures["badge"] == "fail", figures
    assert figures["likeness"] > 2


def test_a_change_elsewhere_in_the_picture_is_flagged(made: Made) -> None:
    def spot(frames: list[Planes]) -> list[Planes]:
        frames[40][3][20:60, 20:60] = 1023
        return frames

    figures = sabotage(*made, spot)
    assert figures["badge"] == "fail"
    assert figures["outside_max_difference"] > 0


def test_a_missing_frame_is_flagged(made: Made) -> None:
    assert sabotage(*made, lambda frames: frames[:-1])["badge"] == "fail"


def test_a_jump_at_a_chunk_boundary_is_flagged(made: Made) -> None:
    def darken(frames: list[Planes]) -> list[Planes]:
        return [
            planes if index < 50 else (np.maximum(planes[0], 140) - 76, *planes[1:])
            for index, planes in enumerate(frames)
        ]

    figures = sabotage(*made, darken)
    assert figures["chunk_jump"] > 1, figures
    assert figures["badge"] in ("look", "fail")
