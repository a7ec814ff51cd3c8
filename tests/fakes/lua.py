"""A real Lua that runs Resolve's Lua script over the fake Resolve, whose objects are userdata there."""

import importlib
import threading
import time
from pathlib import Path
from typing import Any

from editor_plugin.resolve.exchange import Exchange, Remote
from tests.fakes.resolve import FakeResolve

LUAS = ("lua51", "luajit21")


class Userdata:
    """An object of the fake's, as Lua sees Resolve's: a handle with methods."""

    def __init__(self, side: "LuaSide", thing: Any) -> None:
        self._side, self._thing = side, thing

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._thing, name)
        if not callable(method):
            return None
        return lambda _self, *arguments: self._side.to_lua(
            method(*(self._side.from_lua(one) for one in arguments))
        )


class LuaSide:
    """One Lua with `resolve` and `bmd`, running `menu.lua`."""

    def __init__(self, name: str, fake: FakeResolve) -> None:
        runtime = importlib.import_module(f"lupa.{name}").LuaRuntime(unpack_returned_tuples=False)
        self._runtime = runtime
        runtime.globals().resolve = Userdata(self, fake)
        runtime.globals().bmd = runtime.table_from({"wait": time.sleep})
        self.said: list[str] = []
        runtime.globals().print = self.said.append

    def run(self, script: str) -> None:
        """Run a script to its end."""
        self._runtime.execute(script)

    def serve(self, script: str, folder: Path) -> None:
        """Run it for a window that is not started: its process is a pipe that holds the folder's name."""
        stand_in = """
            return function(folder)
                io.popen = function() return {
                    read = function() return folder end,
                    lines = function() return function() return nil end end,
                    close = function() end,
                } end
            end"""
        self._runtime.execute(stand_in)(str(folder))
        self.run(script)

    def to_lua(self, value: Any) -> Any:
        """Return what Lua gets of a Python value."""
        if isinstance(value, dict):
            return self._runtime.table_from({name: self.to_lua(one) for name, one in value.items()})
        if isinstance(value, (list, tuple)):
            return self._runtime.table_from([self.to_lua(one) for one in value])
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        return Userdata(self, value)

    def from_lua(self, value: Any) -> Any:
        """Return what the fake gets of a Lua value."""
        if isinstance(value, Userdata):
            return value._thing
        if hasattr(value, "items"):
            pairs = {name: self.from_lua(one) for name, one in value.items()}
            return list(pairs.values()) if pairs and all(type(name) is int for name in pairs) else pairs
        return int(value) if isinstance(value, float) and value.is_integer() else value


class Served:
    """A fake Resolve that is reached through Lua and a folder."""

    def __init__(self, name: str, fake: FakeResolve, script: str, folder: Path) -> None:
        self._exchange = Exchange(folder)
        self.side = LuaSide(name, fake)
        self._thread = threading.Thread(target=self.side.serve, args=(script, folder), daemon=True)
        self._thread.start()

    @property
    def resolve(self) -> Remote:
        """Return Resolve, as the adapter sees it."""
        return self._exchange.resolve

    def close(self) -> None:
        """Have Lua end, and wait for it."""
        self._exchange.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
