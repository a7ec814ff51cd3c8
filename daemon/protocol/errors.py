"""The wire tree of errors: what went wrong, why, and what to do, under a code that never changes.

DubwrightError
 |- RequestError      the caller asked for something that cannot be: a bad message, job, position or state
 |- MediaError        a file on this machine is missing, broken or of the wrong kind
 |- MachineError this machine cannot do it now: no disk, no permission, no engine, no daemon
 `- InternalError     our own slip, or a process of ours that died

Each class of the tree carries the exit status of the command line; each error carries its code. `ERRORS` is
the one table of codes: their family and the hint shown with them.
"""

from typing import NamedTuple

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True):
    """An error as it travels: `message` says what and why in one sentence, `hint` what to do next."""

    code: str
    message: str
    hint: str = ""
    detail: str = ""


class DubwrightError(Exception):
    """Base of every error a person may see. Raise a subclass with a code that stands in `ERRORS`."""

    exit_status = 1

    def __init__(self, code: str, message: str, *, hint: str | None = None, detail: str = "") -> None:
        assert code in ERRORS, f"unknown error code {code}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = ERRORS[code].hint if hint is None else hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_info(self) -> ErrorInfo:
        """Return the error as it is put on the wire."""
        return ErrorInfo(code=self.code, message=self.message, hint=self.hint, detail=self.detail)


class RequestError(DubwrightError):
    """The request itself cannot be carried out."""

    exit_status = 2


class MediaError(DubwrightError):
    """A media file is missing, broken or of the wrong kind."""

    exit_status = 3


class MachineError(DubwrightError):
    """This machine cannot do it now."""

    exit_status = 4


class InternalError(DubwrightError):
    """A slip of ours or a process that died."""

    exit_status = 5


class ErrorKind(NamedTuple):
    """What the table knows of a code."""

    family: type[DubwrightError]
    hint: str


