"""Frame-exactness: what the player shows at N is what a plain decode gives as the N-th."""

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("PySide6.QtGui", reason="Qt or a library it needs is missing", exc_type=ImportError)

from gui.media.clip import Clip, ClipError
from gui.media.decoder import Decoder
from gui.media.sound import peaks_of, read_sound
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
    peaks = peaks_of(whole, 100)
    assert peaks.shape == (100, 2)
    assert (peaks[:, 0] <= peaks[:, 1]).all()
