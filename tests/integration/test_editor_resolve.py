"""Resolve's menu script and window, over the fake Resolve and the real daemon."""

import gc
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from editor_plugin.install import install_resolve
from editor_plugin.install import main as install
from editor_plugin.resolve.adapter import Resolve
from editor_plugin.shared.actions import Session
from editor_plugin.shared.journal import Journal
from editor_plugin.shared.link import Link
from editor_plugin.shared.planner import Options
from editor_plugin.shared.record import find_interpreter
from tests.fakes.resolve import FakeResolve, Item, Media
from tests.screen import open_screen

Script = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def screen() -> Iterator[None]:
    """Give a screen that nobody sees, or skip. One for all: Tk ends the process when its screen goes."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    with open_screen() as opened, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", opened.display)
        yield
        gc.collect()


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


@pytest.fixture(params=["in Resolve's Python", "through Lua"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[FakeResolve], Resolve]]:
    """Return what makes a host of a fake: beside it, or by way of the Lua script and a folder."""
    served: list[Any] = []

    def make(fake: FakeResolve) -> Resolve:
        if request.param == "in Resolve's Python":
            return Resolve(fake)
        pytest.importorskip("lupa", reason="lupa, which brings Lua, is not installed")
        from tests.fakes.lua import LUAS, Served

        (tmp_path / "exchange").mkdir()
        script = install_resolve(tmp_path / "Scripts")[2].read_text(encoding="utf-8")
        served.append(Served(LUAS[1], fake, script, tmp_path / "exchange"))
        return Resolve(served[0].resolve)

    yield make
    for one in served:
        one.close()


def test_a_click_in_the_window_brings_a_take(
    screen: None,
    connect: Callable[[FakeResolve], Resolve],
    client: object,
    script: Script,
    tmp_path: Path,
) -> None:
    from editor_plugin.resolve.window import FROM_FILE, Window

    fake = FakeResolve()
    fake.timeline.current = fake.add_shot(os.path.abspath("a.mov"), 40, 30)
    fake.timeline.selected = [fake.timeline.current]
    for path, start in ((os.path.abspath("paint"), 45), (os.path.abspath("elsewhere"), 900)):
        voice = Item(Media(path, 100, fake.quirks), fake.quirks.first_frame + start, 20, 0)
        fake.timeline.tracks["audio"][0].append(voice)
    link = Link([sys.executable, "-E", "-u", "-m", "daemon.bridge"], "resolve")
    host, options = connect(fake), Options(extra={"dest": script("paint")["dest"]})
    window = Window(host, Session(host, link, Journal(tmp_path / "journal.jsonl")), options)
    window.do(window.redub)
    assert "No voice" in window.message.get()
    window.voice.set(os.path.abspath("paint"))
    _click(window.root, "Re-dub")
    (clip,) = _wait_for_takes(window, host, 1)
    assert (clip.start, clip.stop) == (86440, 86470)
    window.root.update()
    rows = window.listing.winfo_children()
    window._session.on_change()  # as with every step that a job makes
    assert window.listing.winfo_children() == rows  # or clicks would fall between two buttons
    _click(window.root, "Remove")
    assert not [one for one in host.timeline().clips if one.tag]
    file, under = window.list_voices()
    assert (file, under) == (FROM_FILE, "A1 01:00:01:21 paint")
    window.voice_clip.set(under)
    window.handles.set(2)
    _click(window.root, "Re-dub")
    (clip,) = _wait_for_takes(window, host, 1)
    assert (clip.start, clip.stop, clip.source_in) == (86445, 86465, 2)
    window.root.destroy()
    link.close()
    del window
    gc.collect()  # here: Tcl ends the process when another thread, such as Lua's, collects its objects


def _wait_for_takes(window: Any, host: Resolve, count: int) -> list[Any]:
    """Let the window work until so many takes lie on the timeline; return their pictures."""
    deadline = time.monotonic() + 60
    while True:
        window.root.update()
        found = [clip for clip in host.timeline().clips if clip.tag and clip.kind == "picture"]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, window.message.get()


def test_the_window_follows_the_project_and_closes_with_resolve(
    screen: None, client: object, tmp_path: Path
) -> None:
    from editor_plugin.resolve.window import TICKS_BETWEEN_CHECKS, Window

    fake = FakeResolve()
    fake.add_shot(os.path.abspath("a.mov"), 40, 30)
    link = Link([sys.executable, "-E", "-u", "-m", "daemon.bridge"], "resolve")
    host = Resolve(fake)
    window = Window(host, Session(host, link, Journal(tmp_path / "journal.jsonl")))
    fake.project = "another"
    for _ in range(TICKS_BETWEEN_CHECKS):
        window._tick()
    assert window._project == "another"
    fake.quirks.product = ""
    for _ in range(TICKS_BETWEEN_CHECKS):
        window._tick()
    import tkinter

    with pytest.raises(tkinter.TclError):
        window.root.winfo_exists()
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
