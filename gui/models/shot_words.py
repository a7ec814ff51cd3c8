"""What is said about a shot: its row in the list, why no takes can be made yet, what they will cost."""

from fractions import Fraction
from pathlib import Path

from gui.media.clip import ClipFacts
from gui.models.job_words import duration_text
from gui.models.shot import Shot
from gui.models.timecode import clip_timecode
from gui.texts import text


def row_text(shot: Shot, facts: ClipFacts | None) -> str:
    """Return a shot's two lines in the list."""
    rate = Fraction(25) if facts is None else facts.rate
    length = max(0, shot.out - shot.in_)
    voice = Path(shot.voice).name if shot.voice else text("shots.no_voice")
    return f"{shot.name}\n{float(length / rate):.1f} s   {voice}"


def why_not(shot: Shot | None, facts: ClipFacts | None, missing: str) -> str:
    """Return why no takes of a shot can be made, or nothing; `missing`: a file of it that is gone."""
    if missing:
        return text("shots.missing", path=missing)
    if shot is None or facts is None:
        return text("shots.why_clip")
    if not shot.voice:
        return text("shots.why_voice")
    if not 0 <= shot.in_ < shot.out <= facts.frame_count:
        return text("shots.why_range", end=clip_timecode(facts.frame_count, facts.rate, facts.timecode))
    return ""


def estimate_text(shot: Shot, pace: float | None) -> str:
    """Return what takes of a shot will cost at `pace` seconds a frame; None: that is not known."""
    frames = shot.out - shot.in_
    if pace is None:
        return text("shots.estimate_unknown", takes=shot.takes, frames=frames)
    return text(
        "shots.estimate", takes=shot.takes, frames=frames, time=duration_text(pace * frames * shot.takes)
    )
