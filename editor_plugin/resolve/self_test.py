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

from ..shared.actions import verify
from ..shared.problems import PluginError
from ..shared.timeline import PICTURE, Clip, Placement
from .adapter import Resolve
from .probe import current_project

TAG = "self-test"
SCRATCH = "Dubwright self-test"


def run(resolve: Any, report_file: Path) -> dict[str, Any]:
    """Try everything the plugin relies on; write and return the report."""
    report: dict[str, Any] = {"steps": [], "passed": False}
    try:
        host = Resolve(resolve)
        can = host.can
        report.update(product=can.product, version=list(can.version), has_selection=can.has_selection)
        shot = _shot(host)
        report["properties"] = _properties(resolve)
    except PluginError as error:
        report["steps"].append({"step": "read the timeline", "problem": str(error)})
        return _write(report, report_file)
    project = current_project(resolve)
    pool, opened = project.GetMediaPool(), project.GetCurrentTimeline()
    scratch = pool.CreateEmptyTimeline(SCRATCH)
    try:
        if not scratch or not project.SetCurrentTimeline(scratch):
            report["steps"].append({"step": "make a timeline", "problem": "Resolve did not make one"})
        else:
            report["steps"] += _try_everything(host, shot)
    finally:
        project.SetCurrentTimeline(opened)
        if scratch:
            pool.DeleteTimelines([scratch])
    report["passed"] = not any(step["problem"] for step in report["steps"])
    return _write(report, report_file)


def _try_everything(host: Resolve, shot: Clip) -> list[dict[str, str]]:
    start = host.timeline().start + 10
    length = min(shot.frames - 2, 48)
    part = Placement(TAG, shot.path, start, start + length, above=1, take_id=TAG, trim=1)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("place a take", lambda: _place(host, part)),
        ("place it again after removing", lambda: _place(host, part)),
        ("place picture and sound", lambda: _place(host, replace(part, sound_path=shot.path))),
        (
            "place an hour later",
            lambda: _place(host, replace(part, start=start + 90000, stop=start + 90000 + length)),
        ),
    ]
    said = []
    for name, action in steps:
        problem = ""
        try:
            action()
        except PluginError as error:
            problem = str(error)
        finally:
            host.remove(TAG)
        left = len(host.timeline().placed(TAG))
        problem = problem or (f"{left} clips were left behind" if left else "")
        said.append({"step": name, "problem": problem})
    return said


def _place(host: Resolve, placement: Placement) -> None:
    host.place(placement)
    verify(host.timeline(), placement)


def _shot(host: Resolve) -> Clip:
    for clip in host.timeline().clips:
        if clip.kind == PICTURE and not clip.problem and clip.frames >= 12:
            return clip
    raise PluginError("clip.none", "The timeline holds no plain shot of 12 frames.", "Add one and try again.")


def _properties(resolve: Any) -> dict[str, str]:
    """Return what the first clip of the media pool calls its properties: the names are documented nowhere."""
    timeline = resolve.GetProjectManager().GetCurrentProject().GetCurrentTimeline()
    for item in timeline.GetItemListInTrack("video", 1) or []:
        media = item.GetMediaPoolItem()
        if media is not None:
            names = ("File Path", "FPS", "Frames", "Start TC")
            return {name: str(media.GetClipProperty(name)) for name in names}
    return {}


def _write(report: dict[str, Any], file: Path) -> dict[str, Any]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report
