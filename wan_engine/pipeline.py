"""The engine's front door: `load` a task from a folder, then call it with what the video is to be made from.

    speak = load("s2v-14B", "models/Wan2.2-S2V-14B")
    for clip_CFHW in speak("She smiles and says hello.", picture=picture_HWC, sound=samples_T):
        ...

Pictures are uint8 [H, W, 3], sound is 16 kHz mono float32; frames come out as float32 [3, F, H, W] in [-1,
1].
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from wan_engine.audio.wav2vec2 import SAMPLE_RATE
from wan_engine.errors import SettingError
from wan_engine.loading.assemble import Placement, default_placement, load_parts
from wan_engine.pipelines.image_to_video import image_to_video
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.settings import Sampling, sampling_for
from wan_engine.pipelines.speech_to_video import PoseVideo, SpeechInputs, speech_to_video
from wan_engine.pipelines.text_image_to_video import text_image_to_video
from wan_engine.pipelines.text_to_video import text_to_video
from wan_engine.pipelines.video import check_size
from wan_engine.sampling.control import Control
from wan_engine.shapes import check_frame_count, parse_size
from wan_engine.shortage import budget_of, made_despite_shortage, next_smaller
from wan_engine.text.prompt import negative_prompt

log = logging.getLogger(__name__)


def load(task: str, folder: Path | str, *, placement: Placement | None = None, **job: Any) -> "Pipeline":
    """Return a pipeline for a task. Nothing large is read before the first call.

    `job` may name the largest `size` (rows, columns) and `frame_count`, to plan memory by. Raises WanError.
    """
    placement = placement or default_placement()
    return Pipeline(
        load_parts(task, Path(folder), placement=placement, **job),
        placement,
        lambda smaller: load_parts(task, Path(folder), placement=smaller, **job),
    )


@dataclass
class Pipeline:
    """One task, ready to be called; it holds networks only while they are needed."""

    parts: Parts
    placement: Placement
    load_again: Callable[[Placement], Parts]  # elsewhere, when memory has run out

    def __call__(
        self,
        prompt: str,
        *,
        negative: str | None = None,
        size: str | None = None,
        frame_count: int | None = None,
        picture: Tensor | None = None,
        sound: Tensor | None = None,
        pose: PoseVideo | None = None,
        control: Control | None = None,
        **settings: Any,
    ) -> Iterator[Tensor]:
        """Yield the video in pieces [3, F, H, W]: one for every clip of speech, else one in all.

        `size` is one of the task's, "width*height": the video's own, or the area it may fill where a picture
        gives the aspect. `settings` are those of `sampling_for`, and for speech `clip_frames`, `most_clips`,
        `starts_from_picture`, `reference_compat`, `given`. Raises WanError; Cancelled when `control` says so.
        """
        task = self.parts.task
        size = task.sizes[0] if size is None else size
        check_size(task, size)
        self._check_inputs(picture, sound, pose)
        speech = {key: settings.pop(key) for key in _SPEECH_SETTINGS if key in settings}
        sampling = sampling_for(task, **settings)
        texts = self.parts.encode_text(prompt), self._negative(negative)
        if task.transformer.model_type == "s2v":
            assert picture is not None, "checked above"
            assert sound is not None, "checked above"
            job = partial(self._speak, texts, size, picture, sound, pose, sampling, control, speech)
        else:
            frames = frame_count or task.frame_count
            job = partial(self._film, texts, size, frames, picture, sampling, control)
        budget_gb = budget_of(self.placement)
        can_step_down = budget_gb is not None and not self.placement.has_company
        yield from made_despite_shortage(job, self._step_down if can_step_down else None, budget_gb)

    def _step_down(self) -> float:
        """Load again into less memory, for this job and later ones; return the budget in GB."""
        budget_gb = next_smaller(budget_of(self.placement) or 0)
        log.warning("memory ran out; trying once more within %.1f GB", budget_gb)
        smaller = replace(self.placement, budget_gb=budget_gb, is_offloaded=True)
        self.parts, self.placement = self.load_again(smaller), smaller
        return budget_gb

    def _film(
        self,
        texts: tuple[Tensor, Tensor],
        size: str,
        frame_count: int,
        picture: Tensor | None,
        sampling: Sampling,
        control: Control | None,
    ) -> Iterator[Tensor]:
        check_frame_count(frame_count)
        width, height = parse_size(size)
        rest: dict[str, Any] = {"frame_count": frame_count, "sampling": sampling, "control": control}
        match self.parts.task.transformer.model_type:
            case "t2v":
                yield text_to_video(self.parts, *texts, width=width, height=height, **rest)
            case "i2v":
                assert picture is not None, "checked by the caller"
                yield image_to_video(self.parts, *texts, picture, area=width * height, **rest)
            case _:
                yield text_image_to_video(self.parts, *texts, picture, width=width, height=height, **rest)

    def _speak(
        self,
        texts: tuple[Tensor, Tensor],
        size: str,
        picture: Tensor,
        sound: Tensor,
        pose: PoseVideo | None,
        sampling: Sampling,
        control: Control | None,
        speech: dict[str, Any],
    ) -> Iterator[Tensor]:
        assert self.parts.encode_speech is not None, "a speech model has an encoder of speech"
        width, height = parse_size(size)
        settings = dict(speech)  # a second try needs them again
        is_released, given = settings.pop("reference_compat", False), settings.pop("given", None)
        inputs = SpeechInputs(
            prompt=texts[0],
            negative=texts[1],
            picture_HWC=picture,
            features_JTC=self.parts.encode_speech(sound),
            area=width * height,
            seconds=Fraction(len(sound), SAMPLE_RATE),
            pose=pose,
            **settings,
        )
        yield from speech_to_video(
            self.parts, inputs, sampling, reference_compat=is_released, control=control, given=given
        )

    def _negative(self, negative: str | None) -> Tensor:
        """Encode the negative prompt; an empty or missing one is the released one."""
        return self.parts.encode_text(negative or negative_prompt(self.parts.task.name))

    def _check_inputs(self, picture: Tensor | None, sound: Tensor | None, pose: PoseVideo | None) -> None:
        """Refuse inputs the task needs and has not, or has and cannot use. Raises SettingError."""
        task = self.parts.task
        kind = task.transformer.model_type
        needed = {"a picture": (picture, kind in ("i2v", "s2v")), "a sound": (sound, kind == "s2v")}
        for name, (value, is_needed) in needed.items():
            if value is None and is_needed:
                raise SettingError(f"{task.name} needs {name}.")
        useless = {
            "picture": picture is not None and kind == "t2v",
            "sound": sound is not None and kind != "s2v",
            "pose video": pose is not None and kind != "s2v",
        }
        for name, is_useless in useless.items():
            if is_useless:
                raise SettingError(
                    f"{task.name} cannot use a {name}.", hint="Leave it out, or choose another task."
                )


_SPEECH_SETTINGS = ("clip_frames", "most_clips", "starts_from_picture", "reference_compat", "given")
