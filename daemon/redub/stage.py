"""What all takes of a job share: the footage looked at, the speaker chosen, the region planned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from daemon.engines.choose import crop_size_for
from daemon.engines.engine import Material, Shot
from daemon.engines.rewrite.rule import expected_mouths
from daemon.faces.evidence import OwnSound
from daemon.faces.region import Region, build_region, crop_size
from daemon.faces.speaker import Speaker, choose_speaker
from daemon.faces.tracks import FaceTrack
from daemon.media.source import Source, open_source
from daemon.media.voice import open_voice, speech_activity
from daemon.paths import find_paths
from daemon.protocol.errors import MediaError, RequestError
from daemon.protocol.jobs import AlignSpec, FacesSpec, RedubSpec
from daemon.redub.crop_reader import CropReader
from daemon.redub.likeness import Likeness, learn_likeness
from daemon.redub.plan import Plan, make_plan
from daemon.redub.progress import WAITING, Reporter
from daemon.redub.surroundings import crop_around, surroundings
from daemon.redub.survey import Survey, material_range, survey
from daemon.redub.take import take_folder_name

_LIKENESS_CROPS = 240
_MASKS_LOOKED_AT = 24
_MIN_SEEN = 3  # frames of the range in which the speaker must be seen


@dataclass(frozen=True)
class Stage:
    """What all takes of a job share."""

    plan: Plan
    source: Source
    shot: Shot  # with the first take's seed
    speaker: Speaker
    crops: CropReader
    likeness: Likeness
    job_id: str
    takes_folder: Path
    reporter: Reporter


def takes_folder(spec: RedubSpec) -> Path:
    """Return the folder that a job's takes go to."""
    return Path(spec.dest) if spec.dest else find_paths().takes / take_folder_name(spec)


def open_footage(spec: RedubSpec | FacesSpec | AlignSpec) -> Source:
    """Open a job's source at the rate it asks for. Raises RequestError `job.invalid`, or as `open_source`."""
    return open_source(Path(spec.source), _rate(spec.rate))


def _rate(text: str | None) -> Fraction | None:
    try:
        rate = None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate is not None and not 1 <= rate <= 240:
        raise RequestError(
            "job.invalid", f"`rate` is {text!r}; it must be like 25 or 24000/1001, from 1 to 240."
        )
    return rate


@contextmanager
def set_stage(spec: RedubSpec, *, work: Path, job_id: str, reporter: Reporter) -> Iterator[Stage]:
    """Look at the footage, choose the speaker, plan the region: what all takes share."""
    work.mkdir(parents=True, exist_ok=True)
    reporter.stage("probe", 1)
    with open_footage(spec) as source:
        reporter.picture(source.info.width, source.info.height)
        plan = make_plan(spec, source, open_voice(Path(spec.voice)))
        yield _set_stage(plan, source, work=work, job_id=job_id, reporter=reporter)


def _set_stage(plan: Plan, source: Source, *, work: Path, job_id: str, reporter: Reporter) -> Stage:
    info, frames, spec = plan.info, plan.frames, plan.spec
    footage = material_range(frames, info.frames, info.rate)
    found = survey(source, footage, work=work, reporter=reporter, keep_patches=True, needed=plan.delivered)
    sound = source.sound(footage) if info.sound is not None else None
    speaker = find_speaker(found, plan, sound)
    track = speaker.track

    def patch(frame: int) -> np.ndarray | None:
        return found.patch(track, frame)

    def patch_matrix(frame: int) -> np.ndarray | None:
        return found.patch_matrix(track, frame)

    region = build_region(
        track,
        frames,
        crop_size_for(spec, crop_size(track, frames)),
        rate=info.rate,
        editable=plan.editable,
        patch=patch,
        patch_matrix=patch_matrix,
        shape=plan.shape,
        painted=plan.painted,
    )
    _require_face(region.usable & plan.editable, plan)
    _require_mask(region, plan)
    reporter.stage("voice", len(frames))
    speech = speech_activity(plan.voice.mono16k, info.rate, frames)
    still = partial(reporter.frames, WAITING)
    crops = CropReader(source, region, still=still)
    around = surroundings(frames, footage, info.rate, spec.timing)
    material = Material(footage, track, patch, sound, patch_matrix)
    shot = Shot(
        info.rate,
        frames,
        region,
        crop_around(crops, source, track, around, still=still),
        material,
        plan.voice.mono16k,
        speech,
        region.weight > 0.0,
        spec.seed,
        work,
        around,
    )
    return Stage(
        plan,
        source,
        shot,
        speaker,
        crops,
        _learn_likeness(found, track, region),
        job_id,
        takes_folder(spec),
        reporter,
    )


def find_speaker(found: Survey, plan: Plan, sound: np.ndarray | None) -> Speaker:
    """Return who is to be re-dubbed. Raises MediaError `face.none`, `face.not_found`."""
    info = plan.info
    return choose_speaker(
        found.tracks,
        plan.spec.face,
        wanted=plan.frames,
        rate=info.rate,
        upright_to_square=info.upright_to_square(max(info.width, info.height)),
        boxes=plan.spec.boxes,
        sound=None if sound is None else OwnSound(sound, found.frames.start, expected_mouths),
    )


def _require_face(usable: np.ndarray, plan: Plan) -> None:
    if usable.sum() < min(_MIN_SEEN, len(usable)):
        raise MediaError(
            "face.none",
            f"The speaker's mouth is not seen in frames {plan.frames.start} to "
            f"{plan.frames.stop - 1}, or every frame is to be left alone.",
        )


def _require_mask(region: Region, plan: Plan) -> None:
    """Refuse a mask that the editor's changes leave nothing of."""
    if plan.spec.mask is None:
        return
    usable = np.flatnonzero(region.usable & plan.editable)
    looked_at = usable[np.unique(np.linspace(0, len(usable) - 1, _MASKS_LOOKED_AT).astype(int))]
    if not any(region.mask(plan.frames.start + int(index)).any() for index in looked_at):
        raise RequestError("job.invalid", "`mask` leaves nothing of the mouth that may change.")


def _learn_likeness(found: Survey, track: FaceTrack, region: Region) -> Likeness:
    seen = [int(frame) for frame in track.frames if found.patch_matrix(track, int(frame)) is not None]
    step = max(1, len(seen) // _LIKENESS_CROPS)
    crops = (patch for frame in seen[::step] if (patch := found.patch(track, frame)) is not None)
    middle = int(np.argmax(region.weight))
    mask = cv2.resize(region.mask(region.frames.start + middle), (64, 64), interpolation=cv2.INTER_AREA)
    return learn_likeness(crops, mask)
