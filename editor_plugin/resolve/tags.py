"""Which items on Resolve's timeline are ours: markers with custom data tell, for items can carry no tag."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from typing import Any

from ..shared.timeline import PICTURE, Clip, Placement

TRACK = "Re-dub"
SOUND_TRACK = "Re-dub voice"


def custom_data(placement: Placement) -> str:
    """Return what a take's marker says: the job, and which clip on the timeline is meant."""
    return "\n".join(
        (
            "dubwright",
            placement.tag,
            str(placement.start),
            str(placement.stop),
            placement.clip_id,
            placement.path,
        )
    )


def read_data(data: str) -> dict[str, Any] | None:
    """Return what a marker of ours says; None for another's."""
    parts = data.split("\n")
    if len(parts) != 6 or parts[0] != "dubwright":
        return None
    return {
        "tag": parts[1],
        "start": int(parts[2]),
        "stop": int(parts[3]),
        "clip_id": parts[4],
        "path": parts[5],
        "data": data,
    }


def is_ours(timeline: Any, kind: str, track: int) -> bool:
    """Say whether a track has our name; on others only a shot with our take in its selector is ours."""
    word, name = ("video", TRACK) if kind in (PICTURE, "video") else ("audio", SOUND_TRACK)
    return str(timeline.GetTrackName(word, track)).startswith(name)


def with_tag(clip: Clip, marks: list[dict[str, Any]], is_ours: bool) -> Clip:
    """Return the clip with the job that a marker says put it there."""
    for mark in marks:
        fits = clip.start == mark["start"] and is_same(clip.path, mark["path"])
        if fits and (is_ours or clip.clip_id == mark["clip_id"]):
            return replace(clip, tag=mark["tag"], path=mark["path"])
    return clip


def marked_items(timeline: Any, mark: dict[str, Any]) -> list[Any]:
    """Return the items on our tracks that a marker tells of; the user's own clips are never among them."""
    found = []
    for kind in ("video", "audio"):
        for track in range(1, int(timeline.GetTrackCount(kind)) + 1):
            if not is_ours(timeline, kind, track):
                continue
            for item in timeline.GetItemListInTrack(kind, track) or []:
                media = item.GetMediaPoolItem()
                path = media.GetClipProperty("File Path") if media is not None else None
                if int(item.GetStart(False)) == mark["start"] and is_same(path, mark["path"]):
                    found.append(item)
    return found


def is_same(path: Any, ours: str) -> bool:
    """Say whether Resolve means a file of ours; its slashes, case and accents may be spelt another way."""
    one, other = (
        os.path.normcase(unicodedata.normalize("NFC", str(name or ""))).replace("\\", "/")
        for name in (path, ours)
    )
    return one == other
