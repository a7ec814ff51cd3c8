"""What to re-dub with what, from which frame to which, and where the take goes. No host is touched here."""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from .problems import PluginError
from .rates import rate_text
from .timeline import PICTURE, Clip, Timeline


@dataclass(frozen=True)
class Options:
    """What the user chose besides the clips."""

    takes: int = 1
    engine: str = "auto"
    handles: int = 0
    baked: bool = False  # the whole picture instead of the mouth on alpha
    bake_folder: str = ""  # where the host renders shots that cannot be used as they are; empty: refuse them
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of the job


@dataclass(frozen=True)
class Plan:
    """One job, and the range of the timeline that its takes will cover."""

    clip: Clip
    start: int
    stop: int
    spec: dict[str, Any]
    has_voice: bool  # the voice is on the timeline already
    key: str  # the same plan twice is one job

    @property
    def is_whole(self) -> bool:
        """Say whether the range is the whole clip."""
        return (self.start, self.stop) == (self.clip.start, self.clip.stop)


def plan_with_strip(timeline: Timeline, clip: Clip, voice: Clip, options: Options) -> Plan:
    """Plan the part of `clip` that lies under the sound clip `voice`.

    Raises PluginError `clip.refused`, `range.empty`.
    """
    start, stop = clip.overlap(voice.start, voice.stop)
    if start >= stop:
        raise PluginError(
            "range.empty",
            "The chosen voice does not lie under the chosen shot.",
            "Move it under the shot, or choose a file.",
        )
    if voice.problem:
        raise PluginError("clip.refused", f"The voice cannot be used: {voice.problem}.")
    if voice.speed != 1:
        raise PluginError("clip.refused", "The voice is retimed.", "Bounce it to a file first.")
    clip = _usable(clip, timeline, start, stop, options)
    voice_at = clip.source_frame(start) + (voice.start - voice.source_in) - start
    return _plan(timeline, clip, start, stop, voice.path, voice_at, options, has_voice=True)


def plan_with_file(
    timeline: Timeline, clip: Clip, path: str, options: Options, marks: tuple[int, int] | None = None
) -> Plan:
    """Plan `clip`, or its part between the in and out marks, with a voice file that starts at its beginning.

    Raises PluginError `clip.refused`, `range.empty`.
    """
    start, stop = clip.overlap(*marks) if marks else (clip.start, clip.stop)
    if start >= stop:
        raise PluginError("range.empty", "The in and out marks do not touch the chosen shot.")
    clip = _usable(clip, timeline, start, stop, options)
    return _plan(timeline, clip, start, stop, path, clip.source_frame(start), options, has_voice=False)


def plan_under_track(timeline: Timeline, track: int, options: Options) -> tuple[list[Plan], list[str]]:
    """Plan every shot over a voice track: for each voice the topmost clips that show while it speaks.

    Returns the plans and, for each shot left out, a sentence why.
    """
    voices = sorted(timeline.sounds(track), key=lambda clip: clip.start)
    if not voices:
        raise PluginError(
            "voice.none", f"Track {track} holds no sound.", "Choose the track of the new voices."
        )
    pictures = sorted(timeline.pictures(), key=lambda clip: clip.start)
    starts = [clip.start for clip in pictures]
    longest = max((clip.frames for clip in pictures), default=0)
    plans, left_out = [], []
    for voice in voices:
        first = bisect_left(starts, voice.start - longest)
        last = bisect_left(starts, voice.stop)
        for clip, start, stop in visible_parts(pictures[first:last], voice.start, voice.stop):
            part = _cut(voice, start, stop)
            try:
                plans.append(plan_with_strip(timeline, clip, part, options))
            except PluginError as error:
                left_out.append(f"{clip.clip_id}: {error.message}")
    return plans, left_out


def visible_parts(pictures: Iterable[Clip], start: int, stop: int) -> list[tuple[Clip, int, int]]:
    """Return which clip shows from where to where between two frames; higher tracks cover lower ones."""
    free = [(start, stop)]
    found = []
    for clip in sorted(pictures, key=lambda clip: -clip.track):
        rest = []
        for low, high in free:
            inner, outer = clip.overlap(low, high)
            if inner >= outer:
                rest.append((low, high))
                continue
            found.append((clip, inner, outer))
            rest += [part for part in ((low, inner), (outer, high)) if part[0] < part[1]]
        free = rest
    return sorted(found, key=lambda part: part[1])


