"""The schedule on disk: `schedule.json` in the configuration folder, written by the `schedule` request.

It may be edited by hand while the daemon is stopped. Nothing in it can name a program to run: what a client
may set is when and beside what jobs run. (What runs after a night is in config.toml, which no client writes.)
"""

import msgspec

from daemon.connection import write_private
from daemon.paths import Paths
from daemon.protocol.errors import RequestError
from daemon.protocol.night import ScheduleSettings
from daemon.schedule.windows import check_schedule


def load_schedule(paths: Paths) -> ScheduleSettings:
    """Read the schedule, or the usual one when there is no file. Raises RequestError `schedule.invalid`."""
    try:
        data = paths.schedule_file.read_bytes()
    except FileNotFoundError:
        return ScheduleSettings()
    except OSError as error:
        raise RequestError(
            "schedule.invalid", f"The schedule {paths.schedule_file} cannot be read: {error.strerror}."
        ) from error
    try:
        settings = msgspec.json.decode(data, type=ScheduleSettings)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(
            "schedule.invalid", f"The schedule {paths.schedule_file} is not valid: {error}."
        ) from error
    check_schedule(settings)
    return settings


def save_schedule(paths: Paths, settings: ScheduleSettings) -> None:
    """Check and write the schedule. Raises RequestError `schedule.invalid`, MachineError."""
    check_schedule(settings)
    write_private(paths.schedule_file, msgspec.json.format(msgspec.json.encode(settings)) + b"\n")
