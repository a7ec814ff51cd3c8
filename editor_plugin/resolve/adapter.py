"""The one door to Resolve's scripting API: reads the timeline, places takes, reads them back.

Written against the documented API (README of 8 May 2026); we have not run it in a Resolve. What is known of
how it behaves, and from whom, stands at each switch of `tests/fakes/resolve.py`. In short: `recordFrame` is
absolute, `endFrame` exclusive since 19, frames must be whole, an append onto something is dropped in silence,
and the value that an append returns proves nothing: only reading the track again does.
"""

from __future__ import annotations

import os
from typing import Any

from ..shared.problems import PluginError
from ..shared.timeline import PICTURE, SOUND, Placement, Timeline
from .items import read_item, timeline_rate
from .probe import Capabilities, current_project, current_timeline, probe
from .tags import SOUND_TRACK, TRACK, custom_data, is_ours, is_same, marked_items, read_data, with_tag

BIN = "Dubwright"
COLOUR = "Purple"
VIDEO_ONLY, AUDIO_ONLY = 1, 2


class Resolve:
    """Implements `shared.host.Host` for the open timeline."""

    def __init__(self, resolve: Any) -> None:
        self._resolve = resolve
        self.can: Capabilities = probe(resolve)
        self.end_is_inclusive = self.can.version[:1] < (19,) and bool(self.can.version)

    def timeline(self) -> Timeline:
        """Read the open timeline."""
        project, timeline = current_project(self._resolve), current_timeline(self._resolve)
        rate, drop = timeline_rate(timeline)
        clips = [
            read_item(item, kind, track, rate, has_source_frames=self.can.has_source_frames)
            for kind, word in ((PICTURE, "video"), (SOUND, "audio"))
            for track in range(1, int(timeline.GetTrackCount(word)) + 1)
            for item in timeline.GetItemListInTrack(word, track) or []
        ]
        tags = self._tags(timeline)
        return Timeline(
            project_id=str(project.GetUniqueId()),
            name=str(timeline.GetName()),
            rate=rate,
            clips=tuple(with_tag(clip, tags, is_ours(timeline, clip.kind, clip.track)) for clip in clips),
            start=int(timeline.GetStartFrame()),
            drop=drop,
        )

    def is_there(self) -> bool:
        """Say whether Resolve still answers. One that has quit has no methods any more."""
        try:
            return bool(self._resolve.GetProductName())
        except (PluginError, TypeError, AttributeError):
            return False

    def selection(self) -> list[str]:
        """Return the ids of the selected shots, or of the one under the playhead where none is known."""
        timeline = current_timeline(self._resolve)
        items = list(timeline.GetSelectedClips() or []) if self.can.has_selection else []
        if not items:
            under = timeline.GetCurrentVideoItem()
            items = [under] if under is not None else []
        return [str(item.GetUniqueId()) for item in items]

    def marks(self) -> tuple[int, int] | None:
        """Return the in and out marks, half-open and absolute; None unless both are set."""
        timeline = current_timeline(self._resolve)
        found = ((timeline.GetMarkInOut() if self.can.has_marks else None) or {}).get("video") or {}
        if "in" not in found or "out" not in found:
            return None
        first = int(timeline.GetStartFrame())
        return first + int(found["in"]), first + int(found["out"]) + 1

    def place(self, placement: Placement) -> None:
        """Add the take to the clip's take selector, or append it on a track of its own.

        Its marker comes first: whatever fails after that, `remove` finds what had been placed.
        """
        timeline = current_timeline(self._resolve)
        media = self._import(placement.path)
        self._mark(timeline, placement)
        if placement.clip_id and self.can.has_takes:
            self._add_take(timeline, media, placement)
        else:
            self._append(timeline, media, placement, "video", TRACK, VIDEO_ONLY)
        if placement.sound_path:
            self._append(timeline, media, placement, "audio", SOUND_TRACK, AUDIO_ONLY)

    def show_take(self, placement: Placement) -> None:
        """Show another take: the first is removed, for nothing in the API swaps a placed file."""
        self.remove(placement.tag)
        self.place(placement)

    def remove(self, tag: str) -> None:
        """Delete what a job placed, and its marker."""
        timeline = current_timeline(self._resolve)
        marks = [mark for mark in self._tags(timeline) if mark["tag"] == tag]
        for mark in marks:
            self._forget_take(timeline, mark)
        items = [item for mark in marks for item in marked_items(timeline, mark)]
        if items:
            self._open_edit_page()
            timeline.DeleteClips(items, False)
        if marks:
            timeline.DeleteMarkerByCustomData(marks[0]["data"])

    # Underneath.

    def _import(self, path: str) -> Any:
        """Return the media pool's item of a file, imported into our own bin if it is new."""
        if not os.path.exists(path):
            raise PluginError("take.missing", f"The take {path} is not there.")
        pool = current_project(self._resolve).GetMediaPool()
        before = pool.GetCurrentFolder()
        folder = _our_bin(pool)
        for known in folder.GetClipList() or []:
            if is_same(known.GetClipProperty("File Path"), path):
                return known
        pool.SetCurrentFolder(folder)  # imports go to the current folder and nowhere else
        try:
            found = pool.ImportMedia([path]) or []
        finally:
            pool.SetCurrentFolder(before)
        if not found:
            raise PluginError("take.unreadable", f"Resolve cannot import the take {path}.")
        found[0].SetClipProperty("Alpha mode", "Straight")  # as all our overlays have it; False: it has none
        return found[0]

    def _append(
        self, timeline: Any, media: Any, placement: Placement, kind: str, name: str, media_type: int
    ) -> None:
        self._open_edit_page()
        track = _free_track(timeline, placement, kind, name)
        was_locked = bool(timeline.GetIsTrackLocked(kind, track))
        if was_locked:
            timeline.SetTrackLock(kind, track, False)
        try:
            self._append_calibrated(timeline, media, placement, kind, track, media_type)
        finally:
            if was_locked:
                timeline.SetTrackLock(kind, track, True)

    def _append_calibrated(
        self, timeline: Any, media: Any, placement: Placement, kind: str, track: int, media_type: int
    ) -> None:
        """Append; if what lies there is a frame too long or short, once more with the other end."""
        pool = current_project(self._resolve).GetMediaPool()
        for _ in range(2):
            before = {str(item.GetUniqueId()) for item in timeline.GetItemListInTrack(kind, track) or []}
            pool.AppendToTimeline(
                [
                    {
                        "mediaPoolItem": media,
                        "startFrame": placement.trim,
                        "endFrame": placement.trim + placement.frames - (1 if self.end_is_inclusive else 0),
                        "mediaType": media_type,
                        "trackIndex": track,
                        "recordFrame": placement.start,
                    }
                ]
            )
            items = timeline.GetItemListInTrack(kind, track) or []
            new = [item for item in items if str(item.GetUniqueId()) not in before]
            at_place = [item for item in new if int(item.GetStart(False)) == placement.start]
            off = int(at_place[0].GetDuration(False)) - placement.frames if at_place else 0
            if len(new) == 1 and at_place and off == 0:
                return
            if new:
                timeline.DeleteClips(new, False)  # wherever it put them
            if not at_place:
                raise PluginError(
                    "place.failed",
                    f"Resolve did not take the clip on {kind} track {track}.",
                    "Unlock the tracks, open the edit page, and place it again.",
                )
            if abs(off) != 1:
                break
            self.end_is_inclusive = off > 0
        raise PluginError("place.mismatch", "Resolve changed the take's length; it was taken off again.")

    def _add_take(self, timeline: Any, media: Any, placement: Placement) -> None:
        item = _item_by_id(timeline, placement.clip_id)
        if item is None:
            raise PluginError("clip.none", "The shot is no longer on the timeline.", "Select it again.")
        last = placement.trim + placement.frames - (1 if self.end_is_inclusive else 0)
        before = int(item.GetTakesCount())
        item.AddTake(media, placement.trim, last)
        count = int(item.GetTakesCount())
        if count <= before or not item.SelectTakeByIndex(count):
            raise PluginError("place.failed", "Resolve did not add the take to the shot's take selector.")

    def _forget_take(self, timeline: Any, mark: dict[str, Any]) -> None:
        item = _item_by_id(timeline, mark["clip_id"]) if mark["clip_id"] else None
        if item is None:
            return
        for index in range(int(item.GetTakesCount()), 0, -1):
            take = (item.GetTakeByIndex(index) or {}).get("mediaPoolItem")
            if take is not None and is_same(take.GetClipProperty("File Path"), mark["path"]):
                item.SelectTakeByIndex(1)
                item.DeleteTakeByIndex(index)

    def _mark(self, timeline: Any, placement: Placement) -> None:
        """Tag with a marker whose custom data names the job; its frame counts from the timeline's start."""
        data = custom_data(placement)
        frame = placement.start - int(timeline.GetStartFrame())
        timeline.DeleteMarkerByCustomData(data)
        for shift in range(8):  # one marker a frame; another's is left alone
            note = f"job {placement.tag}"
            if timeline.AddMarker(frame + shift, COLOUR, "Re-dub", note, 1, data):
                return
        raise PluginError("place.failed", "Resolve did not take the marker that tells the take's job.")

    def _tags(self, timeline: Any) -> list[dict[str, Any]]:
        marks = (timeline.GetMarkers() or {}).values()
        found = [read_data(str(mark.get("customData", ""))) for mark in marks]
        return [one for one in found if one is not None]

    def _open_edit_page(self) -> None:
        if self._resolve.GetCurrentPage() != "edit":
            self._resolve.OpenPage("edit")  # DeleteClips fails on the Fairlight page


