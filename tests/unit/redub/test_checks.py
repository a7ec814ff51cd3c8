"""Checks: what figures say, and the badge they earn."""

from typing import Any

import numpy as np
import pytest

from daemon.redub.checks import (
    LIMITS,
    Observations,
    judge,
    measure_offset,
    ring_delta_e,
    skin_colours,
    summarise,
)
from daemon.redub.likeness import learn_likeness
from daemon.redub.plan import ranges_where

RATE = 25.0


def mouth(frames: int, seed: int = 0) -> np.ndarray:
    """An aperture that moves like speech: smoothed noise, never below 0."""
    noise = np.random.default_rng(seed).standard_normal(frames + 4)
    return np.abs(np.convolve(noise, [0.1, 0.25, 0.3, 0.25, 0.1], "valid")) * 0.1


def figures(**changed: Any) -> dict[str, Any]:
    """Figures of a take with nothing amiss, some of them changed."""
    good = {
        "frames_found": 100,
        "frames_expected": 100,
        "outside_max_difference": 0,
        "av_offset_ms": 5.0,
        "av_confidence": 0.8,
        "av_evidence": 3.0,
        "movement": 1.0,
        "speech_s": 4.0,
        "seam_delta_e": 0.4,
        "colour_shift_delta_e": 0.2,
        "likeness": 0.9,
        "chunk_jump": 0.0,
        "silence_leak": None,
    }
    return good | changed


@pytest.mark.parametrize("lag", [-3, -1, 0, 2, 4])
def test_a_late_mouth_has_a_positive_offset(lag: int) -> None:
    asked = mouth(120)
    shown = np.roll(asked, lag)

    found = measure_offset(shown, asked, RATE, spoken=120)

    assert found is not None
    assert found.ms == pytest.approx(40.0 * lag, abs=6)
    assert found.confidence > 0.9
    assert (found.evidence > 1) == (abs(lag) > 1)


def test_frames_without_a_face_do_not_count() -> None:
    asked = mouth(120)
    shown = asked.copy()
    shown[30:50] = np.nan

    found = measure_offset(shown, asked, RATE, spoken=120)

    assert found is not None
    assert found[0] == pytest.approx(0.0, abs=6)


def test_a_mouth_that_never_moves_has_no_offset() -> None:
    assert measure_offset(np.full(120, 0.1), mouth(120), RATE, spoken=120) is None


def test_little_speech_tells_of_small_offsets_only() -> None:
    asked = np.pad(mouth(20), (10, 10))
    found = measure_offset(np.roll(asked, 9), asked, RATE, spoken=20)
    assert found is not None
    assert abs(found.ms) <= 240, "further out less than two thirds of the speech is compared"


def test_good_figures_pass() -> None:
    assert judge(figures()) == ("pass", [])


@pytest.mark.parametrize("name", [name for name in LIMITS if name != "outside_max_difference"])
def test_each_figure_above_its_limits_is_named(name: str) -> None:
    limit = LIMITS[name]

    is_fatal = limit.fail < np.inf
    badge, reasons = judge(figures(**{name: (limit.look + limit.fail) / 2 if is_fatal else limit.look + 1}))
    assert (badge, len(reasons)) == ("look", 1)
    badge, reasons = judge(figures(**{name: limit.fail * 1.01 if is_fatal else 1e6}))
    assert (badge, len(reasons)) == ("fail" if is_fatal else "look", 1)


def test_a_voice_without_speech_wants_a_look() -> None:
    assert judge(figures(speech_s=0.0)) == ("look", ["no speech is heard in the voice here"])


def test_an_offset_that_may_be_chance_wants_a_look() -> None:
    badge, reasons = judge(figures(av_offset_ms=300.0, av_evidence=0.4))
    assert (badge, reasons) == ("look", ["the mouth is +300 ms off the voice"])


def test_an_offset_in_a_syllable_or_two_wants_a_look() -> None:
    assert judge(figures(av_offset_ms=160.0, speech_s=0.6))[0] == "look"
    assert judge(figures(av_offset_ms=160.0, speech_s=1.6))[0] == "fail"


def test_one_code_value_outside_the_matte_fails() -> None:
    assert judge(figures(outside_max_difference=1))[0] == "fail"


def test_a_missing_frame_fails() -> None:
    assert judge(figures(frames_found=99))[0] == "fail"


