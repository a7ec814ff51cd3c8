"""How one re-dub stands, for a panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import journal as states
from .journal import Entry


@dataclass(frozen=True)
class Status:
    """One line of the panel, and what its buttons need."""

    key: str
    job_id: str
    state: str
    sentence: str
    fraction: float
    takes: tuple[dict[str, Any], ...]
    shown: str


def status_of(entry: Entry, progress: Mapping[str, Any]) -> Status:
    """Return how an entry stands; `progress` is the last that was heard of its job or its rendering."""
    fraction = float(progress.get("fraction", 0.0))
    sentences = {
        states.BAKING: f"Being rendered first, {fraction:.0%}.",
        states.SUBMITTING: "Being sent.",
        states.WAITING: f"{str(progress.get('stage', 'waiting')).capitalize()}, {fraction:.0%}.",
        states.READY: "Ready to place.",
        states.PLACING: "Being placed.",
        states.PLACED: "On the timeline.",
        states.ACCEPTED: "Accepted.",
        states.REMOVED: "Removed.",
    }
    sentence = entry.error or sentences.get(entry.state, entry.state)
    takes = tuple(entry.takes)
    return Status(entry.key, entry.job_id, entry.state, sentence, fraction, takes, entry.shown)
