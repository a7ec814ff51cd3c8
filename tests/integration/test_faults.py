"""Short runs of the fault injection and the soak of tests/benchmarks; docs/reliability.md has long ones."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from daemon.client import Client
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import JobState
from daemon.protocol.night import WEEKDAYS
from tests.benchmarks.faults import Stream
from tests.benchmarks.home import home_for
from tests.benchmarks.soak import soak
from tests.leaping import leaping_clock
from tests.studio import ALONE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with POSIX signals")

GROWTH_MB = 8  # of the server over the second half: a list that keeps each job's spec would take far less


def test_killed_at_random_a_stream_of_jobs_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    with home_for(tmp_path, scripted=True) as folder, leaping_clock(folder) as clock:
        figures = Stream(folder, seed=5, pause_s=0.2, clock=clock).run(kills=8)
    assert figures.wrong == []
    assert sum(figures.kills.values()) == 8


def test_many_small_jobs_leave_no_handles_threads_or_folders(tmp_path: Path) -> None:
    with home_for(tmp_path, scripted=True) as folder:
        moments = soak(folder, 100)
    first, last = moments[0], moments[-1]
    assert last.handles <= first.handles + 4  # the copier's, should it be at work
    assert last.threads <= first.threads + 4
    assert last.work_folders <= 1
    assert last.server_mb < first.server_mb + GROWTH_MB


def test_a_clock_that_jumps_both_ways_under_the_daemon_takes_no_job_from_its_worker(tmp_path: Path) -> None:
    spec = {"source": str(tmp_path / "a.mov"), "voice": str(tmp_path / "paint"), "in": 0, "out": 30}
    with (
        home_for(tmp_path, scripted=True),
        leaping_clock(tmp_path) as clock,
        Client.connect(name="test") as client,
    ):
        client.schedule(ALONE)
        for number, days in enumerate((400, -400, 1, -1, 0)):
            job = client.submit({**spec, "seed": number, "dest": str(tmp_path / str(number))})
            for event in client.watch(job.job_id):
                if isinstance(event, JobProgressed):
                    clock.leap(days * 86_400)
            found = client.job(job.job_id)
            assert (found.state, found.attempts, len(found.takes)) == (JobState.DONE, 1, 1)
            assert abs(found.submitted_at - time.time()) > 80_000 or number in (0, 4)
            assert all("daemon ended" not in entry.sentence for entry in client.job_log(job.job_id))
        assert len(client.jobs()) == 5


def test_a_clock_that_jumps_into_a_window_and_out_of_it_opens_and_closes_it(tmp_path: Path) -> None:
    hour = (datetime.now(UTC).hour + 12) % 24
    window = dict.fromkeys(WEEKDAYS, f"{hour:02}:00-{(hour + 1) % 24:02}:00")
    spec = {"source": str(tmp_path / "a.mov"), "voice": str(tmp_path / "loop"), "in": 0, "out": 30}
    with (
        pytest.MonkeyPatch.context() as patch,
        home_for(tmp_path, scripted=True),
        leaping_clock(tmp_path) as clock,
    ):
        patch.setenv("TZ", "UTC")
        with Client.connect(name="test") as client:
            client.schedule(msgspec.structs.replace(ALONE, windows=window))
            job = client.submit(spec, tonight=True)
            for hours, state in ((12, JobState.RUNNING), (0, JobState.HELD), (-12, JobState.RUNNING)):
                clock.leap(3600 * hours)
                for event in client.watch(job.job_id):
                    if isinstance(event, JobChanged) and event.job.state is state:
                        break
            client.cancel(job.job_id)
