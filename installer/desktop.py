"""What makes Dubwright an application of the desktop: commands, a menu entry with its icon, completion."""

import plistlib
from collections.abc import Iterator
from pathlib import Path, PurePath

from installer.files import PlaceFile, PlaceShortcut
from installer.machine import Machine
from installer.places import HOME_VARIABLE
from installer.record import Record
from installer.steps import Placed

ICON = Path(__file__).with_name("icon.svg")
EXECUTABLE = 0o755
COMMANDS = ("dubwright", "dubwright-app")


def launcher_folder(machine: Machine) -> PurePath:
    """Return where commands are put: on the PATH of most Linux systems, under our own folder on Windows."""
    if machine.system == "win32" or machine.moved:
        return machine.data / "bin"
    return machine.home / ".local" / "bin"


def launcher(machine: Machine, name: str) -> PurePath:
    """Return the file of a command."""
    return launcher_folder(machine) / (f"{name}.cmd" if machine.system == "win32" else name)


def launchers(
    record: Record, machine: Machine, programs: PurePath, names: tuple[str, ...]
) -> Iterator[Placed]:
    """Return a step for each command."""
    for name in names:
        text = _launcher_text(machine, programs / name)
        yield PlaceFile(
            record, f"Placing the command {name}", launcher(machine, name), lambda text=text: text, EXECUTABLE
        )


def _launcher_text(machine: Machine, program: PurePath) -> bytes:
    home = machine.moved
    if machine.system == "win32":
        variable = f'@if not defined {HOME_VARIABLE} set "{HOME_VARIABLE}={home}"\r\n' if home else ""
        return f'{variable}@"{program}.exe" %*\r\n'.encode()
    variable = f': "${{{HOME_VARIABLE}:={_shell(home)}}}"; export {HOME_VARIABLE}\n' if home else ""
    return f'#!/bin/sh\n{variable}exec "{_shell(program)}" "$@"\n'.encode()


def _shell(path: PurePath) -> str:
    """Escape for double quotes in a shell."""
    text = str(path)
    for sign in '\\"$`':
        text = text.replace(sign, "\\" + sign)
    return text


def menu_entry(record: Record, machine: Machine) -> Iterator[Placed]:
    """Return the steps to an entry that starts the app."""
    program = launcher(machine, "dubwright-app")
    if machine.system == "win32":
        path = machine.start_menu / "Dubwright.lnk"
        yield PlaceShortcut(record, "Placing the entry in the Start menu", path, program)
    elif machine.system == "darwin":
        contents = machine.home / "Applications" / "Dubwright.app" / "Contents"
        script = f'#!/bin/sh\nexec "{_shell(program)}" "$@"\n'.encode()
        plist = plistlib.dumps(
            {
                "CFBundleName": "Dubwright",
                "CFBundleIdentifier": "dubwright.app",
                "CFBundleExecutable": "Dubwright",
                "CFBundlePackageType": "APPL",
            }
        )
        yield PlaceFile(record, "Placing the application", contents / "Info.plist", lambda: plist)
        yield PlaceFile(
            record,
            "Placing the application's program",
            contents / "MacOS" / "Dubwright",
            lambda: script,
            EXECUTABLE,
        )
    else:
        icons = machine.shared / "icons" / "hicolor" / "scalable" / "apps"
        entry = machine.shared / "applications" / "dubwright.desktop"
        yield PlaceFile(record, "Placing the icon", icons / "dubwright.svg", ICON.read_bytes)
        yield PlaceFile(record, "Placing the menu entry", entry, lambda: _desktop_entry(program))


def _desktop_entry(program: PurePath) -> bytes:
    quoted = str(program)
    for sign in '\\"`$':
        quoted = quoted.replace(sign, "\\\\" + sign)
    return (
        "[Desktop Entry]\nType=Application\nVersion=1.5\nName=Dubwright\n"
        "Comment=The same shot, the lips speaking a new voice\n"
        f'Exec="{quoted.replace("%", "%%")}"\nIcon=dubwright\nTerminal=false\n'
        "Categories=AudioVideo;Video;AudioVideoEditing;\nStartupWMClass=dubwright\n"
    ).encode()


COMPLETIONS = {
    "bash": lambda machine: machine.shared / "bash-completion" / "completions" / "dubwright",
    "zsh": lambda machine: machine.shared / "zsh" / "site-functions" / "_dubwright",
    "fish": lambda machine: machine.settings / "fish" / "completions" / "dubwright.fish",
}


def completions(record: Record, machine: Machine, stage: Path) -> Iterator[Placed]:
    """Return a step for each shell that is here; what they place was staged by the command itself."""
    if machine.system == "win32" or machine.moved:
        return  # PowerShell has no folder that it reads; a moved home leaves the user's own alone
    for shell in machine.shells:
        staged = stage / f"completion.{shell}"
        yield PlaceFile(
            record, f"Placing completion for {shell}", COMPLETIONS[shell](machine), staged.read_bytes
        )
