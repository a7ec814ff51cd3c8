"""Reads Resolve's timeline items: where they lie, which frames of which file they show, and why not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..shared.rates import exact_rate
from ..shared.timeline import PICTURE, Clip


def timeline_rate(timeline: Any) -> tuple[Fraction, bool]:
    """Return the exact rate, and whether timecode drops frames (`29.97 DF`)."""
    text = str(timeline.GetSetting("timelineFrameRate"))
    return exact_rate(text), "DF" in text.upper()


def read_item(item: Any, kind: str, track: int, rate: Fraction, *, has_source_frames: bool) -> Clip:
    """Return what an item on a track is to us."""
    media = item.GetMediaPoolItem()
    start, stop = int(item.GetStart(False)), int(item.GetEnd(False))
    clip_id = str(item.GetUniqueId())
    if media is None:
        return Clip(
            clip_id, kind, track, start, stop, "", problem="it is a title, generator or compound clip"
        )
    path = str(media.GetClipProperty("File Path") or "")
    problem = "" if path else "it has no media file"
    span = int(item.GetSourceEndFrame()) - int(item.GetSourceStartFrame()) if has_source_frames else 0
    fps = str(media.GetClipProperty("FPS") or "")
    media_rate = exact_rate(fps) if kind == PICTURE and fps else None
    is_off = span != 0 and abs(span - (stop - start)) > 1  # an end frame may be one off; 0: not told
    if kind == PICTURE and is_off and media_rate in (None, rate):
        problem = problem or "it is retimed; render it in place first"
    length = str(media.GetClipProperty("Frames") or "")
    return Clip(
        clip_id,
        kind,
        track,
        start,
        stop,
        path,
        source_in=int(item.GetLeftOffset(False)),  # exact at 100 %; GetSourceStartFrame can be one off
        source_frames=int(length) if kind == PICTURE and length.isdigit() else None,
        media_rate=media_rate,
        problem=problem,
    )
