"""Whether a clip shows its media as it is: at which speed, and what else stands in the way."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import opentimelineio as otio


def speed_of(item: Any) -> Fraction:
    """Return how many frames of media pass in one of the timeline."""
    speed = Fraction(1)
    for effect in getattr(item, "effects", ()):
        if isinstance(effect, otio.schema.LinearTimeWarp):
            speed *= _fraction(effect.time_scalar)
        elif _is_remap(effect):
            speed *= _fraction(_remap(effect).get("speed", 100)) / 100
    return speed


def problem_of(item: Any) -> str:
    """Return why a clip cannot be used as it is, besides its speed; empty: it can."""
    if not isinstance(item, otio.schema.Clip):
        return "it is a compound clip; open it, or render it to a file first"
    if any(isinstance(effect, otio.schema.FreezeFrame) for effect in item.effects):
        return "it is a freeze frame"
    if any(_is_uneven(effect) for effect in item.effects):
        return "its speed changes; render it to a file first"
    if any(str(_remap(effect).get("reverse", "")).upper() == "TRUE" for effect in item.effects):
        return "it plays backwards; render it to a file first"
    if isinstance(item.media_reference, otio.schema.ImageSequenceReference):
        return "it is a sequence of images; make it a movie first"
    if not isinstance(item.media_reference, otio.schema.ExternalReference):
        return "it has no media file"
    return ""


def _is_uneven(effect: Any) -> bool:
    if _is_remap(effect):
        return str(_remap(effect).get("variablespeed", "0")) not in ("0", "FALSE")
    return isinstance(effect, otio.schema.TimeEffect) and not isinstance(effect, otio.schema.LinearTimeWarp)


def _is_remap(effect: Any) -> bool:
    """Say whether it is the speed of a clip as FCP7 XML writes it: the adapter leaves it a plain effect."""
    found = effect.metadata.get("fcp_xml", {})
    return hasattr(found, "get") and str(found.get("effectid", "")).lower() == "timeremap"


def _remap(effect: Any) -> dict[str, Any]:
    """Return that effect's parameters by name; none for another's."""
    if not _is_remap(effect):
        return {}
    parameters = effect.metadata["fcp_xml"].get("parameter", ())
    one_by_one = [parameters] if hasattr(parameters, "get") else parameters  # one alone is no list
    return {str(one.get("parameterid")): one.get("value") for one in one_by_one}


def _fraction(value: Any) -> Fraction:
    return Fraction(str(value)).limit_denominator(10_000)
