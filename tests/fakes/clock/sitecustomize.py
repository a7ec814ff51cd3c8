"""A clock that can be set under a running process: Python imports this when the folder is on its path.

`time.time` is off by as many seconds as the file DUBWRIGHT_CLOCK says, which is looked at each time. The
monotonic clock stays as it is, as when a person or a time server sets a machine's clock.
"""

import os
import time

_FILE = os.environ.get("DUBWRIGHT_CLOCK", "")
_right_time = time.time


def _set_time() -> float:
    try:
        with open(_FILE, encoding="ascii") as file:
            return _right_time() + float(file.read() or 0)
    except (OSError, ValueError):
        return _right_time()


if _FILE:
    time.time = _set_time
