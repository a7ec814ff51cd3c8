"""Packs the extension: the manifest, this folder and the shared part, in one zip that Blender installs."""

from __future__ import annotations

import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SHARED = FOLDER.parent / "shared"
FRONT = b'''"""Dubwright in Blender's sequencer."""

from .blender import register, unregister

__all__ = ["register", "unregister"]
'''
DATE = (2026, 1, 1, 0, 0, 0)  # the same sources make the same zip


def build(target: Path) -> Path:
    """Write the extension's zip and return its path."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__init__.py", FRONT)
        _add(archive, "blender_manifest.toml", (FOLDER / "blender_manifest.toml").read_bytes())
        for folder in (FOLDER, SHARED):
            for path in sorted(folder.glob("*.py")):
                if path.name != "package.py":
                    _add(archive, f"{folder.name}/{path.name}", path.read_bytes())
    return target


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)
