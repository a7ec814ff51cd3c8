"""What a user can ask for: re-dub, place, switch, accept, cancel, remove; and what comes back by itself.

A session belongs to one host. All its methods run on the host's main thread, and none waits for the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import journal as states
from .journal import Entry, Journal
from .link import Link, raise_error
from .planner import Options, Plan, plan_under_track, plan_with_file, plan_with_strip
from .problems import PluginError
from .timeline import PICTURE, Placement, Timeline


class Host(Protocol):
    """An editor's timeline, as `Session` needs it."""

    def timeline(self) -> Timeline:
        """Read the timeline that the user sees. Raises PluginError when there is none."""
        ...

    def place(self, placement: Placement) -> None:
        """Put a take on the timeline, tagged. Raises PluginError."""
        ...

    def show_take(self, placement: Placement) -> None:
        """Put another take's file where a take of the same job lies."""
        ...

    def remove(self, tag: str) -> None:
        """Take everything off the timeline that a job put there."""
        ...


class Bake(Protocol):
    """The rendering of a shot's picture to a file, under way."""

    def poll(self) -> float:
        """Return how far it is; 1.0: the file is there. Never blocks. Raises PluginError when it failed."""
        ...

    def stop(self) -> None:
        """End it; no file is left."""
        ...


StartBake = Callable[[str, int, int, str], Bake]
"""Starts to render the range of a clip, by its id, to a file. Raises PluginError."""


@dataclass(frozen=True)
class Status:
    """How one re-dub stands, for a panel."""

    key: str
    job_id: str
    state: str
    sentence: str
    fraction: float
    takes: tuple[dict[str, Any], ...]
    shown: str


