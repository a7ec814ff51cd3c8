"""The self-test: what this Resolve really does, tried on a timeline of its own that is deleted at the end.

Run it inside a real Resolve, with a timeline open that has a plain shot: Workspace > Scripts > Dubwright
Self-Test. The shot's own file plays the take.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..shared.placement import verify
from ..shared.problems import PluginError
from ..shared.timeline import PICTURE, Clip, Placement
from .adapter import BIN, Resolve
from .probe import current_project, current_timeline
from .tags import TRACK, custom_data

TAG = "self-test"
SCRATCH = "Dubwright self-test"


def run(resolve: Any, report_file: Path) -> dict[str, Any]:
    """Try everything the plugin relies on; write and return the report."""
    report: dict[str, Any] = {"steps": [], "passed": False}
    try:
        host = Resolve(resolve)
        can, timeline = host.can, host.timeline()
        report.update(product=can.product, version=list(can.version), has_selection=can.has_selection)
        report.update(rate=str(timeline.rate), drop=timeline.drop, first_frame=timeline.start)
        shot = _shot(host)
        report["properties"] = _properties(resolve)
        report["chosen"] = len(host.selection())
        report["marks"] = host.marks()
    except PluginError as error:
        report["steps"].append({"step": "read the timeline", "problem": str(error)})
        return _write(report, report_file)
    project = current_project(resolve)
    pool, opened = project.GetMediaPool(), project.GetCurrentTimeline()
    bins, clips = _pooled(pool)
    scratch = pool.CreateEmptyTimeline(SCRATCH)
    try:
        if not scratch or not project.SetCurrentTimeline(scratch):
            report["steps"].append({"step": "make a timeline", "problem": "Resolve did not make one"})
        else:
            report["steps"] += Trial(resolve, host, shot).run()
            report["end_is_inclusive"] = host.end_is_inclusive
    finally:
        project.SetCurrentTimeline(opened)
        if scratch:
            pool.DeleteTimelines([scratch])
        _tidy(pool, bins, clips)
    report["passed"] = not any(step["problem"] for step in report["steps"])
    return _write(report, report_file)


class Trial:
    """The steps on the scratch timeline."""

    def __init__(self, resolve: Any, host: Resolve, shot: Clip) -> None:
        self._resolve, self._host = resolve, host
        start = host.timeline().start + 10
        length = min(shot.frames - 2, 48)
        self._part = Placement(TAG, shot.path, start, start + length, above=1, take_id=TAG, trim=1)

    def run(self) -> list[dict[str, str]]:
        """Carry out each step, clean up after it, and say what was wrong."""
        part, hour = self._part, 90000
        later = replace(part, start=part.start + hour, stop=part.stop + hour)
        steps: list[tuple[str, Callable[[], None]]] = [
            ("place a take", lambda: self._place(part)),
            ("place it again after removing", lambda: self._place(part)),
            ("place picture and sound", lambda: self._place(replace(part, sound_path=part.path))),
            ("place an hour later", lambda: self._place(later)),
            ("place on a locked track", self._place_on_locked),
            ("a second take over the first", self._place_over),
            ("show another take", self._show_another),
            ("a take in the shot's own selector", self._select_take),
        ]
        return [{"step": name, "problem": self._try(action)} for name, action in steps]

    def _try(self, action: Callable[[], None]) -> str:
        problem = ""
        try:
            action()
        except PluginError as error:
            problem = f"{error} {error.detail}".strip()
        except Exception as error:  # noqa: BLE001 - whatever this Resolve does differently is the report
            problem = f"{type(error).__name__}: {error}"
        finally:
            for tag in (TAG, f"{TAG} 2"):
                self._host.remove(tag)
        left = len(self._host.timeline().clips)
        return problem or (f"{left} clips were left behind" if left else "")

    def _place(self, placement: Placement) -> None:
        self._host.place(placement)
        verify(self._host.timeline(), placement)

    def _place_on_locked(self) -> None:
        timeline = current_timeline(self._resolve)
        tracks = range(1, int(timeline.GetTrackCount("video")) + 1)
        (track, *_) = [one for one in tracks if timeline.GetTrackName("video", one) == TRACK]
        timeline.SetTrackLock("video", track, True)
        try:
            self._place(self._part)
            if not timeline.GetIsTrackLocked("video", track):
                raise PluginError("place.failed", "The track was not locked again.")
        finally:
            timeline.SetTrackLock("video", track, False)

    def _place_over(self) -> None:
        self._place(self._part)
        start, stop = self._part.start + 5, self._part.stop + 5
        self._place(replace(self._part, tag=f"{TAG} 2", start=start, stop=stop))
        tracks = {clip.track for clip in self._host.timeline().clips}
        if len(tracks) != 2:
            raise PluginError("place.failed", "The second take did not go to a track of its own.")

    def _show_another(self) -> None:
        self._place(self._part)
        other = replace(self._part, trim=2, take_id=f"{TAG} 2")
        self._host.show_take(other)
        verify(self._host.timeline(), other)

    def _select_take(self) -> None:
        """Place the shot, without the marker that would make it ours, and a take of it into its selector."""
        self._place(self._part)
        current_timeline(self._resolve).DeleteMarkerByCustomData(custom_data(self._part))
        (clip,) = self._host.timeline().clips
        self._place(replace(self._part, clip_id=clip.clip_id, trim=0))


def describe(report: dict[str, Any]) -> list[str]:
    """Return a report as lines for a person."""
    version = ".".join(map(str, report.get("version", [])))
    lines = [f"{report.get('product', 'DaVinci Resolve')} {version}".strip()]
    if "rate" in report:
        counted = "drop-frame" if report["drop"] else "non-drop"
        lines.append(
            f"Timeline: {report['rate']} frames a second, {counted}, from frame {report['first_frame']}"
        )
        lines += [f"Its first clip, {name}: {value}" for name, value in report["properties"].items()]
        lines.append(
            f"Selected or under the playhead: {report['chosen']}; marks: {report['marks'] or 'none'}"
        )
    lines += [f"{step['step']}: {step['problem'] or 'as it should be'}" for step in report["steps"]]
    return [*lines, "Passed." if report["passed"] else "Failed."]


def _pooled(pool: Any) -> tuple[set[str], set[str]]:
    """Return the names of the pool's bins, and the ids of what lies in ours."""
    folders = pool.GetRootFolder().GetSubFolderList() or []
    ours = [clip for folder in folders if folder.GetName() == BIN for clip in folder.GetClipList() or []]
    return {str(folder.GetName()) for folder in folders}, {str(clip.GetUniqueId()) for clip in ours}


