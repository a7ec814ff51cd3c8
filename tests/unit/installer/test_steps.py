"""Steps know whether they are done, go on after an interruption, and do nothing twice."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from installer.commands import main
from installer.environment import Environment
from installer.pip import Pip
from installer.problems import InstallError
from installer.progress import Progress
from installer.steps import InstallPackages, MakeEnvironment, fingerprint, run_steps


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A real environment; making one takes seconds, so the module shares it."""
    environment = Environment(tmp_path_factory.mktemp("made") / "environment")
    run_steps([MakeEnvironment(environment)], quiet())
    return environment


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip see no settings and no registry but a port where nothing listens."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")


def quiet() -> Progress:
    return Progress(io.StringIO())


def make_wheel(folder: Path, *, version: str) -> str:
    """Write the wheel of a package with one module; return its path."""
    info = f"tiny-{version}.dist-info"
    wheel = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return str(wheel)


def test_environment_is_made_once(made: Environment) -> None:
    assert made.python.exists()
    assert run_steps([MakeEnvironment(made)], quiet()) == 0
    assert made.interrupted_step() is None


def test_environment_of_another_python_is_made_anew(made: Environment) -> None:
    record = made.fingerprint_of("environment")
    made.finish("environment", "of another Python")
    assert not MakeEnvironment(made).is_done()
    assert record is not None
    made.finish("environment", record)


def test_packages_are_installed_once_and_again_when_they_change(made: Environment, tmp_path: Path) -> None:
    first = InstallPackages(made, "packages", "Packages", [make_wheel(tmp_path, version="1.0")])
    assert run_steps([first], quiet()) == 1
    assert run_steps([first], quiet()) == 0
    second = InstallPackages(made, "packages", "Packages", [make_wheel(tmp_path, version="2.0")])
    assert run_steps([second], quiet()) == 1
    assert made.run(["python", "-c", "import tiny; assert tiny.version == '2.0'"]) == 0


def test_interrupted_install_goes_on_and_repairs(made: Environment, tmp_path: Path) -> None:
    step = InstallPackages(made, "broken", "Packages", [make_wheel(tmp_path, version="3.0")])
    run_steps([step], quiet())
    (made.site_packages / "tiny.py").unlink()  # as a killed pip leaves it: metadata without the files
    made.begin("broken")
    assert made.interrupted_step() == "broken"
    assert not step.is_done()
    run_steps([step], quiet())
    assert made.run(["python", "-c", "import tiny"]) == 0
    assert made.interrupted_step() is None


def test_whole_packages_are_kept_by_the_repair(made: Environment) -> None:
    before = sorted(path.name for path in made.site_packages.glob("*.dist-info"))
    Pip(made).forget_half_installed()
    assert sorted(path.name for path in made.site_packages.glob("*.dist-info")) == before


@pytest.mark.usefixtures("offline")
def test_unreachable_registry_is_said_in_a_sentence(made: Environment) -> None:
    step = InstallPackages(made, "far", "Packages", ["a-package-from-far-away"])
    with pytest.raises(InstallError) as caught:
        run_steps([step], quiet())
    assert caught.value.message == "The package registry cannot be reached."
    assert not step.is_done()


def test_a_home_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("DUBWRIGHT_HOME", str(blocked))
    assert main(["install"]) == InstallError.exit_status
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "DUBWRIGHT_HOME" in said


def test_a_run_returns_the_commands_own_exit_status(made: Environment) -> None:
    assert made.run(["python", "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that kill")
def test_a_killed_command_gives_128_and_the_signal(made: Environment) -> None:
    assert made.run(["python", "-c", "import os; os.kill(os.getpid(), 9)"]) == 137


def test_commands_see_the_environment_and_no_foreign_packages(
    made: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    variables = made.variables()
    assert "PYTHONPATH" not in variables
    assert shutil.which("python", path=variables["PATH"]) == str(made.python)


def test_fingerprints_tell_lists_apart() -> None:
    assert fingerprint("a", "bc") != fingerprint("ab", "c")
