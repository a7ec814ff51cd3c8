"""`docs/cli.md` names every command, every option and every exit status."""

import re
from pathlib import Path

import pytest
import typer

from daemon.cli.app import COMMANDS, GROUPS, app
from daemon.cli.status import ExitStatus

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [*COMMANDS, *(f"{group} {name}" for group in GROUPS for name in GROUPS[group])]
)
def test_every_command_stands_on_the_page(name: str) -> None:
    assert f"`{name}" in PAGE


def test_every_option_stands_on_the_page_and_every_command_has_json() -> None:
    group = typer.main.get_group(app)
    nested = [group.commands[name] for name in GROUPS]
    alone = [command for command in group.commands.values() if command not in nested]
    for command in [*alone, *(command for every in nested for command in every.commands.values())]:
        options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
        assert "--json" in options, command.name
        for option in options:
            assert re.search(rf"{option}\b", PAGE), f"{command.name} {option}"


@pytest.mark.parametrize("status", ExitStatus)
def test_every_exit_status_stands_on_the_page(status: ExitStatus) -> None:
    assert f"| {int(status)} |" in PAGE
