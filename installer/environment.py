"""Our own virtual environment: where its programs are, and which steps of its making are done."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONPATH")
"""Variables that would let another Python's packages in."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a record of finished steps beside its packages."""

    folder: Path
    cache: Path | None = None  # of downloaded packages; None: pip's own

    @property
    def programs(self) -> Path:
        """The folder of its commands."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.programs / ("python.exe" if os.name == "nt" else "python")

    @property
    def site_packages(self) -> Path:
        """The folder its packages are installed in."""
        if os.name == "nt":
            return self.folder / "Lib" / "site-packages"
        major, minor = sys.version_info[:2]
        return self.folder / "lib" / f"python{major}.{minor}" / "site-packages"

    @property
    def _record_file(self) -> Path:
        return self.folder / "dubwright-steps.json"

    @property
    def _incomplete_file(self) -> Path:
        return self.folder / "incomplete"

    def fingerprint_of(self, step: str) -> str | None:
        """Return the fingerprint under which `step` was last finished, or None."""
        return self._record().get(step)

    def begin(self, step: str) -> None:
        """Mark the environment as incomplete while `step` changes it, and forget that it was done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._incomplete_file.write_text(step, encoding="utf-8")
        self._write_record({name: value for name, value in self._record().items() if name != step})

    def finish(self, step: str, fingerprint: str) -> None:
        """Record that `step` is done."""
        self._write_record({**self._record(), step: fingerprint})
        self._incomplete_file.unlink(missing_ok=True)

    def forget(self) -> None:
        """Forget which steps were done, but not that the environment itself was made."""
        made = self.fingerprint_of("environment")
        self._write_record({} if made is None else {"environment": made})

    def interrupted_step(self) -> str | None:
        """Return the step that began and never ended, or None."""
        try:
            return self._incomplete_file.read_text(encoding="utf-8")
        except OSError:
            return None

    def variables(self) -> dict[str, str]:
        """Return the process environment in which this environment is the active one."""
        values = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        values["VIRTUAL_ENV"] = str(self.folder)
        if self.cache is not None:
            values.setdefault("PIP_CACHE_DIR", str(self.cache / "pip"))
            values.setdefault("UV_CACHE_DIR", str(self.cache / "uv"))
        values["PATH"] = str(self.programs) + os.pathsep + values.get("PATH", os.defpath)
        return values

    def run(self, command: Sequence[str], *, cwd: Path | None = None) -> int:
        """Run `command` with this environment active and return its exit status (128+N for a signal N)."""
        process = subprocess.Popen(self._resolved(command), env=self.variables(), cwd=cwd)
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the child got the Ctrl-C too and ends in its own way
        return 128 - status if status < 0 else status

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this environment's own `dubwright` and return what it said; 1 when it cannot even start."""
        command = [str(self.programs / ("dubwright.exe" if os.name == "nt" else "dubwright")), *arguments]
        try:
            return subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=False)
        except OSError as error:
            return subprocess.CompletedProcess(command, 1, "", str(error))

    def _resolved(self, command: Sequence[str]) -> list[str]:
        """Name our own programs in full: Windows and `exec` of a bare name look in the parent's PATH."""
        names = [command[0], f"{command[0]}.exe"] if os.name == "nt" else [command[0]]
        if os.sep not in command[0]:
            for name in names:
                if (self.programs / name).is_file():
                    return [str(self.programs / name), *command[1:]]
        return list(command)

    def _record(self) -> dict[str, str]:
        try:
            record = json.loads(self._record_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write_record(self, record: dict[str, str]) -> None:
        draft = self._record_file.with_suffix(".new")
        draft.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(draft, self._record_file)
