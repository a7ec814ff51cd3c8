"""What `python3 installer test` runs: the linters, the type checker, then pytest."""

from collections.abc import Sequence

from installer.environment import Environment
from installer.places import CLONE
from installer.progress import Progress

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("lint-imports",),
    ("pyright",),
)


def run_tests(environment: Environment, arguments: Sequence[str], progress: Progress) -> int:
    """Run everything and return the exit status; with `arguments`, only pytest with them.

    A failed check does not hide the others: pytest always runs and comes last.
    """
    failed = [] if arguments else [check for check in CHECKS if not _passes(environment, check, progress)]
    for check in failed:
        progress.say(f"FAILED: {' '.join(check)}")
    status = environment.run(["python", "-m", "pytest", *arguments], cwd=CLONE)
    return status or int(bool(failed))


def _passes(environment: Environment, check: Sequence[str], progress: Progress) -> bool:
    progress.say(f"$ {' '.join(check)}")
    return environment.run(check, cwd=CLONE) == 0
