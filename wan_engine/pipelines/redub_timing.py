"""The re-dub at the model's own rate: 16 frames a second are made, the shot's own are found between them.

The mouth is interpolated along its motion and composited onto every source frame, so all the rest of the
picture keeps its own rate. Native timing (redub.py) gives the model every source frame instead.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.redub import Carried, Made, RedubInputs, RedubSettings, redub, redub_chunks
from wan_engine.pipelines.redub_blend import blend
from wan_engine.pipelines.redub_flow import between
from wan_engine.pipelines.redub_footage import Footage
from wan_engine.pipelines.settings import Sampling
from wan_engine.sampling.control import Control


@dataclass(frozen=True)
class ModelFootage:
    """A shot at the model's rate: of each moment the nearest source frame."""

    source: Footage
    step: Fraction  # source frames from one frame of the model to the next

    @property
    def before(self) -> int:
        """Return the frames before the range."""
        return math.floor(self.source.before / self.step)

    @property
    def count(self) -> int:
        """Return the frames of the range: the last lies at its last source frame, or just behind."""
        return math.ceil((self.source.count - 1) / self.step) + 1

    @property
    def after(self) -> int:
        """Return the frames after the range."""
        last = self.source.count + self.source.after - 1
        return max(0, math.floor(last / self.step) + 1 - self.count)

    def pictures(self, frames: Sequence[int]) -> Tensor:
        """Return frames [3, F, H, W]."""
        last = self.source.count + self.source.after - 1
        return self.source.pictures([self._nearest(frame, -self.source.before, last) for frame in frames])

    def masks(self, frames: Sequence[int]) -> Tensor:
        """Return masks [F, H, W]."""
        return self.source.masks([self._nearest(frame, 0, self.source.count - 1) for frame in frames])

    def speech(self, speech: Sequence[float] | None) -> list[float] | None:
        """Return how much each frame belongs to speech, given that of the source's frames."""
        if speech is None:
            return None
        return [speech[self._nearest(frame, 0, self.source.count - 1)] for frame in range(self.count)]

    def shown_before(self, frame: int) -> int:
        """Return how many source frames of the range can be found among the model's frames before `frame`."""
        return min(self.source.count, math.floor((frame - 1) * self.step) + 1) if frame > 0 else 0

    def _nearest(self, frame: int, first: int, last: int) -> int:
        return min(max(math.floor(frame * self.step + Fraction(1, 2)), first), last)


def timed_chunks(
    footage: Footage, step: Fraction, settings: RedubSettings, speech: Sequence[float] | None
) -> list[tuple[int, int]]:
    """Return the source frames [start, stop) of each chunk a run at the model's rate will make."""
    slow = ModelFootage(footage, step)
    chunks = redub_chunks(slow, settings, slow.speech(speech))
    return [(slow.shown_before(chunk.start), slow.shown_before(chunk.stop)) for chunk in chunks]


def redub_at_model_rate(
    parts: Parts, inputs: RedubInputs, sampling: Sampling, settings: RedubSettings | None = None, *,
    control: Control | None = None, resume: Carried | None = None,
) -> Iterator[Made]:  # fmt: skip
    """Yield the re-dubbed chunks of a shot as `redub` does, in the source's frames. Raises as `redub`."""
    slow = ModelFootage(inputs.footage, inputs.rate / parts.task.rate)
    slow_inputs = replace(
        inputs, footage=slow, rate=Fraction(parts.task.rate), speech=slow.speech(inputs.speech)
    )
    before_CFHW = None if resume is None else resume.motion_CFHW[:, -1:]
    for made in redub(parts, slow_inputs, sampling, settings, control=control, resume=resume):
        first = before_CFHW if before_CFHW is not None else made.frames_CFHW[:, :1]
        known_CFHW = torch.cat([first, made.frames_CFHW], dim=1)  # its frame 0 is made.start - 1
        before_CFHW = made.frames_CFHW[:, -1:]
        start, stop = slow.shown_before(made.start), slow.shown_before(made.stop)
        frames = [_found(known_CFHW, frame / slow.step - (made.start - 1)) for frame in range(start, stop)]
        wanted = range(start, stop)
        source_CFHW, masks_FHW = inputs.footage.pictures(wanted).float(), inputs.footage.masks(wanted)
        yield Made(start, stop, blend(source_CFHW, torch.stack(frames, dim=1), masks_FHW), made.carried)


def _found(video_CFHW: Tensor, place: Fraction) -> Tensor:
    """Return the picture [C, H, W] at a place between frames."""
    frame = math.floor(place)
    share = float(place - frame)
    if share == 0:
        return video_CFHW[:, frame]
    return between(video_CFHW[:, frame], video_CFHW[:, frame + 1], share)
