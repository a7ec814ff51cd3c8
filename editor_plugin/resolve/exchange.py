"""Resolve's objects reached through a folder, where only Lua can talk to Resolve (`menu.lua`).

We write `call-N.json`, Lua does it and writes `answer-N.json`; each is renamed into place whole. The adapter
sees objects like Resolve's own. Reading a track is one call: items come with what the adapter asks of each.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..shared.problems import PluginError
from ..shared.record import data_folder

ANSWER_S = 20.0
LOOK_S = 0.002
MAPS = ("GetMarkers", "GetMarkInOut", "GetTakeByIndex")  # what Lua calls a table is a list elsewhere
ASKED = ("GetSelectedClips", "GetMarkInOut", "AddTake", "GetSourceStartFrame")
"""The methods that some Resolves do not have."""


class Exchange:
    """The folder, and the numbers of the objects on the other side. Use it from one thread."""

    def __init__(self, folder: Path, timeout_s: float = ANSWER_S) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._number = 0
        self.dropped: list[int] = []

    @property
    def resolve(self) -> Remote:
        """Return Resolve itself."""
        return Remote(self, 0)

    def call(self, number: int, method: str, arguments: Sequence[Any]) -> Any:
        """Have a method of object `number` called. Raises PluginError `host.none`, `host.refused`."""
        freed, self.dropped = self.dropped, []
        answer = self._send(
            {
                "object": {"$": number},
                "method": method,
                "arguments": [_outgoing(one) for one in arguments],
                "count": len(arguments),
                "free": freed,
            }
        )
        if "error" in answer:
            raise PluginError("host.refused", f"Resolve did not do {method}.", "", str(answer["error"]))
        return self._incoming(answer.get("value"), is_map=method in MAPS)

    def close(self) -> None:
        """Have Lua end."""
        self._write({"method": "bye"})

    def _send(self, call: dict[str, Any]) -> dict[str, Any]:
        self._write(call)
        path = self._folder / f"answer-{self._number}.json"
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                time.sleep(LOOK_S)
                continue
            path.unlink()
            return json.loads(text)
        hint = "Start Dubwright again from Workspace > Scripts."
        raise PluginError("host.none", "DaVinci Resolve does not answer.", hint)

    def _write(self, call: dict[str, Any]) -> None:
        if self._number:
            (self._folder / f"call-{self._number}.json").unlink(missing_ok=True)
        self._number += 1
        path = self._folder / f"call-{self._number}.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(call, ensure_ascii=False), encoding="utf-8")
        os.replace(str(draft), str(path))

    def _incoming(self, value: Any, *, is_map: bool = False) -> Any:
        if not isinstance(value, dict):
            return value
        if "$" in value:
            return Remote(self, value["$"])
        if "items" in value:
            return [self._known(item, facts) for item, facts in value["items"]]
        pairs = [(name, self._incoming(one, is_map=is_map)) for name, one in value["table"]]
        return dict(pairs) if is_map else [one for _, one in sorted(pairs, key=lambda pair: pair[0])]

    def _known(self, item: dict[str, int], facts: list[Any]) -> Remote:
        """Return an object of which some answers are known already."""
        made = Remote(self, item["$"])
        for name, arguments, value, *inner in facts:
            found = self._known(value, inner[0]) if inner else self._incoming(value)
            made.known[name, tuple(arguments)] = found
        return made


class Remote:
    """An object of Resolve's on the other side."""

    def __init__(self, exchange: Exchange, number: int) -> None:
        self._exchange = exchange
        self.number = number
        self.known: dict[tuple[str, tuple[Any, ...]], Any] = {}

    def __getattr__(self, name: str) -> Any:
        if not name[0].isupper():
            raise AttributeError(name)
        return lambda *arguments: self._call(name, arguments)

    def __dir__(self) -> list[str]:
        return self._exchange.call(self.number, "dir", ASKED)

    def __del__(self) -> None:
        if self.number:
            self._exchange.dropped.append(self.number)

    def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        key = (name, arguments) if self.known else None
        if key is not None and key in self.known:
            return self.known[key]
        return self._exchange.call(self.number, name, arguments)


def _outgoing(value: Any) -> Any:
    if isinstance(value, Remote):
        return {"$": value.number}
    if isinstance(value, dict):
        return {name: _outgoing(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_outgoing(one) for one in value]
    return value


def main(arguments: list[str]) -> int:
    """Make a folder, tell Lua on the first line, and open the window (or run the self-test)."""
    from . import menu

    parent = data_folder() / "editors"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="resolve-", dir=str(parent)))
    print(folder, flush=True)
    exchange = Exchange(folder)
    try:
        if arguments == ["self-test"]:
            menu.run_self_test(exchange.resolve)
        else:
            menu.open_window(exchange.resolve)
    finally:
        exchange.close()
        time.sleep(1.0)  # Lua reads the last call before the folder goes
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
