"""Make one take: render chunk by chunk, composite, encode, check, and give it its place."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daemon import __version__
from daemon.engines.choose import open_engine
from daemon.engines.engine import Engine, Shot
from daemon.engines.rewrite.predict import predict_aperture
from daemon.faces.mesh import FaceMesh
from daemon.faces.painted import fill_polygons
from daemon.faces.speaker import Speaker
from daemon.media.codecs import suffix_of
from daemon.media.colour import coding_of
from daemon.media.deliver import OVERLAY_PIXELS, TakeWriter, matte_pixels, open_writer
from daemon.media.segment import FrameRange
from daemon.media.source import Frame, Source
from daemon.protocol.jobs import Take
from daemon.provenance.delivery import provenance_of, sign
from daemon.provenance.seal import manifest_beside, parts_of_seal
from daemon.provenance.statement import take_statement
from daemon.redub.checks import judge, summarise
from daemon.redub.composite import Patch, bake, blend_crop, keep_out, overlay_planes, place_patch
from daemon.redub.crop import Area, from_16_bits, to_16_bits
from daemon.redub.crop_reader import CropReader
from daemon.redub.likeness import Likeness
from daemon.redub.meanwhile import Arrivals, deliver_while_painting
from daemon.redub.measure import Subject, observe
from daemon.redub.plan import Plan, ranges_where
from daemon.redub.playback import play
from daemon.redub.progress import Reporter
from daemon.redub.take import (
    TakeFiles,
    digest,
    note_begun,
    note_unfinished,
    plan_files,
    read_take,
    settle,
    write_sidecar,
)
from daemon.worker.checkpoint import Checkpoints

_MATTE_DEPTH = 10
_SILENT = "The voice says nothing under these frames: a shut mouth was asked for."
_EXACT_CODECS = ("ffv1",)  # what is decoded is what was written


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


def make_take(stage: Stage, number: int) -> Take:
    """Make take `number` (from 1), or return it if an earlier attempt at the job finished it."""
    plan = stage.plan
    suffix = suffix_of(plan.codec)
    files = plan_files(
        plan.spec,
        stage.job_id,
        number,
        folder=stage.takes_folder,
        suffix=suffix,
        matte_suffix=suffix_of(_matte_codec(plan)),
    )
    if files.is_finished:
        return read_take(files)
    seed = plan.spec.seed + number - 1
    shot = replace(stage.shot, seed=seed)
    engine = open_engine(plan.spec)
    checkpoints = Checkpoints(shot.work / f"take{number:02}", fingerprint(plan, engine, shot))
    chunks = paint_and_deliver(stage, engine, shot, checkpoints, files)
    take = check_and_record(stage, engine, chunks, files, number=number, seed=seed)
    checkpoints.clear()
    return take


def paint_and_deliver(
    stage: Stage, engine: Engine, shot: Shot, checkpoints: Checkpoints, files: TakeFiles
) -> list[FrameRange]:
    """Have the engine paint, and composite and encode each chunk while it paints the next; return all."""
    chunks = engine.prepare(shot, stage.reporter)

    def paint(arrived: Callable[[int], None]) -> None:
        render(engine, shot, chunks, checkpoints, stage.reporter, arrived)

    def deliver_apart(reporter: Reporter, arrivals: Arrivals) -> None:
        crops = CropReader(stage.source, shot.region, still=lambda: reporter.frames(0), ahead=stage.crops)
        apart = replace(stage, reporter=reporter, crops=crops)
        deliver(apart, engine, chunks, checkpoints, files, shot.seed, arrivals)

    deliver_while_painting(paint, deliver_apart, frames=len(stage.plan.delivered), reporter=stage.reporter)
    return chunks


def fingerprint(plan: Plan, engine: Engine, shot: Shot) -> str:
    """Return a name for all that a chunk depends on, so that no other take's is mistaken for it."""
    things: list[Any] = [
        __version__,
        engine.name,
        shot.seed,
        shot.region.size,
        msgspec.to_builtins(plan.spec),
    ]
    for path in (plan.spec.source, plan.spec.voice):
        about = Path(path).stat()
        things += [about.st_size, about.st_mtime_ns]
    return hashlib.sha256(msgspec.json.encode(things)).hexdigest()


def render(
    engine: Engine,
    shot: Shot,
    chunks: list[FrameRange],
    checkpoints: Checkpoints,
    reporter: Reporter,
    arrived: Callable[[int], None],
) -> None:
    """Have the engine paint every chunk that is not on disk yet, and say of each that it is."""
    reporter.stage("engine", len(shot.frames))
    for index, chunk in enumerate(chunks):
        if checkpoints.load(index) is None:
            painted = np.empty((len(chunk), *[shot.region.size] * 2, 3), np.uint16)
            for row, crop in enumerate(engine.render(chunk, reporter)):
                painted[row] = to_16_bits(crop)
            checkpoints.save(index, painted)
        arrived(index)
        reporter.frames(chunk.stop - shot.frames.start)


