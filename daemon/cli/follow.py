"""Watches a job on the terminal until it ends. Ctrl-C ends the watching, never the job."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from daemon.cli.output import say
from daemon.client import Client
from daemon.protocol.events import JobChanged, JobLogged, JobProgressed
from daemon.protocol.jobs import Job, JobState, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_INTERVAL_S = 2.0


class Display(Protocol):
    """Shows how far a job is."""

    def state(self, job: Job) -> None:
        """Show the job's state."""
        ...

    def progress(self, progress: Progress) -> None:
        """Show how far it is."""
        ...

    def sentence(self, text: str) -> None:
        """Show a line of the job's log."""
        ...


class NoDisplay:
    """Shows nothing."""

    def state(self, job: Job) -> None:
        """Show nothing."""

    def progress(self, progress: Progress) -> None:
        """Show nothing."""

    def sentence(self, text: str) -> None:
        """Show nothing."""


class PlainDisplay:
    """Prints a line at each new stage and every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._state = ""
        self._stage = ""
        self._last = 0.0

    def state(self, job: Job) -> None:
        """Print the state when it is another one."""
        if job.state != self._state:
            self._state = job.state
            say(f"Job {job.job_id} {'has' if job.state is JobState.FAILED else 'is'} {job.state}.")

    def progress(self, progress: Progress) -> None:
        """Print the progress when it is time."""
        now = time.monotonic()
        if progress.stage == self._stage and now - self._last < PLAIN_INTERVAL_S:
            return
        self._stage, self._last = progress.stage, now
        say(f"  {_describe(progress)}")

    def sentence(self, text: str) -> None:
        """Print the sentence."""
        say(f"  {text}")


class BarDisplay:
    """A progress bar on a terminal."""

    def __init__(self, bar: "RichProgress") -> None:
        self._bar = bar
        self._task = bar.add_task("waiting", total=1.0)

    def state(self, job: Job) -> None:
        """Show the state until there is progress to show."""
        if job.progress is None:
            self._bar.update(self._task, description=str(job.state))

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=progress.fraction, description=_describe(progress))

    def sentence(self, text: str) -> None:
        """Print the sentence above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)


def follow(client: Client, job_id: str, *, quiet: bool = False) -> Job:
    """Show a job until it is in a final state and return it.

    Raises KeyboardInterrupt on Ctrl-C, after saying how to go on with the job.
    """
    try:
        with _display(quiet=quiet) as display:
            _show_events(client, job_id, display)
    except KeyboardInterrupt:
        say(f"\nJob {job_id} goes on. Watch it with `dubwright watch {job_id}`, "
            f"stop it with `dubwright cancel {job_id}`.")  # fmt: skip
        raise
    return client.job(job_id)


def _show_events(client: Client, job_id: str, display: Display) -> None:
    said: str | None = None  # shown at the next event: the sentence that tells why a job failed is its error
    for event in client.watch(job_id):
        error = event.job.error if isinstance(event, JobChanged) else None
        if said is not None and (error is None or not said.startswith(error.message)):
            display.sentence(said)
        said = event.sentence if isinstance(event, JobLogged) else None
        if isinstance(event, JobChanged):
            display.state(event.job)
        elif isinstance(event, JobProgressed):
            display.progress(event.progress)


@contextmanager
def _display(*, quiet: bool) -> Iterator[Display]:
    if quiet:
        yield NoDisplay()
    elif not sys.stderr.isatty():
        yield PlainDisplay()
    else:
        with _make_bar() as bar:
            yield BarDisplay(bar)


def _make_bar() -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


def _describe(progress: Progress) -> str:
    frames = f" {progress.done}/{progress.total}" if progress.total else ""
    left = f", about {progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
    return f"{progress.stage}{frames} ({progress.fraction:.0%}{left})"
