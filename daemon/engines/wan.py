"""The wan engine: Wan2.2-S2V paints the mouth, through the masked re-dub of wan_engine.

The door to wan_engine and torch (wan_generate.py is the other). Weights stay loaded from take to take and
from job to job, until a job names others. After each chunk the frames the next one starts from are kept on
disk, as floats.
"""

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from daemon import __version__
from daemon.config import load_config
from daemon.engines.engine import Shot
from daemon.engines.wan_cuts import same_shot
from daemon.engines.wan_settings import DISTILLED, PROMPT, QUALITIES, QualitySettings, describe_quality
from daemon.engines.wan_speed import cpu_estimate
from daemon.faces.pose import fit_head
from daemon.media.segment import FrameRange
from daemon.paths import find_paths
from daemon.protocol.errors import InternalError, MachineError, MediaError, RequestError
from daemon.protocol.jobs import RedubSpec
from daemon.redub.progress import Reporter
from daemon.worker.checkpoint import Checkpoints
from wan_engine.errors import CheckpointError, LoraError, MemoryShortage, NumericError, WanError
from wan_engine.errors import MediaError as UnreadableMedia
from wan_engine.loading.assemble import Placement, default_placement, load_parts
from wan_engine.loading.folder import find_files
from wan_engine.loading.models import read_spec
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.redub import Carried, Made, RedubInputs, RedubSettings, redub, redub_chunks
from wan_engine.pipelines.redub_footage import choose_reference
from wan_engine.pipelines.redub_plan import Chunk
from wan_engine.pipelines.redub_timing import ModelFootage, redub_at_model_rate, timed_chunks
from wan_engine.pipelines.settings import sampling_for
from wan_engine.sampling.control import Control, Progress
from wan_engine.specs import find_task
from wan_engine.text.prompt import negative_prompt

TASK = find_task("s2v-14B")
MODEL_FOLDER = "Wan2.2-S2V-14B"
CHUNK_FRAMES = 80
_REFERENCES = 12  # frames looked at for the reference
_HINT = (
    "Give the folder with --model or as `wan.model` in the settings, "
    "or use --engine rewrite, which needs no weights."
)
_MEMORY_HINT = "Choose a smaller --crop, set `wan.memory_gb` lower, or close other programs; then retry."


def open_wan(spec: RedubSpec) -> "WanEngine":
    """Return the engine for a job. Raises MachineError `engine.unavailable` without its weights."""
    settings = load_config(find_paths().config_file).wan
    folder = Path(spec.model or settings.model or find_paths().models / MODEL_FOLDER)
    if not folder.is_dir():
        raise MachineError(
            "engine.unavailable",
            f"The wan engine needs the weights of {MODEL_FOLDER}; there is no folder {folder}.",
            hint=_HINT,
        )
    with our_errors():
        find_files(TASK, folder)
    draft = settings.draft_lora if spec.quality == "draft" else None
    return WanEngine(spec, folder, lora=draft, budget_gb=settings.memory_gb)


