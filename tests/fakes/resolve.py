# ruff: noqa: N802 - the names are Resolve's own
"""A fake DaVinci Resolve: a timeline in memory behind the documented names. We cannot run the real one.

Each known quirk is a switch of `Quirks` that cites who reported it. The fake proves that the adapter copes
with what is listed here, never that Resolve behaves so; `editor_plugin/resolve/self_test.py` finds that out.
R1: Blackmagic's README of 8 May 2026. R2: samuelgursky/davinci-resolve-mcp, src/utils/api_truth.py, f5b2735.
"""

import itertools
import unicodedata
from dataclasses import dataclass
from typing import Any

_ids = itertools.count(1)


@dataclass
class Quirks:
    """How this Resolve behaves."""

    product: str = "DaVinci Resolve Studio"
    version: tuple[Any, ...] = (21, 0, 4, 5, "")
    end_is_inclusive: bool = False  # 18.x: nakano000/Resolve_Script pull request 23
    has_selection: bool = True  # GetSelectedClips, 21.0.4: samuelgursky/davinci-resolve-mcp issue 131
    drops_overlaps: bool = True  # R2: the earlier item wins, in silence
    refuses_floats: bool = True  # tmoroney/auto-subs issues 745, 772: the whole batch returns nil
    locked_is_silent: bool = True  # tmoroney/auto-subs unlocks and locks again
    lies_about_appends: bool = False  # R2: returns items that do not exist
    fairlight_keeps_clips: bool = True  # R2: DeleteClips fails on the Fairlight page
    imports_to_current_folder: bool = True  # R2
    first_frame: int = 86400  # of the timeline; absolute positions: issue 164
    rate: str = "24"
    page: str = "edit"
    hasattr_lies: bool = True  # R2: `hasattr` is true for every name
    modal_blocks: bool = True  # R2: a Studio call on the free edition opens a dialogue; then nothing answers
    save_blocks: bool = True  # R2: SaveProject of a project never saved, without a window, never ends
    start_tc_media: bool = True  # issue 147: source times count from the media's own timecode, frames do not
    source_start_slips: bool = False  # R2: GetSourceStartFrame can be one off
    source_frames_unknown: bool = False  # R2: 0 and 0 where Resolve does not tell the source's range
    spells_paths_anew: bool = False  # accents taken apart, as macOS keeps names: no report; must not matter
    is_old: bool = False  # before 18.6: methods that later versions have are None
    strays: bool = False  # appends land at the timeline's beginning: no known Resolve does; none may be left
    slip: int = 0  # lengthens every append: no known Resolve does; the adapter must notice all the same

    def spell(self, path: str) -> str:
        """Return a path as this Resolve gives it back."""
        return unicodedata.normalize("NFD", path) if self.spells_paths_anew else path


class Media:
    def __init__(self, path: str, frames: int, quirks: Quirks) -> None:
        self.path, self.frames, self.fps = path, frames, quirks.rate.split()[0]
        self.start = "01:00:00:00" if quirks.start_tc_media else "00:00:00:00"
        self.quirks = quirks
        self.alpha = "None"

    def GetUniqueId(self) -> str:
        return f"media{id(self)}"

    def SetClipProperty(self, propertyName: str, propertyValue: str) -> bool:
        self.alpha = propertyValue if propertyName == "Alpha mode" else self.alpha
        return propertyName == "Alpha mode"

    def GetClipProperty(self, name: str) -> str:
        return {
            "Alpha mode": self.alpha,
            "File Path": self.quirks.spell(self.path),
            "FPS": self.fps,
            "Frames": str(self.frames),
            "Start TC": self.start,
        }.get(name, "")