def test_an_offset_nobody_is_sure_of_wants_a_look() -> None:
    badge, reasons = judge(figures(av_offset_ms=300.0, av_confidence=0.1))

    assert badge == "look"
    assert "cannot be matched" in reasons[0]


def test_a_frozen_mouth_fails() -> None:
    assert judge(figures(movement=0.1))[0] == "fail"
    assert judge(figures(movement=0.1, speech_s=0.9))[0] == "look"


def test_the_figures_of_a_take_that_follows_its_voice() -> None:
    asked = mouth(100)
    seen = Observations(
        aperture=list(asked),
        seam=[0.2] * 100,
        change_take=[1.0] * 100,
        change_source=[1.0] * 100,
        frames_found=100,
    )

    found = summarise(
        seen,
        frames_expected=100,
        predicted=asked,
        speech=np.ones(100),
        editable=np.ones(100, bool),
        rate=RATE,
        chunk_starts=[25, 50, 75],
    )

    assert abs(found["av_offset_ms"]) < 5
    assert found["movement"] == pytest.approx(1.0)
    assert found["chunk_jump"] == 0.0
    assert found["silence_leak"] is None


def jump_of(changes: list[float], chunk_starts: list[int], **settings: bool) -> float:
    """Return the jump at a border of a take whose frames change so much, the source's by 1 each."""
    seen = Observations(
        aperture=list(mouth(100)), change_take=changes, change_source=[1.0] * 100, frames_found=100
    )
    return summarise(
        seen,
        frames_expected=100,
        predicted=mouth(100),
        speech=np.ones(100),
        editable=np.ones(100, bool),
        rate=RATE,
        chunk_starts=chunk_starts,
        **settings,
    )["chunk_jump"]


def test_a_jump_at_a_boundary_is_seen_and_elsewhere_is_not() -> None:
    changes = [1.0] * 100
    changes[50] = 5.0
    for starts, expected in (([50], 4.0), ([25], 0.0)):
        assert jump_of(changes, starts) == pytest.approx(expected, abs=0.01)


def test_a_border_inside_one_plan_is_a_frame_like_any_other() -> None:
    changes = [1.0] * 100
    changes[50], changes[70] = 4.0, 4.5  # two fast consonants, one of them at a border
    assert jump_of(changes, [25, 50, 75], is_planned_whole=True) == 0.0
    assert jump_of(changes, [25, 50, 75], is_planned_whole=False) == 3.0


def disc(side: int = 64) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip((24 - np.hypot(x, y)) / 6, 0, 1).astype(np.float32)


def test_a_cast_shows_on_the_ring_and_on_the_skin() -> None:
    source = np.full((64, 64, 3), [0.6, 0.45, 0.4], np.float32)
    cast = source + disc()[..., None] * np.array([0.05, 0.0, -0.05], np.float32)

    assert ring_delta_e(source, source, disc()) == 0
    assert ring_delta_e(cast, source, disc()) > 1.5
    colours = skin_colours(cast, source, disc() > 0.9)
    assert colours is not None
    assert np.abs(colours[0] - colours[1]).max() > 3


def faces(seed: int, count: int) -> list[np.ndarray]:
    """Pictures that vary in a few directions about one mean, as an actor's mouth does."""
    rng = np.random.default_rng(seed)
    mean = rng.random((6, 6, 3)).repeat(8, 0).repeat(8, 1)
    ways = [rng.standard_normal((6, 6, 3)).repeat(8, 0).repeat(8, 1) * 0.05 for _ in range(4)]
    amounts = np.random.default_rng(seed + 1).standard_normal((count, 4))
    return [
        (mean + sum(a * way for a, way in zip(row, ways, strict=True))).astype(np.float32) for row in amounts
    ]


def test_another_actors_mouth_is_unlike() -> None:
    own, other = faces(1, 80), faces(7, 4)
    likeness = learn_likeness(own[:60], np.ones((48, 48), np.float32))

    assert max(likeness.distance(face) for face in own[60:]) < 2
    assert min(likeness.distance(face) for face in other) > 3


def test_runs_are_half_open_and_counted_from_the_range() -> None:
    flags = np.array([True, True, False, False, True])

    assert ranges_where(flags, 100) == [[100, 102], [104, 105]]
    assert ranges_where(~np.ones(3, bool), 0) == []
