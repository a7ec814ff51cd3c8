"""The command line as a whole: its commands, and what becomes of errors and of Ctrl-C."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import daemon
from daemon.cli import (
    align,
    companion,
    doctor,
    generate,
    jobs,
    models,
    night,
    pair,
    redub,
    service,
    takes,
    timeline,
    wan,
)
from daemon.cli.output import is_json, print_error, print_line
from daemon.cli.status import ExitStatus
from daemon.pairing.hosts import VARIABLE
from daemon.protocol.errors import DubwrightError, ErrorInfo


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print_line(f"dubwright {daemon.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="dubwright",
    help="Re-dub dialogue: the same shot, the lips speaking a new voice.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = {
    **redub.COMMANDS,
    **align.COMMANDS,
    **timeline.COMMANDS,
    **generate.COMMANDS,
    **wan.COMMANDS,
    **jobs.COMMANDS,
    **night.COMMANDS,
    **takes.COMMANDS,
    **companion.COMMANDS,
    **doctor.COMMANDS,
}
GROUPS = {
    "daemon": ("start", "stop", "status"),
    "pair": ("invite", "join", "add", "list", "revoke", "leave", "map"),
    "models": ("list", "get", "import", "verify", "remove", "pack", "unpack"),
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(service.app, name="daemon")
app.add_typer(models.app, name="models")
app.add_typer(pair.app, name="pair")


@app.callback()
def choose_daemon(
    on: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The daemon to use, of `dubwright pair list`; `local` is this one's."
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version)] = False,
) -> None:
    """Re-dub dialogue: the same shot, the lips speaking a new voice."""
    if on is not None:
        os.environ[VARIABLE] = on


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    chosen_before = os.environ.get(VARIABLE)
    try:
        return _run(_with_choice_first(arguments))
    finally:
        if chosen_before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = chosen_before


def _with_choice_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `--on NAME` before the command, wherever it was typed."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        if word == "--on" or word.startswith("--on="):
            length = 2 if word == "--on" else 1
            return [*words[at : at + length], *words[:at], *words[at + length :]]
    return words


def _run(arguments: Sequence[str]) -> int:
    as_json = is_json(arguments)
    is_bare = list(arguments) in ([], *([group] for group in GROUPS))  # a group alone shows its help
    try:
        status = app(
            [*arguments, "--help"] if is_bare else list(arguments),
            prog_name="dubwright",
            standalone_mode=False,
        )
    except DubwrightError as error:
        print_error(error.to_info(), as_json=as_json)
        return error.exit_status
    except TyperException as error:
        return _report_usage(error, arguments, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        return ExitStatus.OK  # whoever read our output has seen enough
    return int(status or 0)


def _report_usage(error: TyperException, arguments: Sequence[str], *, as_json: bool) -> int:
    """Say what is wrong with what was typed."""
    hint = f"See `{' '.join(['dubwright', *_command_of(arguments)])} --help`."
    message = error.format_message().rstrip(".")
    print_error(ErrorInfo(code="usage", message=f"{message}.", hint=hint), as_json=as_json)
    return ExitStatus.REQUEST


def _command_of(arguments: Sequence[str]) -> list[str]:
    """Return the words that name a command we have."""
    words = list(arguments[:2])
    if words[:1] and words[0] in GROUPS:
        return words if words[1:] and words[1] in GROUPS[words[0]] else words[:1]
    return words[:1] if words[:1] and words[0] in COMMANDS else []
