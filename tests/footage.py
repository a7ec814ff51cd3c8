"""Real footage in small, for the tests of the face tracker: pictures, and tracks made from them."""

from pathlib import Path

import av
import cv2
import numpy as np

from daemon.faces.tracks import FaceTrack, FaceTracker

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def read_pictures(path: Path, count: int, *, side: int = 640) -> list[np.ndarray]:
    """Return the first `count` frames as upright uint8 RGB, the longest side `side`."""
    pictures = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if len(pictures) == count:
                break
            scale = side / max(frame.width, frame.height)
            size = (round(frame.width * scale), round(frame.height * scale))
            pictures.append(frame.reformat(*size, "rgb24", interpolation="AREA").to_ndarray())
    return pictures


def read_sound(path: Path, samples: int) -> np.ndarray:
    """Return the first `samples` of the sound, 16 kHz mono float32."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        blocks = [
            out.to_ndarray().ravel()
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    return np.concatenate(blocks)[:samples]


def follow(models: Path, pictures: list[np.ndarray]) -> tuple[list[FaceTrack], list[dict[int, np.ndarray]]]:
    """Track the pictures; return the tracks, and for each frame the unsmoothed points by provisional id."""
    tracker = FaceTracker(models)
    raw = [dict(tracker.update(i, np.ascontiguousarray(p), IDENTITY)) for i, p in enumerate(pictures)]
    return tracker.tracks(), raw


def side_by_side(left: list[np.ndarray], right: list[np.ndarray], *, scale: float = 0.5) -> list[np.ndarray]:
    """Put two clips of the same height next to each other, each scaled."""
    return [
        np.hstack([cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in pair])
        for pair in zip(left, right, strict=True)
    ]
