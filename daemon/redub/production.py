"""Make one take: painted chunk by chunk and delivered meanwhile, checked, and written down."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daemon import __version__
from daemon.engines.choose import open_engine
from daemon.engines.engine import Engine, Shot
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.engines.rewrite.predict import predict_aperture
from daemon.faces.mesh import FaceMesh
from daemon.media.codecs import suffix_of
from daemon.media.segment import FrameRange
from daemon.protocol.jobs import Take
from daemon.provenance.delivery import provenance_of
from daemon.redub.checks import judge, summarise
from daemon.redub.crop import to_16_bits
from daemon.redub.crop_reader import CropReader
from daemon.redub.delivery import Painting, deliver, matte_codec
from daemon.redub.meanwhile import Arrivals, deliver_while_painting
from daemon.redub.measure import Subject, observe
from daemon.redub.plan import Plan, ranges_where
from daemon.redub.playback import play
from daemon.redub.progress import WAITING, Reporter
from daemon.redub.stage import Stage
from daemon.redub.take import TakeFiles, digest, plan_files, read_take, write_sidecar
from daemon.worker.checkpoint import Checkpoints

_SILENT = "The voice says nothing under these frames: a shut mouth was asked for."
_EXACT_CODECS = ("ffv1",)  # what is decoded is what was written


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
        matte_suffix=suffix_of(matte_codec(plan)),
    )
    if files.is_finished:
        return read_take(files)
    seed = plan.spec.seed + number - 1
    shot = replace(stage.shot, seed=seed)
    with closing(open_engine(plan.spec)) as engine:
        checkpoints = Checkpoints(shot.work / f"take{number:02}", fingerprint(plan, engine, shot))
        chunks = paint_and_deliver(stage, engine, shot, checkpoints, files)
    if number == plan.spec.takes:
        stage.crops.forget()  # a quarter of a gigabyte, which the measuring has better use for
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
        still = partial(reporter.frames, WAITING)
        crops = CropReader(stage.source, shot.region, still=still, ahead=stage.crops)
        apart = replace(stage, reporter=reporter, crops=crops)
        deliver(apart, engine, Painting(chunks, checkpoints, arrivals, shot.seed), files)

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


def check_and_record(
    stage: Stage, engine: Engine, chunks: list[FrameRange], files: TakeFiles, *, number: int, seed: int
) -> Take:
    """Measure the delivered file, judge it, and write the sidecar that makes it a take."""
    plan, info, shot = stage.plan, stage.plan.info, stage.shot
    stage.reporter.stage("check", len(plan.delivered))
    figures = check_file(stage, files.media, chunks, engine=engine.name, tick=stage.reporter.frames)
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
    stage: Stage, media: Path, chunks: list[FrameRange], *, engine: str, tick: Callable[[int], None]
) -> dict[str, Any]:
    """Return the figures and the badge of a delivered file, as it is now, that `engine` painted."""
    plan, shot = stage.plan, stage.shot
    subject = Subject(stage.source, plan.delivered, shot.region, stage.likeness, FaceMesh())
    exact = plan.info.pixels if plan.codec in _EXACT_CODECS else None
    is_overlay = plan.spec.deliver == "overlay"
    shown = play(media, plan.info.rate, is_overlay=is_overlay, exact_pixels=exact)
    seen = observe(subject, shown, tick=tick)
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
        is_planned_whole=engine == RewriteEngine.name,
    )
    left_alone = ~plan.editable | (shot.region.weight <= 0)
    figures["passed_through"] = ranges_where(left_alone, plan.frames.start)
    figures["frames_passed_through"] = int(left_alone.sum())
    figures["frames_without_face"] = int((plan.editable & left_alone & (shot.speech > 0.5)).sum())
    figures["speaker_doubt"] = stage.speaker.doubt
    badge, reasons = judge(figures)
    return figures | {"badge": badge, "reasons": reasons, "sha256": digest(media)}
