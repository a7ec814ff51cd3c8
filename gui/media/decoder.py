"""Decodes one clip on a thread of its own, with pictures kept ahead of and behind the one that is shown."""

import threading
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QObject, Signal, SignalInstance
from PySide6.QtGui import QImage

from gui.media.clip import ClipError, ClipFacts
from gui.media.frame_folder import open_clip

CACHE_BYTES = 150_000_000
_AHEAD = 24
_BEHIND = 8
_CHUNK = 48
"""Pictures kept of one way through a group; the next such way begins when the last one is begun on."""


class _Job(NamedTuple):
    frame: int
    before: int  # how many of the frames on the way to it are kept
    is_ahead_of_need: bool


class Decoder(QObject):
    """Pictures of a clip by frame number. Ask with `want`, look with `picture`; `ready` says what came."""

    opened = Signal()
    ready = Signal(int)
    failed = Signal(str)

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.path = path
        self.facts: ClipFacts | None = None
        self.error = ""
        self.decoded = 0  # pictures so far
        self._cache: dict[int, QImage] = {}
        self._target: int | None = None
        self._direction = 1
        self._loop: tuple[int, int] | None = None
        self._scaled_width = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"decode {path.name}", daemon=True)
        self._thread.start()

    def want(self, frame: int, *, direction: int = 1, loop: tuple[int, int] | None = None) -> None:
        """Say which frame is shown now; it is decoded first, then those in `direction`, then the others.

        direction: 1 or -1 where it plays or steps to; 0 at rest, when both sides are made ready.
        loop: the half-open range that is played again and again, made ready beyond its end.
        """
        with self._changed:
            if (frame, direction, loop) != (self._target, self._direction, self._loop):
                self._target, self._direction, self._loop = frame, direction, loop
                self._changed.notify()

    def limit_width(self, scaled_width: int) -> None:
        """Decode as wide as this (0: as the clip is); what was decoded at another width is dropped."""
        with self._changed:
            if scaled_width != self._scaled_width:
                self._scaled_width = scaled_width
                self._cache = {}
                self._changed.notify()

    def picture(self, frame: int) -> QImage | None:
        """Return the picture at `frame` if it is decoded."""
        return self._cache.get(frame)

    def rest(self) -> None:
        """Let go of all pictures and decode no more until something is wanted again."""
        with self._changed:
            self._target = None
            self._cache = {}

    def close(self) -> None:
        """End the thread and wait for it."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        self._cache = {}

    def _run(self) -> None:
        try:
            with open_clip(self.path) as clip:
                self.facts = clip.facts
                self._tell(self.opened)
                while (job := self._wait_for_job(clip.facts.frame_count)) is not None:
                    width = self._scaled_width
                    found = clip.pictures(
                        job.frame,
                        before=job.before,
                        scaled_width=width,
                        is_unwanted=(lambda job=job: self._is_unwanted(job)) if job.before else None,
                    )
                    self._take(job, found, width, clip.facts)
        except ClipError as error:
            self.error = str(error)
            self._tell(self.failed, self.error)

    def _wait_for_job(self, count: int) -> _Job | None:
        with self._changed:
            while not self._is_closing:
                job = self._next_job(count)
                if job is not None:
                    return job
                self._changed.wait()
        return None

    def _take(self, job: _Job, found: dict[int, np.ndarray], width: int, facts: ClipFacts) -> None:
        images = {number: _to_image(pixels, facts) for number, pixels in found.items()}
        self.decoded += len(images)
        with self._changed:
            if width == self._scaled_width and self._target is not None:
                self._cache.update(images)
                self._evict()
        if images:
            self._tell(self.ready, job.frame)

    def _is_unwanted(self, job: _Job) -> bool:
        """Whether work ahead of need keeps a picture waiting that is needed now."""
        target = self._target
        if self._is_closing or target is None:
            return True
        is_waiting = target not in self._cache and not job.frame - job.before <= target <= job.frame
        return job.is_ahead_of_need and is_waiting

    def _next_job(self, count: int) -> _Job | None:
        if self._target is None:
            return None
        target = min(max(0, self._target), count - 1)
        room = self._room()
        chunk = min(_CHUNK, max(1, room // 3))
        ahead = min(_AHEAD, max(1, room // 4)) if self._direction >= 0 else 1
        behind = min(_BEHIND, chunk) if self._direction > 0 else chunk
        if target not in self._cache:
            return _Job(target, behind, False)
        after = [frame for n in range(1, ahead + 1) if (frame := self._in_loop(target + n)) < count]
        back = range(target - 1, max(-1, target - behind - 1), -1)
        jobs = [_Job(frame, chunk, True) for frame in back], [_Job(frame, 0, True) for frame in after]
        if self._loop is not None and self._direction > 0:
            jobs = ([], jobs[1])  # what was shown is not shown again before the loop comes round
        for job in chain(*jobs if self._direction < 0 else reversed(jobs)):
            if job.frame not in self._cache:
                return job
        return None

    def _room(self) -> int:
        """Return how many pictures fit into the cache."""
        image = next(iter(self._cache.values()), None)
        return 16 if image is None else max(8, CACHE_BYTES // max(1, image.sizeInBytes()))

    def _in_loop(self, frame: int) -> int:
        """Return the frame that is played in place of one behind the end of the loop."""
        first, stop = self._loop or (0, 0)
        is_behind = self._direction > 0 and first < stop <= frame < 2 * stop - first
        return first + frame - stop if is_behind else frame

    def _evict(self) -> None:
        room = min(self._room(), 2 * _CHUNK + 2 * _AHEAD)
        if len(self._cache) > room:
            for frame in sorted(self._cache, key=self._distance)[room:]:
                del self._cache[frame]

    def _distance(self, frame: int) -> int:
        """Return how far a frame is from the one that is shown, also over the end of the loop."""
        target = self._target or 0
        first, stop = self._loop or (0, 0)
        is_ahead = self._direction > 0 and first <= frame < target < stop
        return min(target - frame, frame + stop - first - target) if is_ahead else abs(frame - target)

    def _tell(self, signal: SignalInstance, *values: object) -> None:
        if not self._is_closing:
            signal.emit(*values)


def _to_image(pixels: np.ndarray, facts: ClipFacts) -> QImage:
    height, width = pixels.shape[:2]
    form = QImage.Format.Format_ARGB32 if facts.has_alpha else QImage.Format.Format_RGB32
    return QImage(pixels.data, width, height, width * 4, form).copy()
