"""Short runs of the fault injection and the soak of tests/benchmarks; docs/reliability.md has long ones."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.faults import Stream, home_for
from tests.benchmarks.soak import soak

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with POSIX signals")

GROWTH_MB = 8  # of the server over the second half: a list that keeps each job's spec would take far less


def test_killed_at_random_a_stream_of_jobs_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    with home_for(tmp_path, scripted=True) as folder:
        figures = Stream(folder, seed=5, pause_s=0.2).run(kills=8)
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
