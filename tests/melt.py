"""MLT's renderer, as a judge of timelines."""

import subprocess
from collections.abc import Callable


def run_melt(arguments: list[str], *, has_written: Callable[[], bool]) -> None:
    """Run melt, up to three times.

    On a busy machine 7.12 now and then loses its threads and waits for ever, or ends well and has written
    nothing. What it has written is for the caller to judge.
    """
    for patience_s in (60, 120, 120):
        try:
            subprocess.run(["melt", *arguments], capture_output=True, check=True, timeout=patience_s)
        except subprocess.TimeoutExpired:
            continue
        if has_written():
            return
    raise AssertionError("melt wrote nothing, three times")
