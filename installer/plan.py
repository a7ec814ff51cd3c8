"""What each command needs: the list of steps, read from pyproject.toml."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from installer.environment import Environment
from installer.places import CLONE, face_models_folder
from installer.steps import FetchFaceModels, InstallPackages, InstallProject, MakeEnvironment, Step


def base_steps(environment: Environment) -> list[Step]:
    """Return the steps to a working Dubwright: environment, packages, the project, the face models."""
    pyproject = _read_pyproject()
    packages = InstallPackages(
        environment, "base packages", "Installing the packages it needs", pyproject["project"]["dependencies"]
    )
    return [
        MakeEnvironment(environment),
        packages,
        InstallProject(environment, CLONE),
        FetchFaceModels(environment, face_models_folder()),
    ]


def test_steps(environment: Environment) -> list[Step]:
    """Return the steps to an environment in which every test can run.

    torch goes in by itself, as an exact version: a resolver that is free to choose takes a far larger build.
    """
    pyproject = _read_pyproject()
    torch, others = split_torch(pyproject["dependency-groups"]["test"])
    base = pyproject["project"]["dependencies"]
    return [
        *base_steps(environment),
        InstallPackages(environment, "torch", "Installing torch for the tests", torch),
        InstallPackages(environment, "test packages", "Installing the test tools", [*others, *torch, *base]),
    ]


def split_torch(requirements: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split requirements into the one of torch and the others."""
    torch = [item for item in requirements if item.startswith("torch==")]
    return torch, [item for item in requirements if item not in torch]


def _read_pyproject(path: Path = CLONE / "pyproject.toml") -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))
