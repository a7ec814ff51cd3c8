"""The daemon's side of transfers: each paired machine's folder, what comes in and what is fetched.

The disk's work runs in a thread, one request after the other; the queue is asked before, on the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from daemon.config import RemoteConfig
from daemon.pairing.clients import PairedClient
from daemon.paths import Paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import GENERATE_PATHS, Job, JobSpec, JobState, ProbeSpec
from daemon.protocol.messages import Request
from daemon.protocol.transfer_messages import (
    ListFiles,
    ListFilesReply,
    OfferFile,
    OfferFileReply,
    ReadChunk,
    ReadChunkReply,
    SendChunk,
    SendChunkReply,
)
from daemon.queue.store import JobStore
from daemon.transfer import outbox
from daemon.transfer.inbox import Inbox

ACTIVE = (JobState.QUEUED, JobState.HELD, JobState.RUNNING, JobState.PAUSED)
"""States of jobs that still need their media."""


class FileService:
    """Every paired machine's folder."""

    def __init__(self, paths: Paths, config: RemoteConfig) -> None:
        self._folder = paths.paired
        self._limit = round(config.upload_gb * 1e9)
        self._days = config.upload_days
        self._inboxes: dict[str, Inbox] = {}
        self._needed: frozenset[Path] = frozenset()

    def folder_of(self, client: PairedClient) -> Path:
        """Return the folder of a machine's media and takes."""
        return self._folder / client.folder_name

    def check_room(self, client: PairedClient) -> None:
        """Refuse another job while the machine's room is used up. Raises RequestError `transfer.quota`."""
        self._inbox(client).check_room()

    def answer(self, client: PairedClient, request: Request, store: JobStore) -> Awaitable[msgspec.Struct]:
        """Return what carries out a request about files; to be called on the loop. Raises DubwrightError."""
        if isinstance(request, OfferFile):  # it may have to make room
            self._needed = needed_files(store)
        work = self._work(client, request, store)
        return asyncio.get_running_loop().run_in_executor(None, work)

    def own_takes(self, job: Job) -> list[Path]:
        """Return what a job made in a machine's folder here; folders that were opened to it are not ours."""
        return [file for file in outbox.files_of(job) if file.is_relative_to(self._folder)]

    def clean(self, clients: Iterable[PairedClient], needed: frozenset[Path]) -> None:
        """Delete media that nobody needs any more, of machines that were let go at once. For any thread."""
        self._needed = needed
        known = {client.folder_name for client in clients}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            self._open(folder.name).clean(self._days if folder.name in known else 0.0)

    def _work(self, client: PairedClient, request: Request, store: JobStore) -> Callable[[], msgspec.Struct]:
        inbox = self._inbox(client)
        match request:
            case OfferFile():
                return lambda: _offer(inbox, request)
            case SendChunk():
                return lambda: SendChunkReply(have=inbox.add(request.sha256, request.offset, request.data))
            case ListFiles():
                job = store.get(request.job_id)
                return lambda: ListFilesReply(files=outbox.list_files(job))
            case ReadChunk():
                job = store.get(request.job_id)
                return lambda: ReadChunkReply(data=outbox.read_chunk(job, request.path, request.offset))
        raise RequestError("protocol.unknown_type", "This socket carries files alone.")

    def _inbox(self, client: PairedClient) -> Inbox:
        return self._open(client.folder_name)

    def _open(self, name: str) -> Inbox:
        if name not in self._inboxes:
            folder = self._folder / name
            self._inboxes[name] = Inbox(
                folder, limit=self._limit, is_needed=lambda file: file in self._needed
            )
        return self._inboxes[name]


def _offer(inbox: Inbox, request: OfferFile) -> OfferFileReply:
    path, have = inbox.offer(request.sha256, request.size, request.name)
    return OfferFileReply(path=str(path), have=have)


def needed_files(store: JobStore) -> frozenset[Path]:
    """Return every path that a job which is not over names."""
    return frozenset(Path(path) for job in store.list(ACTIVE) for path in paths_in(job.spec))


def paths_in(spec: JobSpec) -> Iterable[str]:
    """Return the files that a job names."""
    if isinstance(spec, ProbeSpec):
        return paths_in(spec.redub)
    named = ("source", "voice", "picture", "pose", "take", *GENERATE_PATHS)
    return [path for name in named if isinstance(path := getattr(spec, name, None), str)]
