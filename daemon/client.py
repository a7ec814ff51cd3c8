"""The door to the daemon for everything in Python: the command line, the app, the bridge, the tests.

    with Client.connect() as client:
        job = client.submit(spec)
        for event in client.watch(job.job_id):
            ...

Connecting starts a daemon when none runs. A request that gets no answer is sent again under the same id,
which the daemon carries out once. A daemon that was killed is started again and takes up its queue; one that
was stopped stays stopped.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec
import zmq

import daemon
from daemon.launch import wait_until_stopped
from daemon.pairing.hosts import Host, chosen_host
from daemon.paths import Paths, find_paths
from daemon.protocol import messages
from daemon.protocol.codec import (
    decode_raw,
    decode_reply,
    encode_raw_request,
    encode_request,
    new_id,
)
from daemon.protocol.errors import DubwrightError, ErrorInfo, error_from_info
from daemon.protocol.events import Event, JobChanged, Subscribed, job_topic
from daemon.protocol.job_messages import LogEntry
from daemon.protocol.jobs import FINAL_STATES, Job, JobSpec, JobState, Take
from daemon.protocol.messages import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    REQUEST_NAMES,
    REQUESTS,
    Envelope,
    Request,
)
from daemon.protocol.night import ScheduleSettings
from daemon.subscription import Subscription
from daemon.transfer.carrier import Carrier, Transfer, with_body
from daemon.wire import Wire

QUIET_S = 1.0
"""After this long without an event a watcher asks for the job, in case events were lost."""

FILE_TIMEOUT_S = 120.0
"""For a message about files: what broke off is hashed anew when it goes on."""

log = logging.getLogger(__name__)

Reply = TypeVar("Reply", bound=msgspec.Struct)


class Client:
    """A connection to this home's daemon, or to one on another machine. Safe to use from several threads.

    `host` is the other machine, and None for this one. Jobs then take paths of this machine, and takes come
    with such: media go there and takes come here (daemon/transfer), which `on_transfer` is told of.
    """

    def __init__(self, paths: Paths, *, name: str, start: bool, host: Host | None = None) -> None:
        self.paths = paths
        self.host = host
        self._carrier = None if host is None else Carrier(host, paths, self._ask_files)
        self._carrying = threading.RLock()
        self.daemon: messages.HelloReply | None = None
        self._name = name
        self._wire = Wire(paths, host, start=start)

    @classmethod
    def connect(
        cls,
        *,
        start: bool = True,
        name: str = "python",
        paths: Paths | None = None,
        on: str | None = None,
        on_transfer: Callable[[Transfer], None] | None = None,
    ) -> Self:
        """Connect to the daemon, starting that of this home first if need be.

        `on` names a daemon on another machine, or `local`; otherwise DUBWRIGHT_DAEMON or the settings do.
        Raises MachineError `daemon.unreachable`, `daemon.refused`; RequestError `protocol.version`,
        `pair.not_found`; with `start`, whatever kept the daemon from starting.
        """
        where = paths or find_paths()
        client = cls(where, name=name, start=start, host=chosen_host(where, on))
        if client._carrier is not None and on_transfer is not None:
            client._carrier.on_transfer = on_transfer
        try:
            client.hello()
        except BaseException:
            client.close()
            raise
        return client

    def close(self) -> None:
        """Disconnect; the daemon goes on."""
        self._wire.close()
        if self._carrier is not None:
            self._carrier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Requests. Each raises the DubwrightError that the daemon answers with, or `daemon.unreachable`.

    def hello(self, features: Collection[str] = ()) -> messages.HelloReply:
        """Agree on a version and learn what the daemon can do; `features` are those we would like."""
        request = messages.Hello(
            versions=list(range(OLDEST_VERSION, PROTOCOL_VERSION + 1)),
            client=self._name,
            client_version=daemon.__version__,
            features=list(features),
        )
        self.daemon = self._ask(request, messages.HelloReply)
        self._wire.has_met = True
        if self._carrier is not None:
            self._carrier.folder = self.daemon.folder or ""
        return self.daemon

    def submit(
        self,
        spec: JobSpec | dict[str, Any],
        *,
        key: str | None = None,
        priority: int = 0,
        hold: bool = False,
        tonight: bool = False,
        deadline: float | None = None,
    ) -> Job:
        """Put a job on the queue and return it. The same `key` and spec again return the same job.

        `tonight` keeps it until a window of the schedule is open; `deadline` is in seconds since the epoch.
        """
        plain = spec if isinstance(spec, dict) else msgspec.to_builtins(spec)
        request = messages.SubmitJob(
            spec=plain,
            key=key or new_id(),
            priority=priority,
            submitted_by=self._name,
            hold=hold,
            tonight=tonight,
            deadline=deadline,
        )
        return self._ask(request, messages.SubmitJobReply).job

    def job(self, job_id: str) -> Job:
        """Return a job with its takes and result."""
        return self.snapshot(job_id)[0]

    def snapshot(self, job_id: str) -> tuple[Job, int]:
        """Return a job and the `seq` of the latest event that is part of it."""
        reply = self._ask(messages.GetJob(job_id=job_id), messages.GetJobReply)
        return reply.job, reply.seq

    def jobs(self, states: Collection[JobState] = (), *, limit: int = 10_000, offset: int = 0) -> list[Job]:
        """Return jobs without takes and results: what runs, what waits in its order, then the newest."""
        request = messages.ListJobs(states=list(states), limit=limit, offset=offset)
        return self._ask(request, messages.ListJobsReply).jobs

    def cancel(self, job_id: str) -> Job:
        """Stop a job for good. A running one is still `running` in the reply, for less than a second."""
        return self._ask(messages.CancelJob(job_id=job_id), messages.JobReply).job

    def pause(self, job_id: str) -> Job:
        """Stop a job for now. A running one is still `running` in the reply, for less than a second."""
        return self._ask(messages.PauseJob(job_id=job_id), messages.JobReply).job

    def resume(self, job_id: str) -> Job:
        """Put a paused job back on the queue."""
        return self._ask(messages.ResumeJob(job_id=job_id), messages.JobReply).job

    def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job back on the queue; a failed one keeps its finished chunks."""
        return self._ask(messages.RetryJob(job_id=job_id), messages.JobReply).job

    def hold(self, job_id: str, *, tonight: bool = False) -> Job:
        """Keep a job from running until it is released, or until tonight."""
        return self._ask(messages.HoldJob(job_id=job_id, tonight=tonight), messages.JobReply).job

    def release(self, job_id: str) -> Job:
        """Let a held job run."""
        return self._ask(messages.ReleaseJob(job_id=job_id), messages.JobReply).job

    def reorder(
        self,
        job_id: str,
        *,
        priority: int | None = None,
        before: str | None = None,
        deadline: float | None = None,
    ) -> Job:
        """Give a waiting job another priority or deadline (0: none), or the place just before another job."""
        request = messages.ReorderJob(job_id=job_id, priority=priority, before=before, deadline=deadline)
        return self._ask(request, messages.JobReply).job

    def job_log(self, job_id: str) -> list[LogEntry]:
        """Return what happened to a job, oldest first."""
        return self._ask(messages.JobLog(job_id=job_id), messages.JobLogReply).entries

    def takes(self, job_id: str | None = None) -> list[Take]:
        """Return the takes of a job, or all, oldest first."""
        return self._ask(messages.ListTakes(job_id=job_id), messages.ListTakesReply).takes

    def fetch(self, takes: Iterable[Take]) -> None:
        """Have the files of takes here, where their daemon is on another machine. Raises DubwrightError."""
        absent = (take for take in takes if not Path(take.path).exists()) if self._carrier else ()
        for job_id in {take.take_id.rpartition("-")[0] for take in absent}:
            self.job(job_id)  # what a finished job made comes with it

    def set_verdict(self, take_id: str, verdict: Literal["none", "accepted", "rejected"]) -> Take:
        """Accept or reject a take, or take that back."""
        request = messages.SetVerdict(take_id=take_id, verdict=verdict)
        return self._ask(request, messages.SetVerdictReply).take

    def status(self) -> messages.StatusReply:
        """Return how the daemon is."""
        return self._ask(messages.Status(), messages.StatusReply)

    def models(self) -> messages.ListModelsReply:
        """Return the models of the catalogue, here or not, and where they lie."""
        return self._ask(messages.ListModels(), messages.ListModelsReply)

    def schedule(self, settings: ScheduleSettings | None = None) -> messages.ScheduleReply:
        """Return the schedule of the night; first replace it, if a new one is given."""
        return self._ask(messages.Schedule(settings=settings), messages.ScheduleReply)

    def estimate(self, spec: Any) -> messages.EstimateJobReply:
        """Return how long a job would take here, before it is submitted."""
        plain = spec if isinstance(spec, dict) else msgspec.to_builtins(spec)
        return self._ask(messages.EstimateJob(spec=plain), messages.EstimateJobReply)

    def forecast(self) -> messages.ForecastReply:
        """Return what fits into the window that is open, or the next one."""
        return self._ask(messages.Forecast(), messages.ForecastReply)

    def report(self, night: str | None = None) -> messages.ReportReply:
        """Return the report of a night, or of the window that is open, or of the last one."""
        return self._ask(messages.Report(night=night), messages.ReportReply)

    def shutdown(self) -> None:
        """End the daemon and wait until it is gone."""
        self._ask(messages.Shutdown(), messages.ShutdownReply)
        wait_until_stopped(self.paths)
        self._wire.hang_up()

    def ask_raw(self, name: str, body: Any) -> tuple[Envelope, Any]:
        """Send a request of any type with a plain body and return the plain reply, be it an error."""
        message_id = new_id()
        kind = REQUESTS.get(name)
        if isinstance(body, dict) and "spec" in body:
            body = {**body, "spec": self._sent(body["spec"], is_submitted=name == "submit_job")}
        data = encode_raw_request(name, body, message_id=message_id)
        socket = "control" if kind is not None and kind.is_control else "requests"
        return decode_raw(self._arrived(self._wire.exchange(data, message_id, socket)))

    # Events.

    def watch(self, job_id: str) -> Iterator[Event]:
        """Yield the job as it is, then its events, each once and in order, until it is in a final state."""
        last_seq = -1
        with self.subscribe(job_topic(job_id)) as subscription:
            while True:
                found = subscription.next(timeout_s=QUIET_S)
                if found is None or last_seq < 0 or isinstance(found[0], Subscribed):
                    job, seq = self.snapshot(job_id)
                    found = JobChanged(job_id=job_id, job=job), seq
                event, seq = found
                if seq <= last_seq:
                    continue
                last_seq = seq
                yield event
                if isinstance(event, JobChanged) and event.job.state in FINAL_STATES:
                    return

    def subscribe(self, *topics: str) -> Subscription:
        """Return the events of some topics, as they come."""
        if self.host is not None:  # the daemon tells each machine of its own jobs alone
            topics = tuple(f"{self.host.client_public}/{topic}" for topic in topics)
        return Subscription(lambda: self._wire.open(zmq.SUB, "events"), topics, self._overheard)

    # Underneath.

    def _ask(self, request: Request, reply_type: type[Reply]) -> Reply:
        message_id = new_id()
        if isinstance(request, messages.SubmitJob | messages.EstimateJob):
            is_submitted = isinstance(request, messages.SubmitJob)
            request = msgspec.structs.replace(
                request, spec=self._sent(request.spec, is_submitted=is_submitted)
            )
        data = encode_request(request, message_id=message_id)
        is_control = REQUESTS[REQUEST_NAMES[type(request)]].is_control
        reply = self._wire.exchange(data, message_id, "control" if is_control else "requests")
        return _body_of(self._arrived(reply), reply_type)

    def _ask_files(self, request: Request, reply_type: type[Reply]) -> Reply:
        """Ask about files, in the words of the daemon's machine."""
        message_id = new_id()
        data = encode_request(request, message_id=message_id)
        return _body_of(self._wire.exchange(data, message_id, "files", timeout_s=FILE_TIMEOUT_S), reply_type)

    def _sent(self, spec: Any, *, is_submitted: bool) -> Any:
        """Return a job as the daemon's machine can run it; its media go there when it is submitted."""
        if self._carrier is None:
            return spec
        with self._carrying:
            return self._carrier.send_job(spec) if is_submitted else self._carrier.name_job(spec)

    def _arrived(self, data: bytes) -> bytes:
        """Return a message of the daemon in the paths of this machine, with its takes here."""
        if self._carrier is None:
            return data
        with self._carrying:
            return with_body(data, self._carrier.take_in)

    def _overheard(self, data: bytes) -> bytes:
        """Do that for an event; one whose takes cannot be fetched now is told all the same."""
        try:
            return self._arrived(data)
        except DubwrightError as error:
            log.warning("Not fetched: %s", error)
            assert self._carrier is not None
            return with_body(data, lambda _, body: self._carrier.translate(body))  # type: ignore[union-attr]


def _body_of(data: bytes, reply_type: type[Reply]) -> Reply:
    """Return the body of a reply, or raise the error that it is."""
    reply = decode_reply(data)
    if isinstance(reply.body, ErrorInfo):
        raise error_from_info(reply.body)
    assert isinstance(reply.body, reply_type), f"{reply.type} is not a {reply_type.__name__}"
    return reply.body