class Session:
    """One host's re-dubs."""

    def __init__(self, host: Host, link: Link, journal: Journal, start_bake: StartBake | None = None) -> None:
        self._host = host
        self._start_bake = start_bake
        self._bakes: dict[str, Bake] = {}  # under way, by the entry's key
        self._link = link
        self._journal = journal
        self._progress: dict[str, dict[str, Any]] = {}
        self._ready: list[str] = []  # keys of entries whose takes can be placed
        self.trouble: PluginError | None = None  # the last thing that went wrong with no one asking
        self.on_change: Callable[[], None] = lambda: None

    # What the user asks for.

    def redub_with_file(
        self, clip_id: str, voice: str, options: Options, marks: tuple[int, int] | None = None
    ) -> Entry:
        """Queue a shot with a voice file. Raises PluginError."""
        timeline = self._host.timeline()
        clip = _find_clip(timeline, clip_id)
        return self.submit(timeline, plan_with_file(timeline, clip, voice, options, marks))

    def redub_with_strip(self, clip_id: str, voice_id: str, options: Options) -> Entry:
        """Queue a shot with a voice that lies on the timeline. Raises PluginError."""
        timeline = self._host.timeline()
        plan = plan_with_strip(
            timeline, _find_clip(timeline, clip_id), _find_clip(timeline, voice_id), options
        )
        return self.submit(timeline, plan)

    def redub_track(self, track: int, options: Options) -> tuple[list[Entry], list[str]]:
        """Queue every shot under a voice track; also return why others were left out."""
        timeline = self._host.timeline()
        plans, left_out = plan_under_track(timeline, track, options)
        return self._submit(timeline, plans), left_out

    def submit(self, timeline: Timeline, plan: Plan) -> Entry:
        """Queue one plan. The same plan again is the same job, unless that one was removed or failed."""
        return self._submit(timeline, [plan])[0]

    def place(self, key: str) -> Entry:
        """Put a finished job's best take on the timeline, unless one is there. Raises PluginError."""
        entry = self._entry(key)
        if not entry.takes:
            raise PluginError("take.none", "There is no finished take yet.", "Wait until the job is done.")
        shown = entry.shown or best_take(entry.takes)["take_id"]
        return self._put(entry, shown, self._host.place)

    def switch_take(self, key: str, take_id: str) -> Entry:
        """Show another take in the place of the one on the timeline. Raises PluginError."""
        entry = self._entry(key)
        if not self._host.timeline().placed(entry.job_id):
            return self._put(entry, take_id, self._host.place)
        return self._put(entry, take_id, self._host.show_take)

    def accept(self, key: str) -> Entry:
        """Make the take that is shown the final one; the others are marked rejected."""
        entry = self._entry(key)
        if not entry.shown:
            raise PluginError("take.none", "No take of this job is on the timeline.", "Place one first.")
        for take in entry.takes:
            verdict = "accepted" if take["take_id"] == entry.shown else "rejected"
            self._link.send("set_verdict", {"take_id": take["take_id"], "verdict": verdict}, self._note_error)
        return self._change(entry, states.ACCEPTED)

    def cancel(self, key: str) -> None:
        """Stop a job for good."""
        entry = self._entry(key)
        self._change(entry, states.REMOVED)
        self._forget_bake(entry)
        if entry.job_id:
            self._link.send("cancel_job", {"job_id": entry.job_id}, self._note_error)

    def remove(self, key: str) -> Entry:
        """Take a job's clips off the timeline; its files stay where they are."""
        entry = self._entry(key)
        if entry.job_id:
            self._host.remove(entry.job_id)
        self._forget_bake(entry)
        return self._change(entry, states.REMOVED)

    # What happens by itself.

    def recover(self) -> list[str]:
        """Finish or clean what a crash, a quit or an undo left; return a sentence for each.

        Call it once after a project was opened.
        """
        timeline = self._host.timeline()
        said = []
        for entry in self._journal.entries(timeline.project_id):
            if entry.state == states.BAKING and entry.key not in self._bakes:
                self._bake(entry)
                said.append("A rendering that was cut short was begun again.")
            elif entry.state == states.SUBMITTING:
                self._send_submit(entry)  # the key makes it the same job if the first did arrive
                said.append("A request that may not have arrived was sent again.")
            elif entry.state == states.WAITING:
                self._refresh(entry)
            elif entry.state == states.PLACING:
                said.append(self._finish_placing(entry, timeline))
            elif entry.state == states.PLACED and not timeline.placed(entry.job_id):
                self._change(entry, states.READY)
                said.append(f"The take of job {entry.job_id} is no longer on the timeline; place it again.")
            elif entry.state == states.READY and timeline.placed(entry.job_id):
                self._change(entry, states.PLACED)  # an undo was undone
        return said

    def pump(self) -> bool:
        """Take in what the daemon said; place takes that are ready. Return whether anything changed."""
        events = self._link.poll()
        for event in events:
            self._hear(event)
        is_baking = bool(self._bakes)
        for key in list(self._bakes):
            self._look_at_bake(key)
        placed = [self._place_ready(key) for key in self._ready]
        self._ready.clear()
        if events or placed or is_baking:
            self.on_change()
        return bool(events or placed or is_baking)

    def statuses(self, project_id: str) -> list[Status]:
        """Return how a project's re-dubs stand, newest first."""
        return [self._status(entry) for entry in reversed(self._journal.entries(project_id))]

    @property
    def is_baking(self) -> bool:
        """Say whether the host renders a shot."""
        return bool(self._bakes)

    def close(self) -> None:
        """Stop what the host renders; the journal begins it again next time."""
        for bake in self._bakes.values():
            bake.stop()
        self._bakes.clear()

    # Underneath.

    def _submit(self, timeline: Timeline, plans: Sequence[Plan]) -> list[Entry]:
        """Write all down at once, then send; what fails leaves the others alone and is raised at the end."""
        entries = [self._known(plan) or self._new(timeline, plan) for plan in plans]
        new = [entry for entry in entries if self._journal.find(entry.key) is not entry]
        self._journal.write_all(new)
        failed: list[PluginError] = []
        for entry in new:
            try:
                (self._bake if entry.bake else self._send_submit)(entry)
            except PluginError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return entries

    def _known(self, plan: Plan) -> Entry | None:
        known = self._journal.find(plan.key)
        if known is None or plan.key in self._bakes:
            return known
        if known.state not in (states.WAITING, states.READY, states.PLACED):
            return None
        self._refresh(known)
        return known

    def _new(self, timeline: Timeline, plan: Plan) -> Entry:
        clip, known = plan.clip, self._journal.find(plan.key)
        bake = [clip.clip_id, clip.start, clip.stop] if clip.is_baked else []
        turn = known.turn + 1 if bake and known else 0
        return Entry(
            key=plan.key,
            project_id=timeline.project_id,
            state=states.BAKING if bake else states.SUBMITTING,
            spec=_with_turn(plan.spec, turn) if bake else plan.spec,
            bake=bake,
            turn=turn,
            start=plan.start,
            stop=plan.stop,
            above=clip.track,
            has_voice=plan.has_voice,
            clip_id=clip.clip_id if plan.is_whole and plan.spec["deliver"] == "baked" else "",
        )

    def _entry(self, key: str) -> Entry:
        entry = self._journal.find(key)
        if entry is None:
            raise PluginError("job.not_found", "There is no such re-dub in this project.")
        return entry

    def _change(self, entry: Entry, state: str, **changes: Any) -> Entry:
        entry = self._journal.move(entry, state, **changes)
        self.on_change()
        return entry

    def _bake(self, entry: Entry) -> None:
        try:
            if self._start_bake is None:
                raise PluginError("clip.refused", "This editor cannot render the shot to a file.")
            clip_id, start, stop = entry.bake
            self._bakes[entry.key] = self._start_bake(clip_id, start, stop, entry.spec["source"])
        except PluginError as error:
            self._change(entry, states.FAILED, error=str(error))
            raise

    def _look_at_bake(self, key: str) -> None:
        entry = self._entry(key)
        try:
            fraction = self._bakes[key].poll()
            self._progress[key] = {"fraction": fraction}
            if fraction < 1.0:
                return
            del self._bakes[key]
            self._send_submit(self._change(entry, states.SUBMITTING))
        except PluginError as error:
            self._bakes.pop(key, None)
            self._change(entry, states.FAILED, error=str(error))
            self.trouble = error

    def _forget_bake(self, entry: Entry) -> None:
        bake = self._bakes.pop(entry.key, None)
        if bake is not None:
            bake.stop()
        if entry.bake:
            Path(entry.spec["source"]).unlink(missing_ok=True)

    def _send_submit(self, entry: Entry) -> None:
        key = f"{entry.key}-{entry.turn}" if entry.turn else entry.key
        body = {"spec": entry.spec, "key": key, "submitted_by": "plugin"}
        try:
            self._link.send("submit_job", body, lambda reply: self._submitted(entry.key, reply))
        except PluginError as error:
            self._change(entry, states.FAILED, error=str(error))
            raise

    def _submitted(self, key: str, reply: dict[str, Any]) -> None:
        entry = self._entry(key)
        try:
            raise_error(reply)
        except PluginError as error:
            self.trouble = error
            is_unsaid = error.code.startswith(("bridge.", "daemon."))  # then it may have arrived: ask again
            self._change(entry, states.SUBMITTING if is_unsaid else states.FAILED, error=str(error))
            return
        job = reply["body"]["job"]
        if entry.state == states.REMOVED:  # cancelled before the daemon had answered
            self._link.send("cancel_job", {"job_id": job["job_id"]}, self._note_error)
            self._change(entry, states.REMOVED, job_id=job["job_id"])
            return
        if job["state"] in ("failed", "cancelled"):
            self._link.send("retry_job", {"job_id": job["job_id"]}, self._note_error)
        entry = self._change(entry, states.WAITING, job_id=job["job_id"], error="")
        self._refresh(entry)

    def _refresh(self, entry: Entry) -> None:
        if entry.job_id:
            self._link.send("get_job", {"job_id": entry.job_id}, self._hear_job_reply)

    def _hear_job_reply(self, reply: dict[str, Any]) -> None:
        if reply.get("type") == "error":
            self._note_error(reply)
        else:
            self._hear_job(reply["body"]["job"])

    def _hear(self, event: dict[str, Any]) -> None:
        kind, body = event.get("type"), event.get("body") or {}
        if kind == "job_progressed":
            self._progress[body["job_id"]] = body["progress"]
        elif kind == "job_changed":
            self._hear_changed(body["job"])
        elif kind == "error":
            self._note_error(event)

    def _hear_changed(self, job: dict[str, Any]) -> None:
        entry = self._journal.of_job(job["job_id"])
        if entry is None or entry.state != states.WAITING:
            return
        if job["state"] == "done":
            self._refresh(entry)  # an event's job need not hold its takes
        else:
            self._hear_job(job)

    def _hear_job(self, job: dict[str, Any]) -> None:
        entry = self._journal.of_job(job["job_id"])
        if entry is None or entry.state not in (states.WAITING, states.READY):
            return
        if job["state"] == "done" and job.get("takes"):
            entry = self._change(entry, states.READY, takes=job["takes"])
            self._ready.append(entry.key)
        elif job["state"] in ("failed", "cancelled"):
            error = job.get("error") or {}
            words = f"{error.get('message', 'It was cancelled.')} {error.get('hint', '')}".strip()
            self._change(entry, states.FAILED, error=words)
        elif job.get("progress"):
            self._progress[job["job_id"]] = job["progress"]

    def _place_ready(self, key: str) -> None:
        try:
            entry = self._entry(key)
            is_new = entry.state == states.READY  # two answers may have told of the same end
            if is_new and entry.project_id == self._host.timeline().project_id:
                self.place(key)
        except PluginError as error:
            self.trouble = error

    def _put(self, entry: Entry, take_id: str, put: Callable[[Placement], None]) -> Entry:
        """Place or switch: written down, done, read back; undone on a mismatch."""
        placement = _placement(entry, take_id)
        entry = self._change(entry, states.PLACING, shown=take_id)
        try:
            put(placement)
            verify(self._host.timeline(), placement)
        except PluginError as error:
            self._host.remove(entry.job_id)
            self._change(entry, states.READY, shown="", error=str(error))
            raise
        return self._change(entry, states.PLACED, error="")

    def _finish_placing(self, entry: Entry, timeline: Timeline) -> str:
        try:
            verify(timeline, _placement(entry, entry.shown))
        except PluginError:
            self._host.remove(entry.job_id)
            self._change(entry, states.READY, shown="")
            return f"Placing the take of job {entry.job_id} was interrupted; what lay there was removed."
        self._change(entry, states.PLACED)
        return f"The take of job {entry.job_id} had been placed in full."

    def _note_error(self, reply: dict[str, Any]) -> None:
        try:
            raise_error(reply)
        except PluginError as error:
            self.trouble = error

    def _status(self, entry: Entry) -> Status:
        progress = self._progress.get(entry.key if entry.state == states.BAKING else entry.job_id, {})
        fraction = float(progress.get("fraction", 0.0))
        sentences = {
            states.BAKING: f"Being rendered first, {fraction:.0%}.",
            states.SUBMITTING: "Being sent.",
            states.WAITING: f"{str(progress.get('stage', 'waiting')).capitalize()}, {fraction:.0%}.",
            states.READY: "Ready to place.",
            states.PLACING: "Being placed.",
            states.PLACED: "On the timeline.",
            states.ACCEPTED: "Accepted.",
            states.REMOVED: "Removed.",
        }
        sentence = entry.error or sentences.get(entry.state, entry.state)
        return Status(
            entry.key, entry.job_id, entry.state, sentence, fraction, tuple(entry.takes), entry.shown
        )


