"""The wan engine: Wan2.2-S2V paints the mouth, through the masked re-dub of wan_engine.

The door to wan_engine and torch (wan_generate.py is the other). After each chunk the frames the next one
starts from are kept on disk, as floats. Where memory runs out the engine goes on with a smaller part of the
model on the GPU; if that is not enough and the job allows it, the take is made with a smaller crop.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from daemon import __version__
from daemon.config import load_config
from daemon.engines.engine import CropTooLarge, Shot
from daemon.engines.wan_cuts import same_shot
from daemon.engines.wan_footage import ShotFootage, check_face, check_mask, frontality
from daemon.engines.wan_kept import DiskKeeper, digest, identity
from daemon.engines.wan_preview import Previewer
from daemon.engines.wan_settings import PROMPT, QualitySettings, describe_quality, quality_for, smaller_side
from daemon.engines.wan_speed import cpu_estimate
from daemon.engines.wan_weights import HINT, SHELF, TASK, Wanted, is_shortage, our_errors
from daemon.media.segment import FrameRange
from daemon.models.store import Store
from daemon.paths import find_paths
from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import RedubSpec
from daemon.redub.progress import Cancelled, Reporter
from daemon.worker.checkpoint import Checkpoints
from wan_engine.kept import kept
from wan_engine.loading.folder import find_files
from wan_engine.loading.models import read_spec
from wan_engine.pipelines.redub import (
    Carried,
    Made,
    RedubInputs,
    RedubSettings,
    redub,
    redub_chunks,
    redub_scales,
)
from wan_engine.pipelines.redub_footage import choose_reference
from wan_engine.pipelines.redub_guide import forwards_a_step
from wan_engine.pipelines.redub_plan import Chunk, plan_chunks
from wan_engine.pipelines.redub_timing import ModelFootage, redub_at_model_rate, timed_chunks
from wan_engine.pipelines.settings import Sampling, sampling_for
from wan_engine.sampling.control import Control, Progress
from wan_engine.text.prompt import negative_prompt

USUAL_SIDE = 512  # px
_REFERENCES = 12  # frames looked at for the reference


def open_wan(spec: RedubSpec) -> "WanEngine":
    """Return the engine for a job. Raises MachineError `engine.unavailable` without its weights."""
    folder, lora, budget_gb = weights_for(spec.model, is_draft=spec.quality == "draft")
    return WanEngine(spec, folder, lora=lora, budget_gb=budget_gb)


def weights_for(model: str | None, *, is_draft: bool) -> tuple[Path, str | None, float | None]:
    """Return the model's folder, a draft's LoRA and the memory it may use. Raises as `open_wan`."""
    settings = load_config(find_paths().config_file).wan
    folder = Store(find_paths().models).locate(model or settings.model or TASK.name)
    if not folder.is_dir():
        raise MachineError(
            "engine.unavailable",
            f"The wan engine needs the weights of {TASK.name}; there is no folder {folder}.",
            hint=HINT,
        )
    with our_errors():
        find_files(TASK, folder)
    return folder, settings.draft_lora if is_draft else None, settings.memory_gb


class WanEngine:
    """An Engine (daemon/engines/engine.py) that makes the mouth anew with a video model."""

    name = "wan"

    def __init__(
        self, spec: RedubSpec, folder: Path, *, lora: str | None = None, budget_gb: float | None = None
    ) -> None:
        """Make an engine for one take. Nothing is loaded yet."""
        self.notes: list[str] = []
        self._spec = spec
        self._wanted = Wanted(folder, lora, budget_gb, frames=spec.chunk)
        self._quality: QualitySettings = quality_for(spec, is_distilled=lora is not None)
        self._settings = RedubSettings(
            chunk_frames=spec.chunk,
            overlap=spec.overlap,
            strength=spec.strength,
            audio_guidance=spec.audio_guidance,
            text_guidance=spec.text_guidance,
            guidance_until=spec.guidance_until,
        )
        self._slow: ModelFootage | None = None  # the shot at the model's own rate, where it is made at that
        self._run: Iterator[Made] | None = None
        self._next = 0  # chunk the run makes next
        self._has_stepped_down = False
        self._sampling = self._make_sampling(spec.seed)

    def foretell(self, frames: int, rate: Fraction) -> list[str]:
        """Say how long a processor will take; a crop that nobody chose is taken to be of the usual size."""
        made = frames if self._spec.timing == "native" else math.ceil(frames * TASK.rate / rate) + 1
        chunks = plan_chunks(made, self._spec.chunk, is_pinned=True, overlap=self._spec.overlap)
        with our_errors():
            return self._warnings(self._spec.crop or USUAL_SIDE, chunks)

    def prepare(self, shot: Shot, reporter: Reporter) -> list[FrameRange]:
        """Load the model, listen to the voice, and return the chunks.

        Raises MediaError `range.cut`, `face.too_small`, RequestError `job.invalid`, CropTooLarge.
        """
        reporter.stage("learn", len(shot.frames))
        check_face(shot)
        check_mask(shot)
        side = shot.region.size
        self._shot, self._wanted = shot, replace(self._wanted, side=side)
        self._footage = ShotFootage(shot, self._one_shot(shot, reporter))
        self.notes.append(describe_quality(self._spec, self._quality, side))
        if self._spec.draft is not None:
            self.notes.append(f"The final of draft take {self._spec.draft}, with its seed and crop.")
        self._sampling = self._make_sampling(shot.seed)
        with our_errors():
            self._planned, self._chunks = self._plan(shot)
            self._parts = SHELF.take(self._wanted)
            self._inputs = self._listen(shot)
            for sentence in self._warnings(side, self._planned):
                reporter.log(sentence)
        self._kept = Checkpoints(shot.work / f"carried{shot.seed}", self._fingerprint())
        return self._chunks

    def render(self, chunk: FrameRange, reporter: Reporter) -> Iterator[np.ndarray]:
        """Return the chunk's crops, (S, S, 3) float32. Raises MachineError `memory.full`, CropTooLarge."""
        with our_errors():
            made = self._make(self._chunks.index(chunk), reporter)
        return (frame_CHW.permute(1, 2, 0).add(1).div_(2).numpy() for frame_CHW in made.frames_CFHW.unbind(1))

    def close(self) -> None:
        """Leave the GPU, also after a stop between two chunks."""
        self._run = None

    def _make(self, index: int, reporter: Reporter) -> Made:
        """Make a chunk; where memory runs out, once more with less of the model on the GPU."""
        while True:
            try:
                return self._advance(index, reporter)
            except RuntimeError as error:
                if not is_shortage(error):
                    raise
                self._run = None
                if self._has_stepped_down or SHELF.budget_gb(self._wanted) is None:
                    self._ask_for_less()
                    raise
            self._step_down(reporter)  # outside the handler, where nothing holds the failed step's tensors

    def _step_down(self, reporter: Reporter) -> None:
        """Load again into less of the GPU's memory."""
        self._has_stepped_down = True
        del self._parts
        budget_gb = SHELF.step_down(self._wanted)
        self._parts = SHELF.take(self._wanted)
        sentence = f"Memory ran out: the model now keeps within {budget_gb:.1f} GB of the GPU, and is slower."
        self.notes.append(sentence)
        reporter.log(sentence)

    def _ask_for_less(self) -> None:
        """Raise CropTooLarge where the job may be made smaller."""
        smaller = smaller_side(self._wanted.side)
        if self._spec.smaller_crop and smaller is not None:
            raise CropTooLarge(smaller)

    def _advance(self, index: int, reporter: Reporter) -> Made:
        """Make a chunk, from where the run stands or from what is kept; what is lost is made again."""
        if self._run is None or self._next != index:
            self._run = self._start(index, reporter)
        try:
            made = next(self._run)
        except Cancelled:
            self._run = None
            if torch.cuda.is_available():
                reporter.log("The job has left the GPU.")
            raise
        self._next = index + 1
        if self._next < len(self._chunks):
            self._kept.save(2 * self._next, made.carried.motion_CFHW.numpy())
            self._kept.save(2 * self._next + 1, made.carried.pending_CFHW.numpy())
        else:
            self._run = None  # it has nothing more to make, and leaves the GPU
        for old in (2 * index - 2, 2 * index - 1):  # those before stay: this chunk is not on disk yet
            self._kept.drop(old)
        return made

    def _start(self, index: int, reporter: Reporter) -> Iterator[Made]:
        resume = None
        if index > 0:
            motion, pending = self._kept.load(2 * index), self._kept.load(2 * index + 1)
            if motion is None or pending is None:
                resume = self._advance(index - 1, reporter).carried
            else:
                resume = Carried(index, torch.from_numpy(motion), torch.from_numpy(pending))
        self._run = None
        previewer = Previewer(
            self._slow or self._footage, self._planned, self._sampling.steps, reporter, self._source_frame
        )
        control = Control(
            report=lambda progress: self._report(progress, reporter),
            is_cancelled=lambda: look(reporter),
            observe=previewer.observe,
        )
        run = redub if self._slow is None else redub_at_model_rate
        return run(self._parts, self._inputs, self._sampling, self._settings, control=control, resume=resume)

    def _report(self, progress: Progress, reporter: Reporter) -> None:
        """Turn steps into frames; raises when the job should stop."""
        chunk = self._chunks[progress.clip]
        share = progress.done / progress.total if progress.stage == "denoise" else 0.0
        reporter.frames(chunk.start - self._shot.frames.start + int(len(chunk) * share))

    def _plan(self, shot: Shot) -> tuple[list[Chunk], list[FrameRange]]:
        """Return the chunks as the model makes them, and as the shot's frames."""
        speech, start, settings = shot.speech.tolist(), shot.frames.start, self._settings
        if self._spec.timing == "native":
            planned = redub_chunks(self._footage, settings, speech)
            return planned, [FrameRange(start + chunk.start, start + chunk.stop) for chunk in planned]
        step = shot.rate / TASK.rate
        self._slow = slow = ModelFootage(self._footage, step)
        shown = timed_chunks(self._footage, step, settings, speech)
        planned = redub_chunks(slow, settings, slow.speech(speech))
        return planned, [FrameRange(start + first, start + stop) for first, stop in shown]

    def _source_frame(self, frame: int) -> int:
        """Return the source frame that a frame of the model is made for."""
        place = frame if self._slow is None else round(frame * self._slow.step)
        return min(self._shot.frames.start + place, self._shot.frames.stop - 1)

    def _listen(self, shot: Shot) -> RedubInputs:
        parts, spec = self._parts, self._spec
        wanted = np.linspace(0, len(shot.frames) - 1, min(_REFERENCES, len(shot.frames))).round().astype(int)
        candidates = self._footage.pictures(wanted.tolist())
        best = choose_reference(candidates, frontality(shot)[wanted].tolist())
        files = find_files(TASK, self._wanted.folder)
        assert files.speech is not None, "a speech model has an encoder of speech"
        assert parts.encode_speech is not None, "likewise"
        encode_speech = parts.encode_speech
        heard = DiskKeeper("heard", identity(files.speech.weights), shot.voice.tobytes())
        return RedubInputs(
            prompt=parts.encode_text(spec.prompt or PROMPT),
            negative=parts.encode_text(negative_prompt(TASK.name)),
            reference_CHW=candidates[:, best],
            footage=self._footage,
            features_JTC=kept(heard, "features", lambda: encode_speech(torch.from_numpy(shot.voice))),
            rate=shot.rate,
            speech=shot.speech.tolist(),
            keeper=DiskKeeper("source", identity(files.vae), self._planned[-1], *self._seen(shot)),
        )

    def _one_shot(self, shot: Shot, reporter: Reporter) -> FrameRange:
        """Return the frames around the range that are in one shot with it. Raises MediaError `range.cut`."""
        around = shot.around or shot.frames

        def look() -> Tensor:
            found = same_shot(shot.frames, around, shot.crop, reporter)
            return torch.tensor([found.start, found.stop])

        start, stop = kept(DiskKeeper("cuts", *self._seen(shot)), "around", look).tolist()
        return FrameRange(start, stop)

    def _seen(self, shot: Shot) -> tuple[object, ...]:
        """Return all that decides what the engine sees of the source."""
        spec, around = self._spec, shot.around or shot.frames
        source = Path(spec.source)
        return (
            __version__, identity(source) if source.exists() else spec.source, spec.rate, spec.timing,
            shot.frames, around, shot.region.size, digest(shot.region.matrices.tobytes()),
        )  # fmt: skip

    def _make_sampling(self, seed: int) -> Sampling:
        quality = self._quality
        return sampling_for(
            TASK, steps=quality.steps, guidance=quality.guidance, solver=quality.solver, seed=seed
        )

    def _warnings(self, side: int, planned: Sequence[Chunk]) -> list[str]:
        """Say how long a processor will take, where there is no GPU."""
        if torch.cuda.is_available():
            return []
        forwards = self._quality.steps * forwards_a_step(*redub_scales(self._sampling, self._settings))
        files = find_files(TASK, self._wanted.folder)
        network = read_spec(TASK, files.transformers[0])
        took = cpu_estimate(network, files.vae, side, [chunk.made for chunk in planned], forwards)
        return [f"There is no GPU: at {side}x{side} pixels a take will keep this processor busy for {took}."]

    def _fingerprint(self) -> str:
        wanted, shot = self._wanted, self._shot
        spec = msgspec.json.encode(self._spec)
        return digest(__version__, spec, wanted.folder, wanted.lora, shot.seed, shot.region.size)


def look(reporter: Reporter) -> bool:
    """Let the reporter see that the job lives, also in the middle of a step; it raises to stop the job."""
    reporter.frames(0)
    return False
