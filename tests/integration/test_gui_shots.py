"""The Shots page by mouse and keys, with the real daemon: mask, ranges left alone, alignment, the job."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from daemon.client import Client
from daemon.demo import SHOT, VOICE
from daemon.protocol.jobs import Job, JobState, RedubSpec
from gui.app import SHOTS, App
from gui.models.project import read_project
from gui.views.mask_tool import Hand
from gui.views.shots_page import ShotsPage
from tests.clips import make_clip
from tests.qt_app import qt_without_complaints, wait_until
from tests.studio import open_studio

IN, OUT = 100, 130
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def qt() -> Iterator[QApplication]:
    with qt_without_complaints() as application:
        yield application


@pytest.fixture(scope="module")
def client(face_models: Path, tmp_path_factory: pytest.TempPathFactory, qt: QApplication) -> Iterator[Client]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as studio:
        yield studio.client


@pytest.fixture(scope="module")
def app(client: Client, qt: QApplication) -> Iterator[App]:
    made = App(qt, language="en")
    made.window.show()
    made.start()
    wait_until(lambda: made.link.is_online)
    yield made
    made.window.close()


@pytest.fixture
def page(app: App) -> ShotsPage:
    """A page with one shot that has a voice and a range."""
    shown = app.shots_page
    app.window.activateWindow()
    wait_until(app.window.isActiveWindow)
    if shown.mask_bar.show_it.isChecked():
        shown.mask_bar.show_it.click()
    for shot in app.project.project.shots:
        app.project.remove_shot(shot.shot_id)
    shown.take_in(SHOT)
    wait_until(lambda: shown.shot is not None)
    shown.take_in(VOICE)
    app.project.change_shot(1, in_=IN, out=OUT)
    shown.panel.player.seek(IN + 5)
    wait_until(lambda: shown.panel.player.picture("original") is not None and all(shown.desk.sounds))
    return shown


def press(
    app: App, key: Qt.Key | str, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    app.window.setFocus()
    QTest.keyClick(app.window, key, modifier)  # pyright: ignore[reportCallIssue, reportArgumentType]


def undo(app: App) -> None:
    press(app, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def drag(widget: QWidget, *places: tuple[float, float]) -> None:
    first, *rest = [QPoint(round(x), round(y)) for x, y in places]
    QTest.mousePress(widget, LEFT, pos=first)
    for place in rest:
        QTest.mouseMove(widget, place)
    QTest.mouseRelease(widget, LEFT, pos=rest[-1] if rest else first)


def find_faces(page: ShotsPage) -> None:
    wait_until(page.find_faces.isEnabled)
    QTest.mouseClick(page.find_faces, LEFT)
    wait_until(lambda: page.has_faces)


def submitted(app: App, client: Client) -> RedubSpec:
    """Queue the shot and hold it; return what the daemon was told."""
    page = app.shots_page
    jobs: list[str] = []
    page.submitted.connect(jobs.append)
    wait_until(page.hold.isEnabled)
    QTest.mouseClick(page.hold, LEFT)
    wait_until(lambda: jobs)
    app.window.show_page(SHOTS)
    job: Job = client.job(jobs[0])
    assert job.state is JobState.HELD
    assert isinstance(job.spec, RedubSpec)
    return job.spec


def on_screen(page: ShotsPage) -> Callable[[float, float], tuple[float, float]]:
    """Return what leads from the mask's unit square to the picture on the screen."""
    viewer, outline = page.panel.viewer, page.desk.outline
    assert outline is not None
    place = outline.to_picture(page.panel.player.position)
    facts = page.desk.facts
    assert place is not None
    assert facts is not None

    def to_screen(x: float, y: float) -> tuple[float, float]:
        in_clip = place.map(QPointF(128 * x, 128 * y)) * (facts.width / outline.size[0])
        seen = viewer._to_screen(viewer._target(viewer._pane())).map(in_clip)
        return seen.x(), seen.y()

    return to_screen


