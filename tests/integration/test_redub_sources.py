"""Footage of many kinds through the daemon: frames, timecode, tags and sound of the takes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.protocol.jobs import Take
from tests.clips import (
    MOUTH,
    Clip,
    difference_outside,
    make_clip,
    make_voice,
    read_clip,
    read_sound,
    samples_between,
)
from tests.studio import Studio, open_studio

FIRST, STOP, HANDLES = 12, 30, 3
RISING = 6  # frames at most, at 50 and 60 a second, over which the mouth becomes all new
DELIVERED = range(FIRST - HANDLES, STOP + HANDLES)
UNEVEN = [0, 33, 67, 133, 167, 200, 267, 300, 333, 367, 433, 467, 500, 533, 567, 600, 667, 700, 733, 767, 800,
          833, 900, 933, 967, 1000, 1033, 1067, 1133, 1167, 1200, 1233, 1267, 1300, 1367, 1400, 1433, 1467,
          1500, 1533]  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of clip, and what must come of it."""

    name: str
    how: dict[str, Any] = field(default_factory=dict)
    first: int | str = FIRST  # the in-point as asked for
    stop: int | str = STOP
    timecode: str | None = None  # of the first delivered frame
    voice: tuple[int, int, int] = (48000, 1, 16)  # sample rate, channels, depth
    rate: Fraction | None = None  # asked for; otherwise the clip's own
    mouth: tuple[float, float] = MOUTH  # in sides of the upright picture


LOW_MOUTH = (0.5, 0.68)


def without_bottom(number: int, picture: np.ndarray) -> np.ndarray:
    """Leave out the bottom quarter, so that up and down are told apart by where the mouth is."""
    return picture[:240]


X265 = {"x265-params": "log-level=error:bframes=3:keyint=12"}
LONG_GOP = {"x264-params": "keyint=250:bframes=3:scenecut=0:b-pyramid=normal"}
KINDS = {
    "23.976 ProRes 422, 10 bit": Kind(
        "a.mov",
        {"codec": "prores_ks", "pixels": "yuv422p10le", "rate": Fraction(24000, 1001),
         "metadata": {"timecode": "00:59:59:20", "reel_name": "A004C012"}},
        "01:00:00:08", "01:00:01:02", "01:00:00:05", (44100, 2, 24),
    ),
    "24 HEVC, 10 bit, BT.2020 PQ": Kind(
        "a.mov",
        {"codec": "libx265", "pixels": "yuv420p10le", "rate": Fraction(24), "options": X265,
         "tags": (9, 16, 9, 1), "metadata": {"timecode": "10:00:00:00", "reel_name": "B001"}},
        "10:00:00:12", "10:00:01:06", "10:00:00:09", (96000, 1, 24),
    ),
    "25 long GOP with B-frames, BT.601": Kind(
        "a.mp4", {"options": LONG_GOP, "tags": (5, 6, 5, 1), "sound": "aac"}
    ),
    "29.97 drop-frame": Kind(
        "a.mov",
        {"rate": Fraction(30000, 1001), "options": LONG_GOP,
         "metadata": {"timecode": "01:00:59;20", "reel_name": "TAPE7"}},
        "01:01:00;04", "01:01:00;22", "01:00:59;29", (44100, 1, 16),
    ),
    "29.97 non-drop": Kind(
        "a.mov", {"rate": Fraction(30000, 1001), "metadata": {"timecode": "01:00:59:20"}},
        "01:01:00:02", "01:01:00:20", "01:00:59:29",
    ),
    "50 transport stream": Kind("a.ts", {"rate": Fraction(50), "options": LONG_GOP, "sound": "mp2"}),
    "59.94 drop-frame, full range": Kind(
        "a.mov",
        {"rate": Fraction(60000, 1001), "tags": (1, 1, 1, 2), "metadata": {"timecode": "00:09:59;50"}},
        "00:10:00;02", "00:10:00;20", "00:09:59;59", (48000, 2, 24),
    ),
    "variable rate, conformed to 25": Kind(
        "a.mp4", {"rate": Fraction(30), "ticks": UNEVEN, "sound": "aac"}, rate=Fraction(25)
    ),
    "turned by 90": Kind("a.mov", {"turn": 90, "edit": without_bottom}, mouth=LOW_MOUTH),
    "turned by 180": Kind("a.mov", {"turn": 180, "edit": without_bottom}, mouth=LOW_MOUTH),
    "turned by 270": Kind(
        "a.mp4", {"turn": 270, "sound": "aac", "edit": without_bottom}, mouth=LOW_MOUTH
    ),
    "odd size": Kind("a.mkv", {"codec": "ffv1", "size": (321, 323)}),
    "without sound": Kind("a.mov", {"sound": None}),
}  # fmt: skip


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        yield opened


def expected_frames(source: Clip, rate: Fraction | None) -> list[tuple[np.ndarray, ...]]:
    """Return the source's frames that the delivered ones must show."""
    if rate is None:
        return [source.frames[k] for k in DELIVERED]
    on_screen = [max(n for n, time in enumerate(source.times) if time <= k / rate) for k in DELIVERED]
    return [source.frames[n] for n in on_screen]


