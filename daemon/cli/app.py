"""The command line as a whole: its commands, and what becomes of errors and of Ctrl-C."""

from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from daemon.cli import doctor, jobs, redub, service, takes
from daemon.cli.output import is_json, print_error
from daemon.cli.status import ExitStatus
from daemon.protocol.errors import DubwrightError, ErrorInfo

app = typer.Typer(
    name="dubwright",
    help="Re-dub dialogue: the same shot, the lips speaking a new voice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for family in (redub, jobs, takes, doctor):
    for name, command in family.COMMANDS.items():
        app.command(name)(command)
app.add_typer(service.app, name="daemon")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    as_json = is_json(arguments)
    try:
        status = app(list(arguments), prog_name="dubwright", standalone_mode=False)
    except DubwrightError as error:
        print_error(error.to_info(), as_json=as_json)
        return error.exit_status
    except TyperException as error:
        hint = f"See `dubwright {' '.join(_command_of(arguments))} --help`.".replace("  ", " ")
        print_error(ErrorInfo(code="usage", message=error.format_message(), hint=hint), as_json=as_json)
        return ExitStatus.REQUEST
    except (KeyboardInterrupt, typer.Abort):
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        return ExitStatus.OK  # whoever read our output has seen enough
    return int(status or 0)


def _command_of(arguments: Sequence[str]) -> list[str]:
    """Return the words before the first option, those that name a command."""
    words = []
    for word in arguments[:2]:
        if word.startswith("-"):
            break
        words.append(word)
    return words[: 2 if words[:1] == ["daemon"] else 1]