def best_take(takes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the take that is shown first: the best badge, then the first made."""
    return min(takes, key=lambda take: ("pass", "look", "fail").index(take["badge"]))


def verify(timeline: Timeline, placement: Placement) -> None:
    """Read a placement back. Raises PluginError `place.mismatch` unless every part lies where it should."""
    found = timeline.placed(placement.tag)
    pictures = [clip for clip in found if clip.kind == PICTURE]
    if len(pictures) != 1:
        raise PluginError("place.mismatch", f"The take is {len(pictures)} times on the timeline, not once.")
    for clip in found:
        if (clip.start, clip.stop) != (placement.start, placement.stop):
            raise PluginError(
                "place.mismatch",
                f"The editor put the {clip.kind} at {clip.start} to {clip.stop} instead of"
                f" {placement.start} to {placement.stop}; it was taken off again.",
            )
    if pictures[0].source_in != placement.trim:
        raise PluginError("place.mismatch", f"The take begins at its frame {pictures[0].source_in}.")
    if pictures[0].path != placement.path:
        raise PluginError("place.mismatch", f"The editor shows {pictures[0].path} instead of the take.")


def _placement(entry: Entry, take_id: str) -> Placement:
    for take in entry.takes:
        if take["take_id"] == take_id:
            trim = int(entry.spec.get("handles", 0))
            trim = min(trim, int(entry.spec["in"]))  # no handle lies before the file's first frame
            return Placement(
                tag=entry.job_id,
                path=take["path"],
                start=entry.start,
                stop=entry.stop,
                above=entry.above,
                sound_path="" if entry.has_voice else take["path"],
                clip_id=entry.clip_id,
                take_id=take_id,
                trim=trim,
                is_baked=bool(entry.bake),
            )
    raise PluginError("take.not_found", f"The job has no take {take_id}.")


def _with_turn(spec: dict[str, Any], turn: int) -> dict[str, Any]:
    """Return the spec with a source of its own for each time that a shot is rendered anew."""
    source = Path(spec["source"])
    return {**spec, "source": str(source.with_name(f"{source.stem}-{turn}{source.suffix}"))}


def _find_clip(timeline: Timeline, clip_id: str) -> Any:
    for clip in timeline.clips:
        if clip.clip_id == clip_id:
            return clip
    raise PluginError("clip.none", f"{clip_id} is not on the timeline.", "Select the shot again.")
