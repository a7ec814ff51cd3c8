"""Options that say when a job runs: --tonight and --deadline."""

import re
import time
from datetime import datetime, timedelta
from datetime import time as clock
from typing import Annotated

import typer

from daemon.protocol.errors import RequestError

TonightOption = Annotated[
    bool, typer.Option("--tonight", help="Keep it until a window of the schedule is open.")
]
DeadlineOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Be done by then: 07:00, or 2026-11-23T07:00.")
]


def deadline_from(text: str | None, *, now: float | None = None) -> float | None:
    """Read a time of day, which is the next one, or a date and time; local, in seconds since the epoch.

    Raises RequestError `job.invalid`.
    """
    if text is None:
        return None
    here = datetime.fromtimestamp(time.time() if now is None else now).astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = (int(part) for part in text.split(":"))
            today = datetime.combine(here.date(), clock(hour, minute))  # naive: as the clocks here will show
            is_past = today.timestamp() <= here.timestamp()
            return (today + timedelta(days=is_past)).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise RequestError(
            "job.invalid", f"`{text}` is no time.", hint="Write 07:00, or 2026-11-23T07:00."
        ) from error
