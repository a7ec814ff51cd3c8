"""What would be done on each system, as text: a change of it is a change that a reader of the diff can see.

`DUBWRIGHT_WRITE_PLANS=1 pytest tests/unit/installer/test_plans.py` writes the texts anew.
"""

import os
import plistlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from installer import service
from installer.findings import as_text, look
from installer.installation import PARTS, Choices, Installation, describe
from installer.machine import Gpu, Machine
from installer.places import CLONE
from installer.record import Record
from installer.steps import InstallPackages

PLANS = Path(__file__).parent / "plans"
CARD = Gpu("NVIDIA GeForce RTX 4090", "550.54", 24 * 2**30)
MACHINES = {
    "linux": Machine("linux", PurePosixPath("/home/editor"), {}, CARD, ("bash", "zsh", "fish"), ("4.5",)),
    "darwin": Machine("darwin", PurePosixPath("/Users/editor"), {}, None, ("bash", "zsh"), ("4.5", "5.0")),
    "win32": Machine(
        "win32",
        PureWindowsPath("C:/Users/Editor"),
        {"LOCALAPPDATA": r"C:\Users\Editor\AppData\Local", "APPDATA": r"C:\Users\Editor\AppData\Roaming"},
        CARD,
        (),
        ("4.2",),
    ),
}


def installation_on(machine: Machine, *without: str) -> Installation:
    return Installation(machine, CLONE, Choices(frozenset(without)), Record(Path(machine.data)))


def plan_of(machine: Machine) -> str:
    """Return the plan, with the version's name and the separators of the machine that runs this taken out."""
    installation = installation_on(machine)
    build = "\n".join(describe(installation.build_steps()))
    if machine.system == "win32":
        build = build.replace("/", "\\").replace("\\\\", "\\").replace("\\bin", "\\Scripts")
    place = "\n".join(describe(installation.place_steps()))
    place = re.sub(r"gui/\d+", "gui/USER", place)
    text = f"To make the version\n{build}\n\nTo put it to use\n{place}\n\nThe service\n{service_of(machine)}"
    return text.replace(installation.version, "VERSION") + "\n"


def service_of(machine: Machine) -> str:
    folder = machine.data / "versions" / "VERSION"
    windows = machine.system == "win32"
    python = folder / "environment" / ("Scripts/python.exe" if windows else "bin/python")
    text = service.service_text(machine, python, folder / "source")
    return text.decode("utf-16" if windows else "utf-8").strip()


@pytest.mark.skipif(os.name == "nt", reason="paths of other systems are shown with this one's separators")
@pytest.mark.parametrize("system", list(MACHINES))
def test_the_plan_for_each_system_is_as_written(system: str) -> None:
    found = plan_of(MACHINES[system])
    if os.environ.get("DUBWRIGHT_WRITE_PLANS"):
        (PLANS / f"{system}.txt").write_text(found, encoding="utf-8")
    assert found == (PLANS / f"{system}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_nothing_is_placed_outside_the_users_own_folders(machine: Machine) -> None:
    for step in installation_on(machine, "editors").place_steps():
        for path in step.paths:
            assert machine.home in path.parents


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_a_moved_home_keeps_all_but_what_others_read(machine: Machine) -> None:
    root = machine.home / "elsewhere"
    moved = Machine(machine.system, machine.home, {**machine.variables, "DUBWRIGHT_HOME": str(root)})
    for folder in (moved.data, moved.config, moved.cache, moved.logs, moved.models):
        assert root in folder.parents
    assert str(root) in service_of(moved) or machine.system == "win32"


@pytest.mark.parametrize("part", list(PARTS))
def test_a_part_that_is_left_out_is_not_in_the_plan(part: str) -> None:
    def texts(*without: str) -> str:
        installation = installation_on(MACHINES["linux"], *without)
        steps = [*installation.build_steps(), *installation.place_steps()]
        packages = [" ".join(step.requirements) for step in steps if isinstance(step, InstallPackages)]
        return "\n".join([*describe(steps), *packages]).replace(installation.version, "VERSION")

    assert texts(part) != texts()
    assert len(texts(part)) < len(texts()) or part == "completion"


def test_the_launchd_agent_is_a_property_list() -> None:
    document = plistlib.loads(service_of(MACHINES["darwin"]).encode())
    assert document["ProgramArguments"][1:] == ["-m", "daemon"]
    assert document["RunAtLoad"] is True


def test_the_logon_task_is_xml_that_holds_any_path() -> None:
    machine = Machine("win32", PureWindowsPath("C:/Users/R&D <x>"), {})
    text = service.service_text(machine, machine.data / "a" / "python.exe", machine.data / "b").decode(
        "utf-16"
    )
    root = ElementTree.fromstring(text.split("?>", 1)[1])
    command = next(item for item in root.iter() if item.tag.endswith("Command"))
    assert command.text == r"C:\Users\R&D <x>\AppData\Local\dubwright\a\pythonw.exe"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("name", ["plain", "with space 50% $x"])
def test_systemd_finds_nothing_wrong_with_the_unit(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    machine = Machine("linux", PurePosixPath(home), {"DUBWRIGHT_HOME": str(home / "moved")})
    source = home / "source"
    source.mkdir(parents=True)
    python = source / "python"
    python.touch(mode=0o755)
    unit = home / service.UNIT
    unit.write_bytes(service.service_text(machine, PurePath(python), PurePath(source)))
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    run = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "Failed to" in run.stderr and "manager" in run.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {run.stderr.strip()}")
    assert (run.returncode, [line for line in run.stderr.splitlines() if str(unit) in line]) == (0, [])


def test_a_bare_machine_can_be_looked_at(tmp_path: Path) -> None:
    machine = Machine("linux", PurePosixPath(tmp_path), {})
    found = {item.name: item for item in look(machine)}
    assert found["installation"].state == "warning"
    assert found["driver"].state == "warning"
    assert found["disk speed"].detail.endswith("written")
    assert "installation" in as_text(list(found.values()))
    assert list(tmp_path.iterdir()) == []