def _our_bin(pool: Any) -> Any:
    root = pool.GetRootFolder()
    for folder in root.GetSubFolderList() or []:
        if folder.GetName() == BIN:
            return folder
    made = pool.AddSubFolder(root, BIN)
    if not made:
        raise PluginError("place.failed", f"Resolve did not make the bin {BIN}.", "Is the project read-only?")
    return made


def _free_track(timeline: Any, placement: Placement, kind: str, name: str) -> int:
    """Return a track of ours that is empty there, made if there is none."""
    count = int(timeline.GetTrackCount(kind))
    for track in range(count, 0, -1):
        is_ours = str(timeline.GetTrackName(kind, track)).startswith(name)
        is_above = kind == "audio" or track > placement.above
        if is_ours and is_above and _is_empty(timeline, kind, track, placement):
            return track
    ask = ("video",) if kind == "video" else ("audio", "stereo")  # a sound track is mono unless asked
    if not timeline.AddTrack(*ask):
        raise PluginError("track.none", f"Resolve did not add a {kind} track.")
    timeline.SetTrackName(kind, count + 1, name)
    return count + 1


def _is_empty(timeline: Any, kind: str, track: int, placement: Placement) -> bool:
    items = timeline.GetItemListInTrack(kind, track) or []
    return all(
        int(item.GetEnd(False)) <= placement.start or int(item.GetStart(False)) >= placement.stop
        for item in items
    )


def _item_by_id(timeline: Any, clip_id: str) -> Any:
    for track in range(1, int(timeline.GetTrackCount("video")) + 1):
        for item in timeline.GetItemListInTrack("video", track) or []:
            if str(item.GetUniqueId()) == clip_id:
                return item
    return None
