"""Takes read back: picture, tags, timecode and sound as asked for, and the same bytes twice."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.media.codecs import find_codec
from daemon.media.deliver import OVERLAY_PIXELS, TakeWriter, matte_pixels, open_writer
from daemon.media.pixels import PixelFormat, pixel_format
from daemon.media.segment import FrameRange, sample_at
from daemon.media.source import ColourTags, SourceInfo, open_source
from daemon.media.tags import RANGE_FULL, RANGE_TV
from daemon.media.voice import ConformedVoice, open_voice
from daemon.protocol.errors import MachineError, RequestError
from daemon.redub.playback import play

Number = Callable[[np.ndarray, int], int]
SIZE = (288, 160)


def source_info(pixels: str = "yuv420p", size: tuple[int, int] = SIZE, **changes: object) -> SourceInfo:
    info = SourceInfo(
        path=Path("a.mov"),
        width=size[0],
        height=size[1],
        rotation=0,
        rate=Fraction(25),
        frame_count=100,
        is_vfr=False,
        pixels=pixel_format(pixels),
        colour=ColourTags(1, 1, 1, RANGE_TV),
        sample_aspect=Fraction(1),
        timecode="01:00:00:00",
        reel="A001C003",
        sound=None,
        first_field=None,
    )
    return replace(info, **changes)  # type: ignore[arg-type]


def picture(pixels: PixelFormat, size: tuple[int, int], number: int) -> tuple[np.ndarray, ...]:
    """Return a smooth, moving picture inside the limited range."""
    peak = (1 << pixels.depth) - 1
    planes = []
    for plane in range(pixels.plane_count):
        rows, columns = pixels.plane_shape(plane, *size)
        y, x = np.mgrid[0:rows, 0:columns]
        wave = 0.5 + 0.2 * np.sin((x + 3 * number) / 17 + plane) * np.cos(y / 23)
        planes.append((wave * peak).astype(pixels.dtype))
    return tuple(planes)


def write_take(
    path: Path, info: SourceInfo, codec: str, *, alpha: bool = False, count: int = 6, first: int = 0,
    pixels: PixelFormat | None = None, voice: ConformedVoice | None = None,
) -> tuple[Path, list[tuple[np.ndarray, ...]]]:  # fmt: skip
    """Write a take of `picture`s and return where it lies and what went in."""
    pixels = pixels or (OVERLAY_PIXELS if alpha else info.pixels)
    writer = open_writer(
        path, codec=codec, info=info, first_frame=first, alpha=alpha, voice=voice, pixels=pixels
    )
    frames = [picture(pixels, (info.width, info.height), number) for number in range(count)]
    for planes in frames:
        writer.write(planes, pixels)
    part = writer.close()
    part.replace(path)
    return path, frames


def difference(path: Path, frames: list[tuple[np.ndarray, ...]], depth: int) -> list[int]:
    """Return the largest difference of each plane of a take from what went in, at the take's depth."""
    with open_source(path) as take:
        assert take.info.frame_count == len(frames)
        shift = take.info.pixels.depth - depth
        worst = [0] * len(frames[0])
        for frame, planes in zip(take.frames(take.info.frames), frames, strict=True):
            for plane, values in enumerate(planes):
                wanted = values.astype(int) << shift if shift >= 0 else values >> -shift
                worst[plane] = max(worst[plane], int(np.abs(frame.planes[plane].astype(int) - wanted).max()))
    return worst


@pytest.mark.parametrize("pixels", [
    "yuv420p", "yuv422p10le", "yuv444p12le", "yuv420p10le", "gbrp", "gbrap", "gbrp10le", "yuva444p10le",
])  # fmt: skip
@pytest.mark.parametrize("size", [SIZE, (213, 119)])
def test_ffv1_keeps_every_code_value(pixels: str, size: tuple[int, int], tmp_path: Path) -> None:
    colour = ColourTags(
        1, 1, 0 if pixels.startswith("gb") else 1, RANGE_FULL if pixels.startswith("gb") else 1
    )
    path, frames = write_take(tmp_path / "a.mkv", source_info(pixels, size, colour=colour), "ffv1")
    with open_source(path) as take:
        assert take.info.pixels.name == pixels
        assert take.info.colour.range == colour.range
    assert difference(path, frames, pixel_format(pixels).depth) == [0] * len(frames[0])


