"""Run a job in the worker: re-dub a range, list the faces in one, check a request, or generate a video."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from daemon.engines.choose import make_videos, open_engine
from daemon.engines.engine import CropTooLarge
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.media.source import Source, SourceInfo
from daemon.media.voice import open_voice
from daemon.paths import find_paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import (
    AlignSpec,
    CheckSpec,
    FacesSpec,
    GenerateSpec,
    JobSpec,
    ProbeSpec,
    RedubSpec,
    SpeakSpec,
    Take,
)
from daemon.protocol.reading import spec_from_builtins
from daemon.protocol.timecode import clip_timecode
from daemon.redub.guide import align_voice
from daemon.redub.outline import save_outline
from daemon.redub.plan import make_plan, resolve_range
from daemon.redub.production import check_file, make_take
from daemon.redub.progress import Reporter
from daemon.redub.stage import open_footage, set_stage, takes_folder
from daemon.redub.survey import survey
from daemon.redub.take import find_take, prepare_folder

_THUMBNAIL_SIDE = 160  # px


@dataclass(frozen=True)
class JobResult:
    """What a job leaves: takes of a redub, plain values of the others."""

    takes: list[Take] = field(default_factory=list)
    result: dict[str, Any] | None = None


def run_job(spec: JobSpec, *, work: Path, job_id: str, reporter: Reporter) -> JobResult:
    """Run one job. `work` outlives a crash; a job started again with it goes on from its last complete chunk.

    Raises DubwrightError for everything a person should hear of, Cancelled when the reporter says stop.
    """
    work.mkdir(parents=True, exist_ok=True)
    match spec:
        case RedubSpec():
            return JobResult(takes=redub(spec, work=work, job_id=job_id, reporter=reporter))
        case FacesSpec():
            return JobResult(result=list_faces(spec, work=work, job_id=job_id, reporter=reporter))
        case AlignSpec():
            return JobResult(result=align_sound(spec, reporter=reporter))
        case ProbeSpec():
            return JobResult(result=probe(spec.redub, reporter=reporter))
        case CheckSpec():
            return JobResult(result=check(spec.take, work=work, reporter=reporter))
        case SpeakSpec():
            return JobResult(takes=make_videos(spec, work=work, job_id=job_id, reporter=reporter))
        case GenerateSpec():
            (take,) = takes = make_videos(spec, work=work, job_id=job_id, reporter=reporter)
            made = {"path": take.path, "frames": take.frames, "rate": list(take.rate), "seed": take.seed}
            return JobResult(takes=takes, result=made)


def redub(spec: RedubSpec, *, work: Path, job_id: str, reporter: Reporter) -> list[Take]:
    """Make every take of a redub job; with a smaller crop where memory asks for it and the job allows it."""
    open_engine(spec)  # refused now rather than after the tracking
    prepare_folder(takes_folder(spec))
    try:
        with set_stage(spec, work=work, job_id=job_id, reporter=reporter) as stage:
            takes = []
            for number in range(1, spec.takes + 1):
                takes.append(make_take(stage, number))
                reporter.take(takes[-1])
            return takes
    except CropTooLarge as error:
        side = error.side
    reporter.log(f"Memory ran out: the takes are made again, at {side}x{side} pixels.")
    smaller = msgspec.structs.replace(spec, crop=side, smaller_crop=False)
    return redub(smaller, work=work, job_id=job_id, reporter=reporter)


def check(take: str, *, work: Path, reporter: Reporter) -> dict[str, Any]:
    """Measure a take anew against its source and voice, as the file is now; the sidecar is left as it is."""
    files, sidecar = find_take(Path(take))
    spec = spec_from_builtins(sidecar["request"])
    if not isinstance(spec, RedubSpec):
        raise RequestError("job.invalid", f"{files.media.name} is a new shot: there is nothing to measure.")
    with set_stage(spec, work=work, job_id=sidecar["take"]["take_id"], reporter=reporter) as stage:
        chunks = [FrameRange(start, stop) for start, stop in sidecar["chunks"]]
        reporter.stage("check", len(stage.plan.delivered))
        made_by = sidecar["take"]["engine"]
        figures = check_file(stage, files.media, chunks, engine=made_by, tick=reporter.frames)
    shutil.rmtree(work, ignore_errors=True)
    return {"take": str(files.media), "checks": figures}


def probe(spec: RedubSpec, *, reporter: Reporter) -> dict[str, Any]:
    """Check a request against its files and return its plan."""
    reporter.stage("probe", 1)
    engine = open_engine(spec)
    prepare_folder(takes_folder(spec))
    with open_footage(spec) as source:
        reporter.picture(source.info.width, source.info.height)
        plan = make_plan(spec, source, open_voice(Path(spec.voice)))
        notes = [*plan.notes, *engine.foretell(len(plan.frames), plan.info.rate)]
        return {"plan": plan.describe(), "source": describe_source(source.info), "notes": notes}


def list_faces(spec: FacesSpec, *, work: Path, job_id: str, reporter: Reporter) -> dict[str, Any]:
    """Find the people in a range; write a thumbnail and the mask's outline of each to the cache folder."""
    with open_footage(spec) as source:
        frames = resolve_range(spec, source.info)
        found = survey(source, frames, work=work, reporter=reporter, keep_patches=False)
        folder = find_paths().cache / "faces" / job_id
        folder.mkdir(parents=True, exist_ok=True)
        faces = [_describe_face(track, source, folder) for track in found.tracks]
        for track, face in zip(found.tracks, faces, strict=True):
            face["outline"] = str(folder / f"face{track.track_id}.npz")
            save_outline(Path(face["outline"]), track, frames, source.info)
    shutil.rmtree(work, ignore_errors=True)
    return {"range": [frames.start, frames.stop], "source": describe_source(source.info), "faces": faces}


