"""The queue's table: one change moves one row, and the order is the daemon's."""

from typing import Any

import msgspec
import pytest

pytest.importorskip("PySide6.QtCore", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QPersistentModelIndex

from daemon.protocol.jobs import FacesSpec, Job, JobState, RedubSpec
from gui.models.job_table import Active, JobTable, compare, list_jobs

REDUB = RedubSpec(source="/a.mov", voice="/a.wav", in_=0, out=100)


def job(job_id: str, state: JobState = JobState.QUEUED, **fields: Any) -> Job:
    plain = {"spec": REDUB, "priority": 0, "submitted_at": 0.0, "submitted_by": "cli", **fields}
    return Job(job_id=job_id, state=state, **plain)


def rows(table: JobTable) -> list[str]:
    return [table.job_at(row).job_id for row in range(table.rowCount())]


@pytest.fixture
def table(qt: object) -> JobTable:
    made = JobTable()
    ended = [job("d", JobState.DONE, finished_at=1.0), job("e", JobState.FAILED, finished_at=2.0)]
    asked = job("faces", spec=FacesSpec(source="/a.mov", in_=0, out=9))
    made.set_all(list_jobs([job("a"), job("b"), job("c"), *ended, asked]))
    return made


def test_what_waits_comes_first_then_what_ended_newest_first_without_our_own_questions(
    table: JobTable,
) -> None:
    assert rows(table) == ["a", "b", "c", "e", "d"]
    assert table.job("faces") is not None
    assert table.row_of("faces") is None
    assert table.counts() == {JobState.QUEUED: 3, JobState.DONE: 1, JobState.FAILED: 1}


def test_a_change_moves_one_row_and_resets_nothing(table: JobTable) -> None:
    resets: list[int] = []
    table.modelReset.connect(lambda: resets.append(1))
    table.put(job("b", JobState.DONE, finished_at=9.0))
    assert rows(table) == ["a", "c", "b", "e", "d"]
    table.put(job("d"))
    assert rows(table) == ["a", "c", "d", "b", "e"]
    table.put(job("new"))
    assert rows(table) == ["a", "c", "d", "new", "b", "e"]
    assert table.counts()[JobState.QUEUED] == 4
    assert resets == []


def test_the_daemons_order_is_taken_over_with_what_is_selected(table: JobTable) -> None:
    known = {name: table.job(name) or job(name) for name in "abc"}
    running = msgspec.structs.replace(known["c"], state=JobState.RUNNING)
    found = compare([running, known["a"], known["b"]], known)
    assert found == Active(["c", "a", "b"], [running])
    selected = QPersistentModelIndex(table.index(0, 0))
    table.set_active(found)
    assert rows(table) == ["c", "a", "b", "e", "d"]
    assert selected.row() == 1


def test_a_drop_asks_for_the_place_and_moves_nothing_itself(table: JobTable) -> None:
    wanted: list[tuple[object, ...]] = []
    table.moved.connect(lambda *what: wanted.append(what))
    table.ask_to_move("c", 0)
    table.ask_to_move("a", 3)
    assert wanted == [("c", "a", None), ("a", None, -1)]
    assert rows(table) == ["a", "b", "c", "e", "d"]
