"""What is said of a shot: how its voice fits the range, the range that would fit, what takes will cost."""

from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtGui", reason="Qt or a library it needs is missing", exc_type=ImportError)

from daemon.protocol.messages import EstimateJobReply
from gui.media.clip import ClipFacts
from gui.models.shot import Shot
from gui.models.shot_words import estimate_text, range_of_voice, voice_text

FACTS = ClipFacts(
    path=Path("a.mov"),
    rate=Fraction(30000, 1001),
    frame_count=300,
    width=1920,
    height=1080,
    rotation=0,
    has_alpha=False,
    has_sound=True,
    is_variable=False,
    timecode=None,
)


@pytest.mark.parametrize(
    ("voice_at", "seconds", "expected"),
    [
        (None, 2.002, (60, 120)),  # sixty frames to the sample
        (None, 2.003, (60, 121)),
        (100, 1.001, (100, 130)),
        (-30, 2.002, (0, 30)),
        (None, 60.0, (60, 300)),
    ],
)
def test_the_range_of_a_voice_holds_all_of_it(
    voice_at: int | None, seconds: float, expected: tuple[int, int]
) -> None:
    shot = Shot(shot_id=1, clip="a.mov", voice="a.wav", in_=60, out=90, voice_at=voice_at)
    assert range_of_voice(shot, FACTS, seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.0, "like the range"), (3.0, "outside is not heard"), (0.5, "the rest is")]
)
def test_a_voice_of_another_length_than_its_range_gets_a_sentence(seconds: float, words: str) -> None:
    shot = Shot(shot_id=1, clip="a.mov", voice="a.wav", in_=60, out=90)
    assert words in voice_text(shot, FACTS, seconds)


def test_an_estimate_says_how_many_takes_how_long_where_and_how_much_memory() -> None:
    shot = Shot(shot_id=1, clip="a.mov", voice="a.wav", in_=60, out=90, takes=3, engine="wan")
    known = EstimateJobReply(
        usual_s=240.0, fast_s=200.0, slow_s=300.0, is_measured=True, gpu="RTX 4090", gpu_bytes=12_000_000_000
    )
    said = estimate_text(shot, known)
    assert said == (
        "Takes: 3, 30 frames each. About 4 min on RTX 4090 (3 min to 5 min). It takes up to 12 GB of the GPU."
    )
    assert "GB" not in estimate_text(shot, EstimateJobReply(usual_s=9.0))
    assert "not known" in estimate_text(shot, EstimateJobReply(gpu_bytes=12_000_000_000))
