"""Frames of real files of many kinds: exact, in their own samples, with all tags."""

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.media.segment import FrameRange
from daemon.media.source import Source, open_source
from daemon.protocol.errors import MediaError, RequestError

Clip = Callable[..., Path]
Number = Callable[[np.ndarray, int], int]

X264_OPEN = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-pyramid=normal:scenecut=0"}
X264_LONG = {"x264-params": "keyint=250:bframes=3:scenecut=0"}
X265_OPEN = {
    "x265-params": "open-gop=1:keyint=12:min-keyint=12:bframes=4:b-pyramid=1:scenecut=0:log-level=error"
}

KINDS = {
    "h264-long-gop": ("a.mp4", {"options": X264_LONG}),
    "h264-open-gop": ("a.mov", {"options": X264_OPEN}),
    "h264-open-gop-long-clip": ("a.mov", {"options": X264_OPEN, "count": 200}),
    "h264-10-bit-422": ("a.mov", {"options": X264_LONG, "pixels": "yuv422p10le"}),
    "h264-transport-stream": ("a.ts", {"options": X264_OPEN}),
    "h264-matroska-60000/1001": ("a.mkv", {"options": X264_OPEN, "rate": Fraction(60000, 1001)}),
    "h264-avi": ("a.avi", {"options": {"x264-params": "bframes=0:keyint=20"}}),
    "hevc-open-gop": ("a.mp4", {"codec": "libx265", "options": X265_OPEN}),
    "hevc-10-bit": ("a.mov", {"codec": "libx265", "options": X265_OPEN, "pixels": "yuv420p10le"}),
    "hevc-12-bit-444": ("a.mov", {"codec": "libx265", "options": X265_OPEN, "pixels": "yuv444p12le"}),
    "prores-422": ("a.mov", {"codec": "prores_ks", "pixels": "yuv422p10le", "rate": Fraction(24000, 1001)}),
    "prores-long-clip": ("a.mov", {"codec": "prores_ks", "pixels": "yuv422p10le", "count": 150}),
    "dnxhr": ("a.mov", {"codec": "dnxhd", "pixels": "yuv422p10le", "size": (256, 128),
                        "options": {"profile": "dnxhr_hqx"}}),
    "dnxhr-mxf": ("a.mxf", {"codec": "dnxhd", "pixels": "yuv422p", "size": (256, 128),
                            "options": {"profile": "dnxhr_hq"}}),
    "ffv1-rgb": ("a.mkv", {"codec": "ffv1", "pixels": "gbrp10le", "tags": (1, 1, 0, 2)}),
    "mpeg2-b-frames": ("a.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}}),
    "mjpeg-full-range": ("a.avi", {"codec": "mjpeg", "pixels": "yuvj422p", "tags": (1, 1, 1, 2)}),
    "uyvy-uncompressed": ("a.mov", {"codec": "rawvideo", "pixels": "uyvy422"}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "0"}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_the_one_asked_for(kind: str, clip: Clip, number_of: Number) -> None:
    name, how = KINDS[kind]
    count = how.get("count", 30)
    with open_source(clip(name, **how)) as source:
        info = source.info
        assert (info.frame_count, info.rate, info.is_vfr) == (count, how.get("rate", Fraction(25)), False)
        depth = info.pixels.depth
        numbers = [number_of(frame.planes[0], depth) for frame in source.frames(info.frames)]
        assert numbers == list(range(count))
        places = random.Random(0).choices(range(count), k=25)
        assert [number_of(source.frame(place).planes[0], depth) for place in places] == places


@pytest.mark.parametrize(("pixels", "depth", "name"), [
    ("yuv420p", 8, "yuv420p"), ("yuv422p10le", 10, "yuv422p10le"), ("yuv444p12le", 12, "yuv444p12le"),
    ("gbrp10le", 10, "gbrp10le"), ("bgr0", 8, "gbrp"), ("yuva444p10le", 10, "yuva444p10le"),
    ("gray", 8, "yuv420p"), ("gray10le", 10, "yuv420p10le"), ("yuv411p", 8, "yuv411p"),
])  # fmt: skip
def test_samples_are_those_of_the_file(pixels: str, depth: int, name: str, clip: Clip) -> None:
    path = clip("a.mkv", codec="ffv1", pixels=pixels, count=2, size=(150, 94), tags=(1, 1, 1, 1))
    with open_source(path) as source:
        frame = source.frame(1)
        assert (frame.pixels.name, frame.pixels.depth) == (name, depth)
        assert len(frame.planes) == 3 + frame.pixels.has_alpha
        for plane, values in enumerate(frame.planes):
            assert values.shape == frame.pixels.plane_shape(plane, 150, 94)
            assert values.dtype == (np.uint8 if depth == 8 else np.uint16)
        assert frame.planes[0][0, 0] == 200 << (depth - 8)  # bit 0 of the number 1
        assert frame.planes[0][0, 20] == 60 << (depth - 8)


def test_a_variable_rate_clip_is_conformed_by_its_timestamps(clip: Clip, number_of: Number) -> None:
    ticks = [0, 33, 66, 150, 183, 250, 283, 400, 433, 466, 500, 533]  # milliseconds
    path = clip("a.mp4", ticks=ticks, count=len(ticks), time_base=Fraction(1, 1000), rate=Fraction(30))
    with open_source(path, Fraction(25)) as source:
        assert source.info.is_vfr
        shown = [number_of(frame.planes[0], 8) for frame in source.frames(source.info.frames)]
    expected = [max(n for n, tick in enumerate(ticks) if tick <= k * 40) for k in range(len(shown))]
    assert shown == expected
    assert len(shown) == 15  # 533 ms and one more frame of 33 ms


def test_a_variable_rate_clip_gets_the_standard_rate_nearest_to_its_own(clip: Clip) -> None:
    ticks = [0, 33, 66, 150, 183, 216, 250, 283, 400, 433]
    path = clip("a.mp4", ticks=ticks, count=len(ticks), time_base=Fraction(1, 1000), rate=Fraction(30))
    with open_source(path) as source:
        assert source.info.rate in (Fraction(30), Fraction(30000, 1001))


@pytest.mark.parametrize(("rate", "expected"), [
    (Fraction(50), [0, 0, 1, 1, 2, 2, 3, 3]),
    (Fraction(24), [0, 1, 2, 3, 4, 5, 6, 7]),
    (Fraction(25, 2), [0, 2, 4, 6, 8, 10, 12, 14]),
])  # fmt: skip
def test_another_rate_shows_what_is_on_screen_then(
    rate: Fraction, expected: list[int], clip: Clip, number_of: Number
) -> None:
    with open_source(clip("a.mov"), rate) as source:
        assert source.info.rate == rate
        assert source.info.frame_count == -(-30 * rate // 25)
        assert [number_of(frame.planes[0], 8) for frame in source.frames(FrameRange(0, 8))] == expected


@pytest.mark.parametrize(("rate", "timecode"), [
    (Fraction(30000, 1001), "01:00:00;02"), (Fraction(30000, 1001), "01:00:00:00"),
    (Fraction(60000, 1001), "10:09:59;58"), (Fraction(24000, 1001), "00:59:58:23"),
    (Fraction(50), "23:59:59:49"),
])  # fmt: skip
def test_timecode_and_reel_are_read(rate: Fraction, timecode: str, clip: Clip) -> None:
    metadata = {"timecode": timecode, "reel_name": "A001C003"}
    with open_source(clip("a.mov", rate=rate, metadata=metadata)) as source:
        assert (source.info.timecode, source.info.reel) == (timecode, "A001C003")


def test_a_clip_without_timecode_has_none(clip: Clip) -> None:
    with open_source(clip("a.mov")) as source:
        assert (source.info.timecode, source.info.reel, source.info.sound) == (None, None, None)


@pytest.mark.parametrize(("asked", "expected"), [
    (Fraction(50), "01:00:00:24"), (Fraction(24), "01:00:00:11"), (Fraction(25), "01:00:00:12"),
])  # fmt: skip
def test_timecode_counts_at_the_asked_rate(asked: Fraction, expected: str, clip: Clip) -> None:
    with open_source(clip("a.mov", metadata={"timecode": "01:00:00:12"}), asked) as source:
        assert source.info.timecode == expected


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (9, 16, 9, 1), (6, 6, 6, 1), (12, 1, 1, 2), (2, 2, 2, 0)])
def test_colour_tags_are_read(tags: tuple[int, int, int, int], clip: Clip) -> None:
    with open_source(clip("a.mov", tags=tags)) as source:
        colour = source.info.colour
        assert (colour.primaries, colour.transfer, colour.matrix) == tags[:3]
        assert colour.range in (tags[3], 1)


@pytest.mark.parametrize(("degrees", "rotation"), [(None, 0), (90, 270), (180, 180), (-90, 90)])
def test_an_upright_picture_maps_back_to_stored_pixels(
    degrees: float | None, rotation: int, clip: Clip
) -> None:
    with open_source(clip("a.mov", rotation=degrees, size=(320, 192), options={"crf": "5"})) as source:
        assert source.info.rotation == rotation
        frame = source.frame(21)  # bits 0, 2 and 4
        picture = frame.upright_rgb8(160)
        assert max(picture.shape[:2]) == 160
        assert picture.flags.c_contiguous
        matrix = source.info.upright_to_stored(160)
        rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
        stored = matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(columns.size)])
        x, y = np.rint(stored[0]).astype(int), np.rint(stored[1]).astype(int)
        assert x.min() >= 0
        assert y.min() >= 0
        assert x.max() < 320
        assert y.max() < 192
        difference = picture.reshape(-1, 3).mean(1) - (frame.planes[0][y, x].astype(float) - 16) * 255 / 219
        assert np.median(np.abs(difference)) < 4
        assert np.mean(np.abs(difference) > 30) < 0.05  # only at the edges of the blocks


