"""Writes a timeline back with a track of takes above the pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from ..shared.planner import Plan
from ..shared.problems import PluginError
from . import kdenlive
from .adapters import ADAPTERS, quiet
from .reader import Document

TRACK = "Re-dub"
READ_ONLY = (".edl", ".otioz")
"""An EDL has one picture track; a bundle would have to hold the takes."""


@dataclass(frozen=True)
class Delivered:
    """A take and the plan that it answers."""

    plan: Plan
    job_id: str
    take_id: str
    path: str
    frames: int
    trim: int = 0  # handle frames before the range


def usual_target(path: Path) -> Path:
    """Return where the timeline is written unless the user says: beside the original, never over it."""
    suffix = ".otio" if path.suffix.lower() in READ_ONLY else path.suffix
    return path.with_name(f"{path.stem}.redub{suffix}")


def write_document(document: Document, takes: Sequence[Delivered], target: Path) -> Path:
    """Write the timeline with the takes on tracks of their own, on top; return its path.

    Raises PluginError `timeline.unknown`, `timeline.unwritable`, `place.mismatch`.
    """
    suffix = target.suffix.lower()
    if suffix in READ_ONLY or suffix not in ADAPTERS:
        raise PluginError(
            "timeline.unknown", f"{target.name} cannot be written.", "Write .otio, .xml, .aaf or .kdenlive."
        )
    copy = otio.schema.Timeline.from_json_string(document.source.to_json_string())
    if suffix == ".kdenlive":
        _count_from_zero(copy)
    for number, layer in enumerate(_layers(takes), 1):
        track = _track(layer, document.timeline.rate, suffix, number)
        copy.tracks.insert(_place_of(copy), track)
    draft = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        with quiet():
            otio.adapters.write_to_file(copy, str(draft), ADAPTERS[suffix], **_options(suffix))
        if suffix == ".kdenlive":
            kdenlive.complete(draft)
        os.replace(draft, target)
    except Exception as error:  # writers of other programs' files raise anything
        draft.unlink(missing_ok=True)
        raise PluginError(
            "timeline.unwritable",
            f"The timeline cannot be written as {target.name}.",
            "Write .otio instead.",
            f"{type(error).__name__}: {error}"[:2000],
        ) from error
    return target


def _options(suffix: str) -> dict[str, Any]:
    return {"use_empty_mob_ids": True} if suffix == ".aaf" else {}


def _count_from_zero(timeline: Any) -> None:
    """Count clips' frames from their files' first, as Kdenlive does: the adapter takes no timecode off."""
    for clip in timeline.find_clips():
        available = getattr(clip.media_reference, "available_range", None)
        if available is None:
            continue
        shift, zero = available.start_time, otio.opentime.RationalTime(0, available.start_time.rate)
        clip.media_reference.available_range = otio.opentime.TimeRange(zero, available.duration)
        if clip.source_range is not None:
            clip.source_range = _earlier(clip.source_range, shift)
        for marker in clip.markers:
            marker.marked_range = _earlier(marker.marked_range, shift)


def _earlier(found: Any, shift: Any) -> Any:
    return otio.opentime.TimeRange(found.start_time - shift, found.duration)


def _place_of(timeline: Any) -> int:
    """Return where a track covers all pictures: after the last picture track."""
    indices = [index for index, track in enumerate(timeline.tracks) if track.kind == "Video"]
    return indices[-1] + 1 if indices else 0


def _layers(takes: Sequence[Delivered]) -> list[list[Delivered]]:
    """Divide the takes into tracks on which none lies over another."""
    layers: list[list[Delivered]] = []
    for take in sorted(takes, key=lambda one: one.plan.start):
        for layer in layers:
            if layer[-1].plan.stop <= take.plan.start:
                layer.append(take)
                break
        else:
            layers.append([take])
    return layers


def _track(takes: Sequence[Delivered], rate: Fraction, suffix: str, number: int) -> Any:
    track = otio.schema.Track(name=TRACK if number == 1 else f"{TRACK} {number}", kind="Video")
    at = 0
    for take in takes:
        if take.plan.start > at:
            track.append(otio.schema.Gap(source_range=_range(0, take.plan.start - at, rate)))
        track.append(_clip(take, rate, suffix))
        at = take.plan.stop
    return track


def _clip(take: Delivered, rate: Fraction, suffix: str) -> Any:
    length = take.plan.stop - take.plan.start
    if take.frames < length + take.trim:
        raise PluginError(
            "place.mismatch", f"The take {take.path} has {take.frames} frames; the shot needs {length}."
        )
    url = Path(take.path).as_uri() if suffix in (".xml", ".aaf") else take.path
    return otio.schema.Clip(
        name=f"Re-dub {take.take_id}",
        media_reference=otio.schema.ExternalReference(url, _range(0, take.frames, rate)),
        source_range=_range(take.trim, length, rate),
        metadata={
            "dubwright": {"job_id": take.job_id, "take_id": take.take_id, "clip": take.plan.clip.clip_id}
        },
    )


def _range(start: int, length: int, rate: Fraction) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, float(rate)), time(length, float(rate)))
