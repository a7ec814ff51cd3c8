"""Resolve's menu script and window, over the fake Resolve and the real daemon."""

import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from editor_plugin.install import main as install
from editor_plugin.resolve.adapter import Resolve
from editor_plugin.shared.actions import Session
from editor_plugin.shared.journal import Journal
from editor_plugin.shared.link import Link
from editor_plugin.shared.planner import Options
from editor_plugin.shared.record import find_interpreter
from tests.fakes.resolve import FakeResolve

Script = Callable[[str], dict[str, Any]]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a screen that nobody sees, or skip."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answers:
        monkeypatch.setenv("DISPLAY", f":{answers.readline().strip()}")
    yield
    process.terminate()
    process.wait()


def test_the_menu_scripts_are_written_and_say_what_is_missing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(["resolve", str(home / "Scripts")]) == 0
    assert find_interpreter() == sys.executable
    for name in ("Dubwright.py", "Dubwright Self-Test.py"):
        capsys.readouterr()
        runpy.run_path(str(home / "Scripts" / name))  # outside Resolve there is no `resolve`
        assert "Workspace > Scripts" in capsys.readouterr().out or name.endswith("Test.py")
    assert install(["premiere"]) == 2


def test_a_click_in_the_window_brings_a_take(
    screen: None, client: object, script: Script, tmp_path: Path
) -> None:
    from editor_plugin.resolve.window import Window

    fake = FakeResolve()
    fake.timeline.current = fake.add_shot(os.path.abspath("a.mov"), 40, 30)
    fake.timeline.selected = [fake.timeline.current]
    link = Link([sys.executable, "-E", "-u", "-m", "daemon.bridge"], "resolve")
    host, options = Resolve(fake), Options(extra={"dest": script("paint")["dest"]})
    window = Window(host, Session(host, link, Journal(tmp_path / "journal.jsonl")), options)
    window.do(window.redub)
    assert "No voice" in window.message.get()
    window.voice.set(os.path.abspath("paint"))
    _click(window.root, "Re-dub")
    deadline = time.monotonic() + 30
    while not [clip for clip in host.timeline().clips if clip.tag]:
        window.root.update()
        assert time.monotonic() < deadline, window.message.get()
    (clip,) = [one for one in host.timeline().clips if one.tag and one.kind == "picture"]
    assert (clip.start, clip.stop) == (86440, 86470)
    window.root.update()
    _click(window.root, "Remove")
    assert not [one for one in host.timeline().clips if one.tag]
    window.root.destroy()
    link.close()


def _click(widget: Any, text: str) -> None:
    """Press the button with this text."""
    for child in widget.winfo_children():
        if child.winfo_class() == "TButton" and child.cget("text") == text:
            child.invoke()
            return None
        try:
            return _click(child, text)
        except LookupError:
            continue
    raise LookupError(text)
