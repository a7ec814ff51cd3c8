"""When a worker may be started: at once, or some time after starts that failed."""

import time

BACKOFF_S = (0.0, 2.0, 10.0, 30.0, 60.0)  # before the next start, after so many that failed in a row
START_LIMIT = 3  # starts that may fail in a row before a waiting job is told


class Starts:
    """The starts of one role's workers."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0
        self._after = 0.0  # time.monotonic of the next start

    @property
    def is_allowed(self) -> bool:
        """Whether a worker may be started now."""
        return time.monotonic() >= self._after

    @property
    def are_hopeless(self) -> bool:
        """Whether so many failed that a job should not wait for another."""
        return self.failed_in_a_row >= START_LIMIT

    def succeeded(self) -> None:
        """Note that a worker is ready."""
        self.failed_in_a_row = 0

    def failed(self) -> None:
        """Note that a worker did not start."""
        self.failed_in_a_row += 1
        pause_s = BACKOFF_S[min(self.failed_in_a_row, len(BACKOFF_S)) - 1]
        self._after = time.monotonic() + pause_s