class WanEngine:
    """An Engine (daemon/engines/engine.py) that makes the mouth anew with a video model."""

    name = "wan"

    def __init__(
        self,
        spec: RedubSpec,
        folder: Path,
        *,
        lora: str | None = None,
        budget_gb: float | None = None,
        chunk_frames: int = CHUNK_FRAMES,
    ) -> None:
        """Make an engine for one take. Nothing is loaded yet."""
        self.notes: list[str] = []
        self._spec, self._folder, self._lora, self._budget_gb = spec, folder, lora, budget_gb
        self._quality: QualitySettings = DISTILLED if lora else QUALITIES[spec.quality]
        self._settings = RedubSettings(chunk_frames=chunk_frames)
        self._run: Iterator[Made] | None = None
        self._next = 0  # chunk the run makes next

    def prepare(self, shot: Shot, reporter: Reporter) -> list[FrameRange]:
        """Load the model, listen to the voice, and return the chunks. Raises MediaError `range.cut`."""
        around = same_shot(shot.frames, shot.around or shot.frames, shot.crop, reporter)
        self._shot, self._footage = shot, ShotFootage(shot, around)
        side = shot.region.size
        self.notes.append(describe_quality(self._spec, self._quality, side))
        with our_errors():
            files = find_files(TASK, self._folder)
            planned, self._chunks = self._plan(shot)
            self._parts = _load(self._folder, side, self._lora, self._budget_gb)
            self._inputs = self._listen(shot)
        if not torch.cuda.is_available():
            made = [chunk.made for chunk in planned]
            estimate = cpu_estimate(read_spec(TASK, files.transformers[0]), side, made, self._quality)
            reporter.log(f"There is no GPU: the model will take {estimate} on this processor.")
        self._kept = Checkpoints(shot.work / f"carried{shot.seed}", self._fingerprint())
        return self._chunks

    def _plan(self, shot: Shot) -> tuple[list[Chunk], list[FrameRange]]:
        """Return the chunks as the model makes them, and as the shot's frames."""
        speech, start, settings = shot.speech.tolist(), shot.frames.start, self._settings
        if self._spec.timing == "native":
            planned = redub_chunks(self._footage, settings, speech)
            return planned, [FrameRange(start + chunk.start, start + chunk.stop) for chunk in planned]
        step = shot.rate / TASK.rate
        slow = ModelFootage(self._footage, step)
        shown = timed_chunks(self._footage, step, settings, speech)
        planned = redub_chunks(slow, settings, slow.speech(speech))
        return planned, [FrameRange(start + first, start + stop) for first, stop in shown]

    def render(self, chunk: FrameRange, reporter: Reporter) -> np.ndarray:
        """Return the chunk's crops, (n, S, S, 3) float32."""
        made = self._make(self._chunks.index(chunk), reporter)
        return ((made.frames_CFHW.permute(1, 2, 3, 0) + 1) / 2).contiguous().numpy()

    def _make(self, index: int, reporter: Reporter) -> Made:
        """Make a chunk, from where the run stands or from what is kept; what is lost is made again."""
        if self._run is None or self._next != index:
            self._run = self._start(index, reporter)
        with our_errors():
            made = next(self._run)
        self._next = index + 1
        if self._next < len(self._chunks):
            self._kept.save(self._next, made.carried.motion_CFHW.numpy())
        self._kept.drop(index - 1)  # the one before stays: this chunk is not on disk yet
        return made

    def _start(self, index: int, reporter: Reporter) -> Iterator[Made]:
        resume = None
        if index > 0:
            motion = self._kept.load(index)
            if motion is None:
                resume = self._make(index - 1, reporter).carried
            else:
                motion_CFHW = torch.from_numpy(motion)
                resume = Carried(index, motion_CFHW, motion_CFHW[:, :0])
        self._run = None
        control = Control(report=lambda progress: self._report(progress, reporter))
        sampling = sampling_for(
            TASK,
            steps=self._quality.steps,
            guidance=self._quality.guidance,
            solver=self._quality.solver,
            seed=self._shot.seed,
        )
        run = redub if self._spec.timing == "native" else redub_at_model_rate
        return run(self._parts, self._inputs, sampling, self._settings, control=control, resume=resume)

    def _report(self, progress: Progress, reporter: Reporter) -> None:
        """Turn steps into frames; raises when the job should stop."""
        chunk = self._chunks[progress.clip]
        share = progress.done / progress.total if progress.stage == "denoise" else 0.0
        reporter.frames(chunk.start - self._shot.frames.start + int(len(chunk) * share))

    def _listen(self, shot: Shot) -> RedubInputs:
        parts, spec = self._parts, self._spec
        wanted = np.linspace(0, len(shot.frames) - 1, min(_REFERENCES, len(shot.frames))).round().astype(int)
        candidates = self._footage.pictures(wanted.tolist())
        best = choose_reference(candidates, frontality(shot)[wanted].tolist())
        return RedubInputs(
            prompt=parts.encode_text(spec.prompt or PROMPT),
            negative=parts.encode_text(negative_prompt(TASK.name)),
            reference_CHW=candidates[:, best],
            footage=self._footage,
            features_JTC=self._features(shot),
            rate=shot.rate,
            speech=shot.speech.tolist(),
        )

    def _features(self, shot: Shot) -> Tensor:
        """Return what the speech model hears; kept on disk for the job's other takes."""
        kept = Checkpoints(shot.work / "heard", _digest(__version__, self._folder, shot.voice.tobytes()))
        found = kept.load(0)
        if found is None:
            assert self._parts.encode_speech is not None, "a speech model has an encoder of speech"
            found = self._parts.encode_speech(torch.from_numpy(shot.voice)).numpy()
            kept.save(0, found)
        return torch.from_numpy(found)

    def _fingerprint(self) -> str:
        shot, spec = self._shot, msgspec.json.encode(self._spec)
        return _digest(__version__, spec, self._folder, self._lora, shot.seed, shot.region.size)


