"""The reporter of a job in its worker: what counts as a step, and what ends the job."""

import pytest

from daemon.protocol.jobs import RedubSpec
from daemon.redub.progress import WAITING, Cancelled
from daemon.worker.messages import Beat, Report, Run
from daemon.worker.process import PipeReporter


def test_a_job_that_only_waits_makes_no_step_and_can_be_stopped() -> None:
    sent: list[Report] = []
    spec = RedubSpec(source="/a.mov", voice="/b.wav", in_=0, out=9)
    reporter = PipeReporter(Run("a2b3c4d5", 1, spec, "/work"), sent.append)
    reporter.stage("track", 9)
    reporter.frames(4)
    reporter.frames(0)  # within a frame
    for _ in range(3):
        reporter.frames(WAITING)
    reporter.beat()
    beat = sent[-1]
    assert isinstance(beat, Beat)
    assert (beat.done, beat.steps) == (4, 3)
    reporter.stop()
    with pytest.raises(Cancelled):
        reporter.frames(WAITING)
