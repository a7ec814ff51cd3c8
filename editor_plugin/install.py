"""`python -m editor_plugin.install blender OUT.zip`, or `resolve [SCRIPTS]`: puts plugins where editors look.

`list [SCRIPTS]` says what of ours lies in Resolve's folder of scripts, `remove [SCRIPTS]` takes that away;
both answer with JSON. Blender installs and removes its zip itself.

Run it with Dubwright's own Python: editors will start the bridge with the interpreter that ran this.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .blender.package import build
from .shared.record import write_record

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {"Dubwright.py": "open_window", "Dubwright Self-Test.py": "run_self_test"}
LUA_SCRIPTS = {"Dubwright (Lua).lua": "window", "Dubwright Self-Test (Lua).lua": "self-test"}
LUAS_ENCODING = "mbcs" if sys.platform == "win32" else "utf-8"  # io.popen takes bytes of the system's own
OURS = "Dubwright's entry in Workspace > Scripts"
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
    lua = (ROOT / "editor_plugin" / "resolve" / "menu.lua").read_text(encoding="utf-8")
    for name, mode in LUA_SCRIPTS.items():
        path = folder / name
        python = sys.executable.replace("\\", "\\\\")
        text = lua.replace("@PYTHON@", python).replace("@MODE@", mode)
        path.write_bytes(text.encode(LUAS_ENCODING))
        written.append(path)
    return written


def our_scripts(folder: Path) -> list[Path]:
    """Return which scripts in a folder are ours: of our names, and not another's of the same name."""
    paths = [folder / name for name in (*SCRIPTS, *LUA_SCRIPTS)]
    return [path for path in paths if path.is_file() and OURS in path.read_text("utf-8", "replace")[:400]]


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    if len(arguments) == 2 and arguments[0] == "blender":
        print(build(Path(arguments[1])))
    elif len(arguments) in (1, 2) and arguments[0] == "resolve":
        folder = Path(arguments[1]) if len(arguments) == 2 else resolve_scripts_folder()
        print("\n".join(map(str, install_resolve(folder))))
    elif len(arguments) in (1, 2) and arguments[0] in ("list", "remove"):
        folder = Path(arguments[1]) if len(arguments) == 2 else resolve_scripts_folder()
        found = our_scripts(folder)
        if arguments[0] == "remove":
            for path in found:
                path.unlink()
        print(json.dumps({"folder": str(folder), arguments[0]: [path.name for path in found]}))
        return 0
    else:
        print(__doc__, file=sys.stderr)
        return 2
    print(write_record(sys.executable))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
