"""Where the mask of a face will lie, in a file that a program without our libraries can draw it from.

The file (NumPy's .npz, no pickles) holds, for n frames from `start` on: `outlines` (n, k, 2) in units of
the crop; `to_picture` (n, 2, 3), from those units to pixels of the upright picture, `picture` its width and
height; `weight` (n,), 0 where the frame is left as it is. Then what daemon/faces/lower_face.py draws with:
`hull`, first and last point of the part whose convex hull is filled, too; `face_width`; `blur` (standard
deviation), `ramp` (standard deviations from end to end of the soft edge), `soft` (where the edge leaves 0 and
where it reaches 1 of the blurred shape) and `border` (where the mask ends before the crop does).
"""

from pathlib import Path

import cv2
import numpy as np

from daemon.faces import lower_face
from daemon.faces.pose import FACE_WIDTH
from daemon.faces.region import build_region, crop_size
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.media.source import SourceInfo


def save_outline(path: Path, track: FaceTrack, frames: FrameRange, info: SourceInfo) -> None:
    """Write the outline of the mask of `track` over `frames`."""
    size = crop_size(track, frames)
    region = build_region(track, frames, size, rate=info.rate)
    longest = max(info.width, info.height)
    to_upright = cv2.invertAffineTransform(info.upright_to_square(longest))
    matrices = region.matrices @ np.diag([size, size, 1.0])
    to_picture = to_upright[:, :2] @ matrices
    to_picture[..., 2] += to_upright[:, 2]
    arrays = {
        "start": np.array(frames.start),
        "outlines": region.outlines.astype(np.float32),
        "to_picture": to_picture,
        "picture": np.array(info.upright_size(longest)),
        "weight": region.weight,
        "hull": np.array(lower_face.HULL),
        "face_width": np.array(FACE_WIDTH),
        "blur": np.array(lower_face.ROUNDING),
        "ramp": np.array(lower_face.RAMP),
        "soft": np.array([lower_face.SOFT_FROM, lower_face.SOFT_TO]),
        "border": np.array(lower_face.BORDER),
    }
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)  # pyright: ignore[reportArgumentType]
    part.replace(path)
