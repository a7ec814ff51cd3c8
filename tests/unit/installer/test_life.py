"""A version that cannot be put to use leaves everything pointing at the one before."""

import io
import os
from pathlib import Path, PurePosixPath

import pytest

from installer import life
from installer.installation import PARTS, Choices, Installation
from installer.machine import Machine, System
from installer.places import CLONE
from installer.progress import Progress
from installer.record import Record, read_record
from installer.version import CopySource

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the folders looked at are those of Linux")
CHOICES = Choices(
    frozenset(set(PARTS) - {"app", "desktop"})
)  # nothing that an environment would have to make


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine("linux", PurePosixPath(tmp_path / "home"))


def placed(machine: Machine, clone: Path) -> Installation:
    """Put a version to use, as `install` does when it is built, with its code where it belongs."""
    record = read_record(Path(machine.data))
    record.begin("install")
    installation = Installation(machine, clone, CHOICES, record)
    copy_code(clone, installation.source)
    life.put_to_use(installation, Progress(io.StringIO()))
    return installation


def copy_code(clone: Path, target: Path) -> None:
    CopySource(clone, target).do(Progress(io.StringIO()))


def test_a_version_that_cannot_be_placed_is_taken_back(machine: Machine, tmp_path: Path) -> None:
    old = placed(machine, CLONE)
    command = Path(machine.home) / ".local/bin/dubwright"
    icon = Path(machine.shared) / "icons/hicolor/scalable/apps/dubwright.svg"
    before = command.read_bytes()
    newer = tmp_path / "newer"
    copy_code(CLONE, newer)
    (newer / "README.md").write_text("newer\n", encoding="utf-8")
    new = Installation(machine, newer, CHOICES, read_record(Path(machine.data)))
    assert new.version != old.version
    copy_code(newer, new.source)
    icon.unlink()
    icon.mkdir()  # what cannot be replaced by a file
    said = io.StringIO()
    previous = life.in_use(new)
    assert previous is not None
    with pytest.raises(OSError, match="directory"):
        life.put_to_use(new, Progress(io.StringIO()))
    assert command.read_bytes() != before
    life.go_back(new, previous, Progress(said))
    assert command.read_bytes() == before
    assert not new.folder.exists()
    assert read_record(Path(machine.data)).version == old.version
    assert f"stays: {old.version}" in said.getvalue()


def test_what_only_the_version_before_placed_goes(machine: Machine, tmp_path: Path) -> None:
    placed(machine, CLONE)
    extra = tmp_path / "home" / "extra"
    record = read_record(Path(machine.data))
    record.write(extra, b"of an older version")
    placed(machine, CLONE)
    assert not extra.exists()
    assert not any("extra" in item.path for item in read_record(Path(machine.data)).files)


def test_the_same_version_replaces_nothing(machine: Machine) -> None:
    installation = placed(machine, CLONE)
    assert life.in_use(installation) is None
    assert life.in_use(Installation(machine, CLONE, CHOICES, Record(Path(machine.data)))) is None


@pytest.mark.parametrize("system", ["linux", "darwin"])  # macOS keeps settings in the data folder
def test_projects_and_models_stay_unless_told_otherwise(system: System, tmp_path: Path) -> None:
    machine = Machine(system, PurePosixPath(tmp_path))
    data, config, models = Path(machine.data), Path(machine.config), Path(machine.models)
    theirs = {data / "takes" / "take.mov", data / "queue.sqlite", config / "config.toml"}
    ours = {config / "keys.json", Path(machine.logs) / "server.log", data / "versions" / "x" / "y"}
    model = models / "Wan2.2-S2V-14B" / "config.json"
    for path in (*theirs, *ours, model):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def uninstall(*, with_models: bool, with_projects: bool) -> set[Path]:
        life.uninstall(
            read_record(data), machine, Progress(io.StringIO()),
            with_models=with_models, with_projects=with_projects,
        )  # fmt: skip
        return {path for path in tmp_path.rglob("*") if path.is_file()}

    assert uninstall(with_models=False, with_projects=False) == {*theirs, model}
    plan = life.plan_of_removal(read_record(data), machine, with_models=False, with_projects=True)
    assert f"Leave {models}" in plan
    assert f"Remove {data / 'takes'}" in plan
    assert uninstall(with_models=False, with_projects=True) == {model}
    assert uninstall(with_models=True, with_projects=True) == set()
    assert not data.exists()
