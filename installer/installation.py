"""One installation: which version, of which parts, and the steps to it."""

import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from installer import desktop, editors, service, version
from installer.environment import Environment
from installer.files import PlaceFile
from installer.machine import Machine
from installer.record import Record
from installer.steps import FetchFaceModels, InstallPackages, MakeEnvironment, Placed, Step
from installer.torch_build import InstallAttention, InstallTorch

PARTS = {
    "engine": "PyTorch and what the wan engine needs",
    "attention": "a faster attention kernel, where there is an NVIDIA GPU",
    "app": "the companion app",
    "timeline": "what `dubwright timeline` needs",
    "editors": "plugins for DaVinci Resolve and Blender",
    "desktop": "an entry in the menu",
    "service": "the daemon as a service, started at login",
    "completion": "completion in the shell",
}
EXTRAS = ("engine", "app", "timeline")  # parts that are extras of pyproject.toml


@dataclass(frozen=True)
class Choices:
    """What a person chose."""

    without: frozenset[str] = frozenset()
    packages_from: Path | None = None  # another environment's packages, used in place
    torch_index: str | None = None

    def has(self, part: str) -> bool:
        """Tell whether a part is wanted."""
        return part not in self.without

    def to_document(self) -> dict[str, list[str] | str]:
        """Return them as the record keeps them."""
        document: dict[str, list[str] | str] = {"without": sorted(self.without)}
        if self.packages_from:
            document["packages_from"] = str(self.packages_from)
        if self.torch_index:
            document["torch_index"] = self.torch_index
        return document


def read_choices(document: dict[str, list[str] | str]) -> Choices:
    """Return the choices that a record keeps."""
    shared, index = document.get("packages_from"), document.get("torch_index")
    return Choices(
        frozenset(document.get("without", [])),
        Path(shared) if isinstance(shared, str) else None,
        index if isinstance(index, str) else None,
    )


class Installation:
    """The version that a clone and the choices make on a machine."""

    def __init__(self, machine: Machine, clone: Path, choices: Choices, record: Record) -> None:
        self.machine, self.clone, self.choices, self.record = machine, clone, choices, record
        shown = (str(value) for value in choices.to_document().values())
        self.version = version.version_of(clone, *shown)
        self._lay_out(Path(machine.data) / "versions" / self.version)

    def _lay_out(self, folder: Path) -> None:
        self.folder = folder
        self.environment = Environment(folder / "environment", cache=Path(self.machine.cache) / "packages")
        self.source = folder / "source"
        shells = () if self.machine.moved else self.machine.shells
        self.stage = editors.Stage(
            self.environment, folder / "stage", shells if self.choices.has("completion") else ()
        )

    def build_steps(self) -> list[Step]:
        """Return the steps that make the version in its own folder; nothing else changes."""
        pyproject = tomllib.loads((self.clone / "pyproject.toml").read_text(encoding="utf-8"))
        extras = pyproject["project"]["optional-dependencies"]
        wanted = [item for name in EXTRAS if self.choices.has(name) for item in extras[name]]
        torch = [item for item in wanted if re.match(r"torch\b", item)]
        packages = [*pyproject["project"]["dependencies"], *(item for item in wanted if item not in torch)]
        environment, choices, machine = self.environment, self.choices, self.machine
        has_pip = choices.packages_from is not None and (choices.packages_from / "pip").is_dir()
        steps: list[Step] = [
            version.CopySource(self.clone, self.source),
            MakeEnvironment(environment, with_pip=not has_pip),
        ]
        if choices.packages_from:
            steps.append(version.SharePackages(environment, choices.packages_from))
        steps += [
            InstallTorch(environment, item, machine.gpu, choices.torch_index, by_uv=not choices.packages_from)
            for item in torch
        ]
        steps.append(
            InstallPackages(environment, "packages", "Installing the packages it needs", [*packages, *torch])
        )
        if torch and choices.has("attention") and machine.gpu is not None:
            steps.append(InstallAttention(environment))
        steps += [
            version.InstallSource(environment, self.source),
            FetchFaceModels(environment, Path(machine.models) / "faces"),
            self.stage,
        ]
        return steps

    def place_steps(self) -> list[Placed]:
        """Return the steps that make the version the one in use."""
        return list(self._place_steps())

    def _place_steps(self) -> Iterator[Placed]:
        record, machine, choices = self.record, self.machine, self.choices
        folder, is_windows = machine.data / "versions" / self.version, machine.system == "win32"
        programs = folder / "environment" / ("Scripts" if is_windows else "bin")
        names = desktop.COMMANDS if choices.has("app") else desktop.COMMANDS[:1]
        yield from desktop.launchers(record, machine, programs, names)
        if choices.has("editors"):
            yield from editors.editor_steps(record, machine, self.stage)
        if choices.has("desktop") and choices.has("app"):
            yield from desktop.menu_entry(record, machine)
        if choices.has("completion"):
            yield from desktop.completions(record, machine, self.stage.folder)
        if choices.has("service"):
            file = service.service_file(machine)
            python = programs / ("python.exe" if is_windows else "python")
            text = service.service_text(machine, python, folder / "source")
            yield PlaceFile(record, "Placing the service", file, lambda: text)
            yield service.StartService(record, machine, file)

    def remove_other_versions(self) -> None:
        """Delete the versions that are no longer in use."""
        for folder in self.folder.parent.iterdir():
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)


def describe(steps: Sequence[Step]) -> list[str]:
    """Return a line for each step: what it does, and where."""
    details = (getattr(step, "detail", "") for step in steps)
    lines = (
        f"{step.title}: {detail}" if detail else step.title
        for step, detail in zip(steps, details, strict=True)
    )
    return [f"{number:2}. {line}" for number, line in enumerate(lines, start=1)]
