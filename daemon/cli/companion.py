"""The command that opens the companion app: app."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.output import JsonOption, print_error
from daemon.cli.status import ExitStatus
from daemon.protocol.errors import ErrorInfo


def app(
    project: Annotated[
        Path | None, typer.Argument(metavar="PROJECT", help="A .dubwright file; otherwise the last one.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Open the companion app, and wait until its window is closed."""
    if importlib.util.find_spec("PySide6") is None:
        error = ErrorInfo(
            code="app.unavailable",
            message="The companion app needs Qt, which is not installed.",
            hint="Install the extra: pip install 'dubwright[app]'.",
        )
        print_error(error, as_json=as_json)
        return ExitStatus.REQUEST
    command = [sys.executable, "-m", "gui"]
    return subprocess.call(command if project is None else [*command, str(project.absolute())])


COMMANDS = {"app": app}
