"""What a redub delivers: every codec, alpha, matte, handles, seeds, places; and the same again."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.protocol.jobs import JobState, Take
from tests.clips import Clip, difference_outside, make_clip, make_voice, planes_of, read_clip, samples_between
from tests.studio import Studio, command, essence_of, sidecar_of

FIRST, STOP = 8, 26
RATE = Fraction(25)


@pytest.fixture(scope="module")
def shot(studio: Studio) -> Path:
    return make_clip(studio.folder / "shot.v2.mov", metadata={"timecode": "01:00:00:00", "reel_name": "A1"})


@pytest.fixture(scope="module")
def deep_shot(studio: Studio) -> Path:
    return make_clip(studio.folder / "deep.mov", codec="prores_ks", pixels="yuv422p10le")


def digest(path: str | Path) -> str:
    """Return the sha256 of a file, or of a folder's files in order, whatever they are called."""
    files = [Path(path)] if Path(path).is_file() else sorted(Path(path).iterdir())
    together = hashlib.sha256()
    for file in files:
        together.update(file.read_bytes())
    return together.hexdigest()


def read_pictures(folder: Path) -> list[tuple[np.ndarray, ...]]:
    """Return the EXR frames of a folder in order, as float32 planes R G B [A]."""
    found = []
    for path in sorted(folder.glob("*.exr")):
        with av.open(str(path)) as container:
            green, blue, red, *alpha = planes_of(next(container.decode(video=0)))
            found.append((red, green, blue, *alpha))
    return found


def alphas(clip: Clip) -> list[np.ndarray]:
    return [planes[3] for planes in clip.frames]


