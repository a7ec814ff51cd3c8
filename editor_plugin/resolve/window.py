"""Our own small window beside Resolve: UIManager is not there on the free edition since 19.1."""

from __future__ import annotations

import tkinter
import traceback
from collections.abc import Callable
from dataclasses import replace
from tkinter import filedialog, ttk
from typing import Any

from ..shared.actions import Session
from ..shared.planner import Options
from ..shared.problems import PluginError
from ..shared.rates import format_timecode
from ..shared.status import Status
from ..shared.timeline import SOUND, Clip, Timeline
from .adapter import Resolve

TICK_MS = 100
TICKS_BETWEEN_CHECKS = 50  # of whether Resolve is still there
FROM_FILE = "From the file"


class Window:
    """Buttons, a list of re-dubs, and a line for what went wrong."""

    def __init__(self, host: Resolve, session: Session, options: Options | None = None) -> None:
        self._base = options or Options()
        self._host = host
        self._session = session
        self._project = host.timeline().project_id
        self.root = tkinter.Tk()
        self.root.title("Dubwright")
        self.voice = tkinter.StringVar(self.root)
        self.voice_clip = tkinter.StringVar(self.root, value=FROM_FILE)
        self.takes = tkinter.IntVar(self.root, value=1)
        self.handles = tkinter.IntVar(self.root, value=0)
        self.track = tkinter.IntVar(self.root, value=1)
        self.message = tkinter.StringVar(self.root)
        self.root.report_callback_exception = self._tell_surprise
        self._ticks = 0
        self._voices: dict[str, str] = {}  # what the user reads -> the clip's id
        self._rows: list[tuple[str, str, str]] = []  # key, state and shown take of each re-dub in the list
        self._lines: dict[str, tkinter.StringVar] = {}  # what is said of each, by its key
        self._build()
        self.do(lambda: self.message.set(" ".join(session.recover())))
        self._refresh()
        session.on_change = self._refresh
        self._tick()

    def run(self) -> None:
        """Stay until the user closes it; jobs go on in the daemon."""
        self.root.mainloop()

    def do(self, action: Callable[[], Any]) -> None:
        """Carry out an action; say why not."""
        self.message.set("")
        try:
            action()
        except PluginError as error:
            self.message.set(str(error))

    def redub(self) -> None:
        """Re-dub what is selected, or lies under the playhead, with the chosen clip or file."""
        voice_id = self._voices.get(self.voice_clip.get())
        if not voice_id and not self.voice.get():
            raise PluginError("voice.none", "No voice is chosen.", "Choose a clip or a file.")
        chosen = self._host.selection()
        if not chosen:
            raise PluginError("clip.none", "No shot is selected.", "Put the playhead on one.")
        for clip_id in chosen:
            if voice_id:
                self._session.redub_with_strip(clip_id, voice_id, self._options())
            else:
                self._session.redub_with_file(clip_id, self.voice.get(), self._options(), self._host.marks())

    def list_voices(self) -> list[str]:
        """Return what can be chosen as the voice: the file, or a sound that lies under a chosen shot."""
        timeline = self._host.timeline()
        chosen = set(self._host.selection())
        shots = [clip for clip in timeline.clips if clip.clip_id in chosen]
        under = [
            voice
            for voice in timeline.sounds()
            if any(voice.start < shot.stop and voice.stop > shot.start for shot in shots)
        ]
        self._voices = {_describe(voice, timeline): voice.clip_id for voice in under}
        return [FROM_FILE, *self._voices]

    def redub_track(self) -> None:
        """Re-dub every shot over the chosen sound track."""
        _, left_out = self._session.redub_track(self.track.get(), self._options())
        self.message.set(" ".join(left_out))

    def _options(self) -> Options:
        return replace(self._base, takes=self.takes.get(), handles=self.handles.get())

    def _build(self) -> None:
        frame = ttk.Frame(self.root, padding=8)
        frame.pack(fill="both", expand=True)
        row = ttk.Frame(frame)
        row.pack(fill="x")
        ttk.Entry(row, textvariable=self.voice, width=36).pack(side="left", fill="x", expand=True)
        ttk.Button(row, text="Voice...", command=self._choose_voice).pack(side="left")
        self.voice_list = ttk.Combobox(frame, textvariable=self.voice_clip, state="readonly")
        self.voice_list["values"] = [FROM_FILE]
        self.voice_list["postcommand"] = lambda: self.do(self._show_voices)
        self.voice_list.pack(fill="x", pady=(4, 0))
        row = ttk.Frame(frame)
        row.pack(fill="x", pady=4)
        ttk.Label(row, text="Takes").pack(side="left")
        ttk.Spinbox(row, from_=1, to=64, width=3, textvariable=self.takes).pack(side="left")
        ttk.Label(row, text="Handles").pack(side="left", padx=(8, 0))
        ttk.Spinbox(row, from_=0, to=1000, width=4, textvariable=self.handles).pack(side="left")
        ttk.Button(row, text="Re-dub", command=lambda: self.do(self.redub)).pack(side="left", padx=8)
        ttk.Button(row, text="Re-dub all over track", command=lambda: self.do(self.redub_track)).pack(
            side="left"
        )
        ttk.Spinbox(row, from_=1, to=99, width=3, textvariable=self.track).pack(side="left")
        ttk.Label(frame, textvariable=self.message, wraplength=420).pack(fill="x")
        self.listing = ttk.Frame(frame)
        self.listing.pack(fill="both", expand=True)

    def _show_voices(self) -> None:
        self.voice_list["values"] = self.list_voices()

    def _choose_voice(self) -> None:
        self.voice.set(filedialog.askopenfilename(parent=self.root) or self.voice.get())

    def _refresh(self) -> None:
        """Say how each re-dub stands. Buttons are made anew only where others are due: a click takes time."""
        statuses = [one for one in self._session.statuses(self._project) if one.state != "removed"]
        rows = [(one.key, one.state, one.shown) for one in statuses]
        if rows != self._rows:
            self._rows, self._lines = rows, {}
            for child in self.listing.winfo_children():
                child.destroy()
            for status in statuses:
                self._show(status)
        for status in statuses:
            self._lines[status.key].set(f"{status.job_id}: {status.sentence}")

    def _show(self, status: Status) -> None:
        row = ttk.Frame(self.listing)
        row.pack(fill="x", pady=2)
        self._lines[status.key] = tkinter.StringVar(self.root)
        ttk.Label(row, textvariable=self._lines[status.key]).pack(side="left")
        offered: list[tuple[str, Callable[[], Any]]] = []
        if status.state == "ready":
            offered.append(("Place", lambda: self._session.place(status.key)))
        if status.state == "placed":
            for number, take in enumerate(status.takes, 1):
                if take["take_id"] != status.shown:
                    offered.append((f"Take {number}", self._switch(status.key, take["take_id"])))
            offered.append(("Accept", lambda: self._session.accept(status.key)))
        if status.state in ("submitting", "waiting"):
            offered.append(("Cancel", lambda: self._session.cancel(status.key)))
        else:
            offered.append(("Remove", lambda: self._session.remove(status.key)))
        for text, action in offered:
            ttk.Button(row, text=text, command=self._button(action)).pack(side="right")

    def _switch(self, key: str, take_id: str) -> Callable[[], Any]:
        return lambda: self._session.switch_take(key, take_id)

    def _button(self, action: Callable[[], Any]) -> Callable[[], None]:
        return lambda: self.do(action)

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % TICKS_BETWEEN_CHECKS == 0:
            if not self._host.is_there():
                self.root.destroy()
                return
            self._look_at_project()
        self.root.after(TICK_MS, self._tick)
        self._session.pump()
        if self._session.trouble is not None:
            self.message.set(str(self._session.trouble))
            self._session.trouble = None

    def _look_at_project(self) -> None:
        """Show another project's re-dubs when the user has opened one; finish what was left in it."""
        try:
            project = self._host.timeline().project_id
        except PluginError:
            return  # none is open now
        if project != self._project:
            self._project = project
            self.do(lambda: self.message.set(" ".join(self._session.recover())))
            self._refresh()

    def _tell_surprise(self, *error: Any) -> None:
        """Say what a button ran into that nobody foresaw; Tk alone would print it where no one looks."""
        traceback.print_exception(*error)
        self.message.set(
            f"Resolve did something unforeseen ({error[1]}). Run Dubwright Self-Test, send its report."
        )


def _describe(voice: Clip, timeline: Timeline) -> str:
    """Return how a sound is named in the list: its track, where it begins, its file."""
    assert voice.kind == SOUND
    begin = format_timecode(voice.start, timeline.rate, drop=timeline.drop)
    name = voice.path.replace("\\", "/").rsplit("/", 1)[-1]
    return f"A{voice.track} {begin} {name}"
