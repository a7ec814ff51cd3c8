"""Pictures, sounds and videos in and out of files; the only file of the engine that knows codecs."""

import math
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import soxr
import torch
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from wan_engine.audio.wav2vec2 import SAMPLE_RATE
from wan_engine.errors import MediaError
from wan_engine.pipelines.speech_to_video import PoseVideo

QUALITY = "10"  # x264's quantiser for the released quality 8 of 10
SOUND_BITS = 192_000  # a second


def read_picture(path: Path) -> Tensor:
    """Return a picture as uint8 [H, W, 3]. Raises MediaError."""
    try:
        with Image.open(path) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB")))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise MediaError(f"{path} is no picture that can be read ({error}).") from error


def read_sound(path: Path) -> Tensor:
    """Return a file's first sound as 16 kHz mono float32, the mean of its channels. Raises MediaError."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(f"{path} has no sound.")
            rate = container.streams.audio[0].rate
            planar = AudioResampler(format="fltp")
            pieces = [
                piece.to_ndarray().mean(axis=0)
                for frame in container.decode(audio=0)
                for piece in planar.resample(frame)
            ]
    except (FFmpegError, OSError) as error:
        raise MediaError(f"{path} is no sound that can be read ({error}).") from error
    if not pieces:
        raise MediaError(f"{path} has no sound in it.")
    samples = np.concatenate(pieces).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")))


def read_pose(path: Path) -> PoseVideo:
    """Return a video's frames with their times. Raises MediaError."""
    frames, times = [], []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path} has no pictures.")
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate or Fraction(16)
            for frame in container.decode(stream):
                frames.append(frame.reformat(format="rgb24", threads=1).to_ndarray())
                times.append(_time(frame.pts, frame.time_base, len(times), rate))
    except (FFmpegError, OSError) as error:
        raise MediaError(f"{path} is no video that can be read ({error}).") from error
    if not frames:
        raise MediaError(f"{path} has no frames in it.")
    start = times[0]
    return PoseVideo(torch.from_numpy(np.stack(frames)), rate, tuple(time - start for time in times))


def _time(pts: int | None, base: Fraction | None, index: int, rate: Fraction) -> Fraction:
    return Fraction(index) / rate if pts is None or base is None else pts * base


def pixels_of(video_CFHW: Tensor) -> Tensor:
    """Return frames [3, F, H, W] in [-1, 1] as uint8 [F, H, W, 3] on the processor."""
    return ((video_CFHW.clamp(-1, 1) + 1) / 2 * 255).to(torch.uint8).permute(1, 2, 3, 0).cpu()


class VideoFile:
    """Writes frames as they come, then the sound they go with. A context; a job that fails leaves no file."""

    def __init__(self, path: Path, rate: int, *, sound: Path | None = None) -> None:
        self._path, self._rate, self._sound = path, rate, sound
        self._unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
        self.frame_count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._unfinished), "w")
        except (FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{path} cannot be written ({error}).", hint="Choose an .mp4 in a folder of yours."
            ) from error
        self._stream: VideoStream | None = None

    def write(self, video_CFHW: Tensor) -> None:
        """Add frames [3, F, H, W] in [-1, 1]."""
        self.write_pixels(pixels_of(video_CFHW))

    def write_pixels(self, pixels_FHWC: Tensor) -> None:
        """Add uint8 frames."""
        stream = self._stream or self._open_stream(*pixels_FHWC.shape[1:3])
        for pixels_HWC in pixels_FHWC.numpy():
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_HWC), format="rgb24")
            frame.pts, frame.time_base = self.frame_count, Fraction(1, self._rate)
            self.frame_count += 1
            self._container.mux(stream.encode(frame))

    def _open_stream(self, rows: int, columns: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate, options={"qp": QUALITY})
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        self._stream = stream
        if self._sound is not None:
            with av.open(str(self._sound)) as source:
                rate = source.streams.audio[0].rate
            self._sound_stream = self._container.add_stream("aac", rate=rate, layout="stereo")
            self._sound_stream.bit_rate = SOUND_BITS
        return stream

    def _write_sound(self, path: Path) -> None:
        """Encode the sound, as far as there are frames."""
        left = math.ceil(Fraction(self.frame_count, self._rate) * self._sound_stream.rate)
        converter = AudioResampler(format="fltp", layout="stereo", rate=self._sound_stream.rate)
        with av.open(str(path)) as source:
            for frame in source.decode(audio=0):
                for piece in converter.resample(frame):
                    if left <= 0:
                        break
                    self._encode_sound(piece.to_ndarray()[:, :left])
                    left -= piece.samples
        self._container.mux(self._sound_stream.encode(None))

    def _encode_sound(self, samples: np.ndarray) -> None:
        piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        piece.sample_rate = self._sound_stream.rate
        self._container.mux(self._sound_stream.encode(piece))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._container:
                if kind is None and self._stream is not None:
                    self._container.mux(self._stream.encode(None))
                    if self._sound is not None:
                        self._write_sound(self._sound)
            if kind is None and self.frame_count:
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)