class Item:
    def __init__(self, media: Media | None, start: int, length: int, offset: int, speed: float = 1.0) -> None:
        self.id, self.takes, self.shown = f"item{next(_ids)}", [], 0
        self.media, self.start, self.length, self.offset, self.speed = media, start, length, offset, speed
        self.takes: list[tuple[Media | None, int, int]]

    def GetUniqueId(self) -> str:
        return self.id

    def GetStart(self, subframe: bool = False) -> int:
        return self.start

    def GetEnd(self, subframe: bool = False) -> int:
        return self.start + self.length

    def GetDuration(self, subframe: bool = False) -> int:
        return self.length

    def GetLeftOffset(self, subframe: bool = False) -> int:
        return self._now()[1]

    def GetSourceStartFrame(self) -> int:
        media, offset, _ = self._now()
        if media is None or media.quirks.source_frames_unknown:
            return 0
        return offset + media.quirks.source_start_slips

    def GetSourceEndFrame(self) -> int:
        media, offset, _ = self._now()
        if media is None or media.quirks.source_frames_unknown:
            return 0
        return offset + int(self.length * self.speed)

    def GetSourceStartTime(self) -> float:
        media, offset, _ = self._now()
        return offset / 24 + (3600 if media is not None and media.quirks.start_tc_media else 0)

    def GetMediaPoolItem(self) -> Media | None:
        return self._now()[0]

    def AddTake(self, mediaPoolItem: Media, startFrame: int = 0, endFrame: int = 0) -> bool:
        if not self.takes:
            self.takes = [(self.media, self.offset, self.length)]
        self.takes.append((mediaPoolItem, startFrame, endFrame - startFrame))
        return True

    def GetTakesCount(self) -> int:
        return len(self.takes)

    def GetTakeByIndex(self, idx: int) -> dict[str, Any]:
        return {"mediaPoolItem": self.takes[idx - 1][0]}

    def SelectTakeByIndex(self, idx: int) -> bool:
        self.shown = idx - 1
        return 0 < idx <= len(self.takes)

    def DeleteTakeByIndex(self, idx: int) -> bool:
        del self.takes[idx - 1]
        return True

    def _now(self) -> tuple[Media | None, int, int]:
        return self.takes[self.shown] if self.takes else (self.media, self.offset, self.length)


class FakeTimeline:
    def __init__(self, resolve: "FakeResolve") -> None:
        self._resolve = resolve
        self.tracks: dict[str, list[list[Item]]] = {"video": [[]], "audio": [[]]}
        self.names: dict[str, list[str]] = {"video": ["Video 1"], "audio": ["Audio 1"]}
        self.locked: set[tuple[str, int]] = set()
        self.markers: dict[int, dict[str, Any]] = {}
        self.selected: list[Item] = []
        self.current: Item | None = None
        self.mark_in_out: dict[str, Any] = {}
        if resolve.quirks.is_old:
            self.GetMarkInOut = None
        if resolve.quirks.has_selection:
            self.GetSelectedClips = lambda: list(self.selected)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("Get") and self._resolve.quirks.hasattr_lies:
            return None  # R2: every name "exists"; `hasattr` is always true
        raise AttributeError(name)

    def GetName(self) -> str:
        return "Edit"

    def GetSetting(self, settingName: str) -> str:
        return self._resolve.quirks.rate

    def GetStartFrame(self) -> int:
        return self._resolve.quirks.first_frame

    def GetCurrentVideoItem(self) -> Item | None:
        return self.current

    def GetMarkInOut(self) -> dict[str, Any]:
        return self.mark_in_out

    def GetTrackCount(self, trackType: str) -> int:
        return len(self.tracks[trackType])

    def GetItemListInTrack(self, trackType: str, index: int) -> list[Item]:
        return list(self.tracks[trackType][index - 1])

    def GetTrackName(self, trackType: str, trackIndex: int) -> str:
        return self.names[trackType][trackIndex - 1]

    def SetTrackName(self, trackType: str, trackIndex: int, name: str) -> bool:
        self.names[trackType][trackIndex - 1] = name
        return True

    def AddTrack(self, trackType: str, subTrackType: str = "mono") -> bool:
        assert trackType != "audio" or subTrackType == "stereo"
        self.tracks[trackType].append([])
        self.names[trackType].append(f"{trackType} {len(self.tracks[trackType])}")
        return True

    def GetIsTrackLocked(self, trackType: str, trackIndex: int) -> bool:
        return (trackType, trackIndex) in self.locked

    def SetTrackLock(self, trackType: str, trackIndex: int, locked: bool) -> bool:
        (self.locked.add if locked else self.locked.discard)((trackType, trackIndex))
        return True

    def DeleteClips(self, timelineItems: list[Item], ripple: bool = False) -> bool:
        if self._resolve.quirks.fairlight_keeps_clips and self._resolve.page == "fairlight":
            return False
        for tracks in self.tracks.values():
            for track in tracks:
                track[:] = [item for item in track if item not in timelineItems]
        return True

    def AddMarker(
        self,
        frameId: int,
        color: str,
        name: str,
        note: str,
        duration: int,
        customData: str = "",
    ) -> bool:
        if frameId in self.markers or not isinstance(frameId, int):
            return False
        self.markers[frameId] = {"name": name, "customData": customData, "duration": duration}
        return True

    def GetMarkers(self) -> dict[int, dict[str, Any]]:
        return dict(self.markers)

    def DeleteMarkerByCustomData(self, customData: str) -> bool:
        for frame, mark in list(self.markers.items()):
            if mark["customData"] == customData:
                del self.markers[frame]
                return True
        return False


class Folder:
    def __init__(self, name: str) -> None:
        self.name, self.folders, self.clips = name, [], []
        self.folders: list[Folder]
        self.clips: list[Media]

    def GetName(self) -> str:
        return self.name

    def GetSubFolderList(self) -> list["Folder"]:
        return self.folders

    def GetClipList(self) -> list[Media]:
        return self.clips


