"""The daemon's jobs behind the entries: sent, followed, cancelled. Nothing here waits or touches the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import journal as states
from .journal import Entry, Journal
from .link import Link, raise_error
from .problems import PluginError

JOBS = "job/"  # the topic of every job's events


class Jobs:
    """Keeps the journal's entries as the daemon says they stand."""

    def __init__(self, link: Link, journal: Journal, note: Callable[[PluginError], None]) -> None:
        self._link = link
        self._journal = journal
        self._note = note
        self.progress: dict[str, dict[str, Any]] = {}  # by the job's id
        self.ready: list[str] = []  # keys of entries whose takes have come
        self._followed: dict[str, None] = {}  # keys of what was sent or asked for here
        self._is_live = False  # the bridge passes events on

    def submit(self, entry: Entry) -> None:
        """Send an entry's request. Raises PluginError when no bridge can be started."""
        key = f"{entry.key}-{entry.turn}" if entry.turn else entry.key
        body = {"spec": entry.spec, "key": key, "submitted_by": "plugin"}
        self._followed[entry.key] = None
        try:
            self._link.send("submit_job", body, lambda reply: self._submitted(entry.key, reply))
        except PluginError as error:
            self._journal.move(entry, states.FAILED, error=str(error))
            raise

    def refresh(self, entry: Entry) -> None:
        """Ask how an entry's job stands."""
        if entry.job_id:
            self._followed[entry.key] = None
            self._link.send("get_job", {"job_id": entry.job_id}, self._hear_reply)

    def cancel(self, entry: Entry) -> None:
        """Have an entry's job stopped for good."""
        if entry.job_id:
            self._send("cancel_job", job_id=entry.job_id)

    def set_verdict(self, take_id: str, verdict: str) -> None:
        """Mark a take `accepted` or `rejected`."""
        self._send("set_verdict", take_id=take_id, verdict=verdict)

    def poll(self) -> bool:
        """Take in what the daemon said; return whether it said anything."""
        events = self._link.poll()
        for event in events:
            self._hear(event)
        return bool(events)

    def _send(self, name: str, **body: str) -> None:
        self._link.send(name, body, self._note_error)

    def _submitted(self, key: str, reply: dict[str, Any]) -> None:
        entry = self._journal.find(key)
        assert entry is not None
        try:
            raise_error(reply)
        except PluginError as error:
            self._note(error)
            is_unsaid = error.code.startswith(("bridge.", "daemon."))  # then it may have arrived: ask again
            if entry.state != states.REMOVED:
                self._journal.move(entry, states.SUBMITTING if is_unsaid else states.FAILED, error=str(error))
            return
        job = reply["body"]["job"]
        if entry.state == states.REMOVED:  # cancelled before the daemon had answered
            self.cancel(self._journal.move(entry, states.REMOVED, job_id=job["job_id"]))
            return
        if job["state"] in ("failed", "cancelled"):
            self._send("retry_job", job_id=job["job_id"])
        self.refresh(self._journal.move(entry, states.WAITING, job_id=job["job_id"], error=""))

    def _hear_reply(self, reply: dict[str, Any]) -> None:
        if reply.get("type") == "error":
            self._note_error(reply)
        else:
            self._hear_job(reply["body"]["job"])

    def _hear(self, event: dict[str, Any]) -> None:
        kind, body = event.get("type"), event.get("body") or {}
        if kind == "job_progressed":
            self.progress[body["job_id"]] = body["progress"]
        elif kind == "job_changed":
            self._hear_changed(body["job"])
        elif kind == "subscribed" and body["topic"] == JOBS:
            self._is_live = True
            self._try(self._catch_up)
        elif kind == "bridge_gone" and self._is_live and self._unfinished():
            self._is_live = False  # one that ends before its first event is not started again by itself
            self._try(self._link.open)
        elif kind == "error":
            self._note_error(event)

    def _catch_up(self) -> None:
        """Ask for what may have happened while no events came; send again what may not have arrived."""
        for entry in self._unfinished():
            if entry.state == states.WAITING:
                self.refresh(entry)
            elif entry.error:
                self.submit(entry)

    def _unfinished(self) -> list[Entry]:
        found = [self._journal.find(key) for key in self._followed]
        return [one for one in found if one is not None and one.state in (states.SUBMITTING, states.WAITING)]

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except PluginError as error:
            self._note(error)

    def _hear_changed(self, job: dict[str, Any]) -> None:
        entry = self._journal.of_job(job["job_id"])
        if entry is None or entry.state != states.WAITING:
            return
        if job["state"] == "done":
            self.refresh(entry)  # an event's job need not hold its takes
        else:
            self._hear_job(job)

    def _hear_job(self, job: dict[str, Any]) -> None:
        entry = self._journal.of_job(job["job_id"])
        if entry is None or entry.state not in (states.WAITING, states.READY):
            return
        if job["state"] == "done" and job.get("takes"):
            self._journal.move(entry, states.READY, takes=job["takes"])
            self.ready.append(entry.key)
        elif job["state"] in ("failed", "cancelled"):
            error = job.get("error") or {}
            words = f"{error.get('message', 'It was cancelled.')} {error.get('hint', '')}".strip()
            self._journal.move(entry, states.FAILED, error=words)
        elif job.get("progress"):
            self.progress[job["job_id"]] = job["progress"]

    def _note_error(self, reply: dict[str, Any]) -> None:
        try:
            raise_error(reply)
        except PluginError as error:
            self._note(error)