@pytest.mark.parametrize(("codec", "pixels", "most"), [
    ("prores422hq", "yuv422p10le", 8), ("prores422hq", "yuv422p", 8), ("dnxhr_hqx", "yuv422p10le", 8),
    ("h264", "yuv420p", 6), ("h264", "yuv422p10le", 16), ("prores4444", "yuv444p10le", 24),
])  # fmt: skip
def test_baked_codecs_come_back_close_and_no_shallower(
    codec: str, pixels: str, most: int, tmp_path: Path
) -> None:
    info = source_info(pixels)
    path, frames = write_take(tmp_path / "a.mov", info, codec)
    with open_source(path) as take:
        assert take.info.pixels.depth >= info.pixels.depth
        assert (take.info.pixels.log2_w, take.info.pixels.log2_h) == (info.pixels.log2_w, info.pixels.log2_h)
    assert max(difference(path, frames, info.pixels.depth)) <= most


def test_chroma_is_brought_to_422_where_the_codec_has_no_420(tmp_path: Path) -> None:
    path, frames = write_take(tmp_path / "a.mov", source_info("yuv420p"), "prores422hq")
    with open_source(path) as take:
        planes = take.frame(2).planes
        assert planes[1].shape == (SIZE[1], SIZE[0] // 2)
        low = frames[2][1].astype(float) * 4
        wanted = (3 * low + np.concatenate([low[:1], low[:-1]])) / 4  # rows above the chroma sample
        assert np.abs(planes[1][2::2] - wanted[1:]).max() < 12
        assert np.abs(planes[0] - frames[2][0].astype(float) * 4).max() < 8


def test_full_range_becomes_tv_range_where_the_file_cannot_say_so(tmp_path: Path) -> None:
    info = source_info("yuv420p", colour=ColourTags(1, 1, 1, RANGE_FULL))
    path, frames = write_take(tmp_path / "a.mov", info, "prores422hq")
    with open_source(path) as take:
        assert take.info.colour.range == RANGE_TV
        wanted = frames[0][0] / 255 * 876 + 64
        assert np.abs(take.frame(0).planes[0] - wanted).max() < 6
    path, frames = write_take(tmp_path / "b.mov", info, "h264")
    with open_source(path) as take:
        assert take.info.colour.range == RANGE_FULL
        assert np.abs(take.frame(0).planes[0].astype(int) - frames[0][0]).max() < 7


def test_rgb_becomes_ycbcr_by_the_tagged_matrix(tmp_path: Path) -> None:
    info = source_info("gbrp", size=(320, 180), colour=ColourTags(9, 16, 9, RANGE_FULL))
    path, frames = write_take(tmp_path / "a.mov", info, "prores4444")
    with open_source(path) as take:
        assert (take.info.colour.matrix, take.info.colour.range) == (9, RANGE_TV)
        red, green, blue = (plane / 255 for plane in frames[0])
        luma = 64 + 876 * (0.2627 * red + 0.6780 * green + 0.0593 * blue)
        assert np.abs(take.frame(0).planes[0] / (1 << take.info.pixels.depth - 10) - luma).max() < 8


@pytest.mark.parametrize(("codec", "size"), [
    ("prores4444", SIZE), ("prores4444", (853, 479)), ("prores4444", (854, 480)),
    ("ffv1_8bit", SIZE), ("ffv1_8bit", (853, 479)),
])  # fmt: skip
def test_an_overlays_alpha_is_exact_and_its_colours_straight(
    codec: str, size: tuple[int, int], tmp_path: Path
) -> None:
    width, height = size
    planes = [np.full((height, width), value, np.uint16) for value in (64, 512, 512, 0)]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(x - width / 2, y - height / 2)
    planes[3][:] = np.clip((70 - distance) / 30, 0, 1) * 1023
    planes[0][distance < 80] = 600
    planes[1][distance < 80] = 440
    info = source_info(size=size)
    name = "a.mkv" if codec == "ffv1_8bit" else "a.mov"
    writer = open_writer(tmp_path / name, codec=codec, info=info, first_frame=0, alpha=True, voice=None)
    for _ in range(3):
        writer.write(tuple(planes), OVERLAY_PIXELS)
    with open_source(writer.close()) as take:
        assert take.info.pixels.has_alpha
        assert take.info.frame_count == 3
        frame = take.frame(2)
        alpha = frame.planes[3].astype(float) / ((1 << take.info.pixels.depth) - 1)
    assert alpha[distance > 71].max() == 0
    assert alpha[distance < 39].min() > 0.999  # prores_aw's full is 1023/1024
    assert np.abs(alpha - planes[3] / 1023).max() < (0.002 if take.info.pixels.depth > 8 else 0.004)
    inside = (distance < 60) & (planes[3] > 0)
    scale = 2.0 ** (take.info.pixels.depth - 10)
    assert np.abs(frame.planes[0][inside] / scale - 600).max() < 6
    assert (take.info.pixels.depth == 8) is (codec == "ffv1_8bit")
    assert np.abs(frame.planes[1][inside] / scale - 440).max() < 6


@pytest.mark.parametrize("codec", ["prores4444", "prores422hq", "dnxhr_hqx", "h264", "ffv1"])
@pytest.mark.parametrize(("rate", "start", "expected"), [
    (Fraction(30000, 1001), "00:00:59;20", "00:01:00;02"),
    (Fraction(24000, 1001), "01:00:00:15", "01:00:01:01"),
    (Fraction(60000, 1001), "00:59:59;55", "01:00:00;05"), (Fraction(25), "10:00:00:20", "10:00:01:05"),
])  # fmt: skip
def test_rate_tags_timecode_and_reel_come_back(
    codec: str, rate: Fraction, start: str, expected: str, tmp_path: Path
) -> None:
    colour = ColourTags(9, 16, 9, RANGE_TV)
    info = source_info("yuv422p10le", rate=rate, timecode=start, colour=colour)
    name = "a.mkv" if codec == "ffv1" else "a.mov"
    path, _ = write_take(tmp_path / name, info, codec, alpha=codec == "prores4444", count=5, first=10)
    with open_source(path) as take:
        assert (take.info.rate, take.info.frame_count) == (rate, 5)
        assert (take.info.timecode, take.info.reel) == (expected, "A001C003")
        assert take.info.colour == colour


@pytest.mark.parametrize(("pixels", "matrix"), [("yuv420p", 6), ("gbrp", 1)])
def test_dnxhr_names_the_matrix_of_what_is_untagged(pixels: str, matrix: int, tmp_path: Path) -> None:
    path, _ = write_take(tmp_path / "a.mov", source_info(pixels, colour=ColourTags()), "dnxhr_hqx")
    with open_source(path) as take:
        assert take.info.colour.matrix == matrix


@pytest.mark.parametrize("codec", ["prores422hq", "dnxhr_hqx", "h264", "ffv1"])
def test_display_matrix_and_pixel_shape_come_back(
    codec: str, clip: Callable[..., Path], tmp_path: Path
) -> None:
    with open_source(clip("phone.mov", rotation=-90, size=SIZE)) as source:
        info = replace(source.info, sample_aspect=Fraction(4, 3))
    chosen = find_codec(codec)
    path, _ = write_take(tmp_path / f"a{chosen.suffix}", info, codec)
    with open_source(path) as take:
        assert take.info.rotation == info.rotation == 90
        assert take.info.display_matrix == info.display_matrix or not chosen.keeps_aspect
        assert (take.info.sample_aspect == Fraction(4, 3)) == chosen.keeps_aspect


@pytest.mark.parametrize("first_field", ["top", "bottom"])
@pytest.mark.parametrize("codec", ["prores4444", "prores422hq", "h264"])
def test_the_order_of_fields_comes_back(codec: str, first_field: str, tmp_path: Path) -> None:
    info = source_info("yuv422p10le", first_field=first_field)
    path, _ = write_take(tmp_path / "a.mov", info, codec, alpha=codec == "prores4444")
    with open_source(path) as take:
        assert take.info.first_field == first_field


def test_without_a_source_timecode_the_take_has_none(tmp_path: Path) -> None:
    path, _ = write_take(tmp_path / "a.mov", source_info(timecode=None, reel=None), "prores422hq", first=30)
    with open_source(path) as take:
        assert take.info.timecode is None


@pytest.mark.parametrize(("codec", "alpha"), [
    ("prores4444", True), ("prores422hq", False), ("dnxhr_hqx", False), ("h264", False), ("ffv1", False),
    ("exr", True),
])  # fmt: skip
def test_the_same_frames_give_the_same_bytes(
    codec: str, alpha: bool, tmp_path: Path, voice: ConformedVoice
) -> None:
    info = source_info("yuv420p10le", size=(290, 162))

    def digest(name: str) -> str:
        path, _ = write_take(tmp_path / name / "take", info, codec, alpha=alpha, count=8, voice=voice)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert digest("a") == digest("b")


@pytest.fixture
def voice(tmp_path: Path) -> ConformedVoice:
    """Return 8 frames of 24-bit stereo at 48 kHz."""
    path = tmp_path / "voice.wav"
    rng = np.random.default_rng(3)
    samples = (rng.integers(-(1 << 22), 1 << 22, (20000, 2)) << 8).astype(np.int32)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s24le", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s32", layout="stereo")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return open_voice(path).conform(FrameRange(0, 8), Fraction(25), 0, "silence")


