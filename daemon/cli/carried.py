"""Says how far files are that go to another machine's daemon, or come from there."""

import time
from pathlib import Path

from daemon.cli.output import say
from daemon.transfer.carrier import Transfer

INTERVAL_S = 2.0


class CarriedDisplay:
    """Prints a line for each file, and for a large one again every few seconds."""

    def __init__(self) -> None:
        self._path = ""
        self._last = 0.0

    def __call__(self, transfer: Transfer) -> None:
        """Print how far a file is, when it is time."""
        now, is_done = time.monotonic(), transfer.done >= transfer.size
        if transfer.path == self._path and now - self._last < INTERVAL_S:
            return
        if is_done and transfer.path != self._path and transfer.is_upload:
            return  # it was there already
        self._path, self._last = transfer.path, now
        word, name = "sending" if transfer.is_upload else "fetching", Path(transfer.path).name
        say(f"  {word} {name} ({transfer.done / max(1, transfer.size):.0%} of {transfer.size / 1e6:.1f} MB)")
