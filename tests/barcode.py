"""Footage that carries its own frame number in the picture, and the reading of it."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import VideoFrame

BITS = 10


def stamp(picture: np.ndarray, number: int) -> np.ndarray:
    """Return R'G'B' `picture` with `number` as bars along its lowest eighth, a white line over them."""
    marked = picture.copy()
    height, width = picture.shape[:2]
    top = height - height // 8
    marked[top - height // 16 : top] = 235
    for bit in range(BITS):
        columns = slice(bit * width // BITS, (bit + 1) * width // BITS)
        marked[top:, columns] = 150 if number >> bit & 1 else 16
    return marked


def make_barcode(
    path: Path,
    rate: Fraction,
    count: int,
    *,
    first: int = 0,
    size: tuple[int, int] = (320, 180),
    timecode: str | None = None,
) -> Path:
    """Write `count` frames numbered from `first` as ProRes."""
    grey = np.full((size[1], size[0], 3), 90, np.uint8)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("prores_ks", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv422p10le"
        if timecode:
            stream.metadata["timecode"] = timecode
        for number in range(count):
            frame = VideoFrame.from_ndarray(stamp(grey, first + number), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def read_barcodes(files: Sequence[Path]) -> list[int | None]:
    """Return the number in each picture file; None where there is none."""
    found = []
    for path in files:
        with av.open(str(path)) as container:
            found += [read_barcode(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    return found


def read_barcode(picture: np.ndarray) -> int | None:
    """Return the number in a grey picture of any size. The white line over the bars says that there is one.

    A picture with black bars at its sides (a square in a wide frame) is cut to its content first.
    """
    rows = np.flatnonzero(picture.max(axis=1) > 60)
    if rows.size == 0:
        return None
    line = picture[: rows[-1] + 1]
    bright = np.flatnonzero((line > 210).sum(axis=1) > line.shape[1] // 3)
    if bright.size == 0:
        return None
    columns = np.flatnonzero(picture[bright[-1] - 1] > 150)
    low, high = int(columns[0]), int(columns[-1]) + 1
    span = high - low
    bars = picture[bright[-1] + max(2, picture.shape[0] // 40) : bright[-1] + picture.shape[0] // 12]
    number = 0
    for bit in range(BITS):
        edge = span // BITS // 4
        part = bars[:, low + bit * span // BITS + edge : low + (bit + 1) * span // BITS - edge]
        number |= (part.mean() > 80) << bit
    return int(number)
