"""`python -m gui.screenshots DIR`: every page with real content, in each theme and size, as PNG files.

Uses the daemon of this home: have it make takes first (`python -m daemon.demo`, or any others), and give a
clip and a voice of your own with CLIP VOICE, else the bundled demo shot is shown.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PySide6.QtWidgets import QApplication

import daemon
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import RedubSpec, Take
from gui.app import BATCH, QUEUE, SHOTS, STATUS, TAKES, App
from gui.link import describe
from gui.models.mode import Mode
from gui.models.project import SUFFIX
from gui.models.settings import Language, Theme
from gui.models.take_list import job_of
from gui.texts import text
from gui.theme import apply_theme

SIZES = ((1600, 1000), (1280, 720))
THEMES: tuple[Theme, ...] = ("dark", "light", "contrast")
PATIENCE_S = 300.0
_PAGES = ((SHOTS, "shots"), (TAKES, "takes"), (QUEUE, "queue"), (BATCH, "batch"), (STATUS, "status"))
_DEMO = Path(daemon.__file__).parent / "demo"


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; return 0 when all were taken."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    os.environ["QT_SCALE_FACTOR"] = str(options.scale)
    qt = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        photographer = Photographer(qt, options.folder, Path(folder), options.language)
        try:
            photographer.prepare(options.clip, options.voice)
            photographer.take_all(f"_{options.scale * 100:.0f}" if options.scale != 1 else "")
        finally:
            photographer.app.close()
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gui.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("clip", type=Path, nargs="?", default=_DEMO / "shot.mov")
    parser.add_argument("voice", type=Path, nargs="?", default=_DEMO / "voice.wav")
    parser.add_argument("--scale", type=float, default=1.0, help="2 for a screen of 200 %%")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    return parser.parse_args(arguments)


class Photographer:
    """An app with content, and a folder for its pictures."""

    def __init__(self, qt: QApplication, folder: Path, scratch: Path, language: Language) -> None:
        self._qt, self._folder, self._scratch = qt, folder, scratch
        self.app = App(qt, language=language)
        self.app.settings.project = ""
        self.app.project.path = scratch / f"Evening news{SUFFIX}"
        folder.mkdir(parents=True, exist_ok=True)

    def prepare(self, clip: Path, voice: Path) -> None:
        """Connect, add a shot with a voice, and have its faces found."""
        app = self.app
        app.window.show()
        app.link.start()
        self.wait(lambda: app.link.is_online)
        app.shots_page.take_in(clip)
        self.wait(lambda: app.shots_page.shot is not None)
        shot = app.shots_page.shot
        assert shot is not None
        first, last = shot.out // 3, shot.out * 3 // 4
        app.project.change_shot(shot.shot_id, voice=str(voice.resolve()), in_=first, out=last, takes=3)
        app.shots_page.panel.player.seek(first)
        self.wait(app.shots_page.find_faces.isEnabled)
        app.shots_page.find_faces.click()
        self.wait(lambda: app.shots_page.has_faces)
        app.project.change_shot(shot.shot_id, face=app.shots_page.first_face())
        self._fill_batch(clip.resolve(), voice.resolve())
        self._queue_some(app.shots_page.shot.to_spec() if app.shots_page.shot else None)

    def take_all(self, suffix: str) -> None:
        """Take every page in every theme and size."""
        app = self.app
        app.window.show_page(TAKES)
        self.wait(lambda: app.takes_page.panel.player.picture("take") is not None)
        app.takes_page.panel.player.seek(app.takes_page.panel.player.in_)
        self.wait(app.takes.has_thumbnails)
        for theme in THEMES:
            apply_theme(self._qt, theme)
            app.refresh_theme()
            for width, height in SIZES:
                app.window.resize(width, height)
                for page, name in _PAGES:
                    app.window.show_page(page)
                    self._save(f"{name}_{theme}_{width}x{height}{suffix}")
        apply_theme(self._qt, "dark")
        app.refresh_theme()
        self._take_modes(suffix)
        self._take_mask(suffix)
        self._take_dialogs(suffix)

    def _take_modes(self, suffix: str) -> None:
        """Take an overlay in every way it can be seen, and a blind comparison."""
        app, page = self.app, self.app.takes_page
        app.window.show_page(TAKES)
        overlay = next(_overlays(app))
        page.select(overlay.take_id)
        self.wait(lambda: page.panel.viewer.has_alpha and page.panel.player.count == overlay.frames)
        page.panel.player.seek(overlay.frames // 2)
        for mode in Mode:
            page.panel.set_mode(mode)
            self._save(f"takes_{mode.value}{suffix}")
        page.panel.set_mode(Mode.TAKE)
        page.compare_blind()
        if page.desk.rival_of(overlay) is not None:
            self.wait(page.blind.isVisible)
            page.blind.look["both"].click()
            self._save(f"takes_blind{suffix}")
            page.blind.stop.click()

    def _take_mask(self, suffix: str) -> None:
        """Take the shot with its mask, and with the place where its voice would fit."""
        app, page = self.app, self.app.shots_page
        app.window.show_page(SHOTS)
        page.mask_bar.show_it.click()
        page.align_panel.press()
        self.wait(lambda: page.desk.found is not None)
        self._save(f"shots_mask{suffix}")
        page.mask_bar.show_it.click()

    def _take_dialogs(self, suffix: str) -> None:
        """Take every dialog alone."""
        app = self.app
        app.window.show_page(QUEUE)
        self._take_dialog("settings", app.show_settings, suffix)
        self._take_dialog("keys", app.window.show_keys, suffix)
        self._take_dialog("schedule", app.queue_page.night.schedule.click, suffix)
        self._take_dialog("report", app.queue_page.night.report.click, suffix)
        self._take_dialog("error", lambda: app.complain(text("project.newer", name="a", version=9)), suffix)

    def _take_dialog(self, name: str, open_it: Callable[[], object], suffix: str) -> None:
        open_it()
        self.wait(lambda: QApplication.activeModalWidget() is not None)
        dialog = QApplication.activeModalWidget()
        assert dialog is not None
        self.wait(lambda: True, at_least_s=0.3)
        dialog.grab().save(str(self._folder / f"dialog_{name}{suffix}.png"))
        dialog.close()
        self.wait(lambda: QApplication.activeModalWidget() is None)

    def wait(self, is_done: Callable[[], bool], *, at_least_s: float = 0.0) -> None:
        """Let the app work until something is so. Raises TimeoutError."""
        began = time.monotonic()
        while not is_done() or time.monotonic() - began < at_least_s:
            self._qt.processEvents()
            time.sleep(0.005)
            if time.monotonic() - began > PATIENCE_S:
                raise TimeoutError("the app did not get there")

    def _fill_batch(self, clip: Path, voice: Path) -> None:
        """Read a list of shots, two of which need mending."""
        rows = [(clip, voice, 0, 100, 2), (clip, voice, 100, 220, 3), (clip, voice, "01:00:02:00", 180, 1)]
        rows += [(clip, voice, 0, 100_000, 1), (clip, clip.with_name("missing.wav"), 0, 50, 1)]
        lines = [",".join(map(str, row)) for row in [("clip", "voice", "in", "out", "takes"), *rows]]
        path = self._scratch / "tonights shots.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        self.app.batch_page.take_in(path)
        self.wait(lambda: self.app.batch_page.rows.rowCount() == len(rows))
        self.wait(lambda: self.app.batch_page.rows.counts()["checking"] == 0)

    def _queue_some(self, spec: RedubSpec | None) -> None:
        """Have one job run and a few wait, so that the page shows both."""
        assert spec is not None
        self.app.link.ask(lambda client: client.submit(spec), failed=_complain)
        waiting = sum(1 for job in self.app.jobs.jobs() if job.state == "held")
        for _ in range(waiting, 3):
            self.app.link.ask(lambda client: client.submit(spec, hold=True), failed=_complain)
        self.app.link.ask(lambda client: client.submit(spec, tonight=True), failed=_complain)
        self.wait(lambda: sum(1 for job in self.app.jobs.jobs() if job.state == "held") >= 3)
        self.wait(lambda: any(job.state == "running" for job in self.app.jobs.jobs()), at_least_s=1.0)

    def _save(self, name: str) -> None:
        self.wait(lambda: True, at_least_s=0.6)
        self.app.window.grab().save(str(self._folder / f"{name}.png"))


def _overlays(app: App) -> Iterator[Take]:
    """Give the takes that lie over their original."""
    for row in range(app.takes.rowCount()):
        take = app.takes.take_at(row)
        job = app.jobs.job(job_of(take))
        if job is not None and isinstance(job.spec, RedubSpec) and job.spec.deliver == "overlay":
            yield take


def _complain(info: ErrorInfo) -> None:
    sys.stderr.write(describe(info) + "\n")


if __name__ == "__main__":
    sys.exit(main())
