"""The take at hand: its shot, what it can be compared with, and every wish about it. Without widgets."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PySide6.QtCore import QObject, Signal

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import JobSpec, RedubSpec, Take
from gui.link import Link
from gui.media.frame_folder import sound_file
from gui.media.player import Track
from gui.media.sound import read_sound
from gui.models.follow_up import ShotKey, final_of, next_take_of, shot_of
from gui.models.job_table import JobTable
from gui.models.take_list import Origin, TakeList, job_of, read_origin
from gui.texts import Key, text


class Opened(NamedTuple):
    """What was read of a take before it is shown."""

    take: Take
    origin: Origin | None
    has_file: bool
    has_original: bool

    def tracks(self, **pictures: Path) -> dict[str, Track]:
        """Return these pictures for the player, over the original where that is there."""
        over = {name: Track(path) for name, path in pictures.items()}
        if self.origin is None or not self.has_original:
            return over
        return {"original": Track(self.origin.source, self.origin.first), **over}


def open_take(take: Take) -> Opened:
    """Look at a take's files; not for the window's thread."""
    origin = read_origin(take)
    has_original = origin is not None and origin.source.is_file()
    return Opened(take, origin, Path(take.path).exists(), has_original)


def read_sounds(take: Take, origin: Origin | None) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the original's samples under a take, and its own; not for the window's thread."""
    rate = Fraction(*take.rate)
    length_s = float(take.frames / rate)
    start_s = 0.0 if origin is None else float(origin.first / rate)
    original = None if origin is None else read_sound(origin.source, start_s, length_s)
    return original, read_sound(sound_file(Path(take.path)), 0.0, length_s)


class TakeDesk(QObject):
    """One take is chosen, and all takes are shown or those of one shot."""

    refused = Signal(ErrorInfo)
    submitted = Signal(str)  # a job

    def __init__(self, link: Link, jobs: JobTable, takes: TakeList) -> None:
        super().__init__()
        self._link, self._jobs, self._takes = link, jobs, takes
        self._by_shot: dict[ShotKey, list[str]] = {}  # ids of jobs
        self._shot: ShotKey | None = None  # the one whose takes are shown; None: all
        self.current = ""

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return self._takes.find(self.current)

    # Shots.

    def read_shots(self) -> tuple[list[str], int]:
        """Find out which shots have takes; return their names, "all" first, and which one is shown."""
        self._by_shot = {}
        for job_id in self._takes.job_ids():
            spec = self._spec_of(job_id)
            if spec is not None:
                self._by_shot.setdefault(shot_of(spec), []).append(job_id)
        shots = list(self._by_shot)
        names = [text("takes.shot", name=Path(s.source).stem, first=s.in_, last=s.out) for s in shots]
        place = next((at for at, shot in enumerate(shots, 1) if shot == self._shot), 0)
        return [text("takes.all_shots", n=len(shots)), *names], place

    def show_shot(self, place: int) -> None:
        """Show the takes of the shot at a place of `read_shots`; of all at 0."""
        self._shot = list(self._by_shot)[place - 1] if place > 0 else None
        self._takes.show_jobs(None if self._shot is None else self._by_shot[self._shot])

    def rival_of(self, take: Take) -> Take | None:
        """Return the next take of the same shot and length, or the one before."""
        spec = self._spec_of(job_of(take))
        jobs = [job_of(take)] if spec is None else self._by_shot.get(shot_of(spec), [])
        made = [other for job_id in jobs for other in self._takes.of_job(job_id)]
        same = [other for other in made if other.frames == take.frames]
        at = next((at for at, other in enumerate(same) if other.take_id == take.take_id), 0)
        return same[(at + 1) % len(same)] if len(same) > 1 else None

    # Wishes.

    def why_not(self) -> dict[Key, str]:
        """Return why some things cannot be done with the take."""
        take = self.take
        if take is None:
            return {}
        reasons: dict[Key, str] = {}
        if self._spec_of(job_of(take)) is None:
            reasons = dict.fromkeys(("takes.again", "takes.final"), text("takes.why_job"))
        elif take.engine == "wan" and take.quality != "draft":
            reasons["takes.final"] = text("takes.why_final")
        if self.rival_of(take) is None:
            reasons["takes.blind"] = text("takes.why_blind")
        return reasons

    def judge(self, verdict: Literal["accepted", "rejected"]) -> None:
        """Accept or reject the take; the same again takes it back."""
        take = self.take
        if take is not None:
            wanted = "none" if take.verdict == verdict else verdict
            self._link.ask(
                lambda client: client.set_verdict(take.take_id, wanted), self._takes.put, self.refused.emit
            )

    def try_again(self) -> None:
        """Put the take's job on the queue once more with the next seed, for one take."""
        take = self.take
        spec = None if take is None else self._spec_of(job_of(take))
        if take is not None and spec is not None:
            again = next_take_of(spec, [other.seed for other in self._takes.siblings(take)])
            self._submit(lambda: again)

    def make_final(self) -> None:
        """Have the take made again in final quality."""
        take = self.take
        spec = None if take is None else self._spec_of(job_of(take))
        if take is not None and spec is not None:
            self._submit(lambda: final_of(spec, take))

    def _submit(self, make: Callable[[], JobSpec]) -> None:
        """Put a job on the queue; it is made on the link's thread."""
        self._link.ask(
            lambda client: client.submit(make()),
            lambda made: self.submitted.emit(made.job_id),
            self.refused.emit,
        )

    def _spec_of(self, job_id: str) -> RedubSpec | None:
        job = self._jobs.job(job_id)
        return job.spec if job is not None and isinstance(job.spec, RedubSpec) else None
