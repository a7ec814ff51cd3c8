"""What an editor's timeline holds, as far as we look at it.

Frames are whole numbers at the timeline's rate, ranges are half-open; each host converts at its own edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

PICTURE, SOUND = "picture", "sound"


@dataclass(frozen=True)
class Clip:
    """A piece of media on a track: frames `start` to `stop` show the media from `source_in` on."""

    clip_id: str  # the host's own name for it, unique on the timeline
    kind: str  # PICTURE or SOUND
    track: int  # higher pictures cover lower ones
    start: int
    stop: int
    path: str
    source_in: int = 0  # frame of the media, from its first, that frame `start` shows, at the timeline's rate
    source_frames: int | None = None  # how long the media is, where the host knows
    media_rate: Fraction | None = None  # None: the host does not say; then it is the timeline's
    speed: Fraction = Fraction(1)  # media frames a timeline frame
    problem: str = ""  # why this clip cannot be used as it is; empty: it can
    tag: str = ""  # the job that put it there; empty: not ours
    can_bake: bool = False  # the host can render what it shows to a file
    is_baked: bool = False  # `path` is that file, which is still to be rendered

    @property
    def frames(self) -> int:
        """Return how long it is."""
        return self.stop - self.start

    def overlap(self, start: int, stop: int) -> tuple[int, int]:
        """Return the part of `start` to `stop` that this clip covers; it may be empty (first >= second)."""
        return max(self.start, start), min(self.stop, stop)

    def source_frame(self, frame: int) -> int:
        """Return the media's frame shown at `frame`."""
        return self.source_in + ((frame - self.start) * self.speed).__floor__()


@dataclass(frozen=True)
class Timeline:
    """A timeline's clips and the numbers that every plan needs."""

    project_id: str
    name: str
    rate: Fraction
    clips: tuple[Clip, ...]
    start: int = 0  # its first frame, as the host counts
    drop: bool = False

    def pictures(self) -> list[Clip]:
        """Return the picture clips that are not ours."""
        return [clip for clip in self.clips if clip.kind == PICTURE and not clip.tag]

    def sounds(self, track: int | None = None) -> list[Clip]:
        """Return the sound clips that are not ours, of one track or all."""
        found = [clip for clip in self.clips if clip.kind == SOUND and not clip.tag]
        return found if track is None else [clip for clip in found if clip.track == track]

    def placed(self, tag: str) -> list[Clip]:
        """Return the clips that job `tag` put here."""
        return [clip for clip in self.clips if clip.tag == tag]


@dataclass(frozen=True)
class Placement:
    """A take to be put on the timeline."""

    tag: str  # the job's id
    path: str
    start: int
    stop: int
    above: int  # the track of the clip that it covers
    sound_path: str = ""  # a file whose sound is placed too; empty: the voice is on the timeline already
    clip_id: str = ""  # of the whole clip that it replaces as a take; empty: onto a track of its own
    take_id: str = ""
    trim: int = 0  # frames of the file before `start`: its handles
    is_baked: bool = False  # it has the timeline's own size and look already

    @property
    def frames(self) -> int:
        """Return how long it is."""
        return self.stop - self.start