@pytest.mark.parametrize(("codec", "name"), [("prores422hq", "a.mov"), ("ffv1", "a.mkv"), ("h264", "b.mov")])
def test_the_voice_goes_to_the_take_sample_for_sample(
    codec: str, name: str, tmp_path: Path, voice: ConformedVoice
) -> None:
    assert len(voice.samples) == sample_at(8, Fraction(25), 48000)
    path, _ = write_take(tmp_path / name, source_info(), codec, count=8, voice=voice)
    taken = open_voice(path)
    assert (taken.info.depth, taken.info.layout, taken.info.sample_rate) == (24, "stereo", 48000)
    assert taken.info.samples == len(voice.samples)
    again = taken.conform(FrameRange(0, 8), Fraction(25), 0, "silence")
    assert np.array_equal(again.samples, voice.samples)


def test_a_transparent_overlay_in_exr_plays_back_transparent(tmp_path: Path) -> None:
    info = source_info(size=(540, 960))
    writer = open_writer(tmp_path / "take", codec="exr", info=info, first_frame=0, alpha=True, voice=None)
    planes = tuple(np.full((960, 540), value, np.uint16) for value in (64, 512, 512, 0))
    for _frame in range(4):
        writer.write(planes, OVERLAY_PIXELS)
    shown = list(play(writer.close(), info.rate, is_overlay=True, exact_pixels=None))
    assert [float(one.alpha.max()) for one in shown if one.alpha is not None] == [0.0] * 4
    assert max(float(plane.max()) for one in shown for plane in one.planes) == 0.0


