"""Decodes one clip on a thread of its own, with pictures kept ahead of and behind the one that is shown."""

import threading
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal, SignalInstance
from PySide6.QtGui import QImage

from gui.media.clip import Clip, ClipError, ClipFacts

CACHE_BYTES = 120_000_000
_AHEAD = 12
_BEHIND = 8


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
        self._cache: dict[int, QImage] = {}
        self._target: int | None = None
        self._direction = 1
        self._max_width = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"decode {path.name}", daemon=True)
        self._thread.start()

    def want(self, frame: int, *, direction: int = 1) -> None:
        """Say which frame is shown now; it is decoded first, then those in `direction`, then the others."""
        with self._changed:
            if (frame, direction) != (self._target, self._direction):
                self._target, self._direction = frame, direction
                self._changed.notify()

    def limit_width(self, max_width: int) -> None:
        """Decode no wider than this (0: as the clip is); what was decoded at another width is dropped."""
        with self._changed:
            if max_width != self._max_width:
                self._max_width = max_width
                self._cache.clear()
                self._changed.notify()

    def picture(self, frame: int) -> QImage | None:
        """Return the picture at `frame` if it is decoded."""
        return self._cache.get(frame)

    def close(self) -> None:
        """End the thread and wait for it."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            with Clip(self.path) as clip:
                self.facts = clip.facts
                self._tell(self.opened)
                self._serve(clip)
        except ClipError as error:
            self.error = str(error)
            self._tell(self.failed, self.error)

    def _serve(self, clip: Clip) -> None:
        while True:
            with self._changed:
                job = self._next_job(clip.facts.frame_count)
                while job is None and not self._is_closing:
                    self._changed.wait()
                    job = self._next_job(clip.facts.frame_count)
                if job is None or self._is_closing:
                    return
                width = self._max_width
            frame, before = job
            found = clip.pictures(frame, before=before, max_width=width)
            images = {number: _to_image(pixels, clip.facts) for number, pixels in found.items()}
            with self._changed:
                if width == self._max_width:
                    self._cache.update(images)
                    self._evict()
            self._tell(self.ready, frame)

    def _next_job(self, count: int) -> tuple[int, int] | None:
        """Return the frame to decode next and how many before it to keep, or None when all is there."""
        if self._target is None:
            return None
        target = min(max(0, self._target), count - 1)
        room = self._room()
        ahead = min(_AHEAD, max(1, room * 2 // 3))
        behind = min(_BEHIND, max(0, room - ahead - 1))
        if self._direction < 0:
            ahead, behind = 1, min(ahead, room - 2)
        wanted = [target, *range(target + 1, min(count, target + ahead + 1))]
        back = list(range(target - 1, max(-1, target - behind - 1), -1))
        wanted = [target, *back, *wanted[1:]] if self._direction < 0 else [*wanted, *back]
        missing = next((frame for frame in wanted if frame not in self._cache), None)
        if missing is None:
            return None
        return missing, behind if missing <= target else 0

    def _room(self) -> int:
        """Return how many pictures fit into the cache."""
        image = next(iter(self._cache.values()), None)
        return 4 if image is None else max(4, CACHE_BYTES // max(1, image.sizeInBytes()))

    def _evict(self) -> None:
        target = self._target or 0
        room = min(self._room(), 2 * (_AHEAD + _BEHIND))
        for frame in sorted(self._cache, key=lambda frame: abs(frame - target), reverse=True):
            if len(self._cache) <= room:
                return
            del self._cache[frame]

    def _tell(self, signal: SignalInstance, *values: object) -> None:
        if not self._is_closing:
            signal.emit(*values)


def _to_image(pixels: np.ndarray, facts: ClipFacts) -> QImage:
    height, width = pixels.shape[:2]
    form = QImage.Format.Format_ARGB32 if facts.has_alpha else QImage.Format.Format_RGB32
    return QImage(pixels.data, width, height, width * 4, form).copy()
