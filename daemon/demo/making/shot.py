"""The shot itself: its frames, its sound, its file."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.video.reformatter
import cv2
import numpy as np
import soxr

from daemon.demo.making.head import Sway, blink_curve, shut_eyes
from daemon.demo.making.puppet import Mouth, Puppet
from daemon.demo.making.speech import Speech
from daemon.demo.making.visemes import MouthCurve

RATE = 25
SIDE = 640
ENLARGED = 1280
SAMPLE_RATE = 48_000
BLINKS = (31, 117, 142, 219)
GRAIN = 1.3  # standard deviation in 8-bit steps
TIMECODE = "01:00:00:00"
REEL = "DEMO001"
CRF = "20"
PEAK = 0.5  # of full scale


def draw_frames(portrait: np.ndarray, points: np.ndarray, curve: MouthCurve) -> Iterator[np.ndarray]:
    """Yield (SIDE, SIDE, 3) uint8 RGB frames of the talking portrait."""
    puppet, sway = Puppet(portrait, points), Sway(portrait.shape[:2])
    blinks = blink_curve(len(curve.gap), BLINKS)
    grain = np.random.default_rng(7)
    for frame, (gap, width, tuck) in enumerate(zip(curve.gap, curve.width, curve.tuck, strict=True)):
        picture = puppet.draw(Mouth(float(gap), float(width), float(tuck)))
        picture = sway.apply(shut_eyes(picture, points, blinks[frame]), frame / RATE)
        picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        noise = grain.normal(0, GRAIN, (SIDE, SIDE, 1))
        yield np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def place_sound(speech: Speech, *, start_s: float, length_s: float) -> np.ndarray:
    """Return float32 mono at 48 kHz: the speech from `start_s` on, a faint room around it."""
    sound = soxr.resample(speech.samples, speech.sample_rate, SAMPLE_RATE)
    sound = sound * (PEAK / np.abs(sound).max())
    room = np.random.default_rng(11).normal(0, 2e-4, round(length_s * SAMPLE_RATE))
    start = round(start_s * SAMPLE_RATE)
    stop = min(len(room), start + len(sound))
    room[start:stop] += sound[: stop - start]
    return room.astype(np.float32)


def write_shot(path: Path, frames: Iterator[np.ndarray], sound: np.ndarray) -> None:
    """Write H.264 with B-frames and AAC, BT.709 tags, timecode and reel name."""
    with av.open(str(path), "w", format="mov", options={"movflags": "+faststart+write_colr"}) as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        video.options = {"crf": CRF, "preset": "slow", "g": "50", "bf": "2"}
        video.codec_context.color_primaries = video.codec_context.color_trc = 1
        video.codec_context.colorspace = video.codec_context.color_range = 1
        video.metadata["timecode"] = TIMECODE
        video.metadata["reel_name"] = REEL
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        audio.codec_context.bit_rate = 80_000
        for picture in frames:
            container.mux(video.encode(_tagged(picture)))
        container.mux(video.encode(None))
        packet = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        packet.sample_rate = SAMPLE_RATE
        packet.time_base = Fraction(1, SAMPLE_RATE)
        packet.pts = 0
        container.mux(audio.encode(packet))
        container.mux(audio.encode(None))


def write_voice(path: Path, sound: np.ndarray) -> None:
    """Write a 24-bit WAV."""
    with av.open(str(path), "w", format="wav", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("pcm_s24le", rate=SAMPLE_RATE, layout="mono")
        samples = (np.rint(sound.astype(np.float64) * (2**23 - 1)).astype(np.int64) << 8).astype(np.int32)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s32", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _tagged(picture: np.ndarray) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuv420p",
        src_colorspace=av.video.reformatter.Colorspace.ITU709,
        dst_colorspace=av.video.reformatter.Colorspace.ITU709,
        dst_color_range=av.video.reformatter.ColorRange.MPEG,
    )
    frame.color_primaries = frame.color_trc = frame.colorspace = frame.color_range = 1
    return frame