def as_prores(tags: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers by which ProRes says the same: BT.601 has BT.709's curve, and one matrix."""
    return tags[0], {6: 1}.get(tags[1], tags[1]), {5: 6}.get(tags[2], tags[2])


def check_tags(take: Clip, kind: Kind, source: Clip, rate: Fraction, *, is_prores: bool) -> None:
    """Compare what the take says about itself with what its source does."""
    assert take.rate == rate or (not is_prores and abs(take.rate / rate - 1) < 1e-6)  # of Matroska, rounded
    assert len(take.times) == len(DELIVERED)
    for k, time in enumerate(take.times):
        assert abs(time - k / rate) < Fraction(1, 1000)  # Matroska counts milliseconds
    assert take.timecode == kind.timecode
    assert take.reel == kind.how.get("metadata", {}).get("reel_name")
    assert take.tags[:3] == (as_prores(source.tags) if is_prores else source.tags[:3])
    assert take.rotation == source.rotation


def check_sound(take: Clip, voice: Clip, kind: Kind, rate: Fraction) -> None:
    """Compare the take's sound with the voice, sample by sample."""
    sample_rate, channels, depth = kind.voice
    lead = samples_between(DELIVERED.start, FIRST, rate, sample_rate)
    inside = samples_between(FIRST, STOP, rate, sample_rate)
    count = samples_between(DELIVERED.start, DELIVERED.stop, rate, sample_rate)
    assert (take.sound_rate, take.sound_codec) == (sample_rate, f"pcm_s{depth}le")
    assert take.sound is not None
    assert voice.sound is not None
    assert take.sound.shape == (count, channels)
    assert not take.sound[:lead].any()
    assert np.array_equal(take.sound[lead : lead + inside], voice.sound[:inside])
    assert not take.sound[lead + inside :].any()


def mouth_place(matte: np.ndarray, turn: int) -> tuple[float, float]:
    """Return the middle of a matte in sides of the upright picture, x and y."""
    upright = np.rot90(matte, -(turn // 90))
    rows, columns = np.nonzero(upright > upright.max() // 2)
    return columns.mean() / upright.shape[1], rows.mean() / upright.shape[0]


@pytest.mark.parametrize("name", KINDS)
def test_a_take_is_the_clip_frame_by_frame_with_a_new_mouth(
    name: str, studio: Studio, tmp_path: Path
) -> None:
    kind = KINDS[name]
    path = make_clip(tmp_path / kind.name, **kind.how)
    voice_rate, channels, depth = kind.voice
    voice = make_voice(tmp_path / "voice.wav", rate=voice_rate, channels=channels, depth=depth)
    source, spoken = read_clip(path), read_sound(voice)
    rate = kind.rate or kind.how.get("rate", Fraction(25))
    fields = {"handles": HANDLES, "rate": None if kind.rate is None else str(kind.rate)}

    baked = studio.take(
        path, voice, kind.first, kind.stop, deliver="baked", codec="ffv1", matte=True, **fields
    )
    assert (baked.frames, Fraction(*baked.rate)) == (len(DELIVERED), rate)
    shown, matte = read_clip(Path(baked.path)), read_clip(Path(baked.matte or ""))
    assert shown.pixels == source.pixels
    assert shown.tags == source.tags
    check_tags(shown, kind, source, rate, is_prores=False)
    check_sound(shown, spoken, kind, rate)
    assert len(matte.frames) == len(DELIVERED)
    for ours, theirs, (mask,) in zip(
        shown.frames, expected_frames(source, kind.rate), matte.frames, strict=True
    ):
        assert difference_outside(ours, theirs, mask) == 0
    check_matte([planes[0] for planes in matte.frames], shown, kind)

    overlay = read_clip(Path(make_overlay(studio, path, voice, kind, fields).path))
    assert len(overlay.frames) == len(DELIVERED)
    check_tags(overlay, kind, source, rate, is_prores=True)
    check_sound(overlay, spoken, kind, rate)


def make_overlay(studio: Studio, path: Path, voice: Path, kind: Kind, fields: dict[str, Any]) -> Take:
    return studio.take(path, voice, kind.first, kind.stop, **fields)


def check_matte(mattes: list[np.ndarray], shown: Clip, kind: Kind) -> None:
    """The mouth is where it is seen, upright or not, and the handles have none.

    Beside the ends the new mouth rises out of the old one and may not differ from it yet.
    """
    changed = {k for k, mask in zip(DELIVERED, mattes, strict=True) if mask.any()}
    assert set(range(FIRST + RISING, STOP - RISING)) <= changed <= set(range(FIRST, STOP))
    x, y = mouth_place(mattes[len(mattes) // 2], kind.how.get("turn", 0))
    assert abs(x - kind.mouth[0]) < 0.12, (x, y)
    assert abs(y - kind.mouth[1]) < 0.12, (x, y)