ERRORS: dict[str, ErrorKind] = {
    # Messages on the socket.
    "protocol.malformed": ErrorKind(RequestError, "Send messages as docs/protocol.md describes them."),
    "protocol.too_large": ErrorKind(RequestError, "Send paths instead of media; a message has a size limit."),
    "protocol.unknown_type": ErrorKind(RequestError, "Ask `hello` for the types this daemon knows."),
    "protocol.version": ErrorKind(RequestError, "Update the older of the two sides."),
    "config.invalid": ErrorKind(RequestError, "Correct the settings file, then try again."),
    # Jobs and takes.
    "job.invalid": ErrorKind(RequestError, "Correct the named field."),
    "job.unknown_field": ErrorKind(RequestError, "Correct or remove the field."),
    "job.key_reused": ErrorKind(RequestError, "Use a new idempotency key for a different job."),
    "path.forbidden": ErrorKind(RequestError, "Use a folder that `limits.folders` of the settings allows."),
    # Paired machines.
    "pair.code": ErrorKind(RequestError, "Copy the code as a whole, or have it sent again."),
    "pair.name": ErrorKind(RequestError, "Use up to 40 letters, digits, dots, dashes; not `local`."),
    "pair.exists": ErrorKind(RequestError, "Choose another name, or end the pairing that there is first."),
    "pair.not_found": ErrorKind(RequestError, "List them with `dubwright pair list`."),
    "pair.forbidden": ErrorKind(RequestError, "Ask whoever owns that machine to do it there."),
    "pair.not_listening": ErrorKind(
        RequestError, "Set `remote.listen` in the settings, then restart the daemon."
    ),
    "transfer.quota": ErrorKind(
        RequestError, "Delete takes there that are not needed, or have `remote.upload_gb` raised."
    ),
    "transfer.unknown": ErrorKind(RequestError, "Offer the file first, or list the job's files."),
    "transfer.damaged": ErrorKind(RequestError, "Send it again; leave the file alone meanwhile."),
    "queue.full": ErrorKind(
        RequestError, "Wait until some jobs are done, or set `limits.waiting_jobs` higher in the settings."
    ),
    "job.not_found": ErrorKind(RequestError, "List the jobs with `dubwright jobs`."),
    "job.wrong_state": ErrorKind(RequestError, "See the job's state with `dubwright jobs`."),
    "schedule.invalid": ErrorKind(
        RequestError, "Write times of day like 22:00-06:30, to the minute, with commas between several."
    ),
    "report.not_found": ErrorKind(RequestError, "Reports are written when a window of the schedule closes."),
    "take.not_found": ErrorKind(RequestError, "List the takes with `dubwright takes`."),
    "range.empty": ErrorKind(
        RequestError, "Give an out-point after the in-point; the out-point is exclusive."
    ),
    "range.outside": ErrorKind(RequestError, "Give positions inside the clip."),
    "timecode.invalid": ErrorKind(
        RequestError, "Write HH:MM:SS:FF, or HH:MM:SS;FF for drop-frame, or a frame number."
    ),
    "boxes.invalid": ErrorKind(
        RequestError, "Give one [x0, y0, x1, y1] or null for each frame of the range."
    ),
    "models.unknown": ErrorKind(RequestError, "List the tasks with `dubwright models list`."),
    "models.not_found": ErrorKind(RequestError, "Name the folder or file that holds a model's files."),
    # Media.
    "source.missing": ErrorKind(MediaError, "Check the path, or relink the clip."),
    "source.unreadable": ErrorKind(
        MediaError,
        "It may have been copied or recorded only in part: play it in a player; copy or export it again.",
    ),
    "source.no_video": ErrorKind(MediaError, "Choose a file with a video stream."),
    "source.no_sound": ErrorKind(MediaError, "Place the voice by hand; there is no guide track to go by."),
    "source.corrupt": ErrorKind(MediaError, "Export the clip again, or choose a range without the damage."),
    "range.cut": ErrorKind(MediaError, "Re-dub each side of the cut by itself, or use --engine rewrite."),
    "voice.missing": ErrorKind(MediaError, "Check the path of the voice file."),
    "voice.unreadable": ErrorKind(
        MediaError, "Give a sound file; WAV, AIFF, FLAC, MP3, M4A and others are read."
    ),
    "voice.empty": ErrorKind(MediaError, "Give a voice that has sound in the chosen range."),
    "face.none": ErrorKind(MediaError, "Choose a range in which the speaker's face and mouth can be seen."),
    "face.too_small": ErrorKind(
        MediaError, "Choose a closer shot, or use a copy of the clip in which the face is larger."
    ),
    "face.not_found": ErrorKind(
        MediaError, "List the faces with `dubwright faces`, then choose one of them."
    ),
    # This machine.
    "dest.unwritable": ErrorKind(
        MachineError, "Choose another folder with --dest, or change its permissions."
    ),
    "disk.full": ErrorKind(
        MachineError, "Free some space, then run `dubwright retry`; finished chunks are kept."
    ),
    "memory.full": ErrorKind(
        MachineError, "Close other programs, or choose a shorter range, then run `dubwright retry`."
    ),
    "engine.unavailable": ErrorKind(MachineError, "Use --engine rewrite, which needs no weights."),
    "models.missing": ErrorKind(MachineError, "Run `python3 installer install` to fetch the face models."),
    "models.unreachable": ErrorKind(
        MachineError, "Check the network; or bring the files and use `dubwright models import` or `unpack`."
    ),
    "models.damaged": ErrorKind(MachineError, "Run `dubwright models get TASK`; whole files are kept."),
    "provenance.certificate": ErrorKind(
        MachineError, "Correct `provenance` in the settings, or switch it off there."
    ),
    "daemon.running": ErrorKind(
        MachineError, "Use the daemon that runs, or stop it with `dubwright daemon stop`."
    ),
    "daemon.unreachable": ErrorKind(
        MachineError, "Start it with `dubwright daemon start`; its log says why it ended."
    ),
    "daemon.refused": ErrorKind(MachineError, "Connect as the user who started the daemon, or restart it."),
    "home.unwritable": ErrorKind(
        MachineError, "Change its permissions, or set DUBWRIGHT_HOME to another folder."
    ),
    "daemon.queue_broken": ErrorKind(MachineError, "The file was set aside; run `dubwright doctor`."),
    "daemon.queue_newer": ErrorKind(
        MachineError, "Update Dubwright, or set DUBWRIGHT_HOME to another folder."
    ),
    # Ours.
    "worker.hung": ErrorKind(InternalError, "Run `dubwright retry`; if it happens again, send the log."),
    "worker.died": ErrorKind(InternalError, "Run `dubwright retry`; if it happens again, send the log."),
    "internal": ErrorKind(InternalError, "This is a fault in Dubwright; please send the log."),
}


def error_from_info(info: ErrorInfo) -> DubwrightError:
    """Rebuild an error that came over the wire; a code of a newer daemon becomes an InternalError."""
    kind = ERRORS.get(info.code)
    if kind is None:
        return InternalError("internal", f"{info.message} ({info.code})", hint=info.hint, detail=info.detail)
    return kind.family(info.code, info.message, hint=info.hint, detail=info.detail)
