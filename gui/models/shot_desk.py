"""The shot at hand: what is known of it, what the daemon found of it, every edit of it. Without widgets."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QPointF, Signal

from daemon.client import Client
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import AlignSpec, FacesSpec, Job, JobState, MaskSpec
from daemon.protocol.messages import EstimateJobReply
from gui.link import Link
from gui.media.background import Background
from gui.media.clip import ClipFacts
from gui.media.sound import SOUND_SUFFIXES
from gui.models.alignment import Found, read_found
from gui.models.clips import Clips, Sound, examine
from gui.models.faces import PLAIN, Face, Outline, read_faces
from gui.models.job_table import JobTable
from gui.models.look import Look
from gui.models.marks import Mark, tidy, without
from gui.models.project import ProjectModel
from gui.models.shot import Shot
from gui.models.shot_words import estimate_text, row_text, why_not
from gui.texts import text


class ShotDesk(QObject):
    """One shot of the project is chosen; `changed` when anything that is shown of it may be another."""

    changed = Signal()
    said = Signal(str)
    failed = Signal(ErrorInfo)
    submitted = Signal(str)

    def __init__(self, link: Link, jobs: JobTable, project: ProjectModel, background: Background) -> None:
        super().__init__()
        self._link, self._jobs, self._model, self._background = link, jobs, project, background
        self._current = 0
        self._mark_from: int | None = None
        self._steps = 0
        self._guesses: dict[tuple[object, ...], EstimateJobReply] = {}
        self._is_guessing = False
        self.clips = Clips(background)
        self.faces_look = Look(link, jobs, background, read_faces)
        self.align_look = Look(link, jobs, background, read_found)
        self.clips.changed.connect(lambda _: self.changed.emit())
        for look in (self.faces_look, self.align_look):
            look.changed.connect(self.changed)
            look.failed.connect(self.failed)
        project.changed.connect(self._on_project)
        link.state_changed.connect(self._on_link)
        jobs.changed.connect(self._on_job)
        jobs.modelReset.connect(self._on_jobs)
        self._on_project()

    # What is known.

    @property
    def shot(self) -> Shot | None:
        """The chosen shot."""
        return self._model.project.shot(self._current)

    @property
    def facts(self) -> ClipFacts | None:
        """What its clip is, or None while that is not known."""
        return None if self.shot is None else self.clips.facts(self.shot.clip)

    @property
    def missing(self) -> str:
        """A file of it that is not there, or nothing."""
        paths = () if self.shot is None else (self.shot.clip, self.shot.voice)
        return next((path for path in paths if self.clips.is_missing(path)), "")

    @property
    def sounds(self) -> tuple[Sound | None, Sound | None]:
        """The sounds of its clip and of its voice, as far as they are read."""
        shot = self.shot
        return (None, None) if shot is None else (self.clips.sound(shot.clip), self.clips.sound(shot.voice))

    @property
    def faces(self) -> list[Face]:
        """The people found in its range."""
        return self.faces_look.answer(self._face_key()) or []

    @property
    def has_faces(self) -> bool:
        """Whether its range was searched for people."""
        return self.faces_look.answer(self._face_key()) is not None

    @property
    def outline(self) -> Outline | None:
        """The outline of the chosen face; of the first one while the daemon is to choose."""
        found = self.faces
        chosen = [face for face in found if self.shot is not None and face.face_id == self.shot.face]
        return next((face.outline for face in chosen or found[:1]), None)

    @property
    def found(self) -> Found | None:
        """Where its voice fits, if the daemon was asked."""
        return self.align_look.answer(self._align_key())

    def rows(self) -> tuple[list[tuple[int, str]], int]:
        """Return the id and the words of each shot, and the chosen one's id."""
        shots = self._model.project.shots
        rows = [(shot.shot_id, row_text(shot, self.clips.facts(shot.clip))) for shot in shots]
        return rows, self._current

    def folder(self) -> str:
        """Return where to look for more files: beside the shot's clip."""
        return "" if self.shot is None else str(Path(self.shot.clip).parent)

    def offline_reason(self) -> str:
        """Return why the daemon cannot be asked, or nothing."""
        return "" if self._link.is_online else text("hint.offline")

    def why_not(self) -> str:
        """Return why no takes can be made, or nothing."""
        return why_not(self.shot, self.facts, self.missing) or self.offline_reason()

    def why_no_picture(self) -> str:
        """Return what stands in place of the picture, or nothing."""
        shot = self.shot
        if shot is None:
            return text("shots.empty")
        if self.clips.is_missing(shot.clip):
            return text("shots.missing", path=shot.clip)
        if self.facts is None:
            return self.clips.complaint(shot.clip) or text("viewer.wait")
        return ""

    def estimate(self) -> str:
        """Return what takes will cost."""
        return "" if self.shot is None else estimate_text(self.shot, self._guess(self.shot))

    def _guess(self, shot: Shot) -> EstimateJobReply | None:
        """Return the daemon's guess of what takes cost; ask for it when it is not known."""
        key = (shot.engine, shot.quality, shot.in_, shot.out, shot.takes)
        if key in self._guesses or self._is_guessing or not self._link.is_online:
            return self._guesses.get(key)
        self._is_guessing, spec = True, shot.to_spec()

        def come_back(guess: EstimateJobReply) -> None:
            self._is_guessing = False
            self._guesses[key] = guess
            self.changed.emit()

        self._link.ask(lambda client: client.estimate(spec), come_back, self._stop_guessing)
        return None

    def _stop_guessing(self, _: object) -> None:
        self._is_guessing = False

    def _on_link(self) -> None:
        self._is_guessing = False  # an answer under way is lost with the line
        self.changed.emit()

    # Choosing and adding.

    def choose(self, shot_id: int) -> None:
        """Take another shot at hand."""
        if shot_id != self._current:
            self._current, self._mark_from = shot_id, None
            self._look_into()
            self.changed.emit()

    def take_in(self, path: Path) -> None:
        """Add a clip as a shot, or give the chosen shot a voice."""
        if path.suffix.lower() in SOUND_SUFFIXES:
            if self.shot is None:
                self.said.emit(text("shots.voice_first", name=path.name))
            else:
                self.change(voice=str(path.absolute()))
            return
        self._background.run(lambda: examine(path.resolve()), self._add)

    def remove(self) -> None:
        """Take the shot out of the project."""
        self._model.remove_shot(self._current)

    def relink(self, old: str, new: Path) -> None:
        """Use another file in place of one that is gone."""
        self._model.relink(old, str(new.absolute()))

    def _add(self, found: ClipFacts | str) -> None:
        if isinstance(found, str):
            self.failed.emit(ErrorInfo("source.unreadable", found, text("shots.bad_clip_hint")))
            return
        self.clips.keep(found)
        self.choose(self._model.add_shot(found.path, out=found.frame_count).shot_id)

    def _on_project(self) -> None:
        if self.shot is None:
            shots = self._model.project.shots
            self._current = shots[0].shot_id if shots else 0
        self._look_into()
        self.changed.emit()

    def _look_into(self) -> None:
        """Have found out what is not known of the shot's files."""
        shot = self.shot
        if shot is None:
            return
        for path in (shot.clip, shot.voice):
            self.clips.look_for(path)
        self.clips.open(shot.clip)
        self.clips.listen(shot.clip)
        self.clips.listen(shot.voice)

    # Editing.

    def change(self, *, merge: str = "", **fields: Any) -> None:
        """Change fields of the shot; edits in a row with the same `merge` are one step of undo."""
        if self.shot is not None:
            self._model.change_shot(self._current, merge=merge, **fields)

    def set_in(self, frame: int) -> None:
        """Begin the range at a frame."""
        if self.shot is not None:
            self.change(in_=min(frame, self.shot.out - 1))

    def set_out(self, frame: int) -> None:
        """End the range after a frame."""
        if self.shot is not None:
            self.change(out=max(frame, self.shot.in_) + 1)

    def set_marks(self, marks: list[Mark], merge: str = "") -> None:
        """Leave other ranges alone."""
        if self.facts is not None:
            self.change(merge=merge, leave_alone=tidy(marks, self.facts.frame_count))

    def mark(self, frame: int) -> None:
        """Begin a range that is left alone, or end the one that was begun."""
        begun, self._mark_from = self._mark_from, frame if self._mark_from is None else None
        if begun is None:
            self._steps += 1
            begun = frame
        first, last = sorted((begun, frame))
        marks = [] if self.shot is None else self.shot.leave_alone
        self.set_marks([*marks, (first, last + 1)], f"mark {self._steps}")

    def unmark(self, frame: int) -> None:
        """Remove the range that is left alone around a frame."""
        if self.shot is not None:
            self.set_marks(without(self.shot.leave_alone, frame))

    def set_mask(self, mask: MaskSpec, merge: str = "") -> None:
        """Change the mask."""
        self.change(merge=merge, mask=None if mask == PLAIN else mask)

    def choose_face_at(self, at: QPointF, frame: int) -> None:
        """Choose the face at a place in the clip's picture."""
        for face in self.faces if self.facts is not None else []:
            width = self.facts.width if self.facts is not None else 1
            if face.outline is not None and face.outline.is_near(at, frame, width):
                self.change(face=face.face_id)
                return

    # Asking the daemon.

    def find_faces(self) -> None:
        """Have the people in the range found."""
        shot = self.shot
        if shot is not None:
            self.faces_look.ask(self._face_key(), FacesSpec(source=shot.clip, in_=shot.in_, out=shot.out))

    def align(self) -> None:
        """Have the voice laid against the original's sound."""
        shot = self.shot
        if shot is not None:
            spec = AlignSpec(source=shot.clip, voice=shot.voice, in_=shot.in_, out=shot.out)
            self.align_look.ask(self._align_key(), spec)

    def accept_alignment(self) -> None:
        """Move the voice to where it fits."""
        if self.found is not None:
            self.change(voice_at=self.found.voice_at)

    def dismiss_alignment(self) -> None:
        """Forget where the voice fits."""
        self.align_look.forget(self._align_key())

    def submit(self, *, hold: bool) -> None:
        """Have takes made."""
        shot = self.shot
        if shot is None:
            return
        spec = shot.to_spec()

        def send(client: Client) -> Job:
            return client.submit(spec, hold=hold)

        self._link.ask(send, lambda job: self.submitted.emit(job.job_id), self.failed.emit)

    def _on_job(self, job_id: str) -> None:
        job = self._jobs.job(job_id)
        if job is not None and job.state is JobState.DONE:
            self._on_jobs()

    def _on_jobs(self) -> None:
        """Other jobs have ended than were known: estimates may be others."""
        self._guesses.clear()
        self.changed.emit()

    def _face_key(self) -> tuple[object, ...]:
        shot = self.shot
        return () if shot is None else (shot.clip, shot.in_, shot.out)

    def _align_key(self) -> tuple[object, ...]:
        shot = self.shot
        return () if shot is None else (shot.clip, shot.voice, shot.in_, shot.out)
