"""Requests by which a paired machine sends media and fetches what a job made, each with its reply.

They go to the `files` socket, so that no other request waits for a disk. A file is named by what it holds
(sha256), or as one of a job's own: a paired machine never names a path of the daemon's.
"""

import msgspec

from daemon.protocol.fields import Id, Sha256, ShortText, Size

CHUNK_BYTES = 1024 * 1024
"""How much of a file goes into one message."""


class OfferFile(msgspec.Struct, frozen=True, kw_only=True):
    """Begin to send a file, or go on: what is there already is not sent again."""

    sha256: Sha256
    size: Size
    name: ShortText  # of the file, without folders


class OfferFileReply(msgspec.Struct, frozen=True, kw_only=True):
    """Where the file will lie, and how much of it is there."""

    path: str  # what a job names it by
    have: Size  # bytes; the whole size: nothing is left to send


class SendChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Send the next bytes of an offered file. With the last ones its hash is checked."""

    sha256: Sha256
    offset: Size  # must be what is there; anything else is answered with what is, and changes nothing
    data: bytes


class SendChunkReply(msgspec.Struct, frozen=True, kw_only=True):
    """How much is there now."""

    have: Size


class ListFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Ask which files a job has made: takes with all that belongs to them, pictures of faces."""

    job_id: Id


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a job."""

    path: str
    size: int
    sha256: str


class ListFilesReply(msgspec.Struct, frozen=True, kw_only=True):
    """The job's files."""

    files: list[JobFile]


class ReadChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the next bytes of a job's file."""

    job_id: Id
    path: str  # one of `list_files`
    offset: Size


class ReadChunkReply(msgspec.Struct, frozen=True, kw_only=True):
    """At most as much as fits into one message; nothing at the end."""

    data: bytes
