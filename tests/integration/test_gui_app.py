"""The app with the real daemon and the rewrite engine: from a dropped clip to an accepted take."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from daemon.client import Client
from daemon.demo import SHOT, VOICE
from daemon.pairing.hosts import VARIABLE
from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import Job, JobState, RedubSpec
from gui.app import STATUS, TAKES, App
from gui.link import LinkState
from gui.models.mode import Mode
from tests.machines import paired
from tests.qt_app import qt_without_complaints, wait_until
from tests.studio import open_studio

IN, OUT = 100, 130


@pytest.fixture
def qt() -> Iterator[QApplication]:
    with qt_without_complaints() as application:
        yield application


@pytest.fixture
def client(tmp_path: Path, face_models: Path, qt: QApplication) -> Iterator[Client]:
    with open_studio(tmp_path, face_models) as studio:
        yield studio.client


@pytest.fixture
def app(client: Client, qt: QApplication) -> Iterator[App]:
    made = open_app(qt)
    yield made
    made.window.close()


def open_app(qt: QApplication) -> App:
    app = App(qt, language="en")
    app.window.show()
    app.start()
    wait_until(lambda: app.link.is_online)
    return app


def drop(app: App, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(10, 10),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        QEvent.Type.Drop,
    )
    app.shots_page.dropEvent(event)


def prepare_shot(app: App) -> None:
    page = app.shots_page
    drop(app, SHOT)
    wait_until(lambda: page.shot is not None)
    drop(app, VOICE)
    page.form.in_.setText("01:00:04:00")
    page.form.in_.setModified(True)
    page.form.in_.editingFinished.emit()
    page.panel.player.seek(OUT - 1)
    page.panel.strip.range_dragged.emit(IN, OUT, "drag")
    assert page.shot is not None
    assert (page.shot.in_, page.shot.out, page.shot.voice) == (IN, OUT, str(VOICE))


def held_job(client: Client) -> Job:
    spec = RedubSpec(source=str(SHOT), voice=str(VOICE), in_=IN, out=OUT)
    return client.submit(spec, hold=True)


@pytest.mark.slow
def test_from_a_dropped_clip_to_an_accepted_take(app: App, qt: QApplication, client: Client) -> None:
    page = app.shots_page
    prepare_shot(app)
    page.find_faces.click()
    wait_until(lambda: page.has_faces)
    assert page.first_face() != "auto"
    app.project.change_shot(1, face=page.first_face())
    seen: list[str] = []
    app.link.job_progressed.connect(lambda _, progress: seen.append(progress.stage))
    page.submit.click()
    wait_until(lambda: app.takes.rowCount() == 1)
    assert "engine" in seen
    app.window.show_page(TAKES)
    panel = app.takes_page.panel
    wait_until(lambda: all(panel.player.picture(name) is not None for name in ("original", "take")))
    assert panel.timecode_start == "01:00:00:00"
    assert panel.first_frame == IN
    panel.set_mode(Mode.WIPE)
    assert panel.viewer.mode is Mode.WIPE
    panel.player.play(1)
    wait_until(lambda: panel.player.position > 10)
    panel.player.stop()
    app.takes_page.details.buttons["takes.accept"].click()
    wait_until(lambda: app.takes_page.take is not None and app.takes_page.take.verdict == "accepted")
    url = app.takes.mimeData([app.takes.index(0)]).urls()[0]
    assert Path(url.toLocalFile()).is_file()
    app.window.close()

    again = open_app(qt)
    wait_until(lambda: again.takes.rowCount() == 1)
    assert again.takes.take_at(0).verdict == "accepted"
    assert again.shots_page.shot is not None
    assert (again.shots_page.shot.in_, again.shots_page.shot.out) == (IN, OUT)
    Path(again.takes.take_at(0).path).unlink()
    again.window.show_page(TAKES)
    wait_until(lambda: "not on disk" in again.takes_page.panel.viewer.message)
    again.window.close()


def test_jobs_are_reordered_cancelled_and_survive_a_killed_daemon(app: App, client: Client) -> None:
    first, second = held_job(client), held_job(client)
    wait_until(lambda: app.jobs.row_of(second.job_id) == 1)
    app.jobs.ask_to_move(second.job_id, 0)
    wait_until(lambda: app.jobs.row_of(second.job_id) == 0)

    app.queue_page.select(first.job_id)
    assert app.queue_page.buttons["queue.cancel"].isEnabled()
    app.queue_page.buttons["queue.cancel"].click()
    wait_until(lambda: state_of(app, first) is JobState.CANCELLED)

    states: list[LinkState] = []
    app.link.state_changed.connect(lambda: states.append(app.link.state))
    before = client.status().server_pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: LinkState.ONLINE in states)
    assert states[0] is not LinkState.ONLINE
    assert client.status().server_pid != before
    wait_until(lambda: state_of(app, second) is JobState.HELD)


def test_a_stopped_daemon_stays_stopped_and_actions_say_why(app: App, client: Client) -> None:
    held = held_job(client)
    wait_until(lambda: app.jobs.row_of(held.job_id) == 0)
    app.queue_page.select(held.job_id)
    client.shutdown()
    wait_until(lambda: app.link.state is LinkState.AWAY)
    button = app.queue_page.buttons["queue.cancel"]
    assert not button.isEnabled()
    assert "away" in button.toolTip()
    app.status_page.start.click()
    wait_until(lambda: app.link.is_online and button.isEnabled())


def test_everyone_who_asked_is_told_when_a_call_or_the_line_breaks(app: App) -> None:
    told: list[str] = []
    is_asked = threading.Event()

    def slip(_: Client) -> None:
        raise ValueError("a slip")

    def lose(_: Client) -> None:
        is_asked.wait()
        raise MachineError("daemon.unreachable", "gone")

    for call in (slip, lose, Client.status):
        app.link.ask(call, failed=lambda info: told.append(info.code))
    is_asked.set()
    wait_until(lambda: len(told) == 3)
    assert told == ["internal", "daemon.unreachable", "daemon.unreachable"]
    wait_until(lambda: app.link.is_online)


def test_the_daemon_of_another_machine_is_named_and_not_started_from_here(
    qt: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with paired(tmp_path) as pair:
        monkeypatch.setenv("DUBWRIGHT_HOME", str(pair.here.home))
        monkeypatch.setenv(VARIABLE, "there")
        app = open_app(qt)
        page = app.status_page
        app.window.show_page(STATUS)
        wait_until(lambda: "On there" in words_in(page))
        assert "Ready, on there" in words_in(page)
        assert "Ready, on there" in words_in(app.window)
        assert "Free space" not in words_in(page)
        assert page.models.buttons == {}
        with pair.there.owner() as owner:
            owner.shutdown()
        wait_until(lambda: app.link.state is LinkState.AWAY)
        assert not page.start.isVisibleTo(page)
        app.window.close()


def test_a_file_that_is_no_clip_gets_a_sentence_and_nothing_is_lost(app: App, tmp_path: Path) -> None:
    drop(app, SHOT)
    wait_until(lambda: app.shots_page.shot is not None)
    notes = tmp_path / "notes.txt"
    notes.write_text("no clip", encoding="utf-8")
    drop(app, notes)
    wait_until(lambda: QApplication.activeModalWidget() is not None)
    box = QApplication.activeModalWidget()
    assert box is not None
    assert "not a clip" in box.property("text")
    box.close()
    assert len(app.project.project.shots) == 1


def test_a_missing_clip_is_asked_for_and_relinked(app: App, tmp_path: Path) -> None:
    drop(app, SHOT)
    wait_until(lambda: app.shots_page.shot is not None)
    gone = str(tmp_path / "moved.mov")
    app.project.relink(str(SHOT), gone)
    wait_until(lambda: gone in app.shots_page.panel.viewer.message)
    assert not app.shots_page.submit.isEnabled()
    app.project.relink(gone, str(SHOT))
    wait_until(lambda: app.shots_page.panel.player.picture("original") is not None)


def words_in(widget: QWidget) -> str:
    """Return what the labels of a widget say."""
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def state_of(app: App, job: Job) -> JobState | None:
    found = app.jobs.job(job.job_id)
    return None if found is None else found.state
