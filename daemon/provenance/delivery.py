"""What the makers of takes call: sign a file that is about to get its place, and say what became of that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.config import load_config
from daemon.paths import find_paths
from daemon.provenance.seal import read_seal, seal


def sign(part: Path, final: Path, statement: dict[str, Any], *, log: Callable[[str], None]) -> Path:
    """Sign the file at `part`, which will lie at `final`; return it. `log` is told why one is not signed.

    Raises MachineError `disk.full`, `dest.unwritable`.
    """
    paths = find_paths()
    why_not = seal(part, final, statement, config=load_config(paths.config_file).provenance, paths=paths)
    if why_not is not None:
        log(f"{final.name} carries no signed manifest. {why_not}")
    return part


def provenance_of(media: Path) -> dict[str, Any]:
    """Return what a take's sidecar says of its manifest, as the library's own reader finds it."""
    enabled = load_config(find_paths().config_file).provenance.enabled
    return {"switched_off": not enabled, **read_seal(media)}
