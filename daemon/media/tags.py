"""What a file says about its picture beside the samples: colour, timecode, reel, the way it is turned."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from av import VideoFrame
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

UNSPECIFIED = 2
"""H.273's number for "unspecified" primaries, transfer and matrix."""

RANGE_UNSPECIFIED, RANGE_TV, RANGE_FULL = 0, 1, 2


@dataclass(frozen=True)
class ColourTags:
    """How code values become light: the numbers of ITU-T H.273, and FFmpeg's for the range."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = RANGE_UNSPECIFIED  # 0 unspecified, 1 tv (16 to 235), 2 full


def context_colour(stream: VideoStream) -> ColourTags:
    """Return the tags a stream carries apart from its frames: before decoding, those of the container."""
    context = stream.codec_context
    return ColourTags(context.color_primaries, context.color_trc, context.colorspace, context.color_range)


def usual_matrix(height: int) -> int:
    """Return the matrix that untagged pictures of a height are taken for: BT.709 of HD, BT.601 of smaller."""
    return 1 if height >= 720 else 6


def read_colour(frame: VideoFrame, container: ColourTags) -> ColourTags:
    """Return the tags of a decoded frame, filled up from its container; yuvj formats are full range.

    The container's matrix goes before BT.709 where both agree in other primaries: DNxHR's decoder says BT.709
    whatever the file is.
    """
    spread = _first(RANGE_UNSPECIFIED, frame.color_range, container.range)
    if frame.format.name.startswith("yuvj"):
        spread = RANGE_FULL
    own_matrix = int(frame.colorspace) if frame.format.is_rgb else int(frame.colorspace) or UNSPECIFIED
    matrix = _first(UNSPECIFIED, own_matrix, container.matrix)
    if matrix == 1 != container.matrix != UNSPECIFIED and container.primaries == frame.color_primaries != 1:
        matrix = container.matrix
    if matrix == 0 and not frame.format.is_rgb:
        matrix = UNSPECIFIED
    return ColourTags(
        primaries=_first(UNSPECIFIED, frame.color_primaries or UNSPECIFIED, container.primaries),
        transfer=_first(UNSPECIFIED, frame.color_trc or UNSPECIFIED, container.transfer),
        matrix=matrix,
        range=spread,
    )


def _first(unset: int, *values: int) -> int:
    return next((int(value) for value in values if int(value) != unset), unset)


def as_prores(colour: ColourTags) -> ColourTags:
    """Return the tags by which ProRes means the same: its frame header knows one number where H.273 has
    several.

    Source: SMPTE RDD 36, tables 6 and 7: BT.601's and BT.2020's curve are that of BT.709, both BT.601
    matrices are one.
    """
    transfer = 1 if colour.transfer in (6, 14, 15) else colour.transfer
    matrix = 6 if colour.matrix == 5 else colour.matrix
    return replace(colour, transfer=transfer, matrix=matrix)


def as_dnxhr(colour: ColourTags, height: int) -> ColourTags:
    """Return tags that name what untagged pictures are taken for where that is not BT.709.

    The encoder's own header always says BT.709, and is believed where the container says nothing.
    """
    usual = usual_matrix(height)
    if colour.matrix != UNSPECIFIED or usual == 1:
        return colour
    primaries, transfer = (
        usual if tag == UNSPECIFIED else tag for tag in (colour.primaries, colour.transfer)
    )
    return replace(colour, primaries=primaries, transfer=transfer, matrix=usual)


def tag_frame(frame: VideoFrame, colour: ColourTags) -> None:
    """Write the tags on a frame. Some encoders (prores) take them from each frame, not from the stream."""
    frame.color_primaries = colour.primaries
    frame.color_trc = colour.transfer
    frame.colorspace = colour.matrix
    frame.color_range = colour.range


def read_display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers that say how to turn or mirror the picture for showing, or None."""
    for side in cast(Iterable[SideData], frame.side_data):
        if side.type is SideDataType.DISPLAYMATRIX:
            return struct.unpack("=9i", bytes(side))
    return None


def rotation_of(display_matrix: tuple[int, ...] | None) -> int:
    """Return the clockwise turn, 0 90 180 or 270 degrees, that makes the stored picture upright."""
    if display_matrix is None:
        return 0
    a, b, _, _, d = display_matrix[:5]
    if a == 0 and d == 0:
        return 90 if b > 0 else 270
    return 180 if a < 0 and d < 0 else 0


def read_timecode(container: InputContainer, stream: VideoStream) -> str | None:
    """Return the timecode of the first frame as the file says it, `;` before the frames if drop-frame."""
    for metadata in _metadata(container, stream):
        if text := metadata.get("timecode"):
            return text.strip()
    return None


def read_reel(container: InputContainer, stream: VideoStream) -> str | None:
    """Return the reel (tape) name of the clip, or None."""
    for metadata in _metadata(container, stream):
        for key in ("reel_name", "reel", "com.apple.quicktime.reel", "tape", "tape_name"):
            if text := metadata.get(key, "").strip():
                return text
    return None


def _metadata(container: InputContainer, stream: VideoStream) -> Iterator[Mapping[str, str]]:
    """Yield what may hold timecode and reel, nearest first, with keys in small letters."""
    for holder in (stream, *container.streams.data, container):
        yield {key.lower(): value for key, value in holder.metadata.items()}
