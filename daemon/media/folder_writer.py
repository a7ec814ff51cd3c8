"""A take as a folder of EXR frames, R'G'B' or R'G'B'A as coded in the source, with the voice beside them.

The numbers are the source's own code values scaled to 0..1 (gamma, log or PQ as they are, straight alpha),
because an editor lays the take over the source and both must go through the same transform. 16-bit half
floats keep 10-bit values exactly; deeper sources are written as 32-bit floats.
"""

from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from daemon.media.codecs import DeliveryCodec
from daemon.media.convert import Planes
from daemon.media.source import SourceInfo
from daemon.media.voice import ConformedVoice

_HALF_DEPTH = 10  # bits that a half float keeps up to 1.0


class FolderWriter:
    """Encodes each frame to a file of its own, named by its number in the source."""

    def __init__(
        self,
        part: Path,
        codec: DeliveryCodec,
        coded: str,
        *,
        info: SourceInfo,
        first_frame: int,
        voice: ConformedVoice | None,
    ) -> None:
        self._part = part
        self._codec = codec
        self._coded = coded
        self._info = info
        self._number = first_frame
        self._stem = part.name.removesuffix(".part")
        part.mkdir(exist_ok=True)
        for old in part.iterdir():
            old.unlink()
        if voice is not None:
            voice.save(part / f"{self._stem}.wav")

    def write(self, planes: Planes) -> None:
        """Write one frame: (rows, columns) float32 planes R G B [A]."""
        frame = VideoFrame(self._info.width, self._info.height, self._coded)
        order = (2, 0, 1, 3)  # FFmpeg stores G B R A
        for plane, values in enumerate(planes):
            memory = frame.planes[order[plane]]
            rows = np.frombuffer(memoryview(memory), np.float32).reshape(self._info.height, -1)
            rows[:, : self._info.width] = values
        frame.pts = 0
        context = self._open_encoder()
        data = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
        (self._part / f"{self._stem}.{self._number:07}.exr").write_bytes(data)
        self._number += 1

    def _open_encoder(self) -> VideoCodecContext:
        context = av.CodecContext.create(self._codec.encoder, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = self._info.width, self._info.height, self._coded
        context.time_base = 1 / self._info.rate
        context.framerate = self._info.rate
        context.sample_aspect_ratio = self._info.sample_aspect
        context.thread_count = 1
        context.flags |= Flags.bitexact
        form = "half" if self._info.pixels.depth <= _HALF_DEPTH else "float"
        context.options = {**self._codec.options, "format": form}
        return context

    def close(self) -> None:
        """Nothing is left to write."""

    def discard(self) -> None:
        """Nothing is held open."""
