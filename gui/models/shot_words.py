"""What is said about a shot: its row in the list, why no takes can be made yet, what they will cost."""

import math
from fractions import Fraction
from pathlib import Path

from daemon.protocol.messages import EstimateJobReply
from daemon.protocol.timecode import clip_timecode
from gui.media.clip import ClipFacts
from gui.models.job_words import duration_text
from gui.models.shot import Shot
from gui.texts import text


def row_text(shot: Shot, facts: ClipFacts | None) -> str:
    """Return a shot's two lines in the list."""
    rate = Fraction(25) if facts is None else facts.rate
    length = max(0, shot.out - shot.in_)
    voice = Path(shot.voice).name if shot.voice else text("shots.no_voice")
    seconds = text("time.exact", n=f"{float(length / rate):.1f}")
    return f"{shot.name}\n{seconds}   {voice}"


def voice_text(shot: Shot, facts: ClipFacts, voice_s: float) -> str:
    """Return how a voice's length fits the range, and what becomes of the rest."""
    range_s = float((shot.out - shot.in_) / facts.rate)
    frame_s = float(1 / facts.rate)
    if abs(voice_s - range_s) < frame_s:
        return text("shots.fits", voice=f"{voice_s:.2f}")
    key = "shots.too_long" if voice_s > range_s else "shots.too_short"
    return text(key, voice=f"{voice_s:.2f}", range=f"{range_s:.2f}")


def range_of_voice(shot: Shot, facts: ClipFacts, voice_s: float) -> tuple[int, int]:
    """Return the range that holds the whole voice, as far as the clip reaches."""
    stop = shot.voice_frame + math.ceil(round(voice_s * facts.rate, 3))
    return max(0, shot.voice_frame), min(facts.frame_count, stop)


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


def estimate_text(shot: Shot, guess: EstimateJobReply | None) -> str:
    """Return what takes of a shot will cost by the daemon's guess; None: it was not asked yet."""
    made = text("shots.made", takes=shot.takes, frames=shot.out - shot.in_)
    if guess is None:
        return made
    if guess.usual_s is None:
        return f"{made} " + text("shots.estimate_unknown") + _memory_text(guess)
    usual, where = duration_text(guess.usual_s), guess.gpu or text("shots.this_machine")
    if not guess.is_measured:
        return f"{made} " + text("shots.estimate_guess", time=usual) + _memory_text(guess)
    fast, slow = duration_text(guess.fast_s or 0.0), duration_text(guess.slow_s or 0.0)
    said = text("shots.estimate", time=usual, where=where, fast=fast, slow=slow)
    return f"{made} {said}{_memory_text(guess)}"


def _memory_text(guess: EstimateJobReply) -> str:
    if guess.gpu_bytes is None:
        return ""
    return " " + text("shots.estimate_memory", n=f"{guess.gpu_bytes / 1e9:.0f}")
