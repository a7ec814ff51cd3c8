"""A video's clips as they are made, each kept, so that a job that was stopped goes on after its last one."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from wan_engine.kept import Keeper
from wan_engine.media import pixels_of
from wan_engine.pipelines.speech_to_video import Given, last_frames
from wan_engine.specs import SpeechTransformerSpec, TaskSpec


class Clips:
    """The clips of one video: those that are kept, then those that are made.

    Kept are each clip's pixels and, of speech, the frames that the next one goes on from, as floats: those
    first, under one of two names in turn, so that what belongs to the last whole clip is always there.
    """

    def __init__(self, keeper: Keeper | None, task: TaskSpec) -> None:
        spec = task.transformer
        self._keeper = keeper
        self._motion_frames = spec.motion_frames if isinstance(spec, SpeechTransformerSpec) else 0
        self.count = _count_kept(keeper)
        self._last_CFHW: Tensor | None = None
        if self.count and keeper is not None and self._motion_frames:
            self._last_CFHW = keeper.load(_motion_name(self.count))
            if self._last_CFHW is None:
                self.count = 0  # half of it is lost

    def settings(self) -> dict[str, Any]:
        """Return what a speech pipeline is called with to make the clips that are not kept."""
        if self._last_CFHW is None:
            return {}
        return {"given": Given(self.count, self._last_CFHW)}

    def follow(self, video: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield every clip's pixels, uint8 [F, H, W, 3]; those that are not kept come from `video`."""
        for number in range(self.count):
            assert self._keeper is not None, "what is kept has a keeper"
            kept_FHWC = self._keeper.load(_clip_name(number))
            assert kept_FHWC is not None, "it was there a moment ago"
            yield kept_FHWC
        if self.count and not self._motion_frames:
            return  # a video in one piece
        for number, clip_CFHW in enumerate(video, start=self.count):
            pixels_FHWC = pixels_of(clip_CFHW)
            if self._keeper is not None:
                self._keep(number, clip_CFHW, pixels_FHWC, self._keeper)
            yield pixels_FHWC

    def _keep(self, number: int, clip_CFHW: Tensor, pixels_FHWC: Tensor, keeper: Keeper) -> None:
        if self._motion_frames:
            self._last_CFHW = last_frames(self._last_CFHW, clip_CFHW.float().cpu(), self._motion_frames)
            keeper.save(_motion_name(number + 1), self._last_CFHW)
        keeper.save(_clip_name(number), pixels_FHWC)


def _count_kept(keeper: Keeper | None) -> int:
    """Return how many clips are kept, from the first on without a gap."""
    count = 0
    while keeper is not None and keeper.load(_clip_name(count)) is not None:
        count += 1
    return count


def _clip_name(number: int) -> str:
    return f"clip{number}"


def _motion_name(clips: int) -> str:
    return f"motion{clips % 2}"
