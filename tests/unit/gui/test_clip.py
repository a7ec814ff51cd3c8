"""Frame-exactness: what the player shows at N is what a plain decode gives as the N-th."""

import hashlib
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("PySide6.QtGui", reason="Qt or a library it needs is missing", exc_type=ImportError)

from daemon.media.source import open_source
from gui.media.clip import Clip, ClipError
from gui.media.decoder import Decoder
from gui.media.player import Player, Track
from gui.media.sound import read_sound
from tests.clips import make_clip

Wait = Callable[[Callable[[], object]], None]
LONG_GROUPS = {"g": "250", "bf": "3"}
OPEN_GROUPS = {"g": "12", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}


def plain_decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.reformat(format="bgra").to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("rate", "options", "timecode"),
    [
        (Fraction(24000, 1001), LONG_GROUPS, "01:00:00:00"),
        (Fraction(25), OPEN_GROUPS, "10:00:00:00"),
        (Fraction(30000, 1001), OPEN_GROUPS, "00:59:59;28"),
    ],
)
def test_any_order_of_frames_shows_what_a_plain_decode_gives(
    tmp_path: Path, rate: Fraction, options: dict[str, str], timecode: str
) -> None:
    path = make_clip(tmp_path / "a.mov", rate=rate, options=options, metadata={"timecode": timecode})
    expected = plain_decode(path)
    order = random.Random(7).sample(range(len(expected)), 25)
    with Clip(path) as clip:
        assert (clip.facts.rate, clip.facts.frame_count) == (rate, len(expected))
        assert clip.facts.timecode == timecode
        for frame in [*order, *range(len(expected)), *reversed(range(len(expected)))]:
            assert np.array_equal(clip.picture(frame), expected[frame]), frame


def test_a_variable_rate_clip_shows_what_is_on_screen_at_each_frames_time(tmp_path: Path) -> None:
    ticks = [0, 40, 80, 200, 240, 250, 260, 400]
    path = make_clip(tmp_path / "a.mp4", count=len(ticks), ticks=ticks, sound=None)
    expected = plain_decode(path)
    with Clip(path) as clip:
        assert clip.facts.is_variable
        for frame in range(clip.facts.frame_count):
            now_ms = float(frame / clip.facts.rate) * 1000
            shown = max(at for at, tick in enumerate(ticks) if tick <= now_ms + 1e-6)
            assert np.array_equal(clip.picture(frame), expected[shown]), frame


def what_is_on_screen(path: Path, rate: Fraction, width: int) -> list[bytes]:
    """Return the hash of each frame's picture, `width` wide, going by a plain decode and its times alone."""
    with av.open(str(path)) as container:
        decoded = [(frame.time, frame) for frame in container.decode(video=0)]
    times, hashes = [time - decoded[0][0] for time, _ in decoded], []
    for frame in range(round(times[-1] * rate) + 1):
        shown = decoded[max(at for at, time in enumerate(times) if time <= float(frame / rate) + 1e-3)][1]
        height = round(shown.height * width / shown.width)
        scaled = shown.reformat(width, height, "bgra", interpolation="BILINEAR").to_ndarray()
        hashes.append(hashlib.sha256(scaled[..., :3].tobytes()).digest())
    return hashes


@pytest.mark.parametrize(
    ("rate", "ticks"),
    [
        (Fraction(24000, 1001), None),
        (Fraction(25), None),
        (Fraction(30000, 1001), None),
        (Fraction(25), [0, 40, 80, 200, 240, 250, 260, 400]),
    ],
    ids=["23.976", "25", "29.97", "variable"],
)
def test_the_player_shows_that_frame_at_the_size_at_which_it_is_seen(
    tmp_path: Path, wait: Wait, rate: Fraction, ticks: list[int] | None
) -> None:
    count = len(ticks) if ticks else 30
    suffix = "mp4" if ticks else "mov"
    path = make_clip(
        tmp_path / f"a.{suffix}", rate=rate, options=OPEN_GROUPS, count=count, ticks=ticks, sound=None
    )
    expected = what_is_on_screen(path, rate, 200)
    player = Player(open_sink=lambda: None)
    player.load({"original": Track(path), "take": Track(path)}, rate=rate, count=len(expected))
    player.limit_width(200)
    for frame in random.Random(3).sample(range(len(expected)), len(expected)):
        player.seek(frame)
        wait(lambda: all(player.picture(name) is not None for name in player.tracks))
        for name in player.tracks:
            image = player.picture(name)
            assert image is not None
            rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
            assert hashlib.sha256(rows[..., :3].tobytes()).digest() == expected[frame], (name, frame)
    player.close()


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_clip_is_shown_upright(tmp_path: Path, turn: int) -> None:
    upright = make_clip(tmp_path / "up.mov", count=3, options={"crf": "1"})
    turned = make_clip(tmp_path / "turned.mov", count=3, turn=turn, options={"crf": "1"})
    with Clip(upright) as plain, Clip(turned) as clip:
        a, b = plain.picture(1).astype(int), clip.picture(1).astype(int)
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 4


def test_on_the_way_to_a_frame_those_before_it_are_kept(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mov", options=LONG_GROUPS)
    expected = plain_decode(path)
    with Clip(path) as clip:
        found = clip.pictures(30, before=8)
    assert sorted(found) == list(range(22, 31))
    assert all(np.array_equal(picture, expected[frame]) for frame, picture in found.items())


@pytest.mark.parametrize(
    ("name", "written", "known"), [("a.mkv", "23:59:59:20", "23:59:59:20"), ("a.mkv", "99:00:00:99", None)]
)
def test_a_timecode_is_known_as_the_daemon_knows_it(
    tmp_path: Path, name: str, written: str, known: str | None
) -> None:
    path = make_clip(tmp_path / name, count=2, sound=None, metadata={"timecode": written})
    with Clip(path) as clip, open_source(path) as source:
        assert clip.facts.timecode == source.info.timecode == known


def test_files_that_are_no_clips_get_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.mov"
    text.write_text("no clip", encoding="utf-8")
    for path, words in ((text, "not a clip"), (tmp_path / "gone.mov", "not there")):
        with pytest.raises(ClipError, match=words):
            Clip(path)


def test_a_decoder_gives_what_is_wanted_and_keeps_its_neighbours(tmp_path: Path, wait: Wait) -> None:
    path = make_clip(tmp_path / "a.mov", options=LONG_GROUPS)
    decoder = Decoder(path)
    decoder.want(20)
    wait(lambda: all(decoder.picture(frame) is not None for frame in range(15, 26)))
    decoder.close()


def test_sound_is_cut_to_the_sample(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mov", count=40)
    whole = read_sound(path)
    part = read_sound(path, 0.4, 0.5)
    assert len(part) == 24000
    assert np.array_equal(part, whole[19200:43200])
