"""A fake editor: a timeline that is a list. `slip` puts takes some frames beside where they should lie.

`FakeBake` is its rendering of a shot: the file comes with the third look, or, of a clip `bad`, an error.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from editor_plugin.shared.planner import free_track
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.timeline import PICTURE, Clip, Placement, Timeline


class FakeEditor:
    """Implements `editor_plugin.shared.host.Host`."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.slip = 0

    def timeline(self) -> Timeline:
        return self._timeline

    def take_over(self, timeline: Timeline) -> None:
        """Show another timeline."""
        self._timeline = timeline

    def place(self, placement: Placement) -> None:
        clips = self._timeline.clips
        start, stop = placement.start + self.slip, placement.stop + self.slip
        track = free_track(clips, start, stop, above=placement.above, top=99)
        clip = Clip(
            f"{placement.tag} picture",
            PICTURE,
            track,
            start,
            stop,
            placement.path,
            source_in=placement.trim,
            tag=placement.tag,
        )
        self._timeline = replace(self._timeline, clips=(*clips, clip))

    def show_take(self, placement: Placement) -> None:
        self.remove(placement.tag)
        self.place(placement)

    def remove(self, tag: str) -> None:
        kept = tuple(clip for clip in self._timeline.clips if clip.tag != tag)
        self._timeline = replace(self._timeline, clips=kept)


@dataclass
class FakeBake:
    """Implements `editor_plugin.shared.host.Bake`."""

    clip_id: str
    first: int
    last: int
    path: str
    looks: int = 0
    was_stopped: bool = False

    def poll(self) -> float:
        self.looks += 1
        if self.clip_id == "bad":
            raise PluginError("bake.failed", "It cannot be rendered.")
        if self.looks == 3:
            Path(self.path).touch()
        return min(self.looks / 3, 1.0)

    def stop(self) -> None:
        self.was_stopped = True
