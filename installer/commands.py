"""The installer's command line."""

import argparse
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from installer import desktop, findings, life, plan
from installer.bundle import write_bundle
from installer.environment import Environment
from installer.installation import PARTS, Choices, Installation, describe, read_choices
from installer.lock import only_installer
from installer.machine import this_machine
from installer.places import CLONE, data_folder, environment_folder
from installer.problems import InstallError, problem_of_system
from installer.progress import Progress
from installer.record import Record, read_record
from installer.steps import Step, run_steps
from installer.tests_command import run_tests

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    options = _parse(arguments)
    options.typed = shlex.join(arguments)  # what a person types again after an interruption
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
    _add_life(commands)
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


def _add_life(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare install, update, repair and uninstall."""
    install = commands.add_parser("install", help="install this version for this user")
    install.set_defaults(run=_install)
    parts = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
    install.add_argument(
        "--without",
        action="append",
        default=[],
        choices=list(PARTS),
        help=f"leave out a part; may be given again ({parts})",
    )
    install.add_argument(
        "--packages-from",
        type=Path,
        metavar="FOLDER",
        help="site-packages of another environment, used in place",
    )
    install.add_argument(
        "--torch-index", metavar="URL", help="take PyTorch from this index, not by uv's choice"
    )
    update = commands.add_parser("update", help="put this clone's version in the place of the installed one")
    update.set_defaults(run=_update)
    repair = commands.add_parser("repair", help="make whole what is installed")
    repair.set_defaults(run=_repair)
    uninstall = commands.add_parser(
        "uninstall", help="take away what was installed; models and projects stay"
    )
    uninstall.set_defaults(run=_uninstall)
    uninstall.add_argument("--models", action="store_true", help="take away the models, too")
    uninstall.add_argument("--projects", action="store_true", help="takes, queue and settings, too")
    doctor = commands.add_parser("doctor", help="check this machine, installed or not")
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.add_argument("--bundle", type=Path, metavar="OUT.zip", help="also write a support bundle")
    doctor.add_argument("--with-paths", action="store_true", help="let the bundle hold paths of your files")
    for command in (install, update, repair, uninstall):
        command.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")


def _install(options: argparse.Namespace, progress: Progress) -> int:
    shared = options.packages_from.absolute() if options.packages_from else None
    choices = Choices(frozenset(options.without), shared, options.torch_index)
    return _put_in(choices, read_record(data_folder()), options, progress)


def _update(options: argparse.Namespace, progress: Progress) -> int:
    record = _installed()
    return _put_in(read_choices(record.choices), record, options, progress)


def _put_in(choices: Choices, record: Record, options: argparse.Namespace, progress: Progress) -> int:
    installation = Installation(this_machine(), CLONE, choices, record)
    if options.dry_run:
        return _show(installation)
    life.install(installation, progress, typed=options.typed)
    folder = desktop.launcher_folder(installation.machine)
    progress.say(f"Dubwright {installation.version} is installed. Its commands lie in {folder}")
    if str(folder) not in os.environ.get("PATH", "").split(os.pathsep):
        progress.say(f"{folder} is not on your PATH; add it, or call {folder / 'dubwright'}")
    return 0


def _repair(options: argparse.Namespace, progress: Progress) -> int:
    record = _installed()
    choices, machine = read_choices(record.choices), this_machine()
    installation = Installation(machine, CLONE, choices, record)
    if installation.version != record.version:  # the clone has moved on: repair from the copied code
        source = record.folder / "versions" / str(record.version) / "source"
        installation = Installation(machine, source, choices, record)
    if options.dry_run:
        return _show(installation)
    if installation.version != record.version:
        raise InstallError(
            f"The copied code of {record.version} is damaged, and this folder holds another version.",
            "Run `python3 installer update`.",
        )
    life.repair(installation, progress)
    progress.say(f"Dubwright {installation.version} is whole.")
    return 0


def _uninstall(options: argparse.Namespace, progress: Progress) -> int:
    record, machine = read_record(data_folder()), this_machine()
    if options.dry_run:
        choices = {"with_models": options.models, "with_projects": options.projects}
        print("\n".join(life.plan_of_removal(record, machine, **choices)))
        return 0
    kept = life.uninstall(
        record, machine, progress, with_models=options.models, with_projects=options.projects
    )
    for path in kept:
        progress.say(f"Kept, because it was changed since: {path}")
    progress.say("Dubwright is no longer installed.")
    return 0


def _doctor(options: argparse.Namespace, progress: Progress) -> int:
    """Run the installed version's doctor; where none can run, look at the machine alone."""
    record, machine = read_record(data_folder()), this_machine()
    found = list(findings.look(machine))
    if record.version is not None:
        environment = Environment(data_folder() / "versions" / record.version / "environment")
        said = environment.ask("doctor", *_doctor_options(options))
        if said.returncode in (0, InstallError.exit_status) and said.stdout:
            print(said.stdout, end="")
            return said.returncode
        found.insert(0, findings.of_version_that_does_not_run(said.stderr))
    if options.bundle:
        write_bundle(options.bundle, machine, found, [], with_paths=options.with_paths)
    print(findings.to_json(found) if options.json else findings.as_text(found))
    return 0 if all(item.ok for item in found) else InstallError.exit_status


def _doctor_options(options: argparse.Namespace) -> list[str]:
    bundle = ["--bundle", str(options.bundle.absolute())] if options.bundle else []
    flags = [
        flag for flag, is_set in (("--json", options.json), ("--with-paths", options.with_paths)) if is_set
    ]
    return [*bundle, *flags]


def _installed() -> Record:
    record = read_record(data_folder())
    if record.version is None:
        raise InstallError("Dubwright is not installed here.", "Run `python3 installer install`.")
    return record


def _show(installation: Installation) -> int:
    steps = [*installation.build_steps(), *installation.place_steps()]
    print(f"Dubwright {installation.version} into {installation.folder}")
    for step, line in zip(steps, describe(steps), strict=True):
        print(f"{'done ' if step.is_done() else 'to do'} {line}")
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
