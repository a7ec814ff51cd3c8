"""The contract between the redub pipeline and whatever paints the mouth.

An engine sees one speaker in one shot, as crops in which the head stands still, and returns new crops. It
knows nothing of files, codecs or timelines; the pipeline composites, encodes and checks.

Array letters: n frames, S the crop's side in pixels. Crops are R'G'B' float32 in 0..1 as coded in the source
(no tone mapping), pixel centres at whole numbers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from daemon.faces.region import Region
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.redub.progress import Reporter


class CropTooLarge(Exception):  # noqa: N818 - it asks for another try
    """Memory does not hold crops of this size, and the job may be made at `side` pixels instead."""

    def __init__(self, side: int) -> None:
        super().__init__(f"crops of {side} pixels may fit")
        self.side = side


@dataclass(frozen=True)
class Material:
    """What the source shows and sounds like around the range: an engine that learns the actor learns from
    this.

    `patch(frame)` is the speaker's crop (S, S, 3) uint8 in that frame, cut with the frame's own, unsmoothed
    `region.pose_matrix`, or None where the face is not seen; cheap to call in any order.
    """

    frames: FrameRange  # frames surveyed; contains the range
    track: FaceTrack  # the speaker over `frames`, points in square pixels (source.SourceInfo.squeeze)
    patch: Callable[[int], np.ndarray | None]
    sound: (
        np.ndarray | None
    )  # the source's own sound, 16 kHz mono float32, sample 0 at frames.start; None: silent
    patch_matrix: Callable[[int], np.ndarray | None]  # (2, 3) patch pixels -> square pixels of that frame


@dataclass(frozen=True)
class Shot:
    """One speaker, one range, one voice."""

    rate: Fraction
    frames: FrameRange  # the frames to make; handles are not among them
    region: Region  # crop path and masks over (at least) `frames`
    crop: Callable[[int], np.ndarray]  # the source's crop of a frame of `frames`, (S, S, 3) float32
    material: Material
    voice: np.ndarray  # the new voice, 16 kHz mono float32, sample 0 at frames.start, as long as the range
    speech: np.ndarray  # (n,) float32 in 0..1: how much each frame of the range belongs to speech
    editable: np.ndarray  # (n,) bool: False where the frame is left alone
    seed: int
    work: Path  # a folder that outlives a crash of the process; the engine may cache in it
    around: FrameRange | None = None  # `frames` and those beside them that `crop` gives, too; None: no others


class Engine(Protocol):
    """Paints the mouth. One object serves one take of one shot.

    `render` of a chunk depends only on the shot and the chunks before it, so that a job which lost its
    process goes on from the last complete chunk with the same bytes.
    """

    name: str
    notes: list[str]  # sentences that go with the take, such as "no speech in the source, mouth warped"

    def foretell(self, frames: int, rate: Fraction) -> list[str]:
        """Return what a person should know before a job of so many frames begins, in sentences."""
        ...

    def prepare(self, shot: Shot, reporter: Reporter) -> list[FrameRange]:
        """Analyse the shot and return its chunks, which tile `shot.frames` in order."""
        ...

    def render(self, chunk: FrameRange, reporter: Reporter) -> Iterable[np.ndarray]:
        """Return or yield a new crop for each frame of the chunk, (S, S, 3) float32; pixels not meant to
        change equal the source's.
        """
        ...

    def close(self) -> None:
        """Leave the GPU; called however the painting ends."""
        ...