@pytest.mark.parametrize("which", ["shot", "deep_shot"])
def test_ffv1_keeps_every_code_value_outside_the_matte(
    which: str, studio: Studio, voice: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(which)
    take = studio.take(path, voice, FIRST, STOP, deliver="baked", codec="ffv1", matte=True)
    source, shown, matte = read_clip(path), read_clip(Path(take.path)), read_clip(Path(take.matte or ""))
    assert shown.pixels == source.pixels
    is_new = []
    for ours, theirs, (mask,) in zip(shown.frames, source.frames[FIRST:STOP], matte.frames, strict=True):
        assert difference_outside(ours, theirs, mask) == 0
        assert (mask > 0).mean() < 0.3
        is_new.append((ours[0] != theirs[0]).any())
    assert all(is_new[2:-2]), "at both ends the mouth fades to the source's"
    assert take.checks["outside_max_difference"] == 0


@pytest.mark.parametrize(
    ("codec", "pixels", "most"),
    [("prores422hq", "yuv422p12le", 3), ("dnxhr_hqx", "yuv422p10le", 3), ("h264", "yuv420p", 5)],
)
def test_a_baked_take_is_the_source_but_for_the_codec(
    codec: str, pixels: str, most: float, studio: Studio, shot: Path, voice: Path
) -> None:
    take = studio.take(shot, voice, FIRST, STOP, deliver="baked", codec=codec, matte=True)
    source, shown, matte = read_clip(shot), read_clip(Path(take.path)), read_clip(Path(take.matte or ""))
    assert shown.pixels in (pixels, pixels.replace("12", "10"))
    assert (len(shown.frames), shown.rate, shown.timecode, shown.reel) == (18, RATE, "01:00:00:08", "A1")
    scale = int(shown.pixels[len("yuv422p") : -2]) - 8 if "p1" in shown.pixels else 0
    for ours, theirs, (mask, *_) in zip(shown.frames, source.frames[FIRST:STOP], matte.frames, strict=True):
        outside = np.abs(ours[0] / 2**scale - theirs[0])[mask <= mask.min() + 64]
        assert np.percentile(outside, 99) <= most
    assert take.badge != "fail", take.checks["reasons"]


def test_an_overlay_is_clear_outside_its_matte(studio: Studio, shot: Path, voice: Path) -> None:
    take = studio.take(shot, voice, FIRST, STOP, matte=True, handles=4)
    overlay, matte = read_clip(Path(take.path)), read_clip(Path(take.matte or ""))
    baked = studio.take(shot, voice, FIRST, STOP, deliver="baked", codec="ffv1", matte=True, handles=4)
    exact = read_clip(Path(baked.matte or ""))
    full = {"yuva444p12le": 4095, "yuva444p10le": 1023}[overlay.pixels]
    assert len(overlay.frames) == len(matte.frames) == 4 + 18 + 4
    for alpha, (mask,) in zip(alphas(overlay), exact.frames, strict=True):
        assert alpha[mask == 0].max(initial=0) == 0
        assert np.abs(alpha / full - mask / 1023).max() < 0.01
    seen = {k for k, alpha in enumerate(alphas(overlay)) if alpha.any()}
    assert set(range(7, 19)) <= seen <= set(range(4, 22))  # beside the ends a mouth may be the source's still


def test_pictures_of_an_overlay_are_clear_outside_and_those_baked_are_the_source(
    studio: Studio, shot: Path, voice: Path
) -> None:
    overlay = studio.take(shot, voice, FIRST, STOP, codec="exr", matte=True)
    baked = studio.take(shot, voice, FIRST, STOP, codec="exr", deliver="baked")
    clear, full = read_pictures(Path(overlay.path)), read_pictures(Path(baked.path))
    masks = read_pictures(Path(overlay.matte or ""))
    source = read_clip(shot)
    assert len(clear) == len(full) == len(masks) == 18
    assert max(rgba[3].max() for rgba in clear) > 0.9
    for rgba, rgb, mask, theirs in zip(clear, full, masks, source.frames[FIRST:STOP], strict=True):
        assert rgba[3][mask[0] == 0].max() == 0
        luma = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
        assert np.abs(luma - (theirs[0] - 16.0) / 219)[mask[0] == 0].max() < 0.004
    assert baked.checks["outside_max_difference"] == 0
    assert next(Path(baked.path).glob("*.wav")).stat().st_size > 18 * 1920 * 2
    assert sorted(Path(baked.path).glob("*.exr"))[0].name.split(".")[-2] == "0000008"


@pytest.mark.parametrize("codec", ["ffv1", "prores4444", "h264"])
def test_a_baked_take_keeps_the_alpha_of_its_source_or_says_that_it_cannot(
    studio: Studio, voice: Path, codec: str
) -> None:
    shot = make_clip(studio.folder / "keyed.mov", codec="prores_ks", pixels="yuva444p10le")
    take = studio.take(shot, voice, FIRST, STOP, codec=codec, deliver="baked")
    assert take.checks["outside_max_difference"] == 0
    has_alpha = len(read_clip(Path(take.path)).frames[0]) == 4
    assert has_alpha == (codec != "h264")
    assert any("alpha" in note for note in take.notes) == (codec == "h264")


def test_a_folder_of_pictures_is_found_again_though_the_clips_name_has_dots(
    studio: Studio, shot: Path, voice: Path
) -> None:
    take = studio.take(shot, voice, FIRST, STOP, codec="exr")
    assert "shot.v2" in take.path
    assert command("checks", take.path).document["take_id"] == take.take_id
    assert command("checks", take.path, "--again").document["take_id"] == take.take_id
    assert command("accept", take.path).document["take"]["verdict"] == "accepted"


@pytest.mark.parametrize(
    ("first", "stop", "handles", "expected"), [(3, 20, 8, (0, 28)), (25, 40, 6, (19, 40))]
)
def test_handles_end_where_the_clip_does(
    first: int, stop: int, handles: int, expected: tuple[int, int], studio: Studio, shot: Path, voice: Path
) -> None:
    take = studio.take(shot, voice, first, stop, handles=handles, deliver="baked", codec="ffv1", matte=True)
    source, shown = read_clip(shot), read_clip(Path(take.path))
    matte = read_clip(Path(take.matte or ""))
    assert take.frames == len(shown.frames) == expected[1] - expected[0]
    plan = sidecar_of(take)["plan"]
    assert plan["handles"] == [first - expected[0], expected[1] - stop]
    assert shown.timecode == f"01:00:00:{expected[0]:02}"
    assert shown.sound is not None
    assert len(shown.sound) == samples_between(*expected, RATE, 48000)
    for k, ours, (mask,) in zip(range(*expected), shown.frames, matte.frames, strict=True):
        assert difference_outside(ours, source.frames[k], mask) == 0
        assert mask.any() == (first <= k < stop)


def test_several_takes_have_seeds_and_places_of_their_own(
    studio: Studio, shot: Path, voice: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "new" / "folder"
    takes = studio.takes(shot, voice, FIRST, STOP, takes=3, seed=7, dest=str(dest))
    assert [take.seed for take in takes] == [7, 8, 9]
    assert len({take.path for take in takes}) == len({digest(take.path) for take in takes}) == 3
    again = studio.takes(shot, voice, FIRST, STOP, takes=1, seed=8, dest=str(dest))
    assert essence_of(again[0].path) == essence_of(takes[1].path)
    kept = {path.name for path in dest.iterdir()}
    assert kept == {Path(name).name for take in [*takes, *again] for name in (take.path, take.sidecar)}


def test_a_take_is_never_overwritten(studio: Studio, shot: Path, voice: Path, tmp_path: Path) -> None:
    dest = tmp_path / "takes"
    first = studio.take(shot, voice, FIRST, STOP, dest=str(dest))
    before = {path: (path.stat().st_mtime_ns, digest(path)) for path in dest.iterdir()}
    second = studio.take(shot, voice, FIRST, STOP, dest=str(dest))
    assert second.path != first.path
    assert {path: (path.stat().st_mtime_ns, digest(path)) for path in before} == before


@pytest.mark.parametrize(
    "how", [{}, {"deliver": "baked", "codec": "ffv1", "matte": True, "handles": 2}, {"codec": "exr"}]
)
def test_a_sidecar_is_enough_to_make_the_take_again(
    how: dict[str, object], studio: Studio, shot: Path, voice: Path
) -> None:
    take = studio.take(shot, voice, "01:00:00:08", "01:00:01:01", seed=3, **how)
    again = studio.finish(studio.client.submit(sidecar_of(take)["request"]))
    assert again.state is JobState.DONE
    assert again.takes[0].path != take.path
    assert essence_of(again.takes[0].path) == essence_of(take.path)
    if take.matte is not None:
        assert digest(again.takes[0].matte or "") == digest(take.matte)


def test_without_a_dest_takes_go_to_the_home(studio: Studio, shot: Path, voice: Path) -> None:
    take = studio.take(shot, voice, FIRST, STOP, dest=None)
    assert Path(take.path).is_relative_to(studio.client.paths.takes)


def mouth_moves(take: Take) -> list[list[int]]:
    """Return the frames that were passed through."""
    return take.checks["passed_through"]


@pytest.mark.parametrize(
    ("mode", "passed_through"),
    [("silence", []), ("cut_off", [[20, 34]]), ("loop", []), ("bounce", []), ("remap", [])],
)
def test_a_short_voice_is_filled_as_asked(
    mode: str, passed_through: list[list[int]], studio: Studio, shot: Path, tmp_path: Path
) -> None:
    short = make_voice(tmp_path / "short.wav", seconds=0.48)  # 12 frames
    take = studio.take(shot, short, 8, 34, duration_mode=mode)
    spoken, sound = read_clip_sound(short), read_clip(Path(take.path)).sound
    assert sound is not None
    assert sound.shape == (26 * 1920, 1)
    count = 12 * 1920
    heard = sound[count : 2 * count]
    assert mouth_moves(take) == passed_through
    if mode in ("silence", "cut_off"):
        assert np.array_equal(sound[:count], spoken)
        assert not sound[count:].any()
    elif mode == "bounce":
        assert np.array_equal(heard[:-1], spoken[::-1][1:])
    elif mode == "loop":
        fade = 240
        assert np.array_equal(heard[fade:-fade], spoken[fade:-fade])
    else:
        assert np.abs(sound[-1920:]).max() > 0


def read_clip_sound(path: Path) -> np.ndarray:
    from tests.clips import read_sound

    sound = read_sound(path).sound
    assert sound is not None
    return sound


@pytest.mark.parametrize("mode", ["silence", "cut_off", "remap"])
def test_a_long_voice_ends_with_the_range(mode: str, studio: Studio, shot: Path, voice: Path) -> None:
    take = studio.take(shot, voice, FIRST, STOP, duration_mode=mode)
    sound, spoken = read_clip(Path(take.path)).sound, read_clip_sound(voice)
    assert sound is not None
    assert len(sound) == 18 * 1920
    assert np.array_equal(sound, spoken[: len(sound)]) == (mode != "remap")


def test_frames_to_be_left_alone_are(studio: Studio, shot: Path, voice: Path) -> None:
    take = studio.take(
        shot, voice, FIRST, STOP, leave_alone=[[12, 15], ["01:00:00:20", 22]], matte=True, deliver="baked",
        codec="ffv1",
    )  # fmt: skip
    source, shown = read_clip(shot), read_clip(Path(take.path))
    assert mouth_moves(take) == [[12, 15], [20, 22]]
    assert take.checks["frames_passed_through"] == 5
    for k, ours in zip(range(FIRST, STOP), shown.frames, strict=True):
        is_same = all(np.array_equal(a, b) for a, b in zip(ours, source.frames[k], strict=True))
        if k in (12, 13, 14, 20, 21) or k in (9, 17, 24):  # beside them the mouth fades
            assert is_same == (k not in (9, 17, 24))
