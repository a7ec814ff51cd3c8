"""The bundled demo shot, a second voice for it, and what is known of both (`facts.json`).

The shot is NASA's public-domain portrait of astronaut Eileen Collins, made to speak by `daemon.demo.making`;
the voices are synthetic.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SHOT = FOLDER / "shot.mov"
VOICE = FOLDER / "voice.wav"


def read_facts() -> dict[str, Any]:
    """Return what the shot holds: words, phonemes with times, aperture and width of the mouth per frame."""
    return json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))
