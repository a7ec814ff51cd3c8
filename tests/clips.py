"""Variants of the bundled demo shot, and clips read back frame by frame, with PyAV alone.

The actor, small: other rates, codecs, colours, turned, beside himself, or gone for a while.
"""

import functools
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.video.reformatter import VideoReformatter

from daemon.demo import SHOT, VOICE

SIDE = 320  # px, of the pictures that clips are made of
MOUTH = (0.5, 0.5)  # about where the demo's mouth lies, in sides of the picture
Edit = Callable[[int, np.ndarray], np.ndarray]


@functools.cache
def pictures(first: int, count: int) -> tuple[np.ndarray, ...]:
    """Return frames of the demo shot, each (SIDE, SIDE, 3) uint8."""
    found = []
    with av.open(str(SHOT)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if first <= index < first + count:
                found.append(frame.reformat(SIDE, SIDE, "rgb24", interpolation="AREA").to_ndarray())
            if index >= first + count:
                break
    assert len(found) == count
    return tuple(found)


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    count: int = 40,
    first: int = 20,
    rate: Fraction = Fraction(25),
    size: tuple[int, int] = (SIDE, SIDE),
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    metadata: dict[str, str] | None = None,
    turn: int = 0,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    sound: str | None = "pcm_s16le",
    edit: Edit | None = None,
) -> Path:
    """Write frames `first` on of the demo shot with its sound.

    ticks: display times in ms, of a variable rate; turn: degrees clockwise by which the file says the picture
    is to be turned for showing (it is stored turned the other way); tags: primaries, transfer, matrix, range;
    edit: changes picture k, R'G'B' of SIDE x SIDE or another size.
    """
    repack = VideoReformatter()
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.pix_fmt, stream.options = pixels, options or {}
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
        if ticks is not None:
            context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(-turn)
        stream.metadata.update(metadata or {})
        heard: Any = out.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number, picture in enumerate(pictures(first, count)):
            shown = picture if edit is None else edit(number, picture)
            stored = np.ascontiguousarray(np.rot90(shown, turn // 90))
            frame = VideoFrame.from_ndarray(stored, format="rgb24")
            if edit is None and (frame.width, frame.height) != size:
                frame = repack.reformat(frame, *size)
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            frame = repack.reformat(
                frame, format=pixels, dst_colorspace=_matrix(tags[2]), dst_color_range=tags[3] or 1
            )
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = tags
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = 1 / rate if ticks is None else Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if heard is not None:
            _write_sound(out, heard, round(Fraction(first, 25) * 48000), round(count / rate * 48000))
    return path


def _matrix(number: int) -> int:
    return {5: 5, 6: 5, 9: 9}.get(number, 1)  # swscale's own numbers


def _write_sound(out: Any, stream: Any, first: int, count: int) -> None:
    with av.open(str(SHOT)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    samples = (np.clip(heard[first : first + count], -1, 1) * 32767).astype(np.int16)
    for start in range(0, count, 1024):
        block = np.ascontiguousarray(samples[None, start : start + 1024])
        if block.size:
            frame = AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def make_voice(
    path: Path, *, rate: int = 48000, channels: int = 1, depth: int = 16, seconds: float = 4.0
) -> Path:
    """Write the demo's voice as a WAV file of another sample rate, depth (16, 24) and count of channels."""
    with av.open(str(VOICE)) as container:
        resampler = av.AudioResampler("s32", "mono", rate)
        blocks = [
            out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)
        ]
        blocks += [out.to_ndarray() for out in resampler.resample(None)]
    mono = np.concatenate(blocks, axis=1)[0, : round(seconds * rate)]
    frames = np.stack([mono // (1 + channel) for channel in range(channels)], axis=1)
    data = np.ascontiguousarray(frames, "<i4").view(np.uint8).reshape(-1, 4)[:, 4 - depth // 8 :]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(depth // 8)
        file.setframerate(rate)
        file.writeframes(data.tobytes())
    return path


@dataclass(frozen=True, eq=False)
class Clip:
    """A file, read from its beginning to its end."""

    frames: list[tuple[np.ndarray, ...]]  # planes as stored
    pixels: str
    times: list[Fraction]  # seconds, from the first frame
    rate: Fraction
    timecode: str | None
    reel: str | None
    tags: tuple[int, int, int, int]
    rotation: int
    sound: np.ndarray | None  # (n, channels) int32, left-justified
    sound_codec: str | None
    sound_rate: int | None


def read_clip(path: Path) -> Clip:
    """Decode a whole clip, picture and sound."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown = list(container.decode(stream))
        start = shown[0].pts
        clip = Clip(
            frames=[planes_of(frame) for frame in shown],
            pixels=shown[0].format.name.replace("yuvj", "yuv"),
            times=[(frame.pts - start) * frame.time_base for frame in shown],
            rate=Fraction(stream.average_rate or 0),
            timecode=_find(container, stream, "timecode"),
            reel=_find(container, stream, "reel_name"),
            tags=tuple(
                int(value)
                for value in (
                    shown[0].color_primaries,
                    shown[0].color_trc,
                    shown[0].colorspace,
                    shown[0].color_range,
                )
            ),  # type: ignore[arg-type]
            rotation=shown[0].rotation,
            sound=None,
            sound_codec=None,
            sound_rate=None,
        )
    return _with_sound(clip, path)


def read_sound(path: Path) -> Clip:
    """Decode the sound of a file that may have no picture."""
    return _with_sound(Clip([], "", [], Fraction(1), None, None, (2, 2, 2, 0), 0, None, None, None), path)


def _with_sound(clip: Clip, path: Path) -> Clip:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return clip
        stream = container.streams.audio[0]
        shift = {"s16": 16, "s16p": 16}.get(stream.format.name, 0)
        blocks = [
            frame.to_ndarray().reshape(-1, stream.layout.nb_channels).astype(np.int64) << shift
            for frame in container.decode(stream)
            if "flt" not in stream.format.name
        ]
        sound = np.concatenate(blocks) if blocks else None
        found = {"sound": sound, "sound_codec": stream.codec_context.name, "sound_rate": stream.rate}
        return Clip(**{**vars(clip), **found})


def _find(container: Any, stream: Any, key: str) -> str | None:
    for holder in (stream, *container.streams.data, container):
        for name, text in holder.metadata.items():
            if name.lower() == key:
                return text
    return None


def planes_of(frame: VideoFrame) -> tuple[np.ndarray, ...]:
    """Return copies of a planar frame's planes, each as large as it is shown."""
    depth = frame.format.components[0].bits
    floats = {16: np.float16, 32: np.float32} if "f" in frame.format.name else {}
    kind = np.dtype(floats.get(depth, np.uint8 if depth == 8 else np.uint16))
    planes = []
    for memory in frame.planes:
        rows = np.frombuffer(memoryview(memory), kind).reshape(memory.height, -1)
        planes.append(rows[:, : memory.width].copy())
    return tuple(planes)


def chroma_shape(plane: np.ndarray, luma: np.ndarray) -> tuple[int, int]:
    """Return how many luma rows and columns a sample of `plane` stands for."""
    return round(luma.shape[0] / plane.shape[0]), round(luma.shape[1] / plane.shape[1])


def touches(matte: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return which samples of a plane, each of `rows` x `columns` luma, lie at least in part in `matte`."""
    padded = np.pad(matte > 0, ((0, -matte.shape[0] % rows), (0, -matte.shape[1] % columns)))
    blocks = padded.reshape(padded.shape[0] // rows, rows, -1, columns)
    return blocks.any(axis=(1, 3))


def difference_outside(
    shown: tuple[np.ndarray, ...], source: tuple[np.ndarray, ...], matte: np.ndarray
) -> int:
    """Return the largest difference of code values in the samples that lie wholly outside the matte."""
    worst = 0
    for ours, theirs in zip(shown, source, strict=True):
        inside = touches(matte, *chroma_shape(theirs, source[0]))
        gap = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
        worst = max(worst, int(gap[~inside].max(initial=0)))
    return worst


def samples_between(start: int, stop: int, rate: Fraction, sample_rate: int) -> int:
    """Return how many samples lie under frames [start, stop): from a frame's own time, rounded half up."""
    first, last = (int(Fraction(frame) / rate * sample_rate + Fraction(1, 2)) for frame in (start, stop))
    return last - first