def _tidy(pool: Any, bins: set[str], clips: set[str]) -> None:
    """Delete from our bin what was not there before, and the bin if it was made anew."""
    for folder in pool.GetRootFolder().GetSubFolderList() or []:
        if folder.GetName() != BIN:
            continue
        new = [clip for clip in folder.GetClipList() or [] if str(clip.GetUniqueId()) not in clips]
        if new:
            pool.DeleteClips(new)
        if BIN not in bins:
            pool.DeleteFolders([folder])


def _shot(host: Resolve) -> Clip:
    for clip in host.timeline().clips:
        if clip.kind == PICTURE and not clip.problem and clip.frames >= 12:
            return clip
    raise PluginError("clip.none", "The timeline holds no plain shot of 12 frames.", "Add one and try again.")


def _properties(resolve: Any) -> dict[str, str]:
    """Return what the first clip of the media pool calls its properties: the names are documented nowhere."""
    for item in current_timeline(resolve).GetItemListInTrack("video", 1) or []:
        media = item.GetMediaPoolItem()
        if media is not None:
            names = ("File Path", "FPS", "Frames", "Start TC", "Alpha mode")
            return {name: str(media.GetClipProperty(name)) for name in names}
    return {}


def _write(report: dict[str, Any], file: Path) -> dict[str, Any]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1), encoding="utf-8")
    file.with_suffix(".txt").write_text("\n".join(describe(report)) + "\n", encoding="utf-8")
    return report
