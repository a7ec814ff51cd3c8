"""Takes, queue, batch and status of the app with the real daemon and takes that the rewrite engine made."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from daemon.demo import SHOT, VOICE
from daemon.paths import find_paths
from daemon.protocol.events import JobPreviewed
from daemon.protocol.finals import read_final
from daemon.protocol.jobs import Job, JobState, RedubSpec
from gui.app import BATCH, QUEUE, STATUS, TAKES, App
from gui.models.follow_up import final_of, next_take_of
from gui.models.mode import Mode
from gui.models.take_list import job_of
from gui.views.report_dialog import ReportDialog
from gui.views.schedule_dialog import ScheduleDialog
from gui.views.takes_page import TakesPage
from tests.qt_app import qt_without_complaints, wait_until
from tests.studio import Studio, open_studio

IN, OUT = 100, 112


@pytest.fixture
def qt() -> Iterator[QApplication]:
    with qt_without_complaints() as application:
        yield application


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A daemon with two takes of a shot, and one of another as EXR pictures."""
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as made:
        made.takes(SHOT, VOICE, IN, OUT, takes=2)
        made.takes(SHOT, VOICE, IN + 4, OUT, codec="exr")
        yield made


@pytest.fixture
def app(studio: Studio, qt: QApplication) -> Iterator[App]:
    (find_paths().config / "app.json").unlink(missing_ok=True)
    made = App(qt, language="en")
    made.window.show()
    made.start()
    wait_until(lambda: made.link.is_online and made.takes.rowCount() >= 3)
    yield made
    made.window.close()


@pytest.fixture
def page(app: App) -> TakesPage:
    app.window.show_page(TAKES)
    app.window.activateWindow()
    return app.takes_page


def plain_spec(**fields: object) -> RedubSpec:
    spec = RedubSpec(source=str(SHOT), voice=str(VOICE), in_=IN, out=OUT)
    return msgspec.structs.replace(spec, **fields)


def newest(app: App) -> Job:
    return max(app.jobs.jobs(), key=lambda job: job.submitted_at)


@pytest.mark.slow
def test_cards_show_pictures_and_one_shot_can_be_chosen(app: App, page: TakesPage) -> None:
    wait_until(app.takes.has_thumbnails)
    shown = page.shots.count()
    assert shown == 3  # all, and two shots
    page.shots.setCurrentIndex(1)
    assert len({job_of(app.takes.take_at(row)) for row in range(app.takes.rowCount())}) == 1
    page.shots.setCurrentIndex(0)
    assert app.takes.rowCount() == 3


@pytest.mark.slow
def test_an_exr_take_plays_and_is_dragged_out_as_a_folder(app: App, page: TakesPage) -> None:
    row = next(row for row in range(3) if Path(app.takes.take_at(row).path).is_dir())
    take = app.takes.take_at(row)
    page.select(take.take_id)
    wait_until(lambda: page.panel.player.picture("take") is not None)
    picture = page.panel.player.picture("take")
    assert picture is not None
    assert picture.hasAlphaChannel()
    assert page.panel.player.count == take.frames == OUT - IN - 4
    page.panel.set_mode(Mode.OVERLAY)
    assert page.panel.viewer.mode is Mode.OVERLAY
    (url,) = app.takes.mimeData([app.takes.index(row)]).urls()
    assert url.isLocalFile()
    assert Path(url.toLocalFile()).is_dir()


