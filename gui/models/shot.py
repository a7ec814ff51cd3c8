"""A shot as an editor prepares it, and the project that holds all of them. Neither ever changes."""

from pathlib import Path
from typing import Literal

import msgspec

from daemon.protocol.jobs import DurationMode, MaskSpec, Quality, RedubSpec

PROJECT_VERSION = 2
"""Rises with each field, since an older app would lose what it does not know. 2: masks, ranges left alone."""


class Shot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stretch of a clip and the voice it is to get."""

    shot_id: int
    clip: str  # absolute here, relative in the file
    voice: str = ""
    in_: int = msgspec.field(default=0, name="in")
    out: int = 0
    voice_at: int | None = None  # frame of the clip under the voice's first sample; None: at `in`
    face: str = "auto"
    engine: Literal["auto", "rewrite", "wan"] = "auto"
    takes: int = 1
    seed: int = 0
    handles: int = 0
    duration_mode: DurationMode = "silence"
    deliver: Literal["overlay", "baked"] = "overlay"
    quality: Quality = "standard"  # this and the prompt are the wan engine's
    prompt: str = ""
    leave_alone: list[tuple[int, int]] = []  # half-open, in order, apart from each other
    mask: MaskSpec | None = None  # None: as it is found

    @property
    def name(self) -> str:
        """What the shot is called."""
        return Path(self.clip).stem

    def to_spec(self) -> RedubSpec:
        """Return the job that makes takes of the shot."""
        return RedubSpec(
            source=self.clip,
            voice=self.voice,
            in_=self.in_,
            out=self.out,
            voice_at=self.voice_at,
            face=self.face,
            engine=self.engine,
            takes=self.takes,
            seed=self.seed,
            handles=self.handles,
            duration_mode=self.duration_mode,
            deliver=self.deliver,
            quality=self.quality,
            prompt=self.prompt,
            leave_alone=list(self.leave_alone),
            mask=self.mask,
        )

    @property
    def voice_frame(self) -> int:
        """The frame of the clip under the voice's first sample; may lie before the clip."""
        return self.in_ if self.voice_at is None else self.voice_at


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All shots."""

    version: int = PROJECT_VERSION
    shots: list[Shot] = []

    def shot(self, shot_id: int) -> Shot | None:
        """Return a shot by its id."""
        return next((shot for shot in self.shots if shot.shot_id == shot_id), None)
