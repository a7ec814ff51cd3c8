"""Reads a timeline file into clips with whole frames; the adapters' rounded rates are made exact again."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from ..shared.problems import PluginError
from ..shared.rates import exact_rate
from ..shared.timeline import PICTURE, SOUND, Clip, Timeline
from .adapters import unreadable
from .media_path import media_path
from .retiming import problem_of, speed_of

MARK = "DUB"
READ_S = 120.0  # a feature film's AAF takes some ten


@dataclass(frozen=True)
class Document:
    """A file that was read: the adapter's timeline, and ours."""

    path: Path
    source: Any  # otio.schema.Timeline
    timeline: Timeline
    names: dict[str, str]  # clip id -> the clip's name in the file
    sound_tracks: tuple[str, ...]  # names, from the first
    marks: tuple[tuple[int, int], ...]  # what markers named DUB choose; an empty range means the shot there

    def sound_track(self, name: str) -> int:
        """Return the number of a sound track, named or numbered from 1. Raises PluginError `voice.none`."""
        if name in self.sound_tracks:
            return self.sound_tracks.index(name) + 1
        if name.isdigit() and 1 <= int(name) <= len(self.sound_tracks):
            return int(name)
        known = ", ".join(f"{number} ({track})" for number, track in enumerate(self.sound_tracks, 1))
        raise PluginError(
            "voice.none", f"There is no sound track {name!r}.", f"There are: {known or 'none'}."
        )


def read_document(path: Path, rate: Fraction | None = None) -> Document:
    """Read a timeline file; `rate` is for lists that do not tell theirs.

    Raises PluginError `timeline.unreadable`, `.unknown`, `.missing`, `.rate`.
    """
    said = [f"--rate={rate}"] if rate else []
    command = [sys.executable, "-m", "editor_plugin.interchange.process", *said, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=READ_S)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:  # it took too long, or died
        raise unreadable(path, error) from error
    if "error" in answer:
        raise PluginError(*answer["error"])
    return understand(path, otio.schema.Timeline.from_json_string(answer["timeline"]))


def understand(path: Path, source: Any) -> Document:
    """Return what an adapter's timeline means."""
    rate = _timeline_rate(source)
    clips: list[Clip] = []
    names: dict[str, str] = {}
    sound_tracks: list[str] = []
    marks = [_marked(marker, rate) for marker in source.tracks.markers if _is_mark(marker)]
    numbers = {PICTURE: 0, SOUND: 0}
    for track in source.tracks:
        if not isinstance(track, otio.schema.Track):
            raise PluginError("timeline.unreadable", "The timeline holds something beside tracks.")
        kind = SOUND if track.kind == "Audio" else PICTURE
        numbers[kind] += 1
        if kind == SOUND:
            sound_tracks.append(track.name or f"A{numbers[kind]}")
        marks += [_marked(marker, rate) for marker in track.markers if _is_mark(marker)]
        found = []
        for item, start, stop, number in _items(track, rate):
            clip = _clip(item, kind, numbers[kind], number, start, stop, rate, path)
            found.append(clip)
            names[clip.clip_id] = item.name or ""
            marks += _clip_marks(item, clip, rate)
        clips += _apart(found, _dissolves(track, numbers[kind], rate)) if kind == PICTURE else found
    origin, drop = _origin(source, rate)
    ours = Timeline(
        str(path.resolve()), source.name or path.stem, rate, tuple(clips), start=origin, drop=drop
    )
    return Document(path, source, ours, names, tuple(sound_tracks), tuple(marks))


def _items(track: Any, rate: Fraction) -> Iterator[tuple[Any, int, int, int]]:
    """Yield what shows or sounds: its first frame, the one after its last, its number in the track."""
    is_hidden = track.kind == "Video" and not _is_on(track)  # a muted voice track can still be chosen
    for item, begin, number in _positions(track):
        is_clip = not isinstance(item, (otio.schema.Transition, otio.schema.Gap))
        if is_clip and _is_on(item) and not is_hidden:
            yield item, to_frames(begin, rate), to_frames(begin + seconds(item.duration()), rate), number


def _is_on(item: Any) -> bool:
    """Say whether a clip or track is enabled; of FCP7 XML the adapter keeps that as a word only."""
    kept = item.metadata.get("fcp_xml", {})
    word = kept.get("enabled", "TRUE") if hasattr(kept, "get") else "TRUE"
    return item.enabled and str(word).upper() != "FALSE"


def _positions(track: Any) -> Iterator[tuple[Any, Fraction, int]]:
    """Yield everything on a track with the second at which it begins, and its number.

    Positions are summed as fractions of a second and rounded once each: no error grows along the track.
    """
    at = Fraction(0)
    for number, item in enumerate(track, 1):
        yield item, at, number
        if isinstance(item, otio.schema.Transition):
            continue  # lies over the cut; moves nothing
        length = seconds(item.duration())
        if length < 0:
            raise PluginError("timeline.unreadable", f"{item.name!r} is shorter than nothing.")
        at += length


