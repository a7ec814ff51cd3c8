"""Small clips made on the spot: every frame carries its number in blocks of luma that survive any codec."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from daemon.media.pixels import pixel_format, planar_name, view_planes

BLOCK = 16
BITS = 8


def draw_number(luma: np.ndarray, number: int, depth: int) -> None:
    """Write `number` into the top rows of a luma plane as eight blocks."""
    for bit in range(BITS):
        level = 200 if number >> bit & 1 else 60
        luma[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = level << (depth - 8)


def read_number(luma: np.ndarray, depth: int) -> int:
    """Read the number that `draw_number` wrote."""
    blocks = luma[4 : BLOCK - 4, : BITS * BLOCK].reshape(BLOCK - 8, BITS, BLOCK)[:, :, 4:-4].mean((0, 2))
    return int(sum(1 << bit for bit in range(BITS) if blocks[bit] > (130 << (depth - 8))))


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (160, 96),
    count: int = 30,
    rate: Fraction = Fraction(25),
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    metadata: dict[str, str] | None = None,
    rotation: float | None = None,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    tone_hz: float | None = None,
) -> Path:
    """Write a clip of `count` numbered frames; `ticks` are display times in `time_base` (variable rate)."""
    repack = VideoReformatter()
    planar = pixel_format(pixels if pixels.startswith("gray") else planar_name(pixels) or pixels)
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.options = options or {}
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
        if time_base is not None:
            context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation)
        stream.metadata.update(metadata or {})
        sound: Any = out.add_stream("pcm_s16le", rate=48000, layout="mono") if tone_hz else None
        for number in range(count):
            frame = VideoFrame(*size, planar.name)
            for plane, view in enumerate(view_planes(frame, planar, writable=True)):
                view[:] = 128 << (planar.depth - 8)
                if plane == 0:
                    view[BLOCK:] += rng.integers(0, 8, view[BLOCK:].shape).astype(view.dtype)
                    draw_number(view, number, planar.depth)
            if planar.name != pixels:
                frame = repack.reformat(frame, format=pixels, src_color_range=1, dst_color_range=1)
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = tags
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = time_base or 1 / rate
            out.mux(stream.encode(frame))
        if sound is not None:
            _write_tone(out, sound, tone_hz or 0.0, float(count / rate))
        out.mux(stream.encode(None))
    return path


def _write_tone(out: Any, sound: Any, tone_hz: float, seconds: float) -> None:
    times = np.arange(round(seconds * 48000)) / 48000
    samples = (8000 * np.sin(2 * np.pi * tone_hz * times)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Return `write_clip` with names inside this test's folder."""

    def make(name: str, **how: Any) -> Path:
        return write_clip(tmp_path / name, **how)

    return make


@pytest.fixture
def number_of() -> Callable[[np.ndarray, int], int]:
    """Return the reader of the numbers in the frames."""
    return read_number