def test_exr_frames_hold_the_coded_rgb_and_alpha(tmp_path: Path, voice: ConformedVoice) -> None:
    info = source_info("gbrp10le", colour=ColourTags(1, 1, 0, RANGE_FULL))
    path, frames = write_take(tmp_path / "take", info, "exr", count=3, first=7, voice=voice)
    names = sorted(file.name for file in path.iterdir())
    assert names == ["take.0000007.exr", "take.0000008.exr", "take.0000009.exr", "take.wav"]
    with av.open(str(path / "take.0000008.exr")) as still:
        frame = next(still.decode(video=0))
        assert frame.format.name in ("gbrpf32le", "gbrpf16le")
        rgb = frame.reformat(format="gbrpf32le").to_ndarray()
    for plane in range(3):
        assert np.abs(rgb[..., plane] - frames[1][plane] / 1023).max() < 0.0006
    assert open_voice(path / "take.wav").info.samples == len(voice.samples)


@pytest.mark.parametrize(("codec", "name"), [("prores422hq", "m.mov"), ("ffv1", "m.mkv")])
def test_a_matte_is_written_from_black_to_white(codec: str, name: str, tmp_path: Path) -> None:
    matte = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    matte[40:80, 100:200] = 1023
    writer = open_writer(
        tmp_path / name, codec=codec, info=source_info(), first_frame=0, alpha=False, voice=None,
        pixels=matte_pixels(10),
    )  # fmt: skip
    writer.write((matte,), matte_pixels(10))
    with open_source(writer.close()) as take:
        luma = take.frame(0).planes[0].astype(int)
    black, white = (64, 940) if codec == "prores422hq" else (0, 1023)
    assert np.abs(luma[matte == 0] - black).max() <= 8
    assert np.abs(luma[matte > 0] - white).max() <= 8