class ShotFootage:
    """A shot as the re-dub reads it (wan_engine.pipelines.redub_footage.Footage)."""

    def __init__(self, shot: Shot, around: FrameRange) -> None:
        self._shot = shot
        self.before = shot.frames.start - around.start
        self.count = len(shot.frames)
        self.after = around.stop - shot.frames.stop

    def pictures(self, frames: Sequence[int]) -> Tensor:
        """Return frames [3, F, H, W] in [-1, 1]; each is read once, in order."""
        start = self._shot.frames.start
        crops = {frame: self._shot.crop(start + frame) for frame in sorted(set(frames))}
        pictures_FHWC = torch.from_numpy(np.stack([crops[frame] for frame in frames]))
        return (pictures_FHWC * 2 - 1).permute(3, 0, 1, 2)

    def masks(self, frames: Sequence[int]) -> Tensor:
        """Return masks [F, H, W]; nothing where the frame is left alone."""
        shot = self._shot
        masks = [shot.region.mask(shot.frames.start + frame) * shot.editable[frame] for frame in frames]
        return torch.from_numpy(np.stack(masks))


def frontality(shot: Shot) -> np.ndarray:
    """Return (n,) from 1 for a face that looks into the lens to 0 for a profile, or for none."""
    track = shot.material.track
    found = np.zeros(len(shot.frames))
    for row, frame in enumerate(track.frames):
        if frame in shot.frames:
            _, rotation, _ = fit_head(track.points[row : row + 1])
            found[int(frame) - shot.frames.start] = max(0.0, float(rotation[0, 2, 2]))
    return found


@lru_cache(maxsize=1)
def _load(folder: Path, side: int, lora: str | None, budget_gb: float | None) -> Parts:
    """Return the model's parts, the last ones again when nothing changed."""
    base = default_placement()
    placement = Placement(
        device=base.device,
        dtype=base.dtype,
        budget_gb=budget_gb,
        loras=[(Path(lora), 1.0)] if lora else [],
        prompt_cache=find_paths().cache / "prompts",
    )
    return load_parts(TASK.name, folder, placement=placement, size=(side, side), frame_count=CHUNK_FRAMES)


def let_weights_go() -> None:
    """Forget the weights that the last job kept loaded, for one that needs the room."""
    _load.cache_clear()
    gc.collect()


@contextmanager
def our_errors(hint: str = _HINT, *, memory_hint: str = _MEMORY_HINT) -> Iterator[None]:
    """Turn wan_engine's errors into those of the wire tree; `hint` goes with what is wrong with weights."""
    try:
        yield
    except MemoryShortage as error:
        raise MachineError("memory.full", error.message, hint=error.hint) from error
    except torch.OutOfMemoryError as error:
        raise MachineError("memory.full", "The GPU's memory is full.", hint=memory_hint) from error
    except (CheckpointError, LoraError) as error:
        raise MachineError("engine.unavailable", str(error), hint=hint) from error
    except UnreadableMedia as error:
        raise MediaError("source.unreadable", error.message, hint=error.hint or None) from error
    except NumericError as error:
        raise InternalError("internal", error.message, hint=error.hint) from error
    except WanError as error:
        raise RequestError("job.invalid", error.message, hint=error.hint) from error


def _digest(*things: object) -> str:
    return hashlib.sha256(repr(things).encode()).hexdigest()
