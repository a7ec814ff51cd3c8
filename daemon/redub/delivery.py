"""Composite and encode a take, frame by frame, as its chunks come from the engine."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from daemon.engines.engine import Engine
from daemon.faces.painted import fill_polygons
from daemon.media.colour import coding_of
from daemon.media.deliver import OVERLAY_PIXELS, TakeWriter, matte_pixels, open_writer
from daemon.media.segment import FrameRange
from daemon.media.source import Frame
from daemon.provenance.delivery import sign
from daemon.provenance.seal import manifest_beside, parts_of_seal
from daemon.provenance.statement import take_statement
from daemon.redub.composite import Patch, bake, blend_crop, keep_out, overlay_planes, place_patch
from daemon.redub.crop import Area, from_16_bits
from daemon.redub.meanwhile import Arrivals
from daemon.redub.plan import Plan, ranges_where
from daemon.redub.progress import WAITING
from daemon.redub.stage import Stage
from daemon.redub.take import TakeFiles, note_begun, note_unfinished, settle
from daemon.worker.checkpoint import Checkpoints

_MATTE_DEPTH = 10


@dataclass(frozen=True)
class Painting:
    """What the engine paints of a take: its chunks, where they lie, and which are there."""

    chunks: list[FrameRange]
    checkpoints: Checkpoints
    arrivals: Arrivals
    seed: int


def deliver(stage: Stage, engine: Engine, painting: Painting, files: TakeFiles) -> None:
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
                codec=matte_codec(plan),
                info=info,
                first_frame=plan.delivered.start,
                alpha=False,
                voice=None,
                pixels=matte_pixels(_MATTE_DEPTH),
            )
            undo.callback(matte.abort)
        patches = _patches(stage, painting)
        write = _write_overlays if is_overlay else _write_baked
        write(stage, patches, writer, matte)
        if matte is not None and files.matte is not None:
            settle(matte.close(), files.matte)
        statement = _statement(stage, engine, painting.seed)
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


def _patches(stage: Stage, painting: Painting) -> Iterator[tuple[int, Patch | None]]:
    """Yield what each delivered frame changes; None for a frame that passes through."""
    region, info = stage.shot.region, stage.plan.info
    inside = iter(_blended(stage, painting))
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


def _blended(stage: Stage, painting: Painting) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each frame's crop to show and its alpha."""
    region = stage.shot.region
    for index, chunk in enumerate(painting.chunks):
        painting.arrivals.wait_for(index)
        painted = painting.checkpoints.load(index)
        assert painted is not None, f"chunk {index} was rendered a moment ago"
        for crop, frame in zip(painted, chunk, strict=True):
            yield blend_crop(
                from_16_bits(crop),
                stage.crops.crop(frame),
                region.mask(frame),
                frame=frame,
                seed=painting.seed,
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
    frames: Iterator[Frame] = stage.source.frames(
        stage.plan.delivered, still=lambda: stage.reporter.frames(WAITING)
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


def matte_codec(plan: Plan) -> str:
    """Return the codec that a take's matte is written in."""
    return plan.codec if plan.codec in ("exr", "ffv1") else "prores422hq"
