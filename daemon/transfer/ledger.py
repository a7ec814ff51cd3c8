"""What this machine knows of files at one host: which of its own they are, and where takes from there belong.

An SQLite file that several programs use at a time. All of it can be found out anew; nothing is lost with it.
"""

import sqlite3
import threading
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS files (      -- sent there or fetched from there
  there TEXT PRIMARY KEY, here TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (    -- of takes
  there TEXT PRIMARY KEY, here TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hashes (     -- of files here, as long as they do not change
  here TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Ledger:
    """One host's file. Any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.executescript(TABLES)
        self._version = -1
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._db.close()

    def files(self) -> dict[str, str]:
        """Return the files: where each lies there, and here."""
        self._refresh()
        return self._files

    def folders(self) -> dict[str, str]:
        """Return the folders of takes: where each lies there, and here."""
        self._refresh()
        return self._folders

    def note_file(self, there: str, here: str, sha256: str) -> None:
        """Remember that a file there is one of ours."""
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (there, here, sha256))

    def note_folder(self, there: str, here: str) -> None:
        """Remember where takes of a folder there belong."""
        self._write("INSERT OR REPLACE INTO folders VALUES (?, ?)", (there, here))

    def fetched(self, there: str) -> str | None:
        """Return the sha256 that a file had when it was sent or fetched."""
        return self._one("SELECT sha256 FROM files WHERE there = ?", (there,))

    def known_hash(self, path: Path) -> str | None:
        """Return a file's sha256 if it was computed before and the file has not changed. Raises OSError."""
        about = path.stat()
        values = (str(path), about.st_size, about.st_mtime_ns)
        return self._one("SELECT sha256 FROM hashes WHERE here = ? AND size = ? AND mtime_ns = ?", values)

    def note_hash(self, path: Path, sha256: str) -> None:
        """Remember a file's sha256. Raises OSError."""
        about = path.stat()
        values = (str(path), about.st_size, about.st_mtime_ns, sha256)
        self._write("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", values)

    def _one(self, question: str, values: tuple[str | int, ...]) -> str | None:
        with self._lock:
            row = self._db.execute(question, values).fetchone()
        return None if row is None else row[0]

    def _write(self, change: str, values: tuple[str | int, ...]) -> None:
        with self._lock:
            self._db.execute(change, values)
            self._version = -1

    def _refresh(self) -> None:
        """Read again what another program, or we ourselves, have changed."""
        with self._lock:
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._files = dict(self._db.execute("SELECT there, here FROM files"))
                self._folders = dict(self._db.execute("SELECT there, here FROM folders"))
                self._version = version
