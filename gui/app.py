"""Builds models, pages and the link, and connects them: the only place that knows all."""

import base64
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QLocale
from PySide6.QtWidgets import QApplication, QFileDialog

from daemon.paths import Paths, find_paths
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.messages import ListModelsReply
from gui.link import Link
from gui.media.background import Background
from gui.models.health import FACES, can_get
from gui.models.job_table import JobTable
from gui.models.project import SUFFIX, ProjectError, ProjectModel
from gui.models.settings import Language, Settings, read_settings, write_settings
from gui.models.take_list import TakeList
from gui.texts import set_language, text
from gui.theme import apply_theme
from gui.views.batch_page import BatchPage
from gui.views.main_window import MainWindow
from gui.views.parts import show_error
from gui.views.queue_page import QueuePage
from gui.views.settings_dialog import SettingsDialog
from gui.views.shots_page import ShotsPage
from gui.views.status_page import StatusPage
from gui.views.takes_page import TakesPage

SHOTS, TAKES, QUEUE, BATCH, STATUS = range(5)


class App:
    """The running app: everything it is made of, by name."""

    def __init__(
        self, qt: QApplication, paths: Paths | None = None, *, language: Language | None = None
    ) -> None:
        paths = paths or find_paths()
        self._qt = qt
        self._settings_file = paths.config / "app.json"
        self._first_project = paths.data / f"shots{SUFFIX}"
        self.settings: Settings = read_settings(self._settings_file)
        set_language(language or _language_of(self.settings))
        apply_theme(qt, self.settings.theme)
        self.link = Link()
        self.background = Background()
        self.thumbnails = Background()
        self.reader = Background()  # of lists of many shots
        self.jobs = JobTable()
        self.takes = TakeList()
        self.saver = Background()
        self.project = ProjectModel(self._first_project, self.saver)
        self.shots_page = ShotsPage(self.link, self.jobs, self.project, self.background)
        self.takes_page = TakesPage(self.link, self.jobs, self.takes, self.background, self.thumbnails)
        self.queue_page = QueuePage(self.link, self.jobs)
        self.batch_page = BatchPage(self.link, self.reader)
        self.status_page = StatusPage(self.link)
        pages = [self.shots_page, self.takes_page, self.queue_page, self.batch_page, self.status_page]
        self.window = MainWindow(self.link, self.jobs, self.project, list(pages))
        self._is_closed = False
        self._connect_models()
        self._connect_pages()
        self._connect_menu()

    def start(self) -> None:
        """Open the last project and connect."""
        if self.settings.geometry:
            self.window.restoreGeometry(QByteArray(base64.b64decode(self.settings.geometry)))
        last = Path(self.settings.project) if self.settings.project else self._first_project
        if last.exists() or self.settings.project:
            self.open_project(last)
        self._show_recent()
        if not self._settings_file.exists():
            self.link.state_changed.connect(self._look_around)
        self.link.start()

    def close(self) -> None:
        """End every thread and keep the settings. Jobs go on in the daemon."""
        if self._is_closed:
            return
        self._is_closed = True
        self.settings.geometry = base64.b64encode(self.window.saveGeometry().data()).decode()
        write_settings(self.settings, self._settings_file)
        self.status_page.close_commands()
        self.link.close()
        for thread in (self.background, self.thumbnails, self.reader, self.saver):
            thread.close()
        self.project.flush()
        for page in (self.shots_page, self.takes_page):
            page.panel.player.close()

    def open_project(self, path: Path) -> None:
        """Open a project, or say why not."""
        try:
            self.project.open(path)
        except ProjectError as error:
            self.complain(str(error))
            return
        self.settings.remember(path)
        self._show_recent()

    def refresh_theme(self) -> None:
        """Draw anew what keeps colours of its own."""
        for page in (self.shots_page, self.takes_page):
            page.panel.refresh_icons()
        self.link.state_changed.emit()

    def complain(self, sentence: str) -> None:
        """Show a sentence about a project."""
        show_error(self.window, ErrorInfo("project", sentence, text("project.hint")))

    def _look_around(self) -> None:
        """On a first run, say what is missing before anybody runs into it."""
        if self.link.is_online:
            self.link.state_changed.disconnect(self._look_around)
            self.link.ask(lambda client: client.models(), self._welcome)

    def _welcome(self, found: ListModelsReply) -> None:
        if any(model.task == FACES and can_get(model) for model in found.models):
            self.status_page.welcome()
            self.window.show_page(STATUS)

    def _connect_models(self) -> None:
        link, jobs, takes = self.link, self.jobs, self.takes
        link.jobs_listed.connect(jobs.set_all)
        link.active_listed.connect(jobs.set_active)
        link.job_changed.connect(jobs.put)
        link.job_progressed.connect(jobs.progress)
        link.takes_listed.connect(takes.set_all)
        link.take_changed.connect(takes.put)
        self.project.failed.connect(self.complain)

    def _connect_pages(self) -> None:
        self.shots_page.submitted.connect(self._show_job)
        self.takes_page.job_wanted.connect(self._show_job)
        self.queue_page.takes_wanted.connect(self._show_takes)
        self.window.closing.connect(self.close)
        self.window.stack.currentChanged.connect(self._stop_players)
        for page in (self.shots_page, self.takes_page):
            page.panel.set_volume(self.settings.volume)
            page.panel.volume_chosen.connect(self._keep_volume)

    def _connect_menu(self) -> None:
        menu = self.window.on_menu
        menu("menu.new", self._new_project)
        menu("menu.open", self._ask_to_open)
        menu("menu.save_as", self._ask_to_save)
        menu("menu.quit", self.window.close)
        menu("menu.undo", self.project.undo)
        menu("menu.redo", self.project.redo)
        menu("menu.settings", self.show_settings)
        menu("menu.keys", self.window.show_keys)

    def _show_job(self, job_id: str) -> None:
        self.window.show_page(QUEUE)
        self.queue_page.select(job_id)

    def _show_takes(self, job_id: str) -> None:
        self.window.show_page(TAKES)
        self.takes_page.select_job(job_id)

    def _stop_players(self) -> None:
        """Let only the player that is seen keep pictures."""
        for page in (self.shots_page, self.takes_page):
            player = page.panel.player
            player.rest()
            if page is self.window.stack.currentWidget():
                player.seek(player.position)

    def _keep_volume(self, volume: float) -> None:
        """One loudness for all players, kept for the next start."""
        self.settings.volume = volume
        for page in (self.shots_page, self.takes_page):
            page.panel.set_volume(volume)

    def _show_recent(self) -> None:
        self.window.set_recent(self.settings.recent, self.open_project)

    def _new_project(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self.window, text("menu.new"), filter=f"*{SUFFIX}")
        if not name:
            return
        path = Path(name).with_suffix(SUFFIX)
        fresh = ProjectModel(path)
        try:
            fresh.save_as(path)
        except ProjectError as error:
            self.complain(str(error))
            return
        self.open_project(path)

    def _ask_to_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.window, text("menu.open"), filter=f"*{SUFFIX}")
        if name:
            self.open_project(Path(name))

    def _ask_to_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self.window, text("menu.save_as"), filter=f"*{SUFFIX}")
        if not name:
            return
        path = Path(name).with_suffix(SUFFIX)
        try:
            self.project.save_as(path)
        except ProjectError as error:
            self.complain(str(error))
            return
        self.settings.remember(path)
        self._show_recent()

    def show_settings(self) -> None:
        """Ask for the theme and the language."""
        dialog = SettingsDialog(self.settings, self.window)
        dialog.accepted.connect(lambda: self._take_settings(dialog))
        dialog.open()

    def _take_settings(self, dialog: SettingsDialog) -> None:
        self.settings.theme, self.settings.language = dialog.theme, dialog.language
        apply_theme(self._qt, dialog.theme)
        self.refresh_theme()
        write_settings(self.settings, self._settings_file)


def _language_of(settings: Settings) -> str:
    if settings.language != "system":
        return settings.language
    return "zh" if QLocale.system().language() == QLocale.Language.Chinese else "en"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until its window is closed; a project named in the arguments is opened."""
    qt = QApplication(list(arguments if arguments is not None else sys.argv))
    qt.setApplicationName("Dubwright")
    app = App(qt)
    app.window.show()
    app.start()
    for name in qt.arguments()[1:2]:
        app.open_project(Path(name))
    return qt.exec()


if __name__ == "__main__":
    sys.exit(main())
