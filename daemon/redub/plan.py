"""What a redub request means on its files: frames, handles, where the voice lies, which frames are left
alone.

Everything is checked here, before any time is spent; `dubwright redub --dry-run` prints the plan.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daemon.faces.lower_face import PLAIN, MaskShape
from daemon.faces.painted import Painted
from daemon.faces.pose import FACE_WIDTH
from daemon.media.codecs import find_codec, keeps_alpha
from daemon.media.deliver import check_picture
from daemon.media.segment import FrameRange, sample_at
from daemon.media.source import Source, SourceInfo
from daemon.media.voice import ConformedVoice, Voice
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import AlignSpec, Codec, FacesSpec, MaskSpec, Position, RedubSpec
from daemon.protocol.timecode import clip_timecode, resolve_position

INTERLACED = (
    "The clip is interlaced: the mouth is the same in both fields of a frame. "
    "For motion in every field, deinterlace the clip to twice the rate first."
)
SQUEEZED = (
    "The clip's pixels are {aspect} times as wide as high, which the files of this codec cannot say: "
    "set that pixel aspect for the take in your editor, or use another codec."
)
DAMAGED = (
    "The clip is damaged or cut short: it says that it has {count} frames more than can be read. "
    "Those count as not there."
)
OPAQUE = (
    "The clip has an alpha channel, which this codec cannot hold: the take is opaque. "
    "prores4444, ffv1 and exr keep it."
)
_SEEN_SQUEEZE = 0.005  # scaling to even sizes leaves less, such as 1281/1280


@dataclass(frozen=True)
class Plan:
    """A request, resolved."""

    spec: RedubSpec
    info: SourceInfo
    frames: FrameRange  # the range to re-dub
    delivered: FrameRange  # with handles, as far as the clip has them
    voice_at: int
    voice: ConformedVoice  # under `frames`
    editable: np.ndarray  # (n,) bool over `frames`
    codec: Codec
    shape: MaskShape = PLAIN
    painted: tuple[Painted, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Return what the editor should know of the clip and of the files made of it, in sentences."""
        aspect, codec = self.info.sample_aspect, find_codec(self.codec)
        is_squeezed = abs(aspect - 1) > _SEEN_SQUEEZE and not codec.keeps_aspect
        is_opaque = self.spec.deliver == "baked" and not keeps_alpha(codec, self.info.pixels)
        return [
            *([DAMAGED.format(count=self.info.frames_lost)] if self.info.frames_lost else []),
            *([INTERLACED] if self.info.first_field else []),
            *([SQUEEZED.format(aspect=aspect)] if is_squeezed else []),
            *([OPAQUE] if is_opaque else []),
        ]

    def delivered_voice(self) -> ConformedVoice:
        """Return the voice as the take carries it: silent under the handles, sample-exact."""
        rate, sample_rate = self.info.rate, self.voice.sample_rate
        edges = [
            sample_at(frame, rate, sample_rate)
            for frame in (self.delivered.start, self.frames.start, self.frames.stop, self.delivered.stop)
        ]
        padding = ((edges[1] - edges[0], edges[3] - edges[2]), (0, 0))
        return replace(self.voice, samples=np.pad(self.voice.samples, padding))

    def describe(self) -> dict[str, Any]:
        """Return the plan in plain values, for the sidecar and for a dry run."""
        info = self.info
        return {
            "rate": [info.rate.numerator, info.rate.denominator],
            "size": [info.width, info.height],
            "range": [self.frames.start, self.frames.stop],
            "handles": [self.frames.start - self.delivered.start, self.delivered.stop - self.frames.stop],
            "frames": len(self.delivered),
            "timecode": clip_timecode(self.delivered.start, info.rate, info.timecode),
            "voice_at": self.voice_at,
            "left_alone": ranges_where(~self.editable, self.frames.start),
            "painted_out": [[painted.frames.start, painted.frames.stop] for painted in self.painted],
            "deliver": self.spec.deliver,
            "codec": self.codec,
        }