def align_sound(spec: AlignSpec, *, reporter: Reporter) -> dict[str, Any]:
    """Find where a voice lies under a range, going by the source's own sound."""
    reporter.stage("probe", 1)
    with open_footage(spec) as source:
        return align_voice(spec, source, reporter=reporter)


def describe_source(info: SourceInfo) -> dict[str, Any]:
    """Return what a clip is, in plain values."""
    return {
        "path": str(info.path),
        "frames": info.frame_count,
        "rate": [info.rate.numerator, info.rate.denominator],
        "size": [info.width, info.height],
        "rotation": info.rotation,
        "pixels": info.pixels.name,
        "variable_rate": info.is_vfr,
        "timecode": info.timecode,
        "reel": info.reel,
        "ends_at": clip_timecode(info.frame_count, info.rate, info.timecode),
    }


def _describe_face(track: FaceTrack, source: Source, folder: Path) -> dict[str, Any]:
    """Return a face's id, where it is seen and its box (upright pixels) there, and draw its thumbnail."""
    info = source.info
    best = int(np.argmax(track.scores))
    frame = int(track.frames[best])
    to_upright = cv2.invertAffineTransform(info.upright_to_square(max(info.width, info.height)))
    points = track.points[best][:, :2] @ to_upright[:, :2].T + to_upright[:, 2]
    low, high = points.min(0), points.max(0)
    picture = source.frame(frame).upright_rgb8(max(info.width, info.height))
    thumbnail = folder / f"face{track.track_id}.png"
    scale = 1.5 * float((high - low).max()) / _THUMBNAIL_SIDE
    corner = (low + high) / 2 - scale * _THUMBNAIL_SIDE / 2
    view = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    small = cv2.warpAffine(
        cv2.GaussianBlur(picture, (0, 0), max(0.3, 0.4 * scale)),
        view,
        (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    cv2.imwrite(str(thumbnail), small[..., ::-1])
    return {
        "id": track.track_id,
        "frames": len(track.frames),
        "first": int(track.frames[0]),
        "last": int(track.frames[-1]),
        "frame": frame,
        "box": [round(float(v), 1) for v in (*low, *high)],
        "thumbnail": str(thumbnail),
    }
