"""Reads timeline files in a process of its own: OpenTimelineIO's native part ends the whole process on some
damaged files (found by changing bytes at random).

`python -m editor_plugin.interchange.process [--rate=RATE] FILE...`; what it prints, a line a file, is sound.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from ..shared.problems import PluginError
from .adapters import load, unreadable
from .reader import understand


def main(arguments: list[str]) -> int:
    """Read each file; print it as OTIO, or why not."""
    said = [one.partition("=")[2] for one in arguments if one.startswith("--rate=")]
    rate = Fraction(said[0]) if said else None
    for path in arguments[len(said) :]:
        answer: dict[str, Any]
        try:
            source = load(Path(path), rate)
            understand(Path(path), source)
            text = source.to_json_string(indent=-1)
            otio.schema.Timeline.from_json_string(text)
            answer = {"timeline": text}
        except PluginError as error:
            answer = {"error": [error.code, error.message, error.hint, error.detail]}
        except Exception as error:  # noqa: BLE001 - as in `load`
            failed = unreadable(Path(path), error)
            answer = {"error": [failed.code, failed.message, failed.hint, failed.detail]}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
