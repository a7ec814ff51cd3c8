"""Which take goes where, and whether it lies there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .journal import Entry
from .problems import PluginError
from .timeline import PICTURE, Placement, Timeline

BADGES = ("pass", "look", "fail")  # the best first


def best_take(takes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the take that is shown first: the best badge, then the first made."""
    return min(takes, key=lambda take: BADGES.index(take["badge"]))


def placement_of(entry: Entry, take_id: str) -> Placement:
    """Return where a take of an entry goes. Raises PluginError `take.not_found`."""
    take = next((take for take in entry.takes if take["take_id"] == take_id), None)
    if take is None:
        raise PluginError("take.not_found", f"The job has no take {take_id}.")
    return Placement(
        tag=entry.job_id,
        path=take["path"],
        start=entry.start,
        stop=entry.stop,
        above=entry.above,
        sound_path="" if entry.has_voice else take["path"],
        clip_id=entry.clip_id,
        take_id=take_id,
        trim=min(
            int(entry.spec.get("handles", 0)), int(entry.spec["in"])
        ),  # none before the file's first frame
        is_baked=bool(entry.bake),
    )


def verify(timeline: Timeline, placement: Placement) -> None:
    """Read a placement back. Raises PluginError `place.mismatch` unless every part lies where it should."""
    found = timeline.placed(placement.tag)
    pictures = [clip for clip in found if clip.kind == PICTURE]
    if len(pictures) != 1:
        raise PluginError("place.mismatch", f"The take is {len(pictures)} times on the timeline, not once.")
    for clip in found:
        if (clip.start, clip.stop) != (placement.start, placement.stop):
            raise PluginError(
                "place.mismatch",
                f"The editor put the {clip.kind} at {clip.start} to {clip.stop} instead of"
                f" {placement.start} to {placement.stop}; it was taken off again.",
            )
    if pictures[0].source_in != placement.trim:
        raise PluginError("place.mismatch", f"The take begins at its frame {pictures[0].source_in}.")
    if pictures[0].path != placement.path:
        raise PluginError("place.mismatch", f"The editor shows {pictures[0].path} instead of the take.")