def test_anamorphic_pixels_come_out_square(clip: Clip) -> None:
    path = clip("a.mkv", codec="ffv1", size=(160, 96))
    with open_source(path) as source:
        assert source.frame(0).upright_rgb8(80).shape == (48, 80, 3)


def test_reading_stops_when_the_caller_does(clip: Clip) -> None:
    class StopError(Exception):
        pass

    calls = 0

    def still() -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise StopError

    with open_source(clip("a.mov", options=X264_LONG)) as source:
        with pytest.raises(StopError):
            list(source.frames(source.info.frames, still=still))
        frames = source.frames(source.info.frames)
        next(frames)
        frames.close()  # type: ignore[attr-defined]
        assert source.frame(3).index == 3


def test_two_readings_at_once_do_not_disturb_each_other(clip: Clip, number_of: Number) -> None:
    with open_source(clip("a.mov", options=X264_OPEN)) as source:
        pairs = zip(source.frames(FrameRange(0, 10)), source.frames(FrameRange(15, 25)), strict=True)
        numbers = [(number_of(a.planes[0], 8), number_of(b.planes[0], 8)) for a, b in pairs]
    assert numbers == [(k, k + 15) for k in range(10)]


def test_frames_outlive_the_source_and_cannot_be_written(clip: Clip, number_of: Number) -> None:
    with open_source(clip("a.mov", options=X264_LONG)) as source:
        kept = list(source.frames(source.info.frames))
    assert [number_of(frame.planes[0], 8) for frame in kept] == list(range(30))
    with pytest.raises(ValueError, match="read-only"):
        kept[0].planes[0][0, 0] = 1


