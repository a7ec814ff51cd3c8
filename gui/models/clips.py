"""What a project's clips and voices are and sound like; files are read off the window's thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PySide6.QtCore import QObject, Signal

from gui.media.background import Background
from gui.media.clip import Clip, ClipError, ClipFacts
from gui.media.sound import SAMPLE_RATE, read_sound

Answer = TypeVar("Answer")

LONGEST_SOUND_S = 600.0
KEPT_BYTES = 120_000_000  # about ten minutes of sound
PEAKS_A_SECOND = 200
_PART = SAMPLE_RATE // PEAKS_A_SECOND


@dataclass(frozen=True, eq=False)
class Sound:
    """The sound of a file: `samples` (n, 2) int16 at 48 kHz, `peaks` (m, 2) least and most, -1 to 1."""

    samples: np.ndarray
    peaks: np.ndarray

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE


SILENT = Sound(np.zeros((0, 2), np.int16), np.zeros((0, 2)))


class Clips(QObject):
    """Facts and sounds by path; asked for once, told of by `changed`."""

    changed = Signal(str)

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background
        self._facts: dict[str, ClipFacts] = {}
        self._complaints: dict[str, str] = {}
        self._sounds: dict[str, Sound] = {}
        self._missing: set[str] = set()
        self._asked: set[tuple[str, str]] = set()

    def facts(self, path: str) -> ClipFacts | None:
        """Return what a clip is, or None while that is not known."""
        return self._facts.get(path)

    def complaint(self, path: str) -> str:
        """Return why a clip cannot be opened, or nothing."""
        return self._complaints.get(path, "")

    def sound(self, path: str) -> Sound | None:
        """Return what a file sounds like, or None while that is not known."""
        return self._sounds.get(path)

    def is_missing(self, path: str) -> bool:
        """Say whether a file was not there when it was last looked for."""
        return path in self._missing

    def keep(self, facts: ClipFacts) -> None:
        """Take in facts that somebody else found out."""
        self._facts[str(facts.path)] = facts

    def look_for(self, path: str) -> None:
        """See whether a file is there."""
        if path:
            self._ask("there", path, lambda: Path(path).is_file(), lambda found: self._note(path, found))

    def open(self, path: str) -> None:
        """Find out what a clip is."""
        if path not in self._facts:
            self._ask("facts", path, lambda: examine(Path(path)), lambda found: self._learn(path, found))

    def listen(self, path: str) -> None:
        """Read a file's sound."""
        if path in self._sounds:
            self._sounds[path] = self._sounds.pop(path)  # now the last to be let go of
        elif path:
            self._ask(
                "sound",
                path,
                lambda: sound_of(read_sound(Path(path), 0.0, LONGEST_SOUND_S)),
                lambda found: self._hear(path, found),
            )

    def _ask(self, what: str, path: str, call: Callable[[], Answer], done: Callable[[Answer], None]) -> None:
        if (what, path) in self._asked:
            return
        self._asked.add((what, path))

        def finish(found: Answer) -> None:
            self._asked.discard((what, path))
            done(found)

        self._background.run(call, finish)

    def _note(self, path: str, is_there: bool) -> None:
        if is_there == (path in self._missing):
            (self._missing.discard if is_there else self._missing.add)(path)
            self.changed.emit(path)

    def _learn(self, path: str, found: ClipFacts | str) -> None:
        if isinstance(found, str):
            self._complaints[path] = found
        else:
            self._complaints.pop(path, None)
            self._facts[path] = found
        self.changed.emit(path)

    def _hear(self, path: str, found: Sound) -> None:
        self._sounds[path] = found
        self._let_go()
        self.changed.emit(path)

    def _let_go(self) -> None:
        """Keep what was listened to last; the shot at hand has two sounds."""
        size = sum(sound.samples.nbytes for sound in self._sounds.values())
        while size > KEPT_BYTES and len(self._sounds) > 2:
            size -= self._sounds.pop(next(iter(self._sounds))).samples.nbytes


def examine(path: Path) -> ClipFacts | str:
    """Return what a clip is, or a sentence on why it cannot be opened."""
    try:
        with Clip(path) as clip:
            return clip.facts
    except ClipError as error:
        return str(error)


def sound_of(samples: np.ndarray) -> Sound:
    """Make a Sound of (n, 2) int16 samples."""
    parts = samples[: len(samples) // _PART * _PART].reshape(-1, _PART * 2)
    if len(parts) == 0:
        return Sound(samples, SILENT.peaks)
    return Sound(samples, np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1) / 32768)


def mix(original: Sound, voice: Sound, *, length: int, start: int, stop: int, at: int) -> np.ndarray:
    """Return (length, 2): the original, with the voice where it lies from `start` to `stop`; in samples."""
    mixed = np.zeros((length, 2), np.int16)
    mixed[: min(length, len(original.samples))] = original.samples[:length]
    if len(voice.samples):
        lane = np.zeros((max(0, stop - start), 2), np.int16)
        first, skip = max(0, at - start), max(0, start - at)
        part = voice.samples[skip : skip + max(0, len(lane) - first)]
        lane[first : first + len(part)] = part
        mixed[start:stop] = lane[: max(0, length - start)]
    return mixed
