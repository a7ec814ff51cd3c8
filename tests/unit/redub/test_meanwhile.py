"""Two threads at one take: chunks and items in order, and when one side stops so does the other."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon.redub.meanwhile import Arrivals, deliver_while_painting, one_ahead
from daemon.redub.progress import WAITING, Cancelled, Reporter, SilentReporter

CHUNKS = 4


class BrokenError(Exception):
    """Something went wrong."""


def run(
    paint: Callable[[Callable[[int], None]], None], deliver: Callable[[Reporter, Arrivals], None]
) -> None:
    deliver_while_painting(paint, deliver, frames=CHUNKS, reporter=SilentReporter())


def test_a_chunk_is_delivered_while_the_next_one_is_painted() -> None:
    delivered: list[int] = []
    first_is_out = threading.Event()

    def paint(arrived: Callable[[int], None]) -> None:
        for index in range(CHUNKS):
            if index == 2:
                assert first_is_out.wait(60)  # not before: this proves that both run at once
            arrived(index)

    def deliver(reporter: Reporter, arrivals: Arrivals) -> None:
        for index in range(CHUNKS):
            arrivals.wait_for(index)
            delivered.append(index)
            first_is_out.set()
            reporter.frames(index + 1)

    run(paint, deliver)
    assert delivered == list(range(CHUNKS))


def test_a_job_that_is_stopped_stops_the_delivery() -> None:
    ended = threading.Event()

    def paint(arrived: Callable[[int], None]) -> None:
        arrived(0)
        raise Cancelled

    def deliver(reporter: Reporter, arrivals: Arrivals) -> None:
        try:
            for index in range(CHUNKS):
                arrivals.wait_for(index)
        finally:
            ended.set()

    with pytest.raises(Cancelled):
        run(paint, deliver)
    assert ended.is_set()


def test_a_delivery_that_fails_ends_the_painting_at_its_next_chunk() -> None:
    def paint(arrived: Callable[[int], None]) -> None:
        for index in itertools.count():  # for ever, if nobody stops it
            arrived(index)

    def deliver(reporter: Reporter, arrivals: Arrivals) -> None:
        arrivals.wait_for(0)
        raise BrokenError

    with pytest.raises(BrokenError):
        run(paint, deliver)


def test_waiting_for_a_delivery_that_stands_still_is_no_step() -> None:
    told: list[int] = []
    is_enough = threading.Event()

    class Recorder(SilentReporter):
        def frames(self, done: int) -> None:
            told.append(done)
            if len(told) == 3:
                is_enough.set()

    def deliver(reporter: Reporter, arrivals: Arrivals) -> None:
        reporter.frames(2)
        is_enough.wait(60)  # as on a disk that does not answer

    deliver_while_painting(lambda arrived: None, deliver, frames=CHUNKS, reporter=Recorder())
    assert sorted(told[:3]) == [WAITING, WAITING, 2]


def test_a_take_that_is_there_already_is_not_waited_for() -> None:
    run(lambda arrived: arrived(0), lambda reporter, arrivals: None)


def test_work_on_the_next_item_is_done_while_the_caller_is_at_the_one_before() -> None:
    begun = [threading.Event() for _ in range(CHUNKS)]

    def work(index: int) -> int:
        begun[index].set()
        return index

    with ThreadPoolExecutor(1) as pool:
        for index in one_ahead(pool, work, ((index,) for index in range(CHUNKS))):
            assert begun[min(index + 1, CHUNKS - 1)].wait(60)


def test_work_that_fails_is_raised_where_its_result_is_wanted() -> None:
    def work(index: int) -> int:
        if index == 2:
            raise BrokenError
        return index

    with ThreadPoolExecutor(1) as pool:
        made = one_ahead(pool, work, ((index,) for index in range(CHUNKS)))
        assert [next(made), next(made)] == [0, 1]
        with pytest.raises(BrokenError):
            next(made)