@pytest.mark.slow
def test_the_mask_is_seen_widened_moved_painted_out_and_undone(
    app: App, page: ShotsPage, client: Client
) -> None:
    viewer, bar = page.panel.viewer, page.mask_bar
    find_faces(page)
    plain = viewer.grab().toImage()
    press(app, "w")
    assert bar.show_it.isChecked()
    assert viewer.grab().toImage() != plain, "the mask lies over the picture"

    bar.grow.setFocus()
    for _ in range(5):
        QTest.keyClick(bar.grow, Qt.Key.Key_Right)
    assert page.shot is not None
    assert page.shot.mask is not None
    assert page.shot.mask.grow == pytest.approx(0.05)

    where = on_screen(page)
    press(app, "b")
    assert bar.hand is Hand.BRUSH
    drag(viewer, where(0.2, 0.5), where(0.4, 0.55), where(0.5, 0.75))
    assert len(page.shot.mask.paint_out) == 1
    stroke = page.shot.mask.paint_out[0]
    assert len(stroke.points) > 8
    assert (stroke.in_, stroke.out) == (None, None)

    bar.lasts.setCurrentIndex(bar.lasts.findData("on"))
    bar.lasts.activated.emit(bar.lasts.currentIndex())
    QTest.mouseClick(bar.hands[Hand.LASSO], LEFT)
    assert not bar.hands[Hand.BRUSH].isChecked()
    drag(viewer, where(0.7, 0.6), where(0.9, 0.6), where(0.9, 0.9), where(0.7, 0.9))
    assert page.shot.mask.paint_out[1].in_ == IN + 5

    QTest.mouseClick(bar.hands[Hand.MOVE], LEFT)
    drag(viewer, where(0.5, 0.5), where(0.55, 0.5), where(0.6, 0.5))
    right, down = page.shot.mask.shift
    assert right > 0.05
    assert abs(down) < 0.03
    undo(app)
    assert page.shot.mask.shift == (0.0, 0.0), "a drag is one step of undo"

    QTest.mouseClick(bar.hands[Hand.RESTORE], LEFT)
    drag(viewer, where(0.8, 0.75))
    assert page.shot.mask.paint_out == [stroke]
    undo(app)
    assert len(page.shot.mask.paint_out) == 2
    undo(app)
    app.project.flush()
    assert read_project(app.project.path).shots[0].mask == page.shot.mask
    assert submitted(app, client).mask == page.shot.mask
    QTest.mouseClick(bar.reset, LEFT)
    assert page.shot.mask is None


def test_a_reading_is_aligned_and_accepted_by_one_key(app: App, page: ShotsPage, tmp_path: Path) -> None:
    reading = make_clip(tmp_path / "reading.mov", first=90, count=60)
    app.project.change_shot(1, voice=str(reading), voice_at=None, in_=80, out=160)
    wait_until(page.align_panel.ask.isEnabled)
    press(app, "a")
    wait_until(lambda: page.desk.found is not None)
    assert page.align_panel.accept.isVisible()
    assert "10 frames later" in page.align_panel.note.text()
    assert page.panel.strip.proposal is not None
    assert page.shot is not None
    assert page.shot.voice_at is None, "nothing moves before it is accepted"
    press(app, "a")
    assert page.shot.voice_at == 90
    assert not page.align_panel.accept.isVisible()
    undo(app)
    assert page.shot.voice_at is None
    press(app, Qt.Key.Key_Escape)
    assert page.desk.found is None


def test_a_shot_that_cannot_be_aligned_says_why(app: App, page: ShotsPage, tmp_path: Path) -> None:
    mute = make_clip(tmp_path / "mute.mov", sound=None)
    page.take_in(mute)
    wait_until(lambda: len(app.project.project.shots) == 2)
    app.project.change_shot(2, voice=str(VOICE))
    wait_until(page.align_panel.ask.isEnabled)
    press(app, "a")
    wait_until(lambda: QApplication.activeModalWidget() is not None)
    box = QApplication.activeModalWidget()
    assert box is not None
    assert "no sound" in box.property("text")
    box.close()
    assert page.align_panel.ask.isEnabled()


def test_ranges_are_left_alone_by_mouse_and_keys(app: App, page: ShotsPage, client: Client) -> None:
    strip, player = page.panel.strip, page.panel.player
    assert page.shot is not None

    def x(frame: float) -> float:
        return strip._x(frame + 0.3)  # inside of the frame, however wide the strip is

    drag(strip, (x(105), 25), (x(108), 25), (x(110), 25))
    assert page.shot.leave_alone == [(105, 110)]
    drag(strip, (x(110), 25), (x(113), 25), (x(115), 25))
    assert page.shot.leave_alone == [(105, 115)]
    player.seek(120)
    press(app, "m")
    assert page.shot.leave_alone == [(105, 115), (120, 121)]
    player.seek(124)
    press(app, "m")
    assert submitted(app, client).leave_alone == [(105, 115), (120, 125)]
    press(app, Qt.Key.Key_Delete)
    assert page.shot.leave_alone == [(105, 115)]
    QTest.mouseDClick(strip, LEFT, pos=QPoint(round(x(108)), 25))
    assert page.shot.leave_alone == []
    undo(app)
    assert page.shot.leave_alone == [(105, 115)]


