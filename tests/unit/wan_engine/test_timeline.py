"""The clock of a spoken video: as many frames as the sound covers, sources taken by their timestamps."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_engine.errors import SettingError
from wan_engine.pipelines.timeline import (
    frame_count,
    plan_clips,
    plan_released_clips,
    released_shown,
    shown_at,
)


@given(frames=st.integers(1, 2000), clip=st.integers(1, 40).map(lambda n: 4 * n))
def test_clips_cover_every_frame_once(frames: int, clip: int) -> None:
    spans = plan_clips(frames, clip)
    kept = [span.start + k for span in spans for k in range(span.first, span.last)]
    assert kept == list(range(frames))
    assert all(span.made % 4 == 0 and span.last <= span.made <= clip for span in spans)


def test_the_first_clip_has_all_its_frames_and_a_whole_sound_no_clip_more() -> None:
    spans = plan_clips(frame_count(Fraction(10), 16), 80)
    assert [(span.made, span.first, span.last) for span in spans] == [(80, 0, 80), (80, 0, 80)]


def test_a_short_rest_makes_a_short_clip() -> None:
    assert [span.made for span in plan_clips(161, 80)] == [80, 80, 16]
    assert [span.last for span in plan_clips(161, 80)] == [80, 80, 1]
    assert [span.made for span in plan_clips(110, 80)] == [80, 32]


def test_fewer_clips_can_be_asked_for() -> None:
    assert len(plan_clips(800, 80, most=2)) == 2


def test_the_released_plan_cuts_three_frames_from_a_first_clip() -> None:
    spans = plan_released_clips(2, 80, is_first_cut=True)
    assert [(span.start, span.first, span.last) for span in spans] == [(0, 3, 80), (80, 0, 80)]
    assert plan_released_clips(1, 80, is_first_cut=False)[0].first == 0


@pytest.mark.parametrize("frames", [0, 3, 81, 4100])
def test_a_clip_that_is_no_multiple_of_four_or_too_long_is_refused(frames: int) -> None:
    with pytest.raises(SettingError, match=str(frames) if frames < 4100 else "too many"):
        plan_clips(100, frames)


def test_a_pose_video_keeps_its_speed() -> None:
    times = [Fraction(k, 24) for k in range(48)]
    shown = shown_at(times, 32, 16)
    assert shown == [k * 24 // 16 for k in range(32)]
    released = released_shown(48, 24.0, 32, 16)
    assert released[:3] == [0, 2, 4]  # a stride of 2 plays 24 fps at 4/3 of its speed
    assert released[24:] == [None] * 8


def test_uneven_timestamps_are_followed_and_the_end_is_the_last_frames_end() -> None:
    times = [Fraction(0), Fraction(1, 16), Fraction(4, 16)]
    assert shown_at(times, 9, 16) == [0, 1, 1, 1, 2, 2, 2, None, None]
    assert shown_at([], 2, 16) == [None, None]


def test_timestamps_count_from_the_first_frame() -> None:
    times = [Fraction(5) + Fraction(k, 16) for k in range(3)]
    assert shown_at(times, 3, 16) == [0, 1, 2]
