"""Where the installer put things: our own interpreter, and the folder for the journal.

The same folders as `installer/places.py`, which does not run inside an editor.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .problems import PluginError

RECORD = "editors.json"


def data_folder() -> Path:
    """Return the folder of takes, queue and environment. `DUBWRIGHT_HOME` moves it."""
    home = os.environ.get("DUBWRIGHT_HOME")
    if home:
        return Path(home).expanduser().absolute() / "data"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(local) / "dubwright"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "dubwright"
    shared = os.environ.get("XDG_DATA_HOME", "").strip()
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "dubwright"


def journal_file(host: str) -> Path:
    """Return the journal of one host."""
    return data_folder() / "editors" / f"{host}.jsonl"


def bake_folder() -> Path:
    """Return where an editor renders shots that cannot be used as they are."""
    return data_folder() / "editors" / "bakes"


def find_interpreter() -> str:
    """Return our own Python: the one in the record, else the installer's environment.

    Raises PluginError `install.missing`. Never `sys.executable`, which inside an editor is the editor's.
    """
    folder = data_folder()
    try:
        named = json.loads((folder / RECORD).read_text(encoding="utf-8"))["python"]
    except (OSError, ValueError, KeyError, TypeError):
        named = None
    inside = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
    for candidate in (named, folder / "environment" / inside):
        if isinstance(candidate, (str, Path)) and os.path.isfile(candidate):
            return str(candidate)
    raise PluginError(
        "install.missing",
        "Dubwright itself is not installed on this machine.",
        "Run `python3 installer` from Dubwright's folder, then try again.",
    )


def write_record(python: str) -> Path:
    """Keep `python` as the interpreter that editors start the bridge with; return the record's file."""
    path = data_folder() / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"python": python}), encoding="utf-8")
    os.replace(str(draft), str(path))
    return path