def make_plan(spec: RedubSpec, source: Source, voice: Voice) -> Plan:
    """Resolve a request against its clip and voice.

    Raises RequestError `range.empty`, `range.outside`, `timecode.invalid`, `boxes.invalid`, `job.invalid`,
    MediaError `voice.empty`.
    """
    info = source.info
    frames = resolve_range(spec, info)
    editable = np.ones(len(frames), bool)
    if spec.boxes is not None:
        _check_boxes(spec, len(frames))
        editable &= np.array([box is not None for box in spec.boxes])
    for start, stop in spec.leave_alone:
        first, last = (_resolve(place, info) - frames.start for place in (start, stop))
        editable[max(0, first) : max(0, last)] = False
    voice_at = frames.start if spec.voice_at is None else _resolve(spec.voice_at, info)
    laid = voice.conform(frames, info.rate, voice_at, spec.duration_mode)
    if spec.duration_mode == "cut_off":  # beyond the voice the actor's own mouth goes on
        editable &= np.array([frame in laid.covered for frame in frames])
    codec: Codec = spec.codec or ("prores4444" if spec.deliver == "overlay" else "prores422hq")
    check_picture(codec, info, alpha=spec.deliver == "overlay")
    delivered = frames.widen(spec.handles).clip(info.frames)
    shape, painted = _read_mask(spec.mask, frames, info)
    return Plan(spec, info, frames, delivered, voice_at, laid, editable, codec, shape, painted)


def _read_mask(
    mask: MaskSpec | None, frames: FrameRange, info: SourceInfo
) -> tuple[MaskShape, tuple[Painted, ...]]:
    """Return the editor's changes to the mask, in units of the crop and in square pixels."""
    if mask is None:
        return PLAIN, ()
    right, down = mask.shift
    shape = MaskShape(
        mask.grow * FACE_WIDTH, mask.feather * FACE_WIDTH, (right * FACE_WIDTH, down * FACE_WIDTH)
    )
    to_square = info.upright_to_square(max(info.width, info.height))
    painted = []
    for polygon in mask.paint_out:
        first = frames.start if polygon.in_ is None else _resolve(polygon.in_, info)
        stop = frames.stop if polygon.out is None else _resolve(polygon.out, info)
        points = np.array(polygon.points, float) @ to_square[:, :2].T + to_square[:, 2]
        painted.append(Painted(points, FrameRange(first, max(first, stop)).clip(frames)))
    return shape, tuple(painted)


def resolve_range(spec: RedubSpec | FacesSpec | AlignSpec, info: SourceInfo) -> FrameRange:
    """Return the frames a request means. Raises as `make_plan`."""
    frames = FrameRange(_resolve(spec.in_, info), _resolve(spec.out, info))
    if len(frames) == 0:
        raise RequestError("range.empty", f"The range {spec.in_} to {spec.out} holds no frame.")
    if frames.clip(info.frames) != frames:
        first, last = (clip_timecode(frame, info.rate, info.timecode) for frame in (0, info.frame_count))
        raise RequestError(
            "range.outside",
            f"The range {spec.in_} to {spec.out} is frames {frames.start} to "
            f"{frames.stop}, but {Path(info.path).name} has frames 0 to "
            f"{info.frame_count}, {first} to {last}.",
            hint=DAMAGED.format(count=info.frames_lost) if info.frames_lost else None,
        )
    return frames


def ranges_where(flags: np.ndarray, first: int) -> list[list[int]]:
    """Return the runs of True in (n,) `flags` as half-open [start, stop], counted from `first`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [[int(start) + first, int(stop) + first] for start, stop in edges.reshape(-1, 2)]


def _resolve(position: Position, info: SourceInfo) -> int:
    return resolve_position(position, info.rate, info.timecode, info.frame_count)


def _check_boxes(spec: RedubSpec, count: int) -> None:
    assert spec.boxes is not None
    if len(spec.boxes) != count:
        raise RequestError("boxes.invalid", f"There are {len(spec.boxes)} boxes for {count} frames.")
    for index, box in enumerate(spec.boxes):
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            raise RequestError(
                "boxes.invalid", f"Box {index} is {list(box)}; x0 < x1 and y0 < y1 are needed."
            )
