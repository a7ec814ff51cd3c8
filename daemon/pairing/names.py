"""Names that people give to machines."""

import re

from daemon.protocol.errors import RequestError

LOCAL = "local"
"""The daemon of this home, where a machine's name may stand."""


def check_name(name: str) -> None:
    """Refuse a name that would not read well in a list. Raises RequestError `pair.name`."""
    if name == LOCAL or not re.fullmatch(r"[\w.-]{1,40}", name):
        raise RequestError("pair.name", f"{name!r} cannot be a machine's name.")
