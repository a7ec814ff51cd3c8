"""What a paired machine may ask: its own jobs and files, and how the daemon is. The rest is its owner's.

Its jobs read and write in its own folder and in those that were opened to it when it was paired.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from daemon.handlers import Handlers, check_paths
from daemon.pairing.clients import PairedClient
from daemon.protocol import messages
from daemon.protocol.daemon_messages import Hello, Schedule, StatusReply
from daemon.protocol.errors import RequestError
from daemon.protocol.job_messages import ListJobs, ListJobsReply, ListTakes, ListTakesReply, SubmitJob
from daemon.protocol.jobs import GenerateSpec, JobSpec, JobState, ProbeSpec, RedubSpec, SpeakSpec
from daemon.protocol.messages import REQUEST_NAMES, REQUESTS
from daemon.protocol.reading import spec_from_builtins
from daemon.queue.store import JobStore
from daemon.transfer.service import FileService

OWNERS = frozenset({"shutdown", "report"})
"""Requests that are for this home's clients alone; so is a new schedule."""

TOP_PRIORITY = 0
"""A paired machine's jobs never pass those of the daemon's own machine by priority."""


class PairedHandlers:
    """Answers paired machines within their rights, out of the handlers that answer everyone."""

    def __init__(self, handlers: Handlers, store: JobStore, files: FileService) -> None:
        self._handlers, self._store, self._files = handlers, store, files

    def answer(self, client: PairedClient, request: messages.Request) -> msgspec.Struct:
        """Carry out a request and return the reply's body. Raises DubwrightError."""
        if REQUEST_NAMES[type(request)] in OWNERS or (isinstance(request, Schedule) and request.settings):
            raise RequestError(
                "pair.forbidden", "That is for the owner of the machine on which the daemon runs."
            )
        self._check_own(client, request)
        match request:
            case Hello():
                reply = self._handlers.hello(request)
                return msgspec.structs.replace(reply, folder=str(self._files.folder_of(client)))
            case SubmitJob():
                return self._submit(client, request)
            case messages.EstimateJob():
                self._confined(client, request.spec, "")
                return self._handlers.answer(request)
            case ListJobs():
                jobs = self._store.list(request.states, request.limit, request.offset, client=client.public)
                return ListJobsReply(jobs=jobs)
            case ListTakes(job_id=None):
                return ListTakesReply(takes=self._store.takes(client=client.public))
            case messages.ReorderJob(priority=int(priority)) if priority > TOP_PRIORITY:
                return self._handlers.answer(msgspec.structs.replace(request, priority=TOP_PRIORITY))
            case messages.Status():
                return self._status(client, self._handlers.status(request))
            case messages.Forecast():
                own = {job.job_id for job in self._store.list(client=client.public)}
                reply = self._handlers.forecast(request)
                return msgspec.structs.replace(reply, jobs=[job for job in reply.jobs if job.job_id in own])
            case _:
                return self._handlers.answer(request)

    def answer_files(self, client: PairedClient, request: messages.Request) -> Any:
        """Return what will carry out a request about files. Raises DubwrightError."""
        if not REQUESTS[REQUEST_NAMES[type(request)]].is_file:
            raise RequestError("protocol.unknown_type", "This socket carries files alone.")
        self._check_own(client, request)
        return self._files.answer(client, request, self._store)

    def _submit(self, client: PairedClient, request: SubmitJob) -> msgspec.Struct:
        self._files.check_room(client)
        key = request.key or ""
        spec = self._confined(client, request.spec, key)
        changed = msgspec.structs.replace(
            request,
            spec=msgspec.to_builtins(spec),
            key=f"{client.public} {key}" if key else None,
            priority=min(request.priority, TOP_PRIORITY),
            submitted_by=f"{client.name}/{request.submitted_by}"[:128],
        )
        return self._handlers.submit_job(changed, client=client.public)

    def _confined(self, client: PairedClient, given: Any, key: str) -> JobSpec:
        """Return a job that stays in the machine's folders. Raises RequestError."""
        own = self._files.folder_of(client)
        spec = _with_place(spec_from_builtins(given), own / "takes", key)
        check_paths(spec, [str(own), *client.folders])
        if isinstance(spec, GenerateSpec) and spec.prompt_extend_url is not None:
            raise RequestError(
                "pair.forbidden", "A paired machine's job may not name an address to be called."
            )
        return spec

    def _check_own(self, client: PairedClient, request: messages.Request) -> None:
        """Refuse what is about another's job or take, in the words for one that is not there."""
        take_id = getattr(request, "take_id", None)
        if take_id is not None and not self._is_own(client, take_id.rpartition("-")[0]):
            raise RequestError("take.not_found", f"There is no take {take_id}.")
        for job_id in (getattr(request, "job_id", None), getattr(request, "before", None)):
            if job_id is not None and not self._is_own(client, job_id):
                raise RequestError("job.not_found", f"There is no job {job_id}.")

    def _is_own(self, client: PairedClient, job_id: str) -> bool:
        try:
            return self._store.client_of(job_id) == client.public
        except RequestError:
            return False

    def _status(self, client: PairedClient, reply: StatusReply) -> StatusReply:
        own = {job.job_id for job in self._store.list([JobState.RUNNING], client=client.public)}
        workers = [
            worker if worker.job_id in own else msgspec.structs.replace(worker, job_id=None)
            for worker in reply.workers
        ]
        folder = str(self._files.folder_of(client))
        counts = self._store.counts(client.public)
        gpus = [msgspec.structs.replace(gpu, processes=[]) for gpu in reply.gpus]
        return msgspec.structs.replace(
            reply, workers=workers, jobs=counts, data=folder, logs="", problems=[], endpoint="", gpus=gpus
        )


def _with_place(spec: JobSpec, folder: Path, key: str) -> JobSpec:
    """Return a job that names where its takes go; `key` makes it the same name each time."""
    if isinstance(spec, RedubSpec | SpeakSpec) and spec.dest is None:
        return msgspec.structs.replace(spec, dest=str(folder))
    if isinstance(spec, GenerateSpec) and spec.save_file is None:
        name = hashlib.sha256(key.encode() + msgspec.msgpack.encode(spec)).hexdigest()[:12]
        return msgspec.structs.replace(spec, save_file=str(folder / f"{spec.task}-{name}.mp4"))
    if isinstance(spec, ProbeSpec):
        return ProbeSpec(redub=_with_place(spec.redub, folder, key))  # type: ignore[arg-type]
    return spec
