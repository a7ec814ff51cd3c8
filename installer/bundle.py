"""The support bundle: a zip with the doctor's findings, versions and logs. No media, no take, no job, no key.

Paths are taken out of what it holds: the home folder becomes `~`, every other absolute path `<path>`, unless
`with_paths` allows them.
"""

import getpass
import json
import platform
import re
import zipfile
from pathlib import Path

from installer.findings import Finding, as_document
from installer.machine import Machine
from installer.record import NAME

LOG_BYTES = 2**20
"""Of each log, the end."""

_QUOTED = re.compile(r"""(['"`])(?:/|~|[A-Za-z]:[\\/]|\\\\)[^'"`\n]*\1""")
_PATH = re.compile(
    r"""(?:(?<![\w./~<])/|\b[A-Za-z]:[\\/]|\\\\)[^\s'"<>|:*?,;)\]}]+(?: [^\s'"<>|:*?,;)\]}/\\]+(?=\.\w))*"""
)


def write_bundle(
    out: Path, machine: Machine, findings: list[Finding], packages: list[str], *, with_paths: bool = False
) -> Path:
    """Write the zip and return its path."""
    clean = Cleaner(machine, with_paths=with_paths)
    about = [
        f"system {platform.platform()}",
        f"processor {platform.machine()}",
        f"python {platform.python_version()}",
        *packages,
    ]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doctor.json", json.dumps(clean.document(as_document(findings)), indent=1))
        archive.writestr("versions.txt", clean.text("\n".join(about) + "\n"))
        for log in sorted(Path(machine.logs).glob("*.log*")):
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_BYTES))
                text = file.read().decode(errors="replace")
            archive.writestr(f"logs/{log.name}", clean.text(text))
        installation = Path(machine.data) / NAME
        if installation.is_file():
            record = json.loads(installation.read_text(encoding="utf-8"))
            kept = {key: record.get(key) for key in ("version", "service")}
            kept["without"] = record.get("choices", {}).get(
                "without"
            )  # not the index: it may hold a password
            archive.writestr("installation.json", json.dumps(clean.document(kept), indent=1))
    return out


class Cleaner:
    """Takes paths and the user's name out of texts."""

    def __init__(self, machine: Machine, *, with_paths: bool) -> None:
        self._with_paths = with_paths
        self._home = str(machine.home)
        own = {"data": machine.data, "config": machine.config, "cache": machine.cache, "logs": machine.logs}
        self._own = {str(path): f"<{name}>" for name, path in own.items()}
        self._user = getpass.getuser()

    def text(self, text: str) -> str:
        """Return a text without paths, unless they are allowed."""
        if self._with_paths:
            return text
        for path, name in sorted(self._own.items(), key=lambda item: -len(item[0])):
            text = text.replace(path, name)
        text = _QUOTED.sub(r"\1<path>\1", text.replace(self._home, "~"))
        text = _PATH.sub("<path>", text)
        text = re.sub(r"~[\\/][^\s'\"]+", "<path>", text)
        return re.sub(rf"\b{re.escape(self._user)}\b", "<user>", text) if self._user != "root" else text

    def document(self, thing: object) -> object:
        """Return a JSON document with all its texts cleaned."""
        if isinstance(thing, str):
            return self.text(thing)
        if isinstance(thing, dict):
            return {key: self.document(value) for key, value in thing.items()}
        if isinstance(thing, list):
            return [self.document(value) for value in thing]
        return thing
