"""Which shots of a file are re-dubbed: under the voice track, inside DUB markers, of the wanted names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..shared.planner import Options, Plan, plan_under_track
from ..shared.timeline import Clip, Timeline
from .reader import Document


def choose(
    document: Document, voice_track: str, options: Options, where: Sequence[str] = ()
) -> tuple[list[Plan], list[str]]:
    """Plan every chosen shot; also return a sentence for each that had to be left out.

    where: patterns such as `SC_04*`, on a clip's name, its id (`V1:3`) or its file's name.
    """
    track = document.sound_track(voice_track)
    timeline = document.timeline
    if document.marks:
        timeline = _within(timeline, track, document.marks)
    plans, left_out = plan_under_track(timeline, track, options)
    if where:
        plans = [plan for plan in plans if _is_wanted(document, plan.clip, where)]
    return plans, left_out


def _is_wanted(document: Document, clip: Clip, where: Sequence[str]) -> bool:
    names = (document.names.get(clip.clip_id, ""), clip.clip_id, clip.path.replace("\\", "/").split("/")[-1])
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in where)


def _within(timeline: Timeline, track: int, marks: Iterable[tuple[int, int]]) -> Timeline:
    """Keep of the voice track only what lies inside the marks."""
    ranges = _merge(_widen(timeline, mark) for mark in marks)
    clips = []
    for clip in timeline.clips:
        if clip.kind == "sound" and clip.track == track:
            clips += [part for low, high in ranges for part in _part(clip, low, high)]
        else:
            clips.append(clip)
    return replace(timeline, clips=tuple(clips))


def _widen(timeline: Timeline, mark: tuple[int, int]) -> tuple[int, int]:
    """Return a mark's range; a mark without length means the topmost shot under it."""
    if mark[1] > mark[0]:
        return mark
    under = [clip for clip in timeline.pictures() if clip.start <= mark[0] < clip.stop]
    if not under:
        return mark
    top = max(under, key=lambda clip: clip.track)
    return top.start, top.stop


def _merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def _part(clip: Clip, low: int, high: int) -> list[Clip]:
    start, stop = clip.overlap(low, high)
    if start >= stop:
        return []
    return [replace(clip, start=start, stop=stop, source_in=clip.source_in + start - clip.start)]