def deliver(
    stage: Stage,
    engine: Engine,
    chunks: list[FrameRange],
    checkpoints: Checkpoints,
    files: TakeFiles,
    seed: int,
    arrivals: Arrivals,
) -> None:
    """Composite and encode the delivered frames as they come, and bring take and matte to their places."""
    plan, info, reporter = stage.plan, stage.plan.info, stage.reporter
    if files.media.exists():
        return  # encoded by an attempt that died before its checks were done
    reporter.stage("deliver", len(plan.delivered))
    is_overlay = plan.spec.deliver == "overlay"
    note_begun(stage.shot.work, files, manifest_beside(files.media))
    note_unfinished(stage.shot.work, files.media, files.matte, *parts_of_seal(files.media))
    with ExitStack() as undo:
        writer = open_writer(
            files.media,
            codec=plan.codec,
            info=info,
            first_frame=plan.delivered.start,
            alpha=is_overlay,
            voice=plan.delivered_voice(),
        )
        undo.callback(writer.abort)
        matte = None
        if files.matte is not None:
            matte = open_writer(
                files.matte,
                codec=_matte_codec(plan),
                info=info,
                first_frame=plan.delivered.start,
                alpha=False,
                voice=None,
                pixels=matte_pixels(_MATTE_DEPTH),
            )
            undo.callback(matte.abort)
        patches = _patches(stage, chunks, checkpoints, seed, arrivals)
        write = _write_overlays if is_overlay else _write_baked
        write(stage, patches, writer, matte)
        if matte is not None and files.matte is not None:
            settle(matte.close(), files.matte)
        statement = _statement(stage, engine, seed)
        settle(sign(writer.close(), files.media, statement, log=reporter.log), files.media)
        undo.pop_all()


def _statement(stage: Stage, engine: Engine, seed: int) -> dict[str, Any]:
    plan, region = stage.plan, stage.shot.region
    return take_statement(
        plan.spec,
        engine=engine.name,
        seed=seed,
        changed=ranges_where(plan.editable & (region.weight > 0), plan.frames.start),
        rate=(plan.info.rate.numerator, plan.info.rate.denominator),
    )


def _patches(
    stage: Stage,
    chunks: list[FrameRange],
    checkpoints: Checkpoints,
    seed: int,
    arrivals: Arrivals,
) -> Iterator[tuple[int, Patch | None]]:
    """Yield what each delivered frame changes; None for a frame that passes through."""
    region, info = stage.shot.region, stage.plan.info
    inside = iter(_blended(stage, chunks, checkpoints, seed, arrivals))
    for frame in stage.plan.delivered:
        patch = None
        if frame in region.frames:
            crop, alpha = next(inside)
            if alpha.any():
                matrix = info.squeeze(region.matrices[frame - region.frames.start])
                patch = place_patch(crop, alpha, matrix, info.width, info.height)
                painted = [polygon for polygon in stage.plan.painted if frame in polygon.frames]
                if painted:
                    stored = [info.squeeze(polygon.points[..., None])[..., 0] for polygon in painted]
                    patch = keep_out(patch, fill_polygons(stored, info.width, info.height) > 0)
        yield frame, patch


