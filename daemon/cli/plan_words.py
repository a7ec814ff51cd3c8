"""What a dry run found, in words: the shot, the range, where the voice begins, how the take is delivered."""

from fractions import Fraction
from pathlib import Path
from typing import Any


def plan_in_words(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of a `probe` job's result with the subject of each; positions are source frames."""
    plan, source = result["plan"], result["source"]
    varies = ", its rate varies" if source["variable_rate"] else ""
    first, stop = plan["range"]
    lines = [
        ("shot", f"{Path(source['path']).name}, {source['frames']} frames, {_picture(source)}{varies}"),
        ("range", f"{first} to {stop}{_handles(plan)}: {plan['frames']} frames from {plan['timecode']}"),
        ("voice", f"begins at frame {plan['voice_at']}"),
        ("take", f"{plan['deliver']}, {plan['codec']}, {_picture(plan)}"),
    ]
    for name, words in (("left_alone", "left alone"), ("painted_out", "painted out")):
        if plan[name]:
            lines.append((words, ", ".join(f"{start} to {end}" for start, end in plan[name])))
    return lines + [("note", note) for note in result["notes"]]


def _picture(clip: dict[str, Any]) -> str:
    (width, height), rate = clip["size"], Fraction(*clip["rate"])
    number = str(rate) if rate.denominator == 1 else f"{float(rate):.3f}"
    return f"{width} x {height} at {number} fps"


def _handles(plan: dict[str, Any]) -> str:
    before, after = plan["handles"]
    return f", handles of {before} and {after} more" if before or after else ""
