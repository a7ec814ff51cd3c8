"""The queue's file: versions, migrations, and what happens to a broken one."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import JobState, RedubSpec, Take
from daemon.queue import database
from daemon.queue.backup import backup_path, make_backup
from daemon.queue.copier import Copier
from daemon.queue.store import JobStore

SPEC = RedubSpec(source="a.mov", voice="b.wav", in_=0, out=10)


def test_settings_are_durable(tmp_path: Path) -> None:
    connection, aside = database.open_database(tmp_path / "queue.sqlite")
    assert aside is None
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(database.migrations())
    connection.close()


def test_queue_of_version_1_is_migrated_with_its_jobs(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    old = sqlite3.connect(path, isolation_level=None)
    old.row_factory = sqlite3.Row
    database.migrate(old, database.migrations()[:1])
    old.execute(
        """INSERT INTO jobs (job_id, role, spec, state, priority, position, submitted_at, submitted_by)
           VALUES ('old', 'engine', '{"kind":"redub","source":"a","voice":"b","in":0,"out":9}', 'queued',
                   0, 1, 1e9, 'cli')"""
    )
    old.close()
    store = JobStore(path)
    assert store.broken is None
    assert store.get("old").submitted_by == "cli"
    assert store.timings("rewrite") == {}
    claim = store.claim("engine")
    assert claim is not None
    assert claim.job_id == "old"
    store.close()


def test_failed_migration_changes_nothing(tmp_path: Path) -> None:
    connection, _ = database.open_database(tmp_path / "queue.sqlite")
    steps = [*database.migrations(), "CREATE TABLE fine (x);\nCREATE TABLE jobs (again);\n"]
    with pytest.raises(MachineError):
        database.migrate(connection, steps)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "fine" not in tables
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(steps) - 1
    connection.close()


def test_queue_of_a_newer_dubwright_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    connection, _ = database.open_database(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(MachineError) as caught:
        JobStore(path)
    assert caught.value.code == "daemon.queue_newer"
    assert path.exists()


@pytest.mark.parametrize("damage", ["no database", "torn page"])
def test_broken_queue_is_set_aside_and_a_new_one_made(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "queue.sqlite"
    store = JobStore(path)
    for _ in range(200):
        store.submit(SPEC)
    store.close()
    content = bytearray(path.read_bytes())
    if damage == "no database":
        content[:] = b"not a database at all" * 500
    else:
        content[8192:12288] = b"\xa5" * 4096
    path.write_bytes(content)
    store = JobStore(path)
    assert store.broken is not None
    assert store.broken.aside.read_bytes() == content
    left = 0 if damage == "no database" else 200  # the torn page held none of the jobs' rows
    assert (store.broken.restored_at, store.broken.salvaged, len(store.list())) == (None, left, left)
    store.submit(SPEC)
    store.close()
    again = JobStore(path)
    assert (again.broken, len(again.list())) == (None, left + 1)
    again.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 500, b""])
def test_the_last_good_copy_takes_a_broken_queues_place(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "queue.sqlite"
    store = JobStore(path)
    kept, _ = store.submit(SPEC, key="kept")
    store.log(kept.job_id, "It was here.")
    make_backup(path)
    store.close()
    path.write_bytes(damage or path.read_bytes()[:2000])
    store = JobStore(path)
    assert store.broken is not None
    assert store.broken.restored_at is not None
    assert [job.job_id for job in store.list()] == [kept.job_id]
    assert store.job_log(kept.job_id)[0].sentence == "It was here."
    assert store.submit(SPEC, key="kept")[1] is False
    store.close()


def test_jobs_newer_than_the_copy_are_read_from_the_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    store = JobStore(path)
    old, _ = store.submit(SPEC)
    make_backup(path)
    store.move(old.job_id, JobState.RUNNING)
    store.log(old.job_id, "It went on.")
    newer = [store.submit(SPEC)[0].job_id for _ in range(50)]
    store._db.execute("CREATE TABLE victim AS SELECT * FROM jobs")
    page = store._db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'victim'").fetchone()[0]
    size = store._db.execute("PRAGMA page_size").fetchone()[0]
    store.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(content)
    store = JobStore(path)
    assert store.broken is not None
    assert store.broken.salvaged == 51
    assert store.get(old.job_id).state is JobState.RUNNING
    assert store.job_log(old.job_id)[0].sentence == "It went on."
    assert {job.job_id for job in store.list()} == {old.job_id, *newer}
    store.close()


def test_a_job_whose_takes_cannot_be_read_runs_again_and_rows_on_both_sides_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    store = JobStore(path)
    make_backup(path)
    done = [finished(store, number) for number in range(60)]
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    content = bytearray(path.read_bytes())
    torn = content.index(b"/30.mov") // 4096 * 4096  # a page of the takes
    content[torn : torn + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    store = JobStore(path)
    states = [store.get(job_id).state for job_id in done]
    assert [bool(store.takes(job_id)) for job_id in done] == [state is JobState.DONE for state in states]
    assert states[0] is states[-1] is JobState.DONE
    assert JobState.QUEUED in states
    store.close()


def finished(store: JobStore, number: int) -> str:
    """Run a job to its take."""
    job_id = store.submit(SPEC)[0].job_id
    claim = store.claim("engine")
    assert claim is not None
    take = Take(
        take_id=f"{job_id}-1", path=f"/{'x' * 400}/{number}.mov", sidecar="/s.json", frames=9, rate=(25, 1),
        seed=0, engine="rewrite", badge="pass", checks={},
    )  # fmt: skip
    store.move(job_id, JobState.DONE, attempt=claim.attempt, takes=[take])
    return job_id


def test_a_copy_is_made_when_something_changed_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    store = JobStore(path)
    store.submit(SPEC)
    told: list[bool] = []

    async def copy() -> None:
        copier = Copier(path, asyncio.get_running_loop(), on_broken=lambda: told.append(True))
        copier.copy()
        made = backup_path(path).stat()
        copier.copy()
        assert backup_path(path).stat() == made
        store.submit(SPEC)
        copier.copy()
        assert backup_path(path).stat() != made
        good = backup_path(path).read_bytes()
        store.close()
        path.write_bytes(b"not a database at all" * 500)
        copier.copy()
        await asyncio.sleep(0)
        assert backup_path(path).read_bytes() == good
        copier.stop()

    asyncio.run(copy())
    assert told == [True]


def test_full_disk_is_said_as_such_and_loses_nothing(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    job, _ = store.submit(SPEC)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    big = RedubSpec(source="a" * 50_000, voice="b.wav", in_=0, out=10)
    with pytest.raises(MachineError) as caught:
        store.submit(big)
    assert caught.value.code == "disk.full"
    assert [each.job_id for each in store.list()] == [job.job_id]
    store.close()


def test_unwritable_folder_is_an_error_and_not_a_broken_queue(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").mkdir()  # whoever runs the tests, nobody can open a folder as a file
    with pytest.raises(MachineError) as caught:
        JobStore(tmp_path / "queue.sqlite")
    assert caught.value.code == "dest.unwritable"
