"""Many shots at once: rows from a list, a folder or a timeline, each checked and turned into a job.

A list is a CSV file with a header. `clip` and `voice` must be there; other columns may be left out and are
named as in a job file (docs/protocol.md): in, out, voice_at, takes, seed, engine, quality, prompt, face,
handles, duration_mode, deliver, codec, dest. Relative paths start at the list's folder.
"""

import csv
import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from daemon.protocol.errors import DubwrightError, RequestError
from daemon.protocol.jobs import RedubSpec
from daemon.protocol.reading import spec_from_builtins
from daemon.protocol.timecode import resolve_position
from gui.media.clip import Clip, ClipError, ClipFacts
from gui.media.sound import SOUND_SUFFIXES, sound_length_s
from gui.texts import text

PICTURE_SUFFIXES = frozenset({".mov", ".mp4", ".mxf", ".mkv", ".avi", ".m4v", ".mts", ".webm"})
TIMELINE_SUFFIXES = frozenset({".otio", ".otioz", ".xml", ".aaf", ".kdenlive", ".edl"})
POSITIONS = ("in", "out", "voice_at")
NUMBERS = ("takes", "seed", "handles")
WORDS = ("engine", "quality", "prompt", "face", "duration_mode", "deliver", "codec")
PATHS = ("clip", "voice", "dest")
COLUMNS = (*PATHS[:2], *POSITIONS, *NUMBERS, *WORDS, "dest")
_TIMELINE_TIMEOUT_S = 120


class BatchError(Exception):
    """A list that cannot be read; the text is a sentence for a person."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One shot of a batch, as it was written. Positions may be frames or timecodes of the clip."""

    fields: dict[str, Any]  # by the names of COLUMNS, or, of a timeline, of a job spec
    key: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)  # sent twice it is one job
    is_from_timeline: bool = False

    @property
    def clip(self) -> str:
        """The clip's path."""
        return str(self.fields.get("source" if self.is_from_timeline else "clip", ""))

    @property
    def voice(self) -> str:
        """The voice's path."""
        return str(self.fields.get("voice", ""))

    def change(self, name: str, value: Any) -> "Row":
        """Return the row with another value; an empty one is as if it were left out."""
        kept = {key: old for key, old in self.fields.items() if key != name}
        return msgspec.structs.replace(self, fields=kept if value == "" else {**kept, name: value})


class Checked(msgspec.Struct, frozen=True):
    """What became of a row: a job, or a sentence that says why not."""

    spec: RedubSpec | None
    sentence: str


def read_list(path: Path) -> list[Row]:
    """Read a CSV list. Raises BatchError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BatchError(text("batch.unreadable", name=path.name, why=error)) from error
    if not lines:
        raise BatchError(text("batch.no_rows", name=path.name))
    names = {name.strip().lower() for name in lines[0] if name}
    unknown = sorted(names - set(COLUMNS))
    if unknown or not {"clip", "voice"} <= names:
        known = ", ".join(COLUMNS)
        raise BatchError(text("batch.columns", name=path.name, found=", ".join(sorted(names)), known=known))
    return [Row(fields=_clean(line, path.resolve().parent)) for line in lines]


def write_list(rows: Sequence[Row], path: Path) -> None:
    """Write rows as a CSV list. Raises BatchError."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for row in rows:
                values = {**row.fields, "clip": row.clip}
                writer.writerow([values.get(name, "") for name in COLUMNS])
    except OSError as error:
        raise BatchError(text("batch.unwritable", name=path.name, why=error.strerror or error)) from error


def pair_folder(folder: Path) -> list[Row]:
    """Return the clips of a folder, each with the voice of the same name, or without one."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    voices = {path.stem: path for path in files if path.suffix.lower() in SOUND_SUFFIXES}
    clips = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    if not clips:
        raise BatchError(text("batch.no_clips", name=folder.name))
    return [
        Row(fields={"clip": str(clip)} | ({"voice": str(voices[clip.stem])} if clip.stem in voices else {}))
        for clip in clips
    ]


def read_timeline(path: Path, voice_track: str) -> list[Row]:
    """Return the shots of a timeline under a track of voices, as `dubwright timeline --dry-run` lists them.

    Raises BatchError.
    """
    command = [sys.executable, "-c", "from daemon.cli import main; main()", "timeline", str(path)]
    command += ["--voice-track", voice_track, "--dry-run", "--json"]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMELINE_TIMEOUT_S, check=False
        )
        found = json.loads(run.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise BatchError(text("batch.unreadable", name=path.name, why=error)) from error
    if "error" in found:
        said = found["error"]
        raise BatchError(f"{said['message']} {said.get('hint', '')}".strip())
    if not found["shots"]:
        raise BatchError(" ".join([text("batch.no_shots", name=path.name), *found["left_out"]]))
    return [Row(fields=shot["spec"], is_from_timeline=True) for shot in found["shots"]]


def check(row: Row) -> Checked:
    """Read a row's files and make its job, or say why not. Slow: for a thread in the background."""
    for path, key in ((row.clip, "batch.no_clip"), (row.voice, "batch.no_voice")):
        if not path:
            return Checked(None, text(key))
        if not Path(path).is_file():
            return Checked(None, text("batch.gone", path=path))
    try:
        with Clip(Path(row.clip)) as clip:
            facts = clip.facts
        voice_s = sound_length_s(Path(row.voice))
        if voice_s is None:
            return Checked(None, text("batch.silent", name=Path(row.voice).name))
        plain = row.fields if row.is_from_timeline else _to_plain(row, facts)
        plain = {"out": facts.frame_count, "in": 0, **plain}
        spec = spec_from_builtins(plain)
    except (ClipError, ValueError) as error:
        return Checked(None, str(error))
    except DubwrightError as error:
        info = error.to_info()
        return Checked(None, f"{info.message} {info.hint}".strip())
    assert isinstance(spec, RedubSpec)
    is_counted = spec.rate is None and isinstance(spec.in_, int) and isinstance(spec.out, int)
    if is_counted and not 0 <= int(spec.in_) < int(spec.out) <= facts.frame_count:
        return Checked(None, text("batch.outside", end=facts.frame_count))
    length = text("batch.ready", frames=int(spec.out) - int(spec.in_), voice=f"{voice_s:.1f}")
    return Checked(spec, length if is_counted else text("batch.ready_plain", voice=f"{voice_s:.1f}"))


def _to_plain(row: Row, facts: ClipFacts) -> dict[str, Any]:
    """Return a job as plain values. Raises ValueError with a sentence."""
    plain: dict[str, Any] = {"source": row.clip}
    for name, value in row.fields.items():
        if name in POSITIONS:
            try:
                plain[name] = resolve_position(str(value), facts.rate, facts.timecode, facts.frame_count)
            except RequestError as error:
                raise ValueError(text("batch.bad_position", column=name, text=value)) from error
        elif name in NUMBERS:
            if not str(value).strip().isdigit():
                raise ValueError(text("batch.bad_number", column=name, text=value))
            plain[name] = int(value)
        elif name != "clip":
            plain[name] = value
    return plain


def _clean(line: dict[str, Any], folder: Path) -> dict[str, Any]:
    fields = {name.strip().lower(): str(value).strip() for name, value in line.items() if name and value}
    return {
        name: str((folder / value).resolve()) if name in PATHS else value
        for name, value in fields.items()
        if value
    }
