"""The viewer: zoom about the pointer, pan, the wipe; and the GPU's picture against the one in memory."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtTest import QTest

from gui.media.player import Player, Track
from gui.models.mode import Mode
from gui.views.viewer import Viewer
from tests.clips import make_clip

Wait = Callable[[Callable[[], object]], None]
LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mov", count=5, size=(640, 360))


@pytest.fixture
def viewer(qt: object, clip: Path, wait: Wait) -> Iterator[Viewer]:
    player = Player()
    made = Viewer(player)
    made.resize(800, 450)
    made.show()
    player.load({"original": Track(clip), "take": Track(clip, 1)}, rate=Fraction(25), count=4)
    wait(lambda: all(player.picture(name) is not None for name in ("original", "take")))
    yield made
    player.close()
    made.close()


def turn_wheel(viewer: Viewer, at: QPointF, notches: int) -> None:
    event = QWheelEvent(
        at,
        viewer.mapToGlobal(at),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        NONE,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    viewer.wheelEvent(event)


def test_the_wheel_zooms_about_the_pointer_and_f_shows_all(viewer: Viewer) -> None:
    whole = viewer._target(viewer.rect())
    at = QPointF(600, 300)
    x, y = (at.x() - whole.left()) / whole.width(), (at.y() - whole.top()) / whole.height()
    turn_wheel(viewer, at, 3)
    near = viewer._target(viewer.rect())
    assert near.width() > 1.5 * whole.width()
    assert abs((at.x() - near.left()) / near.width() - x) < 0.01
    assert abs((at.y() - near.top()) / near.height() - y) < 0.01
    viewer.fit()
    assert viewer._target(viewer.rect()) == whole


def test_a_double_click_shows_every_pixel_and_alt_drag_moves(viewer: Viewer) -> None:
    QTest.mouseDClick(viewer, LEFT, NONE, QPoint(400, 200))
    assert viewer._target(viewer.rect()).width() == 640
    viewer.zoom_to(4)
    before = viewer._target(viewer.rect())
    QTest.mousePress(viewer, LEFT, Qt.KeyboardModifier.AltModifier, QPoint(400, 200))
    QTest.mouseMove(viewer, QPoint(350, 180))
    QTest.mouseRelease(viewer, LEFT, Qt.KeyboardModifier.AltModifier, QPoint(350, 180))
    after = viewer._target(viewer.rect())
    assert after.topLeft() - before.topLeft() == QPointF(-50, -20)


def test_the_edge_of_a_wipe_is_dragged(viewer: Viewer) -> None:
    viewer.set_mode(Mode.WIPE)
    QTest.mousePress(viewer, LEFT, NONE, QPoint(400, 200))
    QTest.mouseMove(viewer, QPoint(200, 200))
    QTest.mouseRelease(viewer, LEFT, NONE, QPoint(200, 200))
    assert viewer._wipe == pytest.approx(0.25)


def test_while_all_is_shown_no_more_than_the_pane_is_decoded(viewer: Viewer, wait: Wait) -> None:
    viewer.set_mode(Mode.SIDE)
    player = viewer._player
    wait(lambda: (image := player.picture("take")) is not None and image.width() == 399)
    viewer.zoom_to(2)
    wait(lambda: (image := player.picture("take")) is not None and image.width() == 640)


_DRAW = """
import json, sys
from fractions import Fraction
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from gui.media.player import Player, Track
from gui.views.canvas import renderer_name
from gui.models.mode import Mode
from gui.views.viewer import Viewer
application = QApplication([])
player = Player()
viewer = Viewer(player)
viewer.resize(800, 450)
viewer.show()
clip = Path(sys.argv[1])
player.load({"original": Track(clip), "take": Track(clip, 3)}, rate=Fraction(25), count=2)
def is_there():
    return all(player.picture(name) is not None for name in ("original", "take"))
def wait_for_pictures():
    while not is_there() or viewer._settle.isActive():
        application.processEvents()
wait_for_pictures()
drawn = viewer._canvas is not None
for mode in (Mode.TAKE, Mode.SIDE, Mode.WIPE, Mode.DIFFERENCE):
    viewer.set_mode(mode)
    wait_for_pictures()
    viewer.update()
    QTimer.singleShot(200, application.quit)
    application.exec()
    image = viewer._canvas.grabFramebuffer() if drawn else viewer.grab().toImage()
    image.save(f"{sys.argv[2]}_{mode.value}.png")
print(json.dumps({"gpu": drawn, "renderer": renderer_name()}))
player.close()
"""


@pytest.mark.slow
def test_the_gpu_draws_what_memory_draws(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "large.mov", count=5, size=(1280, 720))  # larger than the pane: not smoothed
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb, which has OpenGL in software")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1000x700x24"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    try:
        os.close(write)
        with os.fdopen(read) as told:
            display = told.readline().strip()
        if not display:
            pytest.skip("Xvfb does not start here")
        said = {way: draw(clip, tmp_path / way, way, display) for way in ("gpu", "memory")}
    finally:
        server.terminate()
        server.wait()
    assert not said["memory"]["gpu"]
    if not said["gpu"]["renderer"]:
        pytest.skip("there is no OpenGL here")
    assert said["gpu"]["gpu"]
    for mode in ("take", "side", "wipe", "difference"):
        a, b = (pixels(tmp_path / f"{way}_{mode}.png") for way in ("gpu", "memory"))
        assert a.shape == b.shape
        assert np.abs(a - b).mean() < 1.0, mode
        assert b.std() > 1


def draw(clip: Path, out: Path, way: str, display: str) -> dict[str, object]:
    environment = {
        **os.environ,
        "DISPLAY": f":{display}",
        "QT_QPA_PLATFORM": "xcb",
        "DUBWRIGHT_DRAW": way,
        "LIBGL_ALWAYS_SOFTWARE": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", _DRAW, str(clip), str(out)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def pixels(path: Path) -> np.ndarray:
    image = QImage(str(path)).convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
    return rows[..., :3].astype(int)
