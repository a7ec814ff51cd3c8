"""install, update, repair and uninstall: the order in which things happen, and what stays when one fails."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from installer import service
from installer.environment import Environment
from installer.installation import Installation, read_choices
from installer.lock import only_installer
from installer.machine import Machine
from installer.pip import Pip
from installer.problems import InstallError, problem_of_system
from installer.progress import Progress
from installer.record import INCOMPLETE, NAME, Record
from installer.steps import run_steps

DECISIVE = ("python", "packages", "face models", "engine")
"""What the doctor must find well before a version is put to use; the rest is not the version's doing."""

LEFTOVERS = ("versions", "environment", "daemon.lock", "endpoint.json")
KEYS = ("keys.json", "paired.json")  # made anew at the next start, and machines that knew these
OURS = (NAME, INCOMPLETE, "installer.lock")
"""What the data folder holds until the very end. All else in it, but the models, is the user's own."""


def install(installation: Installation, progress: Progress, *, typed: str = "install") -> None:
    """Make the version, have its doctor look at it, put it to use, and remove what it replaces.

    An interrupted run goes on. Raises InstallError; a version that works already stays in use.
    """
    record = installation.record
    with _at_work(record, installation.machine, typed, progress):
        previous = in_use(installation)
        try:
            run_steps(installation.build_steps(), progress)
            check(installation, progress)
            put_to_use(installation, progress)
        except (InstallError, OSError):
            if previous is not None:
                go_back(installation, previous, progress)
            raise


def repair(installation: Installation, progress: Progress) -> None:
    """Do every step again that is not as it should be, down to files of packages that are gone."""
    environment = installation.environment
    with _at_work(installation.record, installation.machine, "repair", progress):
        if environment.python.exists():
            Pip(environment).forget_half_installed()
            environment.forget()
        run_steps(installation.build_steps(), progress)
        check(installation, progress)
        put_to_use(installation, progress)


def in_use(installation: Installation) -> Installation | None:
    """Return the version that `installation` is to replace; None when there is none, or it is the same."""
    record = installation.record
    if record.version in (None, installation.version):
        return None
    source = record.folder / "versions" / record.version / "source"
    return Installation(installation.machine, source, read_choices(record.choices), record)


def go_back(installation: Installation, previous: Installation, progress: Progress) -> None:
    """Remove a version that could not be put to use, and have everything point at the one before."""
    for step in previous.place_steps():
        try:
            if not step.is_done():
                step.do(progress)
        except (InstallError, OSError) as error:
            progress.say(f"  {step.title}: {error}")
    shutil.rmtree(installation.folder, ignore_errors=True)
    previous.record.end()
    progress.say(f"The version in use stays: {previous.record.version}.")


def put_to_use(installation: Installation, progress: Progress) -> None:
    """Stop what runs of another version, place everything, and remember it."""
    record = installation.record
    if not installation.choices.has("service"):
        service.stop_service(record, installation.machine)
    _stop_daemon(record, installation.environment)
    steps = installation.place_steps()
    run_steps(steps, progress)
    placed = {str(path) for step in steps for path in step.paths}
    for written in [item for item in record.files if item.path not in placed]:
        record.put_back(Path(written.path))  # of the version before, and of none now
    record.version = installation.version
    record.choices = installation.choices.to_document()
    record.save()
    installation.remove_other_versions()
    record.end()


def check(installation: Installation, progress: Progress) -> None:
    """Have the version's own doctor look at it. Raises InstallError with what it found."""
    progress.begin("Having the doctor look at it")
    run = installation.environment.ask("doctor", "--json")
    try:
        findings = json.loads(run.stdout)["findings"]
    except (ValueError, KeyError):
        reason = (run.stderr.strip() or "it gave no answer").splitlines()[-1]
        raise InstallError(f"The doctor of this version does not run: {reason}.", "Report this.") from None
    broken = [item for item in findings if item["name"] in DECISIVE and item["state"] == "broken"]
    if broken:
        said = "; ".join(f"{item['name']}: {item['detail']}" for item in broken)
        raise InstallError(f"The doctor found this version broken: {said}.", broken[0]["hint"])
    progress.end()


def uninstall(
    record: Record, machine: Machine, progress: Progress, *, with_models: bool, with_projects: bool
) -> list[str]:
    """Take away exactly what was installed; return the files that stay because somebody changed them."""
    data, kept = Path(machine.data), []
    with _at_work(record, machine, "uninstall", progress):
        service.stop_service(record, machine)
        _stop_daemon(record, Environment(data / "environment"))
        for written in list(reversed(record.files)):
            if not record.put_back(Path(written.path)):
                kept.append(written.path)
        service.forget_unit(machine)
        for path in (*(data / name for name in LEFTOVERS), *(_projects(machine) if with_projects else ())):
            _remove(path)
        for folder in (
            Path(machine.cache),
            Path(machine.logs),
            *_settings(machine, everything=with_projects),
        ):
            _remove(folder)
        if with_models:
            _remove(Path(machine.models))
    for name in OURS:
        (data / name).unlink(missing_ok=True)
    record.remove_folders()
    for folder in (machine.models, machine.config, data):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()  # only if nothing is left in it
    return kept


def plan_of_removal(record: Record, machine: Machine, *, with_models: bool, with_projects: bool) -> list[str]:
    """Return what `uninstall` would take away, and what it would leave."""
    data = Path(machine.data)
    lines = [f"Stop the service ({record.service})"] if record.service else []
    lines += [
        f"{'Put back' if written.before is not None else 'Remove'} {written.path}"
        for written in reversed(record.files)
    ]
    going = [data / name for name in LEFTOVERS]
    going += _projects(machine) if with_projects else []
    going += [Path(machine.cache), Path(machine.logs)]
    going += _settings(machine, everything=with_projects)
    going += [Path(machine.models)] if with_models else []
    lines += [f"Remove {path}" for path in going if path.exists()]
    staying = [] if with_projects else _projects(machine)
    staying += [] if with_models else [Path(machine.models)]
    return lines + [f"Leave {path}" for path in staying if path.exists()]


@contextlib.contextmanager
def _at_work(record: Record, machine: Machine, command: str, progress: Progress) -> Iterator[None]:
    """Hold the place for this process, and say in the record that a command has begun."""
    try:
        record.make_folder(record.folder)
        with only_installer(record.folder, progress):
            record.begin(command)
            for folder in (machine.config, machine.cache, machine.logs, machine.models):
                record.make_folder(Path(folder))
            record.save()
            yield
    except OSError as error:
        raise problem_of_system(error) from error


def _stop_daemon(record: Record, other: Environment) -> None:
    """Stop this home's daemon, by the version in use or else by `other`; its jobs go on under the next."""
    own = Environment(record.folder / "versions" / str(record.version) / "environment")
    for environment in (own, other):
        if environment.python.exists():
            environment.ask("daemon", "stop")
            return


def _projects(machine: Machine) -> list[Path]:
    """Return what the data folder holds of the user's own, without the models."""
    data = Path(machine.data)
    found = sorted(data.iterdir()) if data.is_dir() else []
    others = {Path(machine.models), Path(machine.cache), Path(machine.logs), *(data / key for key in KEYS)}
    return [path for path in found if path.name not in (*LEFTOVERS, *OURS) and path not in others]


def _settings(machine: Machine, *, everything: bool) -> list[Path]:
    """Return what goes of the settings: the keys, or all of it where they have a folder of their own."""
    config = Path(machine.config)
    return [config] if everything and machine.config != machine.data else [config / key for key in KEYS]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
