"""`dubwright doctor`: look at everything a job needs, and say what is wrong and what to do.

What can be seen without our environment is looked at by `installer/findings.py`, which `python3 installer
doctor` uses before there is one.
"""

import json
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

import daemon
from daemon.cli.output import JsonOption, print_json, print_line
from daemon.cli.status import ExitStatus
from daemon.client import Client
from daemon.config import load_config
from daemon.launch import find_daemon
from daemon.models.store import Store
from daemon.pairing.codes import split_address
from daemon.pairing.hosts import PORTS
from daemon.pairing.names import LOCAL
from daemon.paths import Paths, find_paths
from daemon.protocol.errors import DubwrightError
from installer import face_models
from installer.bundle import write_bundle
from installer.findings import INSTALL_HINT, Finding, as_document, as_text, finding, look
from installer.machine import this_machine

PACKAGES = ("ai-edge-litert", "av", "msgspec", "numpy", "opencv-python-headless", "pyzmq", "scipy", "soxr")
MORE_PACKAGES = ("torch", "safetensors", "PySide6-Essentials", "huggingface-hub")  # told of in the bundle
SELF_TEST_TIMEOUT_S = 120.0
"""Far beyond the second it takes: a first start on a busy machine loads every library from the disk."""


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="OUT.zip", help="Also write a support bundle: findings, versions, logs."),
    ] = None,
    with_paths: Annotated[
        bool, typer.Option("--with-paths", help="Let the bundle hold the paths of your files.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Check this machine: everything a job needs, with what to do where something is wrong."""
    paths, machine = find_paths(), this_machine()
    found = [*(item for every in LOOKS for item in every(paths)), *look(machine)]
    if bundle is not None:
        packages = [f"{name} {_version(name)}" for name in ("dubwright", *PACKAGES, *MORE_PACKAGES)]
        write_bundle(bundle.absolute(), machine, found, packages, with_paths=with_paths)
    if as_json:
        print_json(as_document(found))
    else:
        print_line(as_text(found))
        if bundle is not None:
            print_line(f"The support bundle is {bundle}.")
    return ExitStatus.OK if all(item.ok for item in found) else ExitStatus.MACHINE


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _packages(_: Paths) -> Iterator[Finding]:
    versions = {name: _version(name) for name in PACKAGES}
    absent = [name for name, version in versions.items() if version == "not installed"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    detail = f"missing: {', '.join(absent)}" if absent else f"dubwright {daemon.__version__}, {listed}"
    yield finding("packages", not absent, detail, INSTALL_HINT)


def _models(paths: Paths) -> Iterator[Finding]:
    store = Store(paths.models)
    folder = store.find("faces")
    missing = face_models.missing(folder)
    detail = f"{', '.join(missing)} not right in {folder}" if missing else str(folder)
    yield finding("face models", not missing, detail, "Run `dubwright models get faces`.")
    for model in (model for model in store.models() if model.task != "faces"):
        hint = f"Run `dubwright models get {model.task}`; whole files are kept."
        if model.state in ("incomplete", "damaged"):
            yield Finding(f"model {model.task}", "broken", f"{model.state} in {model.folder}", hint)
        elif model.state != "missing":
            hint = f"Run `dubwright models verify {model.task}` to read it once."
            detail = f"{model.state}, {model.bytes / 1e9:.1f} GB in {model.folder}"
            is_well = model.state == "verified"
            yield finding(f"model {model.task}", is_well, detail, hint, otherwise="warning")


def _keys(paths: Paths) -> Iterator[Finding]:
    if not paths.keys_file.exists():
        yield Finding("keys", "ok", "none yet; the daemon makes them at its first start")
        return
    for file in (paths.keys_file, paths.paired_file, *paths.hosts.glob("*.json")):
        if file.exists():
            mode = stat.S_IMODE(file.stat().st_mode)
            is_private = sys.platform == "win32" or mode & 0o077 == 0
            hint = (
                f"Run: chmod 600 {file}. Who could read it may know the keys: restart the daemon, pair anew."
            )
            yield finding("keys", is_private, f"{file} has mode {mode:04o}", hint)


def _folders(paths: Paths) -> Iterator[Finding]:
    try:
        paths.make()
    except (DubwrightError, OSError) as error:
        yield Finding("folders", "broken", str(error), "Set DUBWRIGHT_HOME to a folder you may write to.")


def _queue(paths: Paths) -> Iterator[Finding]:
    if not paths.queue_file.exists():
        yield Finding("queue", "ok", "empty")
        return
    try:
        database = sqlite3.connect(f"{paths.queue_file.as_uri()}?mode=ro", uri=True)
        try:
            verdict = database.execute("PRAGMA quick_check").fetchone()[0]
        finally:
            database.close()
    except sqlite3.Error as error:
        verdict = str(error)
    hint = f"Stop the daemon and move {paths.queue_file} away; takes on disk are not touched."
    yield finding("queue", verdict == "ok", f"{paths.queue_file}: {verdict}", hint)


def _daemon(paths: Paths) -> Iterator[Finding]:
    try:
        if find_daemon(paths) is None:
            yield Finding("daemon", "ok", "not running; it starts on demand")
            yield _ports(paths)
            return
        with Client.connect(start=False, name="cli", paths=paths, on=LOCAL) as client:
            found = client.status()
    except DubwrightError as error:
        yield Finding("daemon", "broken", error.message, error.hint)
        return
    detail = f"version {found.version} runs as process {found.server_pid}"
    hint = f"This command is version {daemon.__version__}. Run `dubwright daemon stop`."
    yield finding("daemon", found.version == daemon.__version__, detail, hint)
    for problem in found.problems:
        yield Finding("daemon", "warning", problem.message, problem.hint)


def _ports(paths: Paths) -> Finding:
    """Try the ports that the daemon would listen on; 0 has the system choose."""
    config = load_config(paths.config_file)
    server, listen = config.server, config.remote.listen
    wanted = [(server.host, server.port + step if server.port else 0) for step in range(3)]
    if listen is not None:
        host, first = split_address(listen)
        wanted += [("" if host == "*" else host.strip("[]"), first + step) for step in range(len(PORTS))]
    hint = "End the program that uses it, or change `server` and `remote.listen` in the settings."
    for host, port in wanted:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            return Finding("ports", "broken", f"{host}:{port} cannot be used: {error.strerror}", hint)
    shown = f"from {server.port}" if server.port else "chosen by the system"
    afar = f"; for paired machines {listen}" if listen else ""
    return Finding("ports", "ok", f"{server.host}, {shown}{afar}")


def _engine(_: Paths) -> Iterator[Finding]:
    """Have a process of its own do a second of real work."""
    command, folder = [sys.executable, "-m", "daemon.self_test"], Path(daemon.__file__).parents[1]
    hint = "Run `python3 installer repair`; if it stays so, send a support bundle (--bundle OUT.zip)."
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SELF_TEST_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("engine", "broken", f"no answer within {SELF_TEST_TIMEOUT_S:.0f} s", hint)
        return
    parts = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    failed = [f"{part['part']}: {part['detail']}" for part in parts if not part["ok"]]
    if len(parts) < SELF_TEST_PARTS:
        failed.append(f"the test ended with status {run.returncode}: {(run.stderr.splitlines() or [''])[-1]}")
    seconds = sum(part["seconds"] for part in parts)
    detail = "; ".join(failed or [part["detail"] for part in parts])
    yield finding("engine", not failed, f"{detail} ({seconds:.1f} s)", hint)


SELF_TEST_PARTS = 3
LOOKS: tuple[Callable[[Paths], Iterator[Finding]], ...] = (
    _folders,
    _packages,
    _models,
    _keys,
    _queue,
    _daemon,
    _engine,
)
COMMANDS = {"doctor": doctor}
