"""Reads the machine in a thread of its own: a driver or a desktop that answers slowly delays nobody."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection

import psutil

from daemon.machine.gpu import Gpus
from daemon.machine.idle import idle_seconds
from daemon.protocol.night import GpuInfo
from daemon.schedule.sharing import Readings

log = logging.getLogger(__name__)

OFTEN_S = 3.0
"""Between two readings while somebody looks or work depends on them."""

SELDOM_S = 60.0

WANTED_S = 60.0
"""Somebody looks who asked within this time."""

RENDER_PERCENT = 100.0
"""Of one core: a program that renders keeps more than one busy; one that waits for its user does not."""

RENDERERS = (
    "aerender", "afterfx", "adobe media encoder", "blender", "compressor", "ffmpeg", "handbrakecli",
    "kdenlive_render", "melt", "nuke", "resolve",
)  # fmt: skip
"""Programs that render, by the beginning of their name, in lower case."""


class Sensors:
    """The machine's latest readings. `ours`: the ids of our own processes, asked for at each reading."""

    def __init__(self, ours: Callable[[], Collection[int]]) -> None:
        self.programs: Collection[str] = ()  # more names of programs that render
        self.asks_idle = False  # whether anybody wants to know if somebody uses mouse and keyboard
        self._ours = ours
        self._gpus = Gpus()
        self._latest = Readings()
        self._wanted_until = 0.0
        self._wake = threading.Event()
        self._is_stopped = False
        self._busy_s: dict[int, tuple[float, float]] = {}  # of each renderer: processor time, and when
        self._thread = threading.Thread(target=self._run, name="sensors", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; a call into a driver that hangs is left behind."""
        self._is_stopped = True
        self._wake.set()

    def readings(self) -> Readings:
        """Return the latest readings, and read often for a while."""
        now = time.monotonic()
        if now > self._wanted_until:
            self._wake.set()
        self._wanted_until = now + WANTED_S
        return self._latest

    def gpus(self) -> list[GpuInfo]:
        """Return the GPUs as they were a moment ago, and read often for a while."""
        return list(self.readings().gpus)

    def read(self) -> Readings:
        """Read everything now."""
        ours = set(self._ours()) | {os.getpid()}
        gpus = self._gpus.read(ours)
        limits = {gpu.index: limit for gpu in gpus if (limit := self._gpus.limit(gpu.index)) is not None}
        power = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        return Readings(
            gpus=gpus,
            heat_limits=limits,
            rendering=self._rendering(ours),
            idle_s=idle_seconds() if self.asks_idle else None,
            on_battery=None if power is None else not power.power_plugged,
        )

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._latest = self.read()
            except Exception:
                log.exception("The machine could not be read.")
            is_wanted = time.monotonic() < self._wanted_until
            self._wake.wait(OFTEN_S if is_wanted else SELDOM_S)
            self._wake.clear()

    def _rendering(self, ours: Collection[int]) -> list[str]:
        """Return the programs that have kept more than one core busy since the last reading."""
        names = (*RENDERERS, *(name.lower() for name in self.programs))
        before, self._busy_s = self._busy_s, {}
        found = []
        for process in psutil.process_iter(["name"]):
            name = process.info["name"] or ""
            if process.pid in ours or not name.lower().startswith(names):
                continue
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            now, spent = time.monotonic(), times.user + times.system
            self._busy_s[process.pid] = spent, now
            if process.pid in before:
                spent_before, then = before[process.pid]
                if 100 * (spent - spent_before) > RENDER_PERCENT * (now - then):
                    found.append(name)
        return sorted(set(found))
