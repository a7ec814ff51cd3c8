"""`dubwright app` opens the companion app in a process of its own, or says what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_WITHOUT_QT = """
import sys
sys.modules["PySide6"] = None
import importlib.util
importlib.util.find_spec = lambda name, *_: None if name == "PySide6" else True
from daemon.cli import main
main()
"""


def test_without_qt_it_names_the_extra() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_QT, "app"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "dubwright[app]" in run.stderr


def test_a_library_that_is_missing_is_a_sentence() -> None:
    code = "import sys; sys.modules['PySide6'] = None; from gui.__main__ import run; sys.exit(run())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 4
    assert "cannot start" in run.stderr
    assert "Traceback" not in run.stderr


def test_it_opens_the_window_with_the_project(tmp_path: Path) -> None:
    pytest.importorskip(
        "PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError
    )
    code = """
import sys
from PySide6.QtWidgets import QApplication
import gui.app as app
app.Link.start = lambda self: None  # no daemon is needed to open a window
app.Link.close = lambda self: None
class Once(QApplication):
    def exec(self):
        window = self.topLevelWidgets()[0].window()
        titles = [widget.windowTitle() for widget in self.topLevelWidgets()]
        print(*titles)
        window.close()
        return 0
app.QApplication = Once
sys.exit(app.main(["app", sys.argv[1]]))
"""
    project = tmp_path / "Evening news.dubwright"
    project.write_text('{"version": 2, "shots": []}', encoding="utf-8")
    environment = {**os.environ, "DUBWRIGHT_HOME": str(tmp_path / "home"), "QT_QPA_PLATFORM": "offscreen"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(project)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "Evening news" in run.stdout, run.stderr
