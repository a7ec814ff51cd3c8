"""`python -m editor_plugin.install blender OUT.zip`, or `resolve [SCRIPTS]`: puts plugins where editors look.

Run it with Dubwright's own Python: editors will start the bridge with the interpreter that ran this.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .blender.package import build
from .shared.record import write_record

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {"Dubwright.py": "open_window", "Dubwright Self-Test.py": "run_self_test"}
SCRIPT = '''"""Dubwright's entry in Workspace > Scripts."""

import sys

sys.path.insert(0, {root!r})
try:
    from editor_plugin.resolve.menu import {function}
except ImportError as error:
    print("Dubwright was moved or removed (" + str(error) + "). Run its installer again.")
else:
    {function}(globals().get("resolve"))
'''


def resolve_scripts_folder() -> Path:
    """Return the folder of this user's scripts, for every page. Source: Blackmagic's scripting README."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", "")) / "Blackmagic Design" / "DaVinci Resolve" / "Support"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support/Blackmagic Design/DaVinci Resolve"
    else:
        base = Path.home() / ".local/share/DaVinciResolve"
    return base / "Fusion" / "Scripts" / "Utility"


def install_resolve(folder: Path) -> list[Path]:
    """Write the menu scripts, with our folder in them; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, function in SCRIPTS.items():
        path = folder / name
        path.write_text(SCRIPT.format(root=str(ROOT), function=function), encoding="utf-8")
        written.append(path)
    return written


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    if len(arguments) == 2 and arguments[0] == "blender":
        print(build(Path(arguments[1])))
    elif len(arguments) in (1, 2) and arguments[0] == "resolve":
        folder = Path(arguments[1]) if len(arguments) == 2 else resolve_scripts_folder()
        print("\n".join(map(str, install_resolve(folder))))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    print(write_record(sys.executable))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
