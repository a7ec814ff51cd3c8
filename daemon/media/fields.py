"""Interlaced pictures: which field is shown first, as a file says it and as an encoder is told."""

from typing import Literal

from av import VideoFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

Field = Literal["top", "bottom"]

_FIRST: dict[int, Field] = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}  # AVFieldOrder: TT, BB, TB, BT
_ORDER: dict[Field, int] = {"top": 2, "bottom": 3}
_LINES_525 = (480, 486)  # pictures in which the bottom field comes first (SMPTE ST 125); others begin on top
_DV = "dvvideo"  # shows the bottom field first at 625 lines, too (IEC 61834-2), and its files do not say so


def first_field_of(frame: VideoFrame, context: VideoCodecContext) -> Field | None:
    """Return which field of a decoded frame is shown first; None where the frame is one picture."""
    if not frame.interlaced_frame:
        return None
    is_dv = context.name == _DV and frame.height == 576
    usual: Field = "bottom" if is_dv or frame.height in _LINES_525 else "top"
    return _FIRST.get(context.field_order, usual)


def encode_fields(context: VideoCodecContext, first: Field) -> None:
    """Have an encoder code two fields a frame, and say which is shown first."""
    context.field_order = _ORDER[first]
    context.flags |= Flags.interlaced_dct
