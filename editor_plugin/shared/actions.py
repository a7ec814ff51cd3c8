"""What a user can ask for: re-dub, place, switch, accept, cancel, remove; and what comes back by itself.

A session belongs to one host. All its methods run on the host's main thread, and none waits for the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import journal as states
from .bakes import Bakes
from .host import Host, StartBake
from .jobs import Jobs
from .journal import Entry, Journal
from .link import Link
from .placement import best_take, placement_of, verify
from .planner import Options, Plan, plan_under_track, plan_with_file, plan_with_strip
from .problems import PluginError
from .status import Status, status_of
from .timeline import Clip, Placement, Timeline


class Session:
    """One host's re-dubs."""

    def __init__(self, host: Host, link: Link, journal: Journal, start_bake: StartBake | None = None) -> None:
        self._host = host
        self._journal = journal
        self._jobs = Jobs(link, journal, self._note)
        self._bakes = Bakes(start_bake, journal, self._note)
        self.trouble: PluginError | None = None  # the last thing that went wrong with no one asking
        self.on_change: Callable[[], None] = lambda: None
        journal.on_change = lambda: self.on_change()

    # What the user asks for.

    def redub_with_file(
        self, clip_id: str, voice: str, options: Options, marks: tuple[int, int] | None = None
    ) -> Entry:
        """Queue a shot with a voice file. Raises PluginError."""
        timeline = self._host.timeline()
        clip = _find_clip(timeline, clip_id)
        return self.submit(timeline, [plan_with_file(timeline, clip, voice, options, marks)])[0]

    def redub_with_strip(self, clip_id: str, voice_id: str, options: Options) -> Entry:
        """Queue a shot with a voice that lies on the timeline. Raises PluginError."""
        timeline = self._host.timeline()
        clip, voice = _find_clip(timeline, clip_id), _find_clip(timeline, voice_id)
        return self.submit(timeline, [plan_with_strip(timeline, clip, voice, options)])[0]

    def redub_track(self, track: int, options: Options) -> tuple[list[Entry], list[str]]:
        """Queue every shot under a voice track; also return why others were left out."""
        timeline = self._host.timeline()
        plans, left_out = plan_under_track(timeline, track, options)
        return self.submit(timeline, plans), left_out

    def submit(self, timeline: Timeline, plans: Sequence[Plan]) -> list[Entry]:
        """Queue plans. The same plan again is the same job, unless that one was removed or failed.

        All are written down at once, then sent; what fails leaves the others alone and is raised at the end.
        """
        entries = [self._known(plan) or self._new(timeline, plan) for plan in plans]
        new = [entry for entry in entries if self._journal.find(entry.key) is not entry]
        self._journal.write_all(new)
        failed: list[PluginError] = []
        for entry in new:
            try:
                (self._bakes.begin if entry.bake else self._jobs.submit)(entry)
            except PluginError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return entries

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
        is_there = bool(self._host.timeline().placed(entry.job_id))
        return self._put(entry, take_id, self._host.show_take if is_there else self._host.place)

    def accept(self, key: str) -> Entry:
        """Make the take that is shown the final one; the others are marked rejected."""
        entry = self._entry(key)
        if not entry.shown:
            raise PluginError("take.none", "No take of this job is on the timeline.", "Place one first.")
        for take in entry.takes:
            verdict = "accepted" if take["take_id"] == entry.shown else "rejected"
            self._jobs.set_verdict(take["take_id"], verdict)
        return self._journal.move(entry, states.ACCEPTED)

    def cancel(self, key: str) -> None:
        """Stop a job for good."""
        entry = self._journal.move(self._entry(key), states.REMOVED)
        self._bakes.forget(entry)
        self._jobs.cancel(entry)

    def remove(self, key: str) -> Entry:
        """Take a job's clips off the timeline; its files stay where they are."""
        entry = self._entry(key)
        if entry.job_id:
            self._host.remove(entry.job_id)
        self._bakes.forget(entry)
        return self._journal.move(entry, states.REMOVED)

    # What happens by itself.

    def recover(self) -> list[str]:
        """Finish or clean what a crash, a quit or an undo left; return a sentence for each.

        Call it once after a project was opened, and after each undo and redo.
        """
        timeline = self._host.timeline()
        said = (self._recover(entry, timeline) for entry in self._journal.entries(timeline.project_id))
        return [sentence for sentence in said if sentence]

    def pump(self) -> bool:
        """Take in what the daemon said; place takes that are ready. Return whether anything changed."""
        ready, self._jobs.ready = self._jobs.ready, []  # before the poll: what comes now is placed next time
        is_news, was_baking = self._jobs.poll(), bool(self._bakes)
        for entry in self._bakes.poll():
            self._send(self._journal.move(entry, states.SUBMITTING))
        for key in ready:
            self._place_ready(key)
        if is_news or was_baking or ready:
            self.on_change()
        return is_news or was_baking or bool(ready)

    def statuses(self, project_id: str) -> list[Status]:
        """Return how a project's re-dubs stand, newest first."""
        return [self._status(entry) for entry in reversed(self._journal.entries(project_id))]

    @property
    def is_baking(self) -> bool:
        """Say whether the host renders a shot."""
        return bool(self._bakes)

    def close(self) -> None:
        """Stop what the host renders; the journal begins it again next time."""
        self._bakes.stop()

    # Underneath.

    def _known(self, plan: Plan) -> Entry | None:
        known = self._journal.find(plan.key)
        if known is None or plan.key in self._bakes:
            return known
        if known.state not in (states.WAITING, states.READY, states.PLACED):
            return None
        self._jobs.refresh(known)
        return known

    def _new(self, timeline: Timeline, plan: Plan) -> Entry:
        clip, known = plan.clip, self._journal.find(plan.key)
        bake = [clip.clip_id, clip.start, clip.stop] if clip.is_baked else []
        turn = known.turn + 1 if bake and known else 0
        return Entry(
            key=plan.key,
            project_id=timeline.project_id,
            state=states.BAKING if bake else states.SUBMITTING,
            spec=_with_turn(plan.spec, turn) if turn else plan.spec,
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

    def _send(self, entry: Entry) -> None:
        try:
            self._jobs.submit(entry)
        except PluginError as error:
            self._note(error)

    def _recover(self, entry: Entry, timeline: Timeline) -> str:
        """Do what one entry needs; return what was done, or nothing."""
        is_there = bool(timeline.placed(entry.job_id))
        if entry.state == states.BAKING and entry.key not in self._bakes:
            self._bakes.begin(entry)
            return "A rendering that was cut short was begun again."
        if entry.state == states.SUBMITTING:
            self._jobs.submit(entry)  # the key makes it the same job if the first did arrive
            return "A request that may not have arrived was sent again."
        if entry.state == states.WAITING:
            self._jobs.refresh(entry)
        elif entry.state == states.PLACING:
            return self._finish_placing(entry, timeline)
        elif entry.state == states.PLACED and not is_there:
            self._journal.move(entry, states.READY)
            return f"The take of job {entry.job_id} is no longer on the timeline; place it again."
        elif entry.state == states.READY and is_there:
            self._journal.move(entry, states.PLACED)  # an undo was undone
        return ""

    def _finish_placing(self, entry: Entry, timeline: Timeline) -> str:
        try:
            verify(timeline, placement_of(entry, entry.shown))
        except PluginError:
            self._host.remove(entry.job_id)
            self._journal.move(entry, states.READY, shown="")
            return f"Placing the take of job {entry.job_id} was interrupted; what lay there was removed."
        self._journal.move(entry, states.PLACED)
        return f"The take of job {entry.job_id} had been placed in full."

    def _place_ready(self, key: str) -> None:
        try:
            entry = self._entry(key)
            is_new = entry.state == states.READY  # two answers may have told of the same end
            if is_new and entry.project_id == self._host.timeline().project_id:
                self.place(key)
        except PluginError as error:
            self._note(error)

    def _put(self, entry: Entry, take_id: str, put: Callable[[Placement], None]) -> Entry:
        """Place or switch: written down, done, read back; undone on a mismatch."""
        placement = placement_of(entry, take_id)
        entry = self._journal.move(entry, states.PLACING, shown=take_id)
        try:
            put(placement)
            verify(self._host.timeline(), placement)
        except PluginError as error:
            self._host.remove(entry.job_id)
            self._journal.move(entry, states.READY, shown="", error=str(error))
            raise
        return self._journal.move(entry, states.PLACED, error="")

    def _status(self, entry: Entry) -> Status:
        if entry.state == states.BAKING:
            return status_of(entry, {"fraction": self._bakes.fractions.get(entry.key, 0.0)})
        return status_of(entry, self._jobs.progress.get(entry.job_id, {}))

    def _note(self, error: PluginError) -> None:
        self.trouble = error


def _with_turn(spec: dict[str, Any], turn: int) -> dict[str, Any]:
    """Return the spec with a source of its own for each time that a shot is rendered anew."""
    source = Path(spec["source"])
    return {**spec, "source": str(source.with_name(f"{source.stem}-{turn}{source.suffix}"))}


def _find_clip(timeline: Timeline, clip_id: str) -> Clip:
    for clip in timeline.clips:
        if clip.clip_id == clip_id:
            return clip
    raise PluginError("clip.none", f"{clip_id} is not on the timeline.", "Select the shot again.")