def _dissolves(track: Any, number: int, rate: Fraction) -> list[Clip]:
    """Return the transitions as clips that cannot be used: a mouth over them would not dissolve."""
    return [
        Clip(
            f"V{number}:{place}",
            PICTURE,
            number,
            to_frames(cut - seconds(item.in_offset), rate),
            to_frames(cut + seconds(item.out_offset), rate),
            "",
            problem="a transition lies there; end the voice before it, or begin it after it",
        )
        for item, cut, place in _positions(track)
        if isinstance(item, otio.schema.Transition)
    ]


def _apart(clips: Sequence[Clip], dissolves: Sequence[Clip]) -> list[Clip]:
    """Return the clips without what lies under transitions, and the transitions."""
    for dissolve in dissolves:
        clips = [part for clip in clips for part in _without(clip, dissolve.start, dissolve.stop)]
    return [*clips, *(one for one in dissolves if one.frames > 0)]


def _without(clip: Clip, low: int, high: int) -> list[Clip]:
    if clip.stop <= low or clip.start >= high:
        return [clip]
    after = replace(clip, start=high, source_in=clip.source_in + high - clip.start)
    return [part for part in (replace(clip, stop=low), after) if part.frames > 0]


def _clip(
    item: Any, kind: str, track: int, number: int, start: int, stop: int, rate: Fraction, file: Path
) -> Clip:
    letter = "A" if kind == SOUND else "V"
    problem = problem_of(item)
    path, source_in, frames, media_rate = "", 0, None, None
    if isinstance(item, otio.schema.Clip) and isinstance(item.media_reference, otio.schema.ExternalReference):
        path = media_path(item.media_reference.target_url, file)
        if not path and not problem:
            problem = f"its media is not a file here ({item.media_reference.target_url})"
        trimmed, available = item.trimmed_range(), item.media_reference.available_range
        origin = seconds(available.start_time) if available else Fraction(0)
        source_in = to_frames(seconds(trimmed.start_time) - origin, rate)
        if available is not None and available.duration.value > 0:
            frames = to_frames(seconds(available.duration), rate)
            media_rate = exact_rate(available.duration.rate) if kind == PICTURE else None
    return Clip(
        f"{letter}{track}:{number}",
        kind,
        track,
        start,
        stop,
        path,
        source_in=source_in,
        source_frames=frames,
        media_rate=media_rate,
        speed=speed_of(item),
        problem=problem,
        tag=_tag(item),
    )


def _tag(item: Any) -> str:
    ours = item.metadata.get("dubwright")
    return str(ours.get("job_id", "")) if hasattr(ours, "get") else ""


def _timeline_rate(source: Any) -> Fraction:
    """Return the rate of the timeline: that of its start, of its pictures' lengths, else of any length."""
    rates = [source.global_start_time.rate] if source.global_start_time else []
    for track in sorted(source.tracks, key=lambda one: getattr(one, "kind", "") != "Video"):
        if isinstance(track, otio.schema.Track):
            rates += [item.duration().rate for item in track if not isinstance(item, otio.schema.Transition)]
    for rate in rates:
        if rate > 1:  # some writers give an empty time a rate of 1
            return exact_rate(rate)
    raise PluginError("timeline.unreadable", "The timeline is empty.")


def _origin(source: Any, rate: Fraction) -> tuple[int, bool]:
    begin = source.global_start_time
    shown = str(source.metadata.get("fcp_xml", {}).get("timecode", {}).get("displayformat", ""))
    return (to_frames(seconds(begin), rate) if begin else 0), shown == "DF"


def _is_mark(marker: Any) -> bool:
    return (marker.name or "").strip().upper().startswith(MARK)


def _marked(marker: Any, rate: Fraction) -> tuple[int, int]:
    begin = seconds(marker.marked_range.start_time)
    length = seconds(marker.marked_range.duration)
    return to_frames(begin, rate), to_frames(begin + length, rate)


def _clip_marks(item: Any, clip: Clip, rate: Fraction) -> list[tuple[int, int]]:
    """Return a clip's own marks on the timeline; they are written in the media's time."""
    found = []
    for marker in item.markers:
        if _is_mark(marker):
            shift = to_frames(seconds(item.trimmed_range().start_time), rate) - clip.start
            start, stop = (edge - shift for edge in _marked(marker, rate))
            found.append((start, stop))
    return found


def seconds(time: Any) -> Fraction:
    """Return a RationalTime exactly. Raises PluginError for what is no time."""
    if not math.isfinite(time.value) or not math.isfinite(time.rate) or time.rate <= 0:
        raise PluginError("timeline.unreadable", f"The timeline holds a time that is none ({time}).")
    if abs(time.value) > 10**12:
        raise PluginError("timeline.unreadable", f"The timeline holds a time past all bounds ({time}).")
    return Fraction(time.value).limit_denominator(1_000_000) / _any_rate(time.rate)


def _any_rate(rate: float) -> Fraction:
    """Return a rate exactly, be it frames or samples."""
    return exact_rate(rate) if 1 <= rate <= 240 else Fraction(rate).limit_denominator(1001)


def to_frames(time: Fraction, rate: Fraction) -> int:
    """Return the frame at a time, rounded half up."""
    return math.floor(time * rate + Fraction(1, 2))
