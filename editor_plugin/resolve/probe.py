"""What the Resolve that runs us can do, found out by calls that raise no dialogue on the free edition.

`hasattr` is true for every name on Resolve's objects, so a method counts as there when `dir` lists it.
Source: samuelgursky/davinci-resolve-mcp, src/utils/api_truth.py (its authors measured it on 19.1 to 21.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..shared.problems import PluginError


@dataclass(frozen=True)
class Capabilities:
    """One Resolve."""

    product: str
    version: tuple[int, ...]
    is_studio: bool
    has_selection: bool  # Timeline.GetSelectedClips, new in 21.0.4
    has_takes: bool
    has_marks: bool = True  # Timeline.GetMarkInOut
    has_source_frames: bool = True  # TimelineItem.GetSourceStartFrame; without it a retimed shot is not seen


def probe(resolve: Any) -> Capabilities:
    """Ask Resolve what it is. Raises PluginError `host.none`, `timeline.none`."""
    if resolve is None:
        hint = "Start this from Workspace > Scripts inside Resolve."
        raise PluginError("host.none", "DaVinci Resolve does not answer.", hint)
    product = str(resolve.GetProductName() or "")
    version = tuple(part for part in (resolve.GetVersion() or ()) if isinstance(part, int))
    timeline = current_timeline(resolve)
    item = _any_item(timeline)
    return Capabilities(
        product=product,
        version=version[:4],
        is_studio="studio" in product.lower(),
        has_selection=has(timeline, "GetSelectedClips"),
        has_takes=item is None or has(item, "AddTake"),
        has_marks=has(timeline, "GetMarkInOut"),
        has_source_frames=item is None or has(item, "GetSourceStartFrame"),
    )


def _any_item(timeline: Any) -> Any:
    """Return some shot of the timeline, to see what can be asked of one."""
    for track in range(1, int(timeline.GetTrackCount("video")) + 1):
        for item in timeline.GetItemListInTrack("video", track) or []:
            return item
    return None


def has(thing: Any, name: str) -> bool:
    """Say whether a Resolve object really has a method."""
    return name in dir(thing) and callable(getattr(thing, name, None))


def current_project(resolve: Any) -> Any:
    """Return the open project. Raises PluginError `timeline.none`."""
    manager = resolve.GetProjectManager()
    if manager is None:
        raise PluginError("host.none", "DaVinci Resolve does not answer.", "Close the dialogue it shows.")
    project = manager.GetCurrentProject()
    if project is None:
        raise PluginError("timeline.none", "No project is open in Resolve.")
    return project


def current_timeline(resolve: Any) -> Any:
    """Return the open timeline. Raises PluginError `timeline.none`."""
    timeline = current_project(resolve).GetCurrentTimeline()
    if timeline is None:
        raise PluginError("timeline.none", "No timeline is open in Resolve.", "Open one on the edit page.")
    return timeline