@pytest.mark.slow
def test_a_take_is_dragged_out_as_its_file(app: App, page: TakesPage) -> None:
    row = next(row for row in range(3) if Path(app.takes.take_at(row).path).is_file())
    data = app.takes.mimeData([app.takes.index(row)])
    (url,) = data.urls()
    assert data.formats() == ["text/uri-list"]
    assert Path(url.toLocalFile()).stat().st_size > 0
    assert app.takes.flags(app.takes.index(row)) & Qt.ItemFlag.ItemIsDragEnabled
    assert page.list.dragEnabled()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_blind_comparison_hides_the_order_until_one_is_chosen(app: App, page: TakesPage, seed: int) -> None:
    page._chance = random.Random(seed)
    takes = [app.takes.take_at(row) for row in range(3)]
    job = next(job_of(take) for take in takes if len(app.takes.siblings(take)) == 2)
    page.select(f"{job}-1")
    page.details.buttons["takes.blind"].click()
    wait_until(lambda: page.blind.isVisible())
    viewer = page.panel.viewer
    assert viewer.blind == ("take", "other")
    assert not page.list.isEnabled()
    said = " ".join(button.text() for button in page.blind.findChildren(QPushButton))
    assert "Take" not in said
    assert "seed" not in said
    player = page.panel.player
    wait_until(lambda: all(player.picture(name) is not None for name in ("take", "other")))
    paths = {"a": player.tracks["take"].path, "b": player.tracks["other"].path}
    QTest.keyClick(page.blind, Qt.Key.Key_2)
    assert viewer.take_track == "other"
    QTest.keyClick(page.blind, Qt.Key.Key_3)
    assert viewer.mode is Mode.SIDE
    page.blind.better["b"].click()
    chosen = page.take
    assert chosen is not None
    assert Path(chosen.path) == paths["b"]
    assert "A was" in page.details._told.text()
    assert (viewer.blind, page.list.isEnabled(), page.blind.isVisible()) == (None, True, False)
    wait_until(lambda: set(player.tracks) == {"original", "take"})


@pytest.mark.slow
def test_another_take_gets_the_next_seed_and_a_final_its_draft(app: App, page: TakesPage) -> None:
    take = app.takes.take_at(0)
    spec = plain_spec(seed=4, takes=3)
    assert next_take_of(spec, [4, 5, 6]).seed == 7
    assert next_take_of(spec, [4, 5, 6]).takes == 1
    draft = msgspec.structs.replace(take, engine="wan", quality="draft", seed=5)
    assert final_of(spec, draft) == read_final(draft)  # as `dubwright final` has it, face and crop among it
    expected = msgspec.structs.replace(spec, engine="wan", quality="final", takes=1)
    assert final_of(spec, take) == expected
    page.select(take.take_id)
    before = {job.job_id for job in app.jobs.jobs()}
    page.details.buttons["takes.again"].click()
    wait_until(lambda: {job.job_id for job in app.jobs.jobs()} > before)
    made = newest(app)
    assert isinstance(made.spec, RedubSpec)
    assert made.spec.seed == max(other.seed for other in app.takes.siblings(take)) + 1
    assert app.window.stack.currentIndex() == QUEUE
    app.link.ask(lambda client: client.cancel(made.job_id))
    wait_until(lambda: (found := app.jobs.job(made.job_id)) and found.state is JobState.CANCELLED)


@pytest.mark.slow
def test_a_job_is_held_released_kept_for_the_night_cancelled_and_retried(app: App, studio: Studio) -> None:
    app.window.show_page(QUEUE)
    page = app.queue_page
    job = studio.client.submit(plain_spec(), hold=True)
    wait_until(lambda: app.jobs.row_of(job.job_id) is not None)
    page.select(job.job_id)

    def state() -> JobState:
        found = app.jobs.job(job.job_id)
        assert found is not None
        return found.state

    page.details.priority.setValue(7)
    wait_until(lambda: (found := app.jobs.job(job.job_id)) and found.priority == 7)
    assert "Submitted by test" in page.details.log.toPlainText()
    page.buttons["queue.cancel"].click()
    wait_until(lambda: state() is JobState.CANCELLED and page.buttons["queue.retry"].isEnabled())
    assert not page.details.priority.isEnabled()
    page.buttons["queue.retry"].click()
    wait_until(lambda: state() is not JobState.CANCELLED and page.buttons["queue.hold"].isEnabled())
    page.buttons["queue.hold"].click()
    wait_until(lambda: state() is JobState.HELD and page.buttons["queue.tonight"].isEnabled())
    page.buttons["queue.tonight"].click()
    wait_until(lambda: (found := app.jobs.job(job.job_id)) and found.tonight)
    wait_until(lambda: page.buttons["queue.cancel"].isEnabled())
    page.buttons["queue.cancel"].click()
    wait_until(lambda: state() is JobState.CANCELLED)