class MediaPool:
    def __init__(self, resolve: "FakeResolve") -> None:
        self._resolve = resolve
        self.root = Folder("Master")
        self.current = self.root
        self.timelines: list[FakeTimeline] = []

    def GetRootFolder(self) -> Folder:
        return self.root

    def GetCurrentFolder(self) -> Folder:
        return self.current

    def SetCurrentFolder(self, folder: Folder) -> bool:
        self.current = folder
        return True

    def AddSubFolder(self, folder: Folder, name: str) -> Folder:
        folder.folders.append(Folder(name))
        return folder.folders[-1]

    def ImportMedia(self, items: list[str]) -> list[Media]:
        made = [Media(path, 10_000, self._resolve.quirks) for path in items]
        self.current.clips += made
        return made

    def DeleteClips(self, clips: list[Media]) -> bool:
        for folder in (self.root, *self.root.folders):
            folder.clips = [one for one in folder.clips if one not in clips]
        return True

    def DeleteFolders(self, subfolders: list[Folder]) -> bool:
        self.root.folders = [one for one in self.root.folders if one not in subfolders]
        return True

    def CreateEmptyTimeline(self, name: str) -> FakeTimeline:
        self.timelines.append(FakeTimeline(self._resolve))
        return self.timelines[-1]

    def DeleteTimelines(self, timelines: list[FakeTimeline]) -> bool:
        self.timelines = [one for one in self.timelines if one not in timelines]
        return True

    def AppendToTimeline(self, clipInfos: list[dict[str, Any]]) -> list[Any] | None:
        quirks, timeline, made = self._resolve.quirks, self._resolve.timeline, []
        numbers = [info[name] for info in clipInfos for name in ("startFrame", "endFrame", "recordFrame")]
        if quirks.refuses_floats and not all(type(number) is int for number in numbers):
            return None
        for info in clipInfos:
            kind = {1: "video", 2: "audio"}[info["mediaType"]]
            if quirks.locked_is_silent and (kind, info["trackIndex"]) in timeline.locked:
                continue
            length = info["endFrame"] - info["startFrame"] + quirks.end_is_inclusive + quirks.slip
            place = quirks.first_frame if quirks.strays else info["recordFrame"]
            item = Item(info["mediaPoolItem"], place, length, info["startFrame"])
            made.append(item)
            track = timeline.tracks[kind][info["trackIndex"] - 1]
            is_taken = any(one.start < item.start + length and one.GetEnd() > item.start for one in track)
            if not (quirks.drops_overlaps and is_taken) and not quirks.lies_about_appends:
                track.append(item)
        return made


class FakeResolve:
    """The `resolve` object of a script, its project manager and its project in one."""

    def __init__(self, quirks: Quirks | None = None) -> None:
        self.quirks = quirks or Quirks()
        self.page = self.quirks.page
        self.has_modal = False
        self.project = "project"
        self.timeline = FakeTimeline(self)
        self.pool = MediaPool(self)

    def add_shot(self, path: str, start: int, length: int, offset: int = 0, speed: float = 1.0) -> Item:
        """Put a shot on the first picture track, as the user would."""
        media = Media(path, 1000, self.quirks) if path else None
        item = Item(media, self.quirks.first_frame + start, length, offset, speed)
        if self.quirks.is_old:
            item.GetSourceStartFrame = item.GetSourceEndFrame = None  # type: ignore[method-assign]
        self.timeline.tracks["video"][0].append(item)
        return item

    def GetProductName(self) -> str:
        return self.quirks.product

    def GetVersion(self) -> list[Any]:
        return list(self.quirks.version)

    def GetCurrentPage(self) -> str:
        return self.page

    def OpenPage(self, pageName: str) -> bool:
        self.page = pageName
        return True

    def Fusion(self) -> "FakeResolve":
        """Open, on the free edition, the dialogue that every Studio call opens (its UIManager is one)."""
        self.has_modal = self.quirks.modal_blocks and "Studio" not in self.quirks.product
        return self

    def SaveProject(self) -> bool:
        assert not self.quirks.save_blocks, "this call would never end"
        return True

    def GetProjectManager(self) -> "FakeResolve | None":
        return None if self.has_modal else self

    def GetCurrentProject(self) -> "FakeResolve":
        return self

    def GetUniqueId(self) -> str:
        return self.project

    def GetCurrentTimeline(self) -> FakeTimeline:
        return self.timeline

    def GetMediaPool(self) -> MediaPool:
        return self.pool

    def SetCurrentTimeline(self, timeline: FakeTimeline) -> bool:
        self.timeline = timeline
        return True
