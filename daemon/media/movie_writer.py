"""One movie file: a picture stream with all its tags, and the voice as PCM."""

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from daemon.media.codecs import DeliveryCodec, encoder_of, plane_format
from daemon.media.convert import Planes
from daemon.media.fields import encode_fields
from daemon.media.pixels import view_planes
from daemon.media.segment import sample_at
from daemon.media.source import SourceInfo
from daemon.media.tags import ColourTags, tag_frame
from daemon.media.voice import ConformedVoice
from daemon.protocol.timecode import clip_timecode

_WRITE_BUFFER_BYTES = 1 << 20


class MovieWriter:
    """Encodes and muxes frames one after the other. Raises OSError and FFmpegError as they come."""

    def __init__(
        self,
        part: Path,
        codec: DeliveryCodec,
        coded: str,
        *,
        info: SourceInfo,
        first_frame: int,
        colour: ColourTags,
        voice: ConformedVoice | None,
    ) -> None:
        self._info = info
        self._colour = colour
        self._coded = coded
        planes = plane_format(coded)
        assert planes is not None
        self._planes = planes
        self._repack = VideoReformatter()
        self._first_frame = first_frame
        self._written = 0
        self._file = part.open("wb")
        self._container = av.open(
            self._file, "w", format=codec.container, buffer_size=_WRITE_BUFFER_BYTES,
            container_options={"fflags": "+bitexact", **_muxer_options(codec)},
        )  # fmt: skip
        self._stream = self._add_picture(codec)
        self._voice = voice
        self._sound = self._add_sound(voice) if voice is not None else None
        self._samples_written = 0

    def _add_picture(self, codec: DeliveryCodec) -> VideoStream:
        info, colour = self._info, self._colour
        first_field = info.first_field if codec.keeps_fields else None
        encoder, options = encoder_of(codec, self._coded, info.width, first_field)
        stream = cast(VideoStream, self._container.add_stream(encoder, rate=info.rate))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, self._coded
        context.sample_aspect_ratio = info.sample_aspect
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.colorspace, context.color_range = colour.matrix, colour.range
        context.thread_count = codec.threads
        context.thread_type = "SLICE" if info.is_large else codec.thread_type  # a thread of frames holds two
        context.flags |= Flags.bitexact
        context.options = options
        if first_field is not None:
            encode_fields(context, first_field)
        if info.display_matrix is not None:
            stream.set_display_matrix(info.display_matrix)
        if info.timecode is not None:
            stream.metadata["timecode"] = clip_timecode(self._first_frame, info.rate, info.timecode)
        if info.reel is not None:
            stream.metadata["reel_name"] = info.reel
        return stream

    def _add_sound(self, voice: ConformedVoice) -> AudioStream:
        stream = cast(AudioStream, self._container.add_stream(voice.pcm_codec, rate=voice.sample_rate))
        stream.codec_context.layout = voice.layout
        stream.codec_context.format = voice.sample_format
        stream.codec_context.flags |= Flags.bitexact
        return stream

    def write(self, planes: Planes) -> None:
        """Encode one frame of planes in the coded format, and the voice beside it."""
        frame = VideoFrame(self._info.width, self._info.height, self._planes.name)
        for view, values in zip(view_planes(frame, self._planes, writable=True), planes, strict=True):
            np.copyto(view, values)
        tag_frame(frame, self._colour)
        if self._coded != self._planes.name:
            frame = self._repack.reformat(frame, format=self._coded, threads=1)  # as in pixels.py
            tag_frame(frame, self._colour)
        frame.pts, frame.time_base = self._written, 1 / self._info.rate
        self._container.mux(self._stream.encode(frame))
        self._written += 1
        self._write_sound(self._sample_at(self._written))

    def _sample_at(self, frame: int) -> int:
        assert self._voice is None or self._voice.sample_rate > 0
        if self._voice is None:
            return 0
        rate, sample_rate = self._info.rate, self._voice.sample_rate
        first = sample_at(self._first_frame, rate, sample_rate)
        return sample_at(self._first_frame + frame, rate, sample_rate) - first

    def _write_sound(self, until: int) -> None:
        voice, stream = self._voice, self._sound
        if voice is None or stream is None:
            return
        samples = voice.samples[self._samples_written : until]
        if len(samples) == 0:
            return
        packed = np.ascontiguousarray(samples).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format=voice.sample_format, layout=voice.layout)
        frame.sample_rate = voice.sample_rate
        frame.pts, frame.time_base = self._samples_written, Fraction(1, voice.sample_rate)
        self._container.mux(stream.encode(frame))
        self._samples_written += len(samples)

    def close(self) -> None:
        """Write what is left and finish the file."""
        if self._voice is not None:
            self._write_sound(len(self._voice.samples))
        for stream in self._container.streams:
            self._container.mux(cast(VideoStream, stream).encode(None))
        self._container.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Let go of the file, finished or not."""
        with contextlib.suppress(OSError, FFmpegError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._file.close()


def _muxer_options(codec: DeliveryCodec) -> dict[str, str]:
    return {"write_colr": "1"} if codec.container == "mov" else {}
