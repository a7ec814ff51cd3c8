"""The installer's command line."""

import argparse
from collections.abc import Callable, Sequence

from installer import plan
from installer.environment import Environment
from installer.lock import only_installer
from installer.places import data_folder, environment_folder
from installer.problems import InstallError, problem_of_system
from installer.progress import Progress
from installer.steps import Step, run_steps
from installer.tests_command import run_tests

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    options = _parse(arguments)
    progress = Progress()
    try:
        return options.run(options, progress)
    except InstallError as problem:
        progress.say(f"{problem.message}\n{problem.hint}")
        return problem.exit_status
    except KeyboardInterrupt:
        progress.say("Stopped. Run the same command again to go on from here.")
        return INTERRUPTED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 installer",
        description="Make Dubwright's environment and run things in it. DUBWRIGHT_HOME moves where it lies.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    install = commands.add_parser("install", help="make the environment and fetch the face models")
    install.set_defaults(run=_install)
    demo = commands.add_parser("demo", help="re-dub the bundled shot; exit status 0 if the take passes")
    demo.set_defaults(run=_demo)
    test = commands.add_parser(
        "test",
        help="run linters, types and all tests; with arguments, pytest alone with them",
    )
    test.add_argument("arguments", nargs=argparse.REMAINDER)
    test.set_defaults(run=_test)
    run = commands.add_parser("exec", help="run a command in the environment: exec -- COMMAND ...")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    run.set_defaults(run=_exec)
    return parser.parse_args(arguments)


def _prepare(steps_of: Callable[[Environment], list[Step]], progress: Progress) -> Environment:
    environment = Environment(environment_folder())
    steps = steps_of(environment)
    if all(step.is_done() for step in steps):
        return environment
    try:
        with only_installer(data_folder(), progress):
            run_steps(steps, progress)
    except OSError as error:
        raise problem_of_system(error) from error
    return environment


def _install(options: argparse.Namespace, progress: Progress) -> int:
    environment = _prepare(plan.base_steps, progress)
    progress.say(f"Dubwright is installed. Its commands lie in {environment.programs}")
    return 0


def _demo(options: argparse.Namespace, progress: Progress) -> int:
    return _prepare(plan.base_steps, progress).run(["python", "-m", "daemon.demo"])


def _test(options: argparse.Namespace, progress: Progress) -> int:
    return run_tests(_prepare(plan.test_steps, progress), _without_dashes(options.arguments), progress)


def _exec(options: argparse.Namespace, progress: Progress) -> int:
    command = _without_dashes(options.arguments)
    if not command:
        raise InstallError("There is no command to run.", "Write: python3 installer exec -- COMMAND ...")
    try:
        return _prepare(plan.base_steps, progress).run(command)
    except FileNotFoundError:
        raise InstallError(
            f"There is no command {command[0]} in the environment.",
            "Test tools come with `python3 installer test`.",
        ) from None


def _without_dashes(arguments: Sequence[str]) -> list[str]:
    return list(arguments[1:] if arguments[:1] == ["--"] else arguments)
