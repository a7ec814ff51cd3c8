"""Opens the queue's SQLite file: durable settings, migrations, and what to do when it is broken."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.protocol.errors import MachineError
from daemon.queue.backup import restore, salvage

SCHEMA = Path(__file__).with_name("schema.sql")

SETTINGS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives a power cut, not only the death of the process
    "PRAGMA foreign_keys = ON",
)


@dataclass(frozen=True)
class Breakage:
    """What became of a queue that could not be read."""

    aside: Path  # where it was put
    restored_at: float | None  # when the copy was made that took its place; None: there was none
    salvaged: int  # newer jobs that could still be read


def open_database(path: Path) -> tuple[sqlite3.Connection, Breakage | None]:
    """Open the queue, made or migrated as needed; also return what became of a broken one, or None.

    Raises MachineError `daemon.queue_newer`, `disk.full`, `dest.unwritable`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path), None
    except sqlite3.OperationalError as error:  # a locked or unwritable file is not a broken one
        raise storage_error(error, path) from error
    except sqlite3.DatabaseError:
        aside = _set_aside(path)
    return _replace(path, aside)


def _replace(path: Path, aside: Path) -> tuple[sqlite3.Connection, Breakage]:
    """Put the last good copy in a broken queue's place, or a new one, with what can be read of the broken."""
    restored_at = restore(path)
    try:
        connection = _connect(path)
    except sqlite3.DatabaseError:  # the copy has suffered, too
        path.unlink()
        restored_at, connection = None, _connect(path)
    with transaction(connection):
        salvaged = salvage(connection, aside)
    return connection, Breakage(aside, restored_at, salvaged)


def migrations(script: str | None = None) -> list[str]:
    """Return the SQL of each version, first to last."""
    text = SCHEMA.read_text(encoding="utf-8") if script is None else script
    return re.split(r"^-- version \d+\n", text, flags=re.MULTILINE)[1:]


def migrate(connection: sqlite3.Connection, steps: list[str]) -> None:
    """Bring the database to the last of `steps`, all or nothing."""
    with transaction(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise MachineError(
                "daemon.queue_newer",
                f"The queue has version {version}, and this Dubwright knows versions up to {len(steps)}.",
            )
        for step in steps[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block in one transaction that takes the write lock at its start; an exception undoes it.

    Raises MachineError `disk.full`, `dest.unwritable` or `daemon.queue_broken` for what SQLite could not do.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    except sqlite3.IntegrityError:
        raise  # a constraint, not the disk
    except sqlite3.DatabaseError as error:
        raise storage_error(error, None) from error


def storage_error(error: sqlite3.DatabaseError, path: Path | None) -> MachineError:
    """Say in our words why SQLite could not read or write."""
    where = f" ({path})" if path else ""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return MachineError("disk.full", f"The queue{where} cannot grow: the disk is full.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR", "SQLITE_BUSY")):
        return MachineError("dest.unwritable", f"The queue{where} cannot be written: {error}.")
    return MachineError("daemon.queue_broken", f"The queue{where} cannot be read: {error}.")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        for setting in SETTINGS:
            connection.execute(setting)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        migrate(connection, migrations())
    except BaseException:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> Path:
    """Rename a broken queue and its journal, so that a person can look at it."""
    aside = path.with_name(f"{path.stem}.broken-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside


def _statements(script: str) -> Iterator[str]:
    """Split a script at its semicolons; `executescript` would commit the transaction we are in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
