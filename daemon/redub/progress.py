"""How the pipeline tells the worker where it is, and learns that it should stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from daemon.protocol.jobs import Take

STAGES = ("probe", "track", "voice", "learn", "engine", "deliver", "check")
"""The stages of a redub job, in order. Their share of the time is learned per machine (daemon/queue)."""


WAITING = -1
"""For `Reporter.frames` while nothing but waiting is done: it looks for a stop and is no step. A job that
makes no step for long hangs (daemon/worker/watch.py)."""


class Cancelled(BaseException):
    """Raised by a Reporter when the job was cancelled or paused; unwinds the whole pipeline.

    Not an Exception, so that no `except Exception` on the way can swallow it.
    """


@dataclass(frozen=True)
class Preview:
    """Roughly what is being painted (daemon/protocol/messages.py, `JobPreviewed`)."""

    picture: bytes
    frames: list[int]
    chunk: int
    chunks: int
    step: int
    steps: int


class Reporter(Protocol):
    """What the pipeline is given to report to. Every loop over frames calls `frames` for each frame."""

    def picture(self, width: int, height: int) -> None:
        """Say how large the source's frames are, which the estimate of the time needs."""
        ...

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` frames."""
        ...

    def frames(self, done: int) -> None:
        """Say how many frames of the stage are done, or WAITING; raise Cancelled if the job should stop."""
        ...

    def log(self, sentence: str) -> None:
        """Add a sentence for people to the job's log."""
        ...

    def preview(self, make: Callable[[], Preview]) -> None:
        """Show what is being painted; `make` is called when it is time for another preview."""
        ...

    def take(self, take: Take) -> None:
        """Say that a take is on disk, and stays whatever becomes of the job."""
        ...


class SilentReporter:
    """A Reporter for tests and scripts: keeps the log and the takes, never cancels."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.takes: list[Take] = []

    def picture(self, width: int, height: int) -> None:
        """Ignore the size."""

    def stage(self, name: str, total: int) -> None:
        """Ignore the stage."""

    def frames(self, done: int) -> None:
        """Ignore the progress."""

    def log(self, sentence: str) -> None:
        """Keep the sentence."""
        self.sentences.append(sentence)

    def preview(self, make: Callable[[], Preview]) -> None:
        """Show nothing."""

    def take(self, take: Take) -> None:
        """Keep the take."""
        self.takes.append(take)
