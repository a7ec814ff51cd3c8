"""The mask as the app draws it from the daemon's file is the one that a take will have."""

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("PySide6.QtGui", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QPointF

from daemon.faces.lower_face import MaskShape
from daemon.faces.pose import FACE_WIDTH
from daemon.faces.region import build_region
from daemon.media.segment import FrameRange
from daemon.media.source import open_source
from daemon.protocol.jobs import MaskSpec
from daemon.redub.outline import save_outline
from gui.models.faces import SIDE, read_outline

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from footage import follow, read_pictures

COUNT = 30
FRAMES = FrameRange(0, COUNT)


@pytest.mark.parametrize(
    "mask",
    [
        MaskSpec(),
        MaskSpec(grow=0.12),
        MaskSpec(grow=-0.08),
        MaskSpec(feather=0.15),
        MaskSpec(shift=(0.06, -0.05)),
    ],
    ids=["plain", "wide", "narrow", "soft", "moved"],
)
def test_what_the_app_draws_is_the_daemons_mask(
    mask: MaskSpec, media: Path, face_models: Path, tmp_path: Path
) -> None:
    clip = media / "latentsync_demo1.mp4"
    tracks, _ = follow(face_models, read_pictures(clip, COUNT, side=1920))
    with open_source(clip) as source:
        info = source.info
    save_outline(tmp_path / "face.npz", tracks[0], FRAMES, info)
    outline = read_outline(tmp_path / "face.npz")
    assert outline is not None
    shape = MaskShape(
        mask.grow * FACE_WIDTH, mask.feather * FACE_WIDTH, tuple(FACE_WIDTH * part for part in mask.shift)
    )
    region = build_region(tracks[0], FRAMES, 256, rate=Fraction(25), shape=shape)
    for frame in (0, 15, 29):
        ours = outline.draw(frame, mask)
        theirs = cv2.resize(region.mask(frame), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        assert np.abs(ours - theirs).mean() < 0.02
        assert np.abs(ours - theirs).max() < 0.25
        corner = outline.to_picture(frame)
        assert corner is not None
        x, y = region.matrices[frame] @ np.array([63.5, 127.5, 1.0])
        shown = corner.map(QPointF(63.75 / 256 * SIDE, 127.75 / 256 * SIDE))
        assert abs(shown.x() - x) < 1.5
        assert abs(shown.y() - y) < 1.5
    assert outline.to_picture(COUNT) is None
    assert outline.size == (info.upright_size(max(info.width, info.height)))


def test_a_file_that_is_gone_or_broken_gives_no_outline(tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no archive")
    assert read_outline(broken) is None
    assert read_outline(tmp_path / "gone.npz") is None
