"""What is said about a take: its card, its badge and what was measured of it."""

from pathlib import Path

from daemon.protocol.jobs import Take
from gui.models.take_list import BADGE_KEYS, VERDICT_KEYS, take_title
from gui.texts import Key, text

BADGE_COLOURS = {"pass": "good", "look": "warn", "fail": "bad"}
FIGURES: dict[str, tuple[Key, str]] = {
    "av_offset_ms": ("figure.av_offset", "{:+.0f} ms"),
    "av_confidence": ("figure.av_confidence", "{:.2f}"),
    "seam_delta_e": ("figure.seam", "{:.2f} ΔE"),
    "colour_shift_delta_e": ("figure.colour", "{:.2f} ΔE"),
    "outside_max_difference": ("figure.outside", "{:.0f}"),
    "chunk_jump": ("figure.jump", "{:.2f} L*"),
    "silence_leak": ("figure.leak", "{:.3f}"),
    "likeness": ("figure.likeness", "{:.2f}"),
    "frames_passed_through": ("figure.passed", "{:.0f}"),
}


def figure_text(take: Take, name: str) -> str:
    """Return a figure with its unit and a true minus; nothing when it was not measured."""
    value = take.checks.get(name)
    form = FIGURES[name][1]
    if value is None:
        return ""
    said = form.format(value)
    return said[1:] if float(said.split()[0]) == 0 and said[0] in "+-" else said.replace("-", "−")


def card_lines(take: Take) -> list[tuple[str, str]]:
    """Return the lines of a card, each with the name of its colour."""
    title, verdict = take_title(take), text(VERDICT_KEYS[take.verdict])
    figures = [figure_text(take, name) for name in ("av_offset_ms", "seam_delta_e")]
    badge = "  ".join(part for part in (text(BADGE_KEYS[take.badge]), *figures) if part)
    return [
        (title if take.verdict == "none" else f"{title}, {verdict}", "text"),
        (Path(take.path).stem.rsplit("_", 2)[0], "muted"),
        (text("takes.card", engine=take.engine, seed=take.seed), "muted"),
        (badge, BADGE_COLOURS[take.badge]),
    ]


def about_text(take: Take) -> str:
    """Return who made a take, and how long it is."""
    return text("takes.about", engine=take.engine, seed=take.seed, frames=take.frames)


def badge_text(take: Take) -> str:
    """Return a take's badge, and why it is not a pass."""
    return "\n".join([text(BADGE_KEYS[take.badge]), *(take.checks.get("reasons") or [])])
