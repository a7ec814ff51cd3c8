"""Measures how long the app keeps the window's thread: the processor time of each call into its own code.

A call is what Qt makes of one event: a slot, a handler, a paint. Every function of every class in `gui` is
wrapped while it is measured; the outermost one on the window's thread is the call. Time is what this thread
computed (`time.thread_time`), so a busy machine that lets it wait does not count.
"""

import functools
import importlib
import inspect
import pkgutil
import threading
import time
from collections.abc import Callable
from typing import Any

import gui

LIMIT_MS = 8.0


class UiClock:
    """The longest call of each function, in milliseconds."""

    def __init__(self) -> None:
        self.longest_ms: dict[str, float] = {}
        self.is_on = False
        self._is_inside = False
        self._thread = threading.get_ident()

    def over(self, limit_ms: float = LIMIT_MS) -> dict[str, float]:
        """Return the functions that took longer than the limit, and how long."""
        return {name: round(took, 1) for name, took in self.longest_ms.items() if took > limit_ms}

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is measured when it is the outermost one."""

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            if not self.is_on or self._is_inside or threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._is_inside = True
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = (time.thread_time() - began) * 1000
                self._is_inside = False
                self.longest_ms[name] = max(took, self.longest_ms.get(name, 0.0))

        return measured


def ui_clock() -> UiClock:
    """Wrap the app's functions for good, so in a process of its own; make the app inside."""
    clock = UiClock()
    for kind in _classes():
        for name, member in list(vars(kind).items()):
            if inspect.isfunction(member) and name not in ("__init__", "__new__"):
                setattr(kind, name, clock.wrap(f"{kind.__name__}.{name}", member))
    return clock


def _classes() -> set[type]:
    found: set[type] = set()
    for module in pkgutil.walk_packages(gui.__path__, "gui."):
        if not module.name.endswith("__main__"):
            inside = importlib.import_module(module.name)
            found |= {
                kind
                for kind in vars(inside).values()
                if inspect.isclass(kind) and kind.__module__ == module.name and not _is_plain(kind)
            }
    return found


def _is_plain(kind: type) -> bool:
    """Whether a class only holds data: its methods are never called by Qt."""
    return not any(base.__module__.startswith("PySide6") for base in kind.__mro__)