def test_in_out_and_voice_are_dragged_typed_and_set_by_keys(app: App, page: ShotsPage) -> None:
    strip, form, player = page.panel.strip, page.form, page.panel.player
    shot = page.desk
    low = strip.height() - 20
    voice = page.desk.sounds[1]
    assert voice is not None
    assert "what lies outside is not heard" in form._voice_note.text()
    QTest.mouseClick(form.fit, LEFT)
    assert shot.shot is not None
    assert (shot.shot.in_, shot.shot.out) == (IN, IN + math.ceil(voice.seconds * 25))
    undo(app)
    drag(strip, (strip._x(IN), 5), (strip._x(80), 5), (strip._x(60), 5))
    assert shot.shot is not None
    assert shot.shot.in_ == 60
    drag(strip, (strip._x(OUT), 5), (strip._x(150), 5))
    assert shot.shot.out == 150
    undo(app)
    assert (shot.shot.in_, shot.shot.out) == (60, OUT), "each drag is one step of undo"
    app.project.change_shot(1, in_=IN, out=OUT, voice_at=None)

    drag(strip, (strip._x(110), low), (strip._x(105), low), (strip._x(100), low))
    assert shot.shot.voice_frame == IN - 10
    form.voice_at.setFocus()
    form.voice_at.selectAll()
    QTest.keyClicks(form.voice_at, "-12")
    QTest.keyClick(form.voice_at, Qt.Key.Key_Return)
    assert shot.shot.voice_at == -12, "a reading may begin before the clip does"
    assert form.voice_at.text() == "00:59:59:13"
    form.in_.setFocus()
    form.in_.selectAll()
    QTest.keyClicks(form.in_, "never")
    QTest.keyClick(form.in_, Qt.Key.Key_Return)
    assert form.in_.property("wrong")
    player.seek(111)
    press(app, "i")
    player.seek(120)
    press(app, "o")
    assert (shot.shot.in_, shot.shot.out) == (111, 121)


def test_the_wheel_shows_fewer_frames_of_the_strip(page: ShotsPage) -> None:
    strip = page.panel.strip
    whole = strip._frame(strip.width()) - strip._frame(0)
    middle = QPointF(strip.width() / 2, 30)
    frame = strip._frame(middle.x())
    wheel = QWheelEvent(
        middle,
        QPointF(strip.mapToGlobal(middle.toPoint())),
        QPoint(),
        QPoint(0, 480),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(strip, wheel)
    assert strip._frame(strip.width()) - strip._frame(0) < 0.5 * whole
    assert strip._frame(middle.x()) == pytest.approx(frame, abs=0.01)


def test_engine_quality_prompt_and_takes_reach_the_daemon(app: App, page: ShotsPage, client: Client) -> None:
    form = page.form
    wait_until(lambda: "Roughly" in page.estimate.text() or "About" in page.estimate.text())
    assert not form.quality.isEnabled()
    assert "wan" in form.quality.toolTip()
    for box, value in ((form.engine, "wan"), (form.quality, "final")):
        box.setCurrentIndex(box.findData(value))
        box.activated.emit(box.currentIndex())
    assert form.prompt.isEnabled()
    form.prompt.setFocus()
    QTest.keyClicks(form.prompt, "a calm voice")
    QTest.keyClick(form.prompt, Qt.Key.Key_Return)
    form.takes.setValue(3)
    assert "Takes: 3, 30 frames each" in page.estimate.text()
    wait_until(lambda: "the time is not known" in page.estimate.text())
    spec = submitted(app, client)
    assert (spec.engine, spec.quality, spec.prompt, spec.takes) == ("wan", "final", "a calm voice", 3)


@pytest.mark.slow
def test_a_face_is_chosen_by_its_picture_or_in_the_picture(app: App, page: ShotsPage) -> None:
    find_faces(page)
    face = page.first_face()
    buttons = page.face_panel.buttons()
    assert len(buttons) == 2
    QTest.mouseClick(buttons[1], LEFT)
    assert page.shot is not None
    assert page.shot.face == face
    QTest.mouseClick(page.face_panel.buttons()[0], LEFT)
    assert page.shot.face == "auto"
    x, y = on_screen(page)(0.5, 0.4)
    QTest.mouseClick(page.panel.viewer, LEFT, pos=QPoint(round(x), round(y)))
    assert page.shot.face == face
