"""The installer for real, in a scratch home: killed again and again, updated, damaged, repaired, taken away.

The packages are those of this environment, used in place (`--packages-from`): nothing is downloaded.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.connection import is_locked
from installer.places import CLONE
from installer.version import PACKAGES, PAGES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the folders looked at are those of Linux"),
]

HOME_VARIABLES = (
    "DUBWRIGHT_HOME", "DUBWRIGHT_FACE_MODELS", "VIRTUAL_ENV", "PYTHONPATH",
    "DBUS_SESSION_BUS_ADDRESS",  # with XDG_RUNTIME_DIR the way to the systemd of whoever runs this
)  # fmt: skip
KILLS = 3


@dataclass(frozen=True)
class Scratch:
    """A home that was empty but for a few files of its user's, and a copy of the clone to install from."""

    home: Path
    clone: Path

    @property
    def data(self) -> Path:
        """The folder of the installation."""
        return self.home / ".local" / "share" / "dubwright"

    @property
    def choices(self) -> tuple[str, ...]:
        """What the user chose."""
        return "--packages-from", str(self.home.parent / "packages"), "--without", "engine"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a user who has just logged in."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in HOME_VARIABLES and not name.startswith("XDG_")
        }
        elsewhere = str(self.home.parent / "elsewhere")  # pip asks rustc for its version, which writes there
        return {**kept, "HOME": str(self.home), "RUSTUP_HOME": elsewhere, "PIP_NO_INDEX": "1"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installer to its end."""
        command = [sys.executable, str(self.clone / "installer"), *arguments]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)

    def run_and_kill(self, *arguments: str, at: str, after_s: float) -> bool:
        """Run the installer and kill it, with all it started, after it says `at`; False if it ended."""
        command = [sys.executable, str(self.clone / "installer"), *arguments]
        with subprocess.Popen(
            command, env=self.variables, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if at in line:
                    break
            else:
                return False
            try:
                process.wait(timeout=after_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return True
        return False

    def dubwright(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        command = [str(self.home / ".local" / "bin" / "dubwright"), *arguments]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)

    def versions(self) -> list[str]:
        """Return the versions that are here."""
        return sorted(path.name for path in (self.data / "versions").iterdir())

    def record(self) -> dict:
        """Return the record."""
        return json.loads((self.data / "installation.json").read_text(encoding="utf-8"))


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return every file below a folder with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def make_scratch(folder: Path, face_models: Path) -> Scratch:
    """Make a home with a Blender, a Resolve script of that name already, and models; and a clone."""
    scratch = Scratch(folder / "home with space", folder / "clone")
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(("torch", "dubwright", "__editable__")):
            (packages / path.name).symlink_to(path)
    models = scratch.data / "models" / "faces"
    shutil.copytree(face_models, models)
    (scratch.home / ".config" / "blender" / "4.5").mkdir(parents=True)
    utility = scratch.home / ".local/share/DaVinciResolve/Fusion/Scripts/Utility"
    utility.mkdir(parents=True)
    (utility / "Dubwright.py").write_text("# somebody's own\n", encoding="utf-8")
    (scratch.home / "notes.txt").write_text("mine\n", encoding="utf-8")
    for package in PACKAGES:
        shutil.copytree(
            CLONE / package, scratch.clone / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for page in PAGES:
        shutil.copyfile(CLONE / page, scratch.clone / page)
    return scratch


@pytest.fixture(scope="module")
def before() -> dict[str, bytes | None]:
    """What the home held before; filled when it is made."""
    return {}


@pytest.fixture(scope="module")
def scratch(
    tmp_path_factory: pytest.TempPathFactory, face_models: Path, before: dict[str, bytes | None]
) -> Iterator[Scratch]:
    """Install, killed at several moments on the way; every run goes on where the last one was."""
    scratch = make_scratch(tmp_path_factory.mktemp("install"), face_models)
    before.update(contents(scratch.home))
    chance = random.Random()
    titles = ["Copying", "Making an environment", "Installing the packages", "Installing Dubwright's",
              "Making plugins", "Having the doctor", "Placing the command", "Placing the scripts",
              "Starting the service"]  # fmt: skip
    moments = sorted(chance.sample(range(len(titles)), KILLS))
    killed = [
        scratch.run_and_kill("install", *scratch.choices, at=titles[moment], after_s=chance.uniform(0, 0.3))
        for moment in moments
    ]
    run = scratch.run("install", *scratch.choices)
    assert run.returncode == 0, f"killed at {[titles[moment] for moment in moments]} {killed}: {run.stderr}"
    yield scratch
    if (scratch.home / ".local/bin/dubwright").exists():
        scratch.dubwright("daemon", "stop")


def test_a_killed_installation_goes_on_to_a_whole_one(scratch: Scratch) -> None:
    assert not (scratch.data / "incomplete").exists()
    assert scratch.versions() == [scratch.record()["version"]]
    found = scratch.dubwright("doctor", "--json")
    findings = {item["name"]: item for item in json.loads(found.stdout)["findings"]}
    assert [item for item in findings.values() if item["state"] == "broken"] == []
    assert findings["installation"]["detail"] == f"version {scratch.versions()[0]}"
    assert findings["Blender 4.5"]["state"] == findings["DaVinci Resolve"]["state"] == "ok"


def test_installing_again_changes_nothing(scratch: Scratch) -> None:
    plan = scratch.run("install", *scratch.choices, "--dry-run")
    states = [line.split()[0] for line in plan.stdout.splitlines()[1:]]
    assert states == ["done"] * (len(states) - 1) + ["to"], plan.stdout  # the service is started anew
    assert "Starting the service" in plan.stdout.splitlines()[-1]


def test_the_service_serves_and_stops(scratch: Scratch) -> None:
    unit = (scratch.home / ".config/systemd/user/dubwright.service").read_text(encoding="utf-8")
    lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    python, module, name = lines["ExecStart"].rpartition('"')[0].strip('"'), *lines["ExecStart"].split()[-2:]
    with subprocess.Popen(
        [python, module, name], cwd=lines["WorkingDirectory"], env=scratch.variables, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        assert "endpoint" in json.loads(service.stdout.readline())
        status = json.loads(scratch.dubwright("daemon", "status", "--json").stdout)
        assert status["server_pid"] == service.pid
        service.terminate()  # as systemd does
        assert service.wait() == 0
    assert not is_locked(scratch.data / "daemon.lock")


def test_an_update_that_fails_its_doctor_leaves_the_version_that_works(scratch: Scratch) -> None:
    old = scratch.versions()
    shot = scratch.clone / "daemon" / "demo" / "shot.mov"
    whole = shot.read_bytes()
    shot.write_bytes(whole[:1000])
    record = scratch.record()
    try:
        run = scratch.run("update")
    finally:
        shot.write_bytes(whole)
    assert run.returncode == 4
    assert "The version in use stays" in run.stderr
    assert scratch.versions() == old
    assert scratch.record() == record
    assert not (scratch.data / "incomplete").exists()
    assert scratch.dubwright("models", "list", "--json").returncode == 0


def test_an_update_takes_the_place_of_the_version_before(scratch: Scratch) -> None:
    old = scratch.versions()
    page = scratch.clone / "README.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nNewer.\n", encoding="utf-8")
    run = scratch.run("update")
    assert run.returncode == 0, run.stderr
    (new,) = scratch.versions()
    assert [new] != old
    assert new in (scratch.home / ".local/bin/dubwright").read_text(encoding="utf-8")
    assert new in (scratch.data / "editors.json").read_text(encoding="utf-8")


def test_repair_makes_whole_what_was_damaged(scratch: Scratch) -> None:
    version = scratch.data / "versions" / scratch.versions()[0]
    (version / "source" / "daemon" / "client.py").unlink()
    (version / "environment" / "bin" / "dubwright").unlink()
    (scratch.home / ".local/bin/dubwright").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    found = scratch.run("doctor", "--json")
    assert found.returncode == 4
    assert {"version", "installation"} <= {
        item["name"] for item in json.loads(found.stdout)["findings"] if item["state"] == "broken"
    }
    run = scratch.run("repair")
    assert run.returncode == 0, run.stderr
    assert scratch.dubwright("models", "list").returncode == 0


def test_uninstalling_leaves_the_home_as_it_was(scratch: Scratch, before: dict[str, bytes | None]) -> None:
    plan = scratch.run("uninstall", "--dry-run").stdout
    assert "Put back" in plan
    assert scratch.run("uninstall").returncode == 0
    after = contents(scratch.home)
    queue = {name for name in after if "dubwright/queue." in name}  # a project: the daemon has made it
    assert {name: data for name, data in after.items() if name not in queue} == before
    assert scratch.run("uninstall", "--models", "--projects").returncode == 0
    assert not scratch.data.exists()


def test_a_killed_installation_can_be_taken_away(tmp_path: Path, face_models: Path) -> None:
    scratch = make_scratch(tmp_path, face_models)
    before = contents(scratch.home)
    assert scratch.run_and_kill("install", *scratch.choices, at="Making an environment", after_s=0.2)
    found = scratch.run("doctor")
    assert found.returncode == 4
    assert "--without engine` again" in found.stdout
    assert scratch.run("uninstall").returncode == 0
    assert contents(scratch.home) == before
