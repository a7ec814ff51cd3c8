"""What the scripts in Resolve's menu call: open our window, or run the self-test."""

from __future__ import annotations

from typing import Any

from ..shared.actions import Session
from ..shared.journal import Journal
from ..shared.link import Link
from ..shared.problems import PluginError
from ..shared.record import data_folder, find_interpreter, journal_file
from . import self_test
from .adapter import Resolve

HOST = "resolve"


def open_window(resolve: Any) -> None:
    """Open the window and stay until it is closed; print why not to Resolve's console."""
    link: Link | None = None
    try:
        host = Resolve(resolve)
        link = Link([find_interpreter(), "-E", "-u", "-m", "daemon.bridge"], HOST)
        _window(host, Session(host, link, Journal(journal_file(HOST)))).run()
    except PluginError as error:
        print(f"Dubwright: {error}")
    finally:
        if link is not None:
            link.close()


def run_self_test(resolve: Any) -> None:
    """Run the self-test and print where its report lies."""
    report_file = data_folder() / "editors" / "resolve-self-test.json"
    report = self_test.run(resolve, report_file)
    print("\n".join(self_test.describe(report)))
    print(f"The report is {report_file}, for people {report_file.with_suffix('.txt')}.")


def _window(host: Resolve, session: Session) -> Any:
    try:
        from .window import Window
    except ImportError as error:
        raise PluginError(
            "window.none",
            "The Python that runs this has no tkinter.",
            "Use python.org's Python, or install python3-tk; or `dubwright timeline` with an exported OTIO.",
        ) from error
    return Window(host, session)