@pytest.mark.parametrize(("codec", "size", "pixels"), [
    ("h264", (853, 480), "yuv420p"), ("dnxhr_hqx", (128, 96), "yuv422p10le"),
])  # fmt: skip
def test_sizes_a_codec_cannot_hold_are_refused(
    codec: str, size: tuple[int, int], pixels: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as error:
        write_take(tmp_path / "a.mov", source_info(pixels, size), codec)
    assert error.value.code == "job.invalid"
    assert f"{size[0]} x {size[1]}" in error.value.message


@pytest.mark.parametrize(("codec", "pixels"), [
    ("prores422hq", "yuv420p"), ("prores4444", "yuv420p"), ("ffv1", "yuv420p"), ("dnxhr_hqx", "yuv420p"),
    ("h264", "yuv444p"),
])  # fmt: skip
def test_odd_sizes_are_kept_where_the_codec_allows(codec: str, pixels: str, tmp_path: Path) -> None:
    name = "a.mkv" if codec == "ffv1" else "a.mov"
    path, frames = write_take(tmp_path / name, source_info(pixels, (853, 479)), codec, count=2)
    with open_source(path) as take:
        assert (take.info.width, take.info.height) == (853, 479)
        shift = take.info.pixels.depth - 8
        assert (
            np.abs(take.frame(1).planes[0].astype(int) - (frames[1][0].astype(int) << shift)).max()
            <= 16 << shift
        )


@pytest.mark.parametrize("codec", ["prores422hq", "h264", "ffv1"])
def test_a_codec_without_alpha_takes_no_overlay(codec: str, tmp_path: Path) -> None:
    if codec == "ffv1":
        path, frames = write_take(tmp_path / "a.mkv", source_info(), codec, alpha=True)
        assert difference(path, frames, 10) == [0, 0, 0, 0]
        return
    with pytest.raises(RequestError) as error:
        write_take(tmp_path / "a.mov", source_info(), codec, alpha=True)
    assert error.value.code == "job.invalid"


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, limits[1]))
    try:
        with pytest.raises(MachineError) as error:
            write_take(tmp_path / "a.mov", source_info("yuv422p10le", (1280, 720)), "prores422hq", count=12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.code == "disk.full"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as error:
        write_take(tmp_path / "nowhere" / "a.mov", source_info(), "prores422hq")
    assert error.value.code == "dest.unwritable"


def test_abort_removes_what_was_written(tmp_path: Path) -> None:
    info = source_info()
    writer: TakeWriter = open_writer(
        tmp_path / "a.mov", codec="h264", info=info, first_frame=0, alpha=False, voice=None
    )
    writer.write(picture(info.pixels, SIZE, 0), info.pixels)
    assert writer.part.exists()
    writer.abort()
    assert list(tmp_path.iterdir()) == []
