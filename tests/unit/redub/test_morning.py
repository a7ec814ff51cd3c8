"""The pictures of a morning's page that need no night."""

import json
from pathlib import Path

import cv2
import numpy as np

from daemon.protocol.jobs import Take
from daemon.redub.morning import picture
from tests.clips import make_clip


def test_a_video_that_is_no_redub_has_its_picture_too(tmp_path: Path) -> None:
    path, sidecar = make_clip(tmp_path / "spoken.mov", count=4), tmp_path / "spoken.json"
    sidecar.write_text(json.dumps({"take": {}, "request": {}}))
    take = Take(
        take_id="job-1", path=str(path), sidecar=str(sidecar), frames=4, rate=(25, 1), seed=1, engine="wan",
        badge="look", checks={},
    )  # fmt: skip
    data = picture(take)
    assert data is not None
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
