"""A real daemon in a home of its own, for a whole module of tests, and what one asks of it."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.app import run
from daemon.client import Client
from daemon.connection import is_locked
from daemon.paths import find_paths
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.events import Event, JobChanged, JobProgressed
from daemon.protocol.jobs import FINAL_STATES, Job, JobState, Take
from daemon.protocol.night import ScheduleSettings
from daemon.provenance.seal import read_seal

ALONE = ScheduleSettings(give_way=False, on_battery=True)
"""Jobs on the GPU do not wait for whatever else this machine is doing."""


@dataclass(frozen=True)
class Run:
    """What a command left."""

    status: int
    document: Any
    err: str


@dataclass(frozen=True)
class Studio:
    """A daemon's client, and a folder for clips and takes."""

    client: Client
    folder: Path

    def submit(self, source: Path, voice: Path, first: int | str, stop: int | str, **fields: Any) -> Job:
        """Put a redub on the queue."""
        spec = {"source": str(source), "voice": str(voice), "in": first, "out": stop}
        return self.client.submit({**spec, "dest": str(self.folder / "takes"), **fields})

    def finish(self, job: Job) -> Job:
        """Wait for a job to end; return it."""
        for _ in self.client.watch(job.job_id):
            pass
        return self.client.job(job.job_id)

    def wait_for(self, job: Job, stage: str) -> Event:
        """Wait until a job is in `stage`, or beyond what can be waited for."""
        for event in self.client.watch(job.job_id):
            if isinstance(event, JobProgressed) and event.progress.stage == stage:
                return event
            if isinstance(event, JobChanged) and event.job.state in FINAL_STATES:
                return event
        raise AssertionError("the job ended unseen")

    def takes(
        self, source: Path, voice: Path, first: int | str, stop: int | str, **fields: Any
    ) -> list[Take]:
        """Have takes made."""
        job = self.finish(self.submit(source, voice, first, stop, **fields))
        assert job.state is JobState.DONE, job.error
        return job.takes

    def take(self, source: Path, voice: Path, first: int | str, stop: int | str, **fields: Any) -> Take:
        """Have one take made."""
        (take,) = self.takes(source, voice, first, stop, **fields)
        return take

    def error(self, source: Path, voice: Path, first: int | str, stop: int | str, **fields: Any) -> ErrorInfo:
        """Have a job fail; return why."""
        job = self.finish(self.submit(source, voice, first, stop, **fields))
        assert job.state is JobState.FAILED, job.state
        assert job.error is not None
        return job.error


@contextlib.contextmanager
def open_studio(folder: Path, face_models: Path) -> Iterator[Studio]:
    """Start a daemon whose home is in `folder`; stop it at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_FACE_MODELS", str(face_models))
        patch.setenv("DUBWRIGHT_HOME", str(folder / "home"))
        try:
            with Client.connect(name="test") as client:
                client.schedule(ALONE)
                yield Studio(client, folder)
        finally:
            if is_locked(find_paths().lock_file):
                with Client.connect(start=False, name="test") as last:
                    last.shutdown()


def command(*arguments: object) -> Run:
    """Run a command of the command line here, against the studio's daemon, with `--json`."""
    status, out, err = typed(*arguments, "--json")
    return Run(status, json.loads(out), err)


def typed(*arguments: object) -> tuple[int, str, str]:
    """Run a command as `command` does, without `--json`; return status, output and errors as text."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def essence_of(path: str) -> str:
    """Return the sha256 of a take's file before it was signed: the same in every run; a signature is not."""
    return read_seal(Path(path))["stated"]["essence_sha256"]


def sidecar_of(take: Take) -> dict[str, Any]:
    """Return what lies beside a take."""
    return json.loads(Path(take.sidecar).read_text(encoding="utf-8"))
