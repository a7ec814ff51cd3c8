"""What the app remembers between two starts, in a readable file beside the daemon's settings."""

import contextlib
import json
import os
from pathlib import Path
from typing import Literal

import msgspec

RECENT_LIMIT = 10
Theme = Literal["dark", "light", "contrast"]
Language = Literal["system", "en", "zh"]


class Settings(msgspec.Struct, kw_only=True):
    """Choices of the person at the desk."""

    theme: Theme = "dark"
    language: Language = "system"
    volume: float = 1.0
    project: str = ""  # the file that is opened at the start
    recent: list[str] = []
    geometry: str = ""  # of the window, as Qt writes it, in base 64

    def remember(self, path: Path) -> None:
        """Put a project first among the recent ones, and open it at the next start."""
        self.project = str(path)
        others = [name for name in self.recent if name != str(path)]
        self.recent = [str(path), *others][:RECENT_LIMIT]


def read_settings(path: Path) -> Settings:
    """Return the settings; what cannot be read is as at the first start."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError):
        return Settings()


def write_settings(settings: Settings, path: Path) -> None:
    """Keep the settings; a disk that refuses them costs only these."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".part")
        draft.write_text(json.dumps(msgspec.to_builtins(settings), indent=2), encoding="utf-8")
        os.replace(draft, path)