def free_track(
    clips: Sequence[Clip], start: int, stop: int, *, above: int, top: int, kind: str = PICTURE
) -> int:
    """Return the lowest track over `above` that is free there. Raises PluginError `track.none`."""
    taken = {clip.track for clip in clips if clip.kind == kind and clip.start < stop and clip.stop > start}
    for track in range(above + 1, top + 1):
        if track not in taken:
            return track
    raise PluginError("track.none", f"No track over {above} is free there.", "Free a track above the shot.")


def _cut(voice: Clip, start: int, stop: int) -> Clip:
    return Clip(
        voice.clip_id,
        voice.kind,
        voice.track,
        start,
        stop,
        voice.path,
        source_in=voice.source_in + start - voice.start,
        speed=voice.speed,
        problem=voice.problem,
    )


def _plan(
    timeline: Timeline,
    clip: Clip,
    start: int,
    stop: int,
    voice: str,
    voice_at: int,
    options: Options,
    *,
    has_voice: bool,
) -> Plan:
    first = clip.source_frame(start)
    spec: dict[str, Any] = {
        "kind": "redub",
        "source": clip.path,
        "voice": voice,
        "in": first,
        "out": first + stop - start,
        "voice_at": voice_at,
        "rate": rate_text(timeline.rate),
        "engine": options.engine,
        "takes": options.takes,
        "handles": options.handles,
        "deliver": "baked" if options.baked else "overlay",
        **options.extra,
    }
    place = [timeline.project_id, timeline.name, clip.clip_id, start, stop, spec]
    key = hashlib.sha256(json.dumps(place, sort_keys=True).encode()).hexdigest()[:32]
    return Plan(clip, start, stop, spec, has_voice, key)


def _usable(clip: Clip, timeline: Timeline, start: int, stop: int, options: Options) -> Clip:
    """Return the clip, or the file that the host will render of it. Raises PluginError `clip.refused`."""
    try:
        _refuse(clip, timeline, start, stop)
    except PluginError:
        if not (options.bake_folder and clip.can_bake):
            raise
        return _baked(clip, timeline, start, stop, options)
    return clip


def _baked(clip: Clip, timeline: Timeline, start: int, stop: int, options: Options) -> Clip:
    """Return the range with its handles as a plain clip of a file that is still to be rendered."""
    low, high = clip.overlap(start - options.handles, stop + options.handles)
    place = json.dumps([timeline.project_id, timeline.name, clip.clip_id, low, high])
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    return replace(
        clip,
        start=low,
        stop=high,
        path=os.path.join(options.bake_folder, f"{name}.mov"),
        source_in=0,
        source_frames=high - low,
        media_rate=timeline.rate,
        speed=Fraction(1),
        problem="",
        is_baked=True,
    )


def _refuse(clip: Clip, timeline: Timeline, start: int, stop: int) -> None:
    """Raise PluginError `clip.refused` for what cannot come back frame-exact."""
    if clip.problem:
        raise PluginError("clip.refused", f"The shot cannot be re-dubbed as it is: {clip.problem}.")
    if clip.speed != 1:
        raise PluginError(
            "clip.refused",
            f"The shot is retimed to {float(clip.speed) * 100:g} %.",
            "Bake it first: render it to a file and put that in its place.",
        )
    if clip.media_rate is not None and clip.media_rate != timeline.rate:
        raise PluginError(
            "clip.refused",
            f"The shot runs at {float(clip.media_rate):.3f} frames a second and the timeline at"
            f" {float(timeline.rate):.3f}.",
            "Conform it to the timeline's rate first.",
        )
    first, last = clip.source_frame(start), clip.source_frame(start) + stop - start
    if first < 0 or (clip.source_frames is not None and last > clip.source_frames):
        raise PluginError(
            "clip.refused",
            "The shot is stretched past the end of its file.",
            "Trim it to what the file holds.",
        )
