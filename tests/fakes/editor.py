"""A fake editor: a timeline that is a list. `slip` puts takes some frames beside where they should lie."""

from dataclasses import replace

from editor_plugin.shared.planner import free_track
from editor_plugin.shared.timeline import PICTURE, Clip, Placement, Timeline


class FakeEditor:
    """Implements `editor_plugin.shared.actions.Host`."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.slip = 0

    def timeline(self) -> Timeline:
        return self._timeline

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