def _blended(
    stage: Stage,
    chunks: list[FrameRange],
    checkpoints: Checkpoints,
    seed: int,
    arrivals: Arrivals,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each frame's crop to show and its alpha."""
    region = stage.shot.region
    for index, chunk in enumerate(chunks):
        arrivals.wait_for(index)
        painted = checkpoints.load(index)
        assert painted is not None, f"chunk {index} was rendered a moment ago"
        for crop, frame in zip(painted, chunk, strict=True):
            yield blend_crop(
                from_16_bits(crop),
                stage.crops.crop(frame),
                region.mask(frame),
                frame=frame,
                seed=seed,
            )


def _write_overlays(
    stage: Stage, patches: Iterator[tuple[int, Patch | None]], writer: TakeWriter, matte: TakeWriter | None
) -> None:
    info = stage.plan.info
    coding = coding_of(OVERLAY_PIXELS, info.colour, info.height)
    empty = Patch(Area(0, 0, 0, 0), np.zeros((0, 0, 3), np.float32), np.zeros((0, 0), np.float32))
    for done, (_, patch) in enumerate(patches, start=1):
        writer.write(overlay_planes(patch or empty, coding, info.width, info.height), OVERLAY_PIXELS)
        _write_matte(matte, patch, info.width, info.height)
        stage.reporter.frames(done)


def _write_baked(
    stage: Stage, patches: Iterator[tuple[int, Patch | None]], writer: TakeWriter, matte: TakeWriter | None
) -> None:
    info = stage.plan.info
    coding = coding_of(info.pixels, info.colour, info.height)
    done = 0
    frames: Iterator[Frame] = stage.source.frames(
        stage.plan.delivered, still=lambda: stage.reporter.frames(done)
    )
    for done, (frame, (_, patch)) in enumerate(zip(frames, patches, strict=True), start=1):
        planes = frame.planes if patch is None else bake(frame.planes, info.pixels, coding, patch)
        writer.write(planes, info.pixels)
        _write_matte(matte, patch, info.width, info.height)
        stage.reporter.frames(done)


def _write_matte(matte: TakeWriter | None, patch: Patch | None, width: int, height: int) -> None:
    if matte is None:
        return
    plane = np.zeros((height, width), np.uint16)
    if patch is not None:
        area = patch.area
        plane[area.y0 : area.y1, area.x0 : area.x1] = np.rint(patch.alpha * ((1 << _MATTE_DEPTH) - 1))
    matte.write((plane,), matte_pixels(_MATTE_DEPTH))


def _matte_codec(plan: Plan) -> str:
    return plan.codec if plan.codec in ("exr", "ffv1") else "prores422hq"


def check_and_record(
    stage: Stage, engine: Engine, chunks: list[FrameRange], files: TakeFiles, *, number: int, seed: int
) -> Take:
    """Measure the delivered file, judge it, and write the sidecar that makes it a take."""
    plan, info, shot = stage.plan, stage.plan.info, stage.shot
    stage.reporter.stage("check", len(plan.delivered))
    figures = check_file(stage, files.media, chunks, tick=stage.reporter.frames)
    take = Take(
        take_id=f"{stage.job_id}-{number}",
        path=str(files.media),
        sidecar=str(files.sidecar),
        frames=len(plan.delivered),
        rate=(info.rate.numerator, info.rate.denominator),
        seed=seed,
        engine=engine.name,
        badge=figures["badge"],
        quality=plan.spec.quality if engine.name == "wan" else None,
        checks=figures,
        matte=None if files.matte is None else str(files.matte),
        notes=[*plan.notes, *stage.speaker.notes, *([] if shot.speech.any() else [_SILENT]), *engine.notes],
    )
    write_sidecar(
        files,
        {
            "take": take,
            "request": plan.spec,
            "plan": plan.describe(),
            "source": {
                "path": plan.spec.source,
                "timecode": info.timecode,
                "reel": info.reel,
                "size_bytes": Path(plan.spec.source).stat().st_size,
            },
            "crop": {"size": shot.region.size, "speaker": shot.material.track.track_id},
            "provenance": provenance_of(files.media),
            "chunks": [[chunk.start, chunk.stop] for chunk in chunks],
            "dubwright": __version__,
        },
    )
    return take


def check_file(
    stage: Stage, media: Path, chunks: list[FrameRange], *, tick: Callable[[int], None]
) -> dict[str, Any]:
    """Return the figures and the badge of a delivered file, whoever made it."""
    plan, shot = stage.plan, stage.shot
    subject = Subject(stage.source, plan.delivered, shot.region, stage.likeness, FaceMesh())
    exact = plan.info.pixels if plan.codec in _EXACT_CODECS else None
    seen = observe(subject, play(media, plan.info.rate, exact_pixels=exact), tick=tick)
    predicted = predict_aperture(shot.material, shot.voice, shot.rate, len(shot.frames))
    editable = plan.editable & (shot.region.weight > 0.5)
    figures = summarise(
        seen,
        frames_expected=len(plan.delivered),
        predicted=predicted,
        speech=shot.speech,
        editable=editable,
        rate=float(plan.info.rate),
        chunk_starts=[chunk.start - shot.frames.start for chunk in chunks],
    )
    left_alone = ~plan.editable | (shot.region.weight <= 0)
    figures["passed_through"] = ranges_where(left_alone, plan.frames.start)
    figures["frames_passed_through"] = int(left_alone.sum())
    figures["frames_without_face"] = int((plan.editable & left_alone & (shot.speech > 0.5)).sum())
    figures["speaker_doubt"] = stage.speaker.doubt
    badge, reasons = judge(figures)
    return figures | {"badge": badge, "reasons": reasons, "sha256": digest(media)}
