"""The machine is asked of its own driver; the support bundle tells nothing it should not."""

import json
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from daemon.paths import find_paths
from installer.bundle import Cleaner, write_bundle
from installer.environment import Environment
from installer.findings import Finding
from installer.machine import Gpu, Machine, find_gpu, this_machine
from installer.torch_build import InstallTorch


def pretend_driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a fake nvidia-smi, and nothing else, on the PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("installer.machine.DRIVER_FILE", folder / "version")


@pytest.mark.parametrize(
    ("script", "driver_file", "expected"),
    [
        ("echo 'NVIDIA RTX A6000, 550.54.15, 49140'; echo 'another, 1, 2'", "",
         Gpu("NVIDIA RTX A6000", "550.54.15", 49140 * 2**20)),
        ("echo 'NVIDIA GB10, 580.95, [N/A]'", "", Gpu("NVIDIA GB10", "580.95")),
        ("echo 'has failed because it could not communicate'; exit 9", "", None),
        ("exit 9", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\n",
         Gpu("NVIDIA GPU", "535.183.01")),
    ],
)  # fmt: skip
def test_the_gpu_is_asked_of_its_driver(
    script: str, driver_file: str, expected: Gpu | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_driver(tmp_path, monkeypatch, script)
    if driver_file:
        (tmp_path / "version").write_text(driver_file, encoding="utf-8")
    assert find_gpu() == expected


def test_another_driver_asks_for_another_torch(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    prints = {
        InstallTorch(environment, "torch", gpu)._fingerprint()
        for gpu in (None, Gpu("a", "550"), Gpu("a", "580"))
    }
    assert len(prints) == 3


@pytest.mark.parametrize("moved", [False, True])
def test_folders_agree_with_the_daemons(moved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    monkeypatch.delenv("DUBWRIGHT_HOME", raising=False)
    if moved:
        monkeypatch.setenv("DUBWRIGHT_HOME", str(tmp_path / "moved"))
    machine, paths = this_machine(), find_paths()
    ours = [machine.data, machine.config, machine.cache, machine.logs, machine.models]
    assert [Path(path) for path in ours] == [paths.data, paths.config, paths.cache, paths.logs, paths.models]


SECRETS = ("secretproject", "/mnt/nas", "smith", "voice line 12", "C:\\Jobs")


@pytest.mark.parametrize("with_paths", [False, True])
def test_the_bundle_holds_no_paths_unless_they_are_allowed(tmp_path: Path, with_paths: bool) -> None:
    home = tmp_path / "smith"
    machine = Machine("linux", PurePosixPath(home))
    logs, data = Path(machine.logs), Path(machine.data)
    logs.mkdir(parents=True)
    (data / "takes").mkdir(parents=True)
    (data / "takes" / "take.mov").write_bytes(b"media of secretproject")
    (data / "queue.sqlite").write_bytes(b"jobs of secretproject")
    (logs / "server.log").write_text(
        f"INFO daemon: read {home}/secretproject/a.mov and /mnt/nas/secretproject/voice line 12.wav\n"
        "2026-01-01 ERROR [Errno 2] No such file: 'C:\\Jobs\\secretproject\\a.mov'\nratio 3/4, 10 MB/s\n",
        encoding="utf-8",
    )
    findings = [Finding("queue", "broken", f"{data}/queue.sqlite: malformed", "Move it away.")]
    out = write_bundle(tmp_path / "b.zip", machine, findings, ["torch 2.13.0"], with_paths=with_paths)
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["doctor.json", "logs/server.log", "versions.txt"]
        texts = "\n".join(archive.read(name).decode() for name in archive.namelist())
        document = json.loads(archive.read("doctor.json"))
    assert document["findings"][0]["name"] == "queue"
    assert "torch 2.13.0" in texts
    assert "media of" not in texts
    assert "ratio 3/4, 10 MB/s" in texts
    assert [secret for secret in SECRETS if secret in texts] == (list(SECRETS) if with_paths else [])


def test_a_path_is_cleaned_in_any_sentence() -> None:
    clean = Cleaner(Machine("linux", PurePosixPath("/home/ann")), with_paths=False)
    for text in (
        "cannot read '/a b/c.mov'",
        "(/x/y.mov)",
        "path=/x/y",
        "~/y/z.mov",
        "\\\\server\\share\\x.mov",
    ):
        found = clean.text(text)
        assert "<path>" in found
        assert "mov" not in found
        assert "y" not in found.replace("path", "")