def test_a_range_outside_the_clip_is_refused(clip: Clip) -> None:
    with open_source(clip("a.mov", count=5)) as source:
        for frames in (FrameRange(-1, 3), FrameRange(0, 6), FrameRange(2, 2)):
            with pytest.raises(RequestError) as error:
                source.frames(frames)
            assert error.value.code == "range.outside"


def _open_error(path: Path) -> str:
    with pytest.raises(MediaError) as error, open_source(path):
        pass
    return error.value.code


def test_what_is_no_clip_is_refused_with_the_reason(tmp_path: Path, clip: Clip) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a film\n" * 200)
    empty = tmp_path / "empty.mov"
    empty.touch()
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(random.Random(0).randbytes(20000))
    assert _open_error(tmp_path / "nothing.mov") == "source.missing"
    assert _open_error(tmp_path) == "source.unreadable"
    assert [_open_error(path) for path in (text, empty, noise)] == ["source.unreadable"] * 3


def test_a_sound_file_has_no_video(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    assert _open_error(path) == "source.no_video"


def _sequential(source: Source, frames: FrameRange, number_of: Number) -> list[int]:
    return [number_of(frame.planes[0], source.info.pixels.depth) for frame in source.frames(frames)]


@pytest.mark.parametrize(("name", "how"), [
    ("a.ts", {"options": X264_OPEN, "count": 60}),
    ("a.mkv", {"codec": "ffv1", "count": 60, "pixels": "yuv422p10le"}),
])  # fmt: skip
def test_a_file_cut_short_still_gives_its_good_frames(
    name: str, how: dict, clip: Clip, number_of: Number
) -> None:
    path = clip(name, **how)
    with open_source(path) as whole:
        assert whole.info.frames_lost == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_source(path) as source:
        assert source.info.frames_lost == (60 - source.info.frame_count if name.endswith("mkv") else 0)
        assert 20 < source.info.frame_count < 50
        good = FrameRange(0, source.info.frame_count - 4)
        assert _sequential(source, good, number_of) == list(range(len(good)))


def test_a_movie_with_a_hole_gives_its_good_frames(clip: Clip, number_of: Number) -> None:
    path = clip("a.mov", codec="prores_ks", pixels="yuv422p10le", count=150)
    whole = path.read_bytes()
    header = (
        whole.index(b"moov") - 4
    )  # behind the media; put a copy in front of the cut by hand is not needed:
    media = whole[:header]
    broken = bytearray(whole)
    broken[len(media) * 2 // 3 : header] = bytes(
        header - len(media) * 2 // 3
    )  # as a disk that filled up leaves it
    path.write_bytes(bytes(broken))
    with open_source(path) as source:
        assert source.info.frame_count == 150
        assert _sequential(source, FrameRange(0, 90), number_of) == list(range(90))
        with pytest.raises(MediaError) as error:
            list(source.frames(FrameRange(80, 150)))
        assert error.value.code == "source.corrupt"


@pytest.mark.parametrize("options", [X264_OPEN, {"x264-params": "keyint=15:bframes=2:scenecut=0"}])
def test_damage_matters_only_inside_the_range(options: dict[str, str], clip: Clip, number_of: Number) -> None:
    path = clip("a.ts", options=options, count=60, size=(320, 192))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for place in range(middle, middle + 188 * 8):
        if place % 188 > 8:  # keep the packets' headers
            data[place] = 0x55
    path.write_bytes(bytes(data))
    with open_source(path) as source:
        assert _sequential(source, FrameRange(0, 15), number_of) == list(range(15))
        assert _sequential(source, FrameRange(50, 60), number_of) == list(range(50, 60))
        with pytest.raises(MediaError) as error:
            list(source.frames(FrameRange(0, 60)))
        assert error.value.code == "source.corrupt"
        assert "Frame " in error.value.message


def test_frames_predicted_from_a_damaged_one_are_damaged_too(clip: Clip, number_of: Number) -> None:
    params = {"x264-params": "keyint=40:bframes=3:b-adapt=0:b-pyramid=none:scenecut=0:ref=1"}
    path = clip("a.mp4", options=params, count=80, size=(320, 192))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        step = packets[0].duration
        first = min(packet.pts for packet in packets)
        spoilt = next(p for p in packets if (p.pts - first) // step == 20)  # a P frame; 17 to 19 follow it
        start, size = spoilt.pos, spoilt.size
    data = bytearray(path.read_bytes())
    data[start + size // 3 : start + size] = bytes(size - size // 3)
    path.write_bytes(bytes(data))
    with open_source(path) as source:
        assert _sequential(source, FrameRange(0, 17), number_of) == list(range(17))
        assert _sequential(source, FrameRange(40, 80), number_of) == list(range(40, 80))
        for place in (18, 20, 30):
            with pytest.raises(MediaError) as error:
                source.frame(place)
            assert error.value.code == "source.corrupt"
            assert f"Frame {place} " in error.value.message


def test_an_edit_list_hides_what_it_cuts(clip: Clip, number_of: Number, tmp_path: Path) -> None:
    path, options = tmp_path / "cut.mp4", {"x264-params": "keyint=20:bframes=3:scenecut=0"}
    with av.open(str(clip("a.mp4", options=options, count=60))) as whole, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= packet.duration * 7  # the first seven are before zero, and so before the edit
                packet.dts -= packet.duration * 7
                packet.stream = stream
                out.mux(packet)
    with open_source(path) as source:
        numbers = _sequential(source, source.info.frames, number_of)
        assert numbers == list(range(7, 60))  # the first of them are predicted from a hidden one
        assert number_of(source.frame(3).planes[0], 8) == 10


def test_dv_shows_the_bottom_field_first_though_its_files_do_not_say_so(clip: Clip) -> None:
    with open_source(clip("a.avi", codec="dvvideo", size=(720, 576), count=2)) as source:
        assert source.info.first_field == "bottom"


def test_sound_lies_where_the_picture_is(clip: Clip) -> None:
    with open_source(clip("a.mov", tone_hz=440.0, count=50)) as source:
        assert source.info.sound is not None
        assert (source.info.sound.sample_rate, source.info.sound.channels) == (48000, 1)
        whole = source.sound(source.info.frames)
        assert whole.shape == (32000,)
        expected = 8000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)
        assert np.abs(whole - expected)[200:-200].max() < 2e-3
        part = source.sound(FrameRange(20, 30))
        assert part.shape == (6400,)
        assert np.abs(part - whole[12800:19200]).max() < 2e-3


def test_a_silent_clip_sounds_like_silence(clip: Clip) -> None:
    with open_source(clip("a.mov", rate=Fraction(30000, 1001))) as source:
        assert np.array_equal(source.sound(FrameRange(1, 4)), np.zeros(1601, np.float32))


def test_a_list_of_other_files_is_no_media_file(clip: Clip) -> None:
    other = clip("a.ts", codec="mpeg2video", options={}, count=4)
    for name, text in (
        ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", f"ffconcat version 1.0\nfile {other.name}\n"),
    ):
        playlist = other.parent / name
        playlist.write_text(text)
        with pytest.raises(MediaError) as caught:
            open_source(playlist)
        assert "list of other files" in caught.value.message
