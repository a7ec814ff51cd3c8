"""Where the installer keeps things. The same folders as `daemon/paths.py`, by the standard library alone."""

import os
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
HOME_VARIABLE = "DUBWRIGHT_HOME"


def data_folder() -> Path:
    """Return the folder of takes, queue, models and environment. `DUBWRIGHT_HOME` moves it."""
    moved = moved_home()
    if moved:
        return moved / "data"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(local) / "dubwright"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "dubwright"
    shared = os.environ.get("XDG_DATA_HOME", "").strip()
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "dubwright"


def moved_home() -> Path | None:
    """Return the folder that `DUBWRIGHT_HOME` moves everything to, if it is set."""
    moved = os.environ.get(HOME_VARIABLE)
    return Path(moved).expanduser().absolute() if moved else None


def environment_folder() -> Path:
    """Return the folder of our own virtual environment."""
    return data_folder() / "environment"


def face_models_folder() -> Path:
    """Return the folder of the two face models."""
    return (moved_home() or data_folder()) / "models" / "faces"
