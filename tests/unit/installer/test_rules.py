"""What must hold of the installer as a whole."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from installer import plan
from installer.__main__ import refuse_other_pythons
from installer.environment import Environment
from installer.places import CLONE

SOURCES = sorted((CLONE / "installer").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported(source: Path) -> None:
    roots = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    assert roots <= sys.stdlib_module_names | {"installer"}


def test_an_old_python_can_read_the_first_file() -> None:
    ast.parse((CLONE / "installer" / "__main__.py").read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("version", [(3, 8, 0), (3, 10, 12), (3, 14, 0)])
def test_other_pythons_are_refused_with_a_sentence(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11, 3\.12 or 3\.13"):
        refuse_other_pythons()


def test_the_demo_needs_neither_torch_nor_qt(tmp_path: Path) -> None:
    steps = plan.base_steps(Environment(tmp_path))
    wanted = " ".join(requirement for step in steps for requirement in getattr(step, "requirements", []))
    assert "numpy" in wanted
    assert "torch" not in wanted
    assert "PySide" not in wanted


def test_torch_goes_in_by_itself_before_the_test_tools(tmp_path: Path) -> None:
    steps = plan.test_steps(Environment(tmp_path))
    lists = [list(step.requirements) for step in steps if hasattr(step, "requirements")]
    assert lists[1] == ["torch==2.13.0"]
    assert "torch==2.13.0" in lists[2]  # pinned for the resolver, too


def test_an_unknown_command_is_a_usage_error() -> None:
    command = [sys.executable, str(CLONE / "installer"), "fly"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "usage: python3 installer" in run.stderr


def test_a_second_installer_waits_for_the_first(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from installer.lock import only_installer\n"
        "from installer.progress import Progress\n"
        "with only_installer(Path(sys.argv[1]), Progress()):\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, cwd=CLONE, **pipes) as first,
    ):
        assert first.stdout.readline() == "held\n"
        with subprocess.Popen(command, cwd=CLONE, **pipes) as second:
            assert "waiting for it" in second.stderr.readline()
            first.communicate("\n")
            assert second.communicate("\n")[0] == "held\n"
    assert (first.returncode, second.returncode) == (0, 0)
