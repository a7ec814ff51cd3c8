"""What runs inside an editor is readable by the oldest Python there, and needs nothing but its library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import editor_plugin

ROOT = Path(editor_plugin.__file__).parent
INSIDE = [path for path in sorted(ROOT.rglob("*.py")) if "interchange" not in path.parts]
HOSTS_OWN = {"bpy", "DaVinciResolveScript", "fusionscript"}


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_39_can_read_it_and_it_imports_only_the_library(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names | HOSTS_OWN | {"editor_plugin"}, name


def test_python_39_has_everything_that_it_uses() -> None:
    """Methods, arguments and modules newer than 3.9, which reading alone does not show."""
    pytest.importorskip("vermin", reason="vermin, which knows what each Python brought, is not installed")
    vermin = [sys.executable, "-c", "import vermin; vermin.main()"]  # wherever its command lies
    command = [*vermin, "--target=3.9-", "--violations", "--no-tips"]
    done = subprocess.run([*command, *map(str, INSIDE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