@pytest.mark.slow
def test_the_night_is_foretold_its_schedule_changed_and_wrong_hours_refused(app: App) -> None:
    app.window.show_page(QUEUE)
    night = app.queue_page.night
    wait_until(lambda: night.forecast is not None)
    night.schedule.click()
    wait_until(lambda: isinstance(QApplication.activeModalWidget(), ScheduleDialog))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, ScheduleDialog)
    dialog.days["mon"].setText("late")
    dialog.apply.click()
    wait_until(dialog.said.isVisible)
    dialog.days["mon"].setText("21:00-05:00")
    dialog.apply.click()
    wait_until(lambda: QApplication.activeModalWidget() is None)
    kept: list[str] = []
    app.link.ask(lambda client: client.schedule(), lambda found: kept.append(found.settings.windows["mon"]))
    wait_until(lambda: kept)
    assert kept == ["21:00-05:00"]
    night.report.click()
    wait_until(lambda: QApplication.activeModalWidget() is not None)  # a report, or why there is none
    box = QApplication.activeModalWidget()
    assert box is not None
    assert isinstance(box, ReportDialog) or "window" in box.property("text")
    box.close()


def test_a_preview_shows_in_the_chosen_job_and_nonsense_does_not(app: App, tmp_path: Path) -> None:
    app.window.show_page(QUEUE)
    details = app.queue_page.details
    shown = app.jobs.job_at(0)
    app.queue_page.select(shown.job_id)
    image = QImage(64, 16, QImage.Format.Format_RGB32)
    image.fill(QColor("green"))
    image.save(str(tmp_path / "preview.jpg"))
    fields = {"job_id": shown.job_id, "frames": [0], "chunk": 1, "chunks": 2, "step": 3, "steps": 8}
    app.link.job_previewed.emit(JobPreviewed(picture=b"no picture", **fields))
    assert not details.preview.isVisible()
    app.link.job_previewed.emit(JobPreviewed(picture=(tmp_path / "preview.jpg").read_bytes(), **fields))
    assert details.preview.isVisible()
    assert details.preview.image.width() == 64
    assert "step 3 of 8" in details.preview.toolTip()


@pytest.mark.slow
def test_a_batch_is_checked_and_sent_once(app: App, tmp_path: Path) -> None:
    app.window.show_page(BATCH)
    page = app.batch_page
    lines = f"clip,voice,in,out\n{SHOT},{VOICE},0,10\n{SHOT},{VOICE},0,100000\n{SHOT},{VOICE},10,20\n"
    (tmp_path / "list.csv").write_text(lines, encoding="utf-8")
    page.take_in(tmp_path / "list.csv")
    wait_until(lambda: page.rows.counts()["ready"] == 2 and page.rows.counts()["wrong"] == 1)
    page.submit(tonight=True)
    wait_until(lambda: page.rows.counts()["sent"] == 2)
    page.submit()
    assert page.rows.counts()["sent"] == 2
    assert not page.buttons["batch.submit"].isEnabled()
    sent = list(page.rows._sent.values())
    wait_until(lambda: all(app.jobs.job(job_id) is not None for job_id in sent))
    for job_id in sent:
        app.link.ask(lambda client, job_id=job_id: client.cancel(job_id))
    page.take_in(tmp_path / "nothing.csv")
    wait_until(lambda: QApplication.activeModalWidget() is not None)
    box = QApplication.activeModalWidget()
    assert box is not None
    assert "cannot be read" in box.property("text")
    box.close()


@pytest.mark.slow
def test_status_tells_of_gpu_models_and_a_check_with_what_mends_it(app: App) -> None:
    app.window.show_page(STATUS)
    page = app.status_page
    wait_until(lambda: "s2v-14B" in page.models.buttons)
    assert "faces" not in page.models.buttons  # they are here
    page.check.run()
    wait_until(lambda: page.check.findings)
    names = {finding.name for finding in page.check.findings}
    assert {"packages", "face models", "daemon", "disk"} <= names
    page.check._copy()
    assert "packages" in QApplication.clipboard().text()
