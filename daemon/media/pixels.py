"""Pixel formats: what a file's samples are, and how they lie in planes.

Everything after the decoder works on planar samples of the file's own depth. Formats that interleave their
samples are taken apart without loss; nothing is ever scaled, dithered or converted to another matrix here.
"""

import re
from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import VideoReformatter

_SEMI_PLANAR = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p216le": "yuv422p16le",
    "nv20le": "yuv422p10le",
}
_PACKED = {
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgb48le": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48be": "gbrp16le",
    "rgba64le": "gbrap16le",
    "bgra64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "bgra64be": "gbrap16le",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
    "ayuv64le": "yuva444p16le",
    "vuya": "yuva444p",
    "vuyx": "yuv444p",
    "ayuv": "yuva444p",
    "uyva": "yuva444p",
    "pal8": "gbrap",
    "rgb8": "gbrp",
    "bgr8": "gbrp",
    "rgb565le": "gbrp",
    "rgb555le": "gbrp",
}
_GRAY = re.compile(r"^(gray|gray(9|10|12|14|16)(le|be)|ya8|ya16(le|be))$")
_PLANAR = re.compile(r"^(yuvj?|yuva|gbrp|gbrap)(\d{3})?p?(\d{1,2})?(le|be)?$")


@dataclass(frozen=True)
class PixelFormat:
    """A planar integer format. `log2_w` and `log2_h` say how often the chroma planes are halved."""

    name: str  # FFmpeg's name, little-endian, such as yuv422p10le
    depth: int  # significant bits of a sample; above 8 a sample takes two bytes
    log2_w: int
    log2_h: int
    is_rgb: bool
    has_alpha: bool

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The type of a sample in memory."""
        return np.uint8 if self.depth == 8 else np.uint16

    @property
    def is_gray(self) -> bool:
        """Whether there is only one plane (mattes)."""
        return self.name.startswith("gray")

    @property
    def plane_count(self) -> int:
        """How many planes a frame has."""
        return 1 if self.is_gray else 3 + self.has_alpha

    def plane_shape(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """Return (rows, columns) of a plane of a picture of `width` x `height`."""
        if plane in (1, 2) and not self.is_rgb:
            return -(-height >> self.log2_h), -(-width >> self.log2_w)
        return height, width


def planar_name(name: str) -> str | None:
    """Return the planar, little-endian format that holds the samples of `name` without loss, or None."""
    if name in _SEMI_PLANAR:
        return _SEMI_PLANAR[name]
    if name in _PACKED:
        return _PACKED[name]
    if _GRAY.match(name):
        bits = re.sub(r"\D", "", name) or "8"
        return "yuv420p" if bits == "8" else f"yuv420p{bits}le"
    if not _PLANAR.match(name):
        return None
    return name.replace("yuvj", "yuv").removesuffix("be").removesuffix("le") + _endian(name)


def _endian(name: str) -> str:
    return "le" if name.endswith(("le", "be")) else ""


def pixel_format(name: str) -> PixelFormat:
    """Describe FFmpeg's planar or gray integer format `name`."""
    video = VideoFormat(name, 64, 64)
    parts = video.components
    is_gray = name.startswith("gray")
    chroma = parts[0] if is_gray or video.is_rgb else parts[1]
    return PixelFormat(
        name=name,
        depth=parts[0].bits,
        is_rgb=video.is_rgb,
        log2_w={64: 0, 32: 1, 16: 2}[chroma.width],
        log2_h={64: 0, 32: 1, 16: 2}[chroma.height],
        has_alpha=any(part.is_alpha for part in parts),
    )


def planes_of(frame: VideoFrame, pixels: PixelFormat, unpack: VideoReformatter) -> tuple[np.ndarray, ...]:
    """Return the samples of a decoded frame as planes of `pixels`: Y Cb Cr [A] or R G B [A], (rows, columns)
    each.

    Views of the decoder's own memory wherever the format is planar already (they keep the frame alive and are
    read-only, because the decoder predicts other frames from them); copies otherwise.
    """
    name = frame.format.name
    if _GRAY.match(name):
        return _gray_planes(frame, pixels)
    if name.replace("yuvj", "yuv") != pixels.name:
        # One thread: libswscale writes past the end of a strip, over the first samples of another thread's.
        frame = unpack.reformat(frame, format=pixels.name, src_color_range=1, dst_color_range=1, threads=1)
    return view_planes(frame, pixels, writable=False)


def view_planes(frame: VideoFrame, pixels: PixelFormat, *, writable: bool) -> tuple[np.ndarray, ...]:
    """Return views of a planar frame's memory in the order Y Cb Cr [A] or R G B [A], without its line
    padding.
    """
    planes = [_view(frame, plane, pixels, writable) for plane in range(pixels.plane_count)]
    if pixels.is_rgb:  # FFmpeg stores G B R [A]
        planes[:3] = planes[2], planes[0], planes[1]
    return tuple(planes)


def _view(frame: VideoFrame, plane: int, pixels: PixelFormat, writable: bool) -> np.ndarray:
    memory = frame.planes[plane]
    rows, columns = pixels.plane_shape(plane, frame.width, frame.height)
    stride = abs(memory.line_size) // np.dtype(pixels.dtype).itemsize
    view = np.frombuffer(memoryview(memory), pixels.dtype)[: rows * stride].reshape(rows, stride)[:, :columns]
    view = view if memory.line_size > 0 else view[::-1]  # some files are stored bottom up
    view.flags.writeable = writable
    return view


def _gray_planes(frame: VideoFrame, pixels: PixelFormat) -> tuple[np.ndarray, ...]:
    """Give a picture without colour neutral chroma, so that everything later sees Y Cb Cr."""
    sample = np.dtype(pixels.dtype).newbyteorder(">" if frame.format.is_big_endian else "<")
    step = 2 if frame.format.name.startswith("ya") else 1
    memory = frame.planes[0]
    rows = np.frombuffer(memoryview(memory), sample).reshape(frame.height, -1)
    luma = rows[:, : frame.width * step : step].astype(pixels.dtype)
    neutral = np.full(pixels.plane_shape(1, frame.width, frame.height), 1 << (pixels.depth - 1), pixels.dtype)
    return luma, neutral, neutral
