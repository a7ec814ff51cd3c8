"""Makes what the tests in Blender need: `python -m tests.blenders [FOLDER [VERSION...]]`.

Each version of the `bpy` module wants a Python 3.11 and an environment of its own, about a gigabyte. Prints
what DUBWRIGHT_BPY is to be; what is there already is used again.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

VERSIONS = ("4.2.23", "4.5.15", "5.0.1")


def make(folder: Path, version: str) -> Path:
    """Return a Python that has this `bpy`, made if it is not there."""
    python = folder / f"bpy-{version}" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists() or subprocess.run([python, "-c", "import bpy"], capture_output=True).returncode:
        venv.create(folder / f"bpy-{version}", with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"bpy=={version}"], check=True, stdout=sys.stderr)
    return python


def main(arguments: list[str]) -> None:
    """Make each and print their Pythons."""
    folder = Path(arguments[0]).absolute() if arguments else user_cache_path("dubwright") / "tests"
    print(os.pathsep.join(str(make(folder, version)) for version in arguments[1:] or VERSIONS))


if __name__ == "__main__":
    main(sys.argv[1:])
