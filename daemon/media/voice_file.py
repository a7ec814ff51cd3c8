"""Decodes a sound file to its own samples: nothing resampled, mixed or cut to fewer bits."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.error import FFmpegError

from daemon.media.local import open_local
from daemon.media.sound import choose_sound, decode_sound
from daemon.media.storage import map_write_errors
from daemon.protocol.errors import MediaError

_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True)
class VoiceInfo:
    """What a voice file holds."""

    sample_rate: int
    channels: int
    layout: str  # FFmpeg's name
    depth: int  # 16, 24 or 32 bits
    is_float: bool
    samples: int  # of each channel

    @property
    def sample_format(self) -> str:
        """FFmpeg's packed sample format in memory."""
        return "flt" if self.is_float else "s16" if self.depth == 16 else "s32"

    @property
    def pcm_codec(self) -> str:
        """The PCM encoder that keeps every bit."""
        return "pcm_f32le" if self.is_float else f"pcm_s{self.depth}le"


def load_voice(path: Path) -> tuple[VoiceInfo, np.ndarray]:
    """Return what the file is and its samples, (n, channels) int16, int32 or float32.

    The samples lie in an unnamed temporary file, so a long recording costs no memory.
    Raises MediaError `voice.missing`, `voice.unreadable`, `voice.empty`, MachineError `disk.full`.
    """
    if not path.exists():
        raise MediaError("voice.missing", f"There is no file {path}.")
    if path.is_dir():
        raise MediaError("voice.unreadable", f"{path} is a folder, not a sound file.")
    try:
        with open_local(path) as container, tempfile.TemporaryFile() as file:
            stream = choose_sound(container)
            if stream is None:
                raise MediaError("voice.unreadable", f"{path} holds no sound that can be decoded.")
            return _spool(decode_sound(container, stream), file, path)
    except (FFmpegError, OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError("voice.unreadable", f"{path} cannot be read as sound: {reason}.") from error


def _spool(frames: Iterator[AudioFrame], file: IO[bytes], path: Path) -> tuple[VoiceInfo, np.ndarray]:
    shape: tuple[int, int] | None = None
    layout, dtype, low_bits = "mono", np.dtype(np.int16), 0
    for frame in frames:
        samples = own_samples(frame)
        if shape is None:
            shape, dtype = (frame.sample_rate, samples.shape[1]), samples.dtype
            layout = _layout_name(frame)
        if shape != (frame.sample_rate, samples.shape[1]):
            raise MediaError("voice.unreadable", f"{path} changes its sample rate or channels in the middle.")
        if samples.dtype == np.int32 and len(samples):
            low_bits |= int(np.bitwise_or.reduce(samples, axis=None)) & 0xFF
        with map_write_errors(Path(tempfile.gettempdir())):
            file.write(samples.tobytes())
    count = file.tell() // (dtype.itemsize * shape[1]) if shape else 0
    if shape is None or count == 0:
        raise MediaError("voice.empty", f"{path} holds no sound.")
    depth = 24 if dtype == np.int32 and not low_bits else 8 * dtype.itemsize
    info = VoiceInfo(shape[0], shape[1], layout, depth, dtype.kind == "f", count)
    with map_write_errors(Path(tempfile.gettempdir())):
        file.flush()
    return info, np.memmap(file, dtype, "r", shape=(count, shape[1]))  # pyright: ignore[reportArgumentType, reportCallIssue]


def own_samples(frame: AudioFrame) -> np.ndarray:
    """Return a decoded frame's samples, (n, channels) int16, int32 or float32, without loss where these can
    hold it.

    8-bit samples become 16-bit ones; 64-bit ones become 32-bit ones.
    """
    values: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    match frame.format.packed.name:
        case "u8":
            values = (values.astype(np.int16) - 128) << 8
        case "s64":
            values = (values >> 32).astype(np.int32)
        case "dbl":
            values = values.astype(np.float32)
    return np.ascontiguousarray(values.T)


def _layout_name(frame: AudioFrame) -> str:
    """Return a layout that encoders accept: the file's own, or the usual one for its count of channels."""
    count, name = frame.layout.nb_channels, frame.layout.name
    try:
        is_usable = AudioLayout(name).nb_channels == count and "channels" not in name
    except ValueError:
        is_usable = False
    return name if is_usable else _USUAL_LAYOUTS.get(count, f"{count} channels")
