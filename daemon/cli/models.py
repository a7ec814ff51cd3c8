"""`dubwright models`: what lies in the store, and how it comes there."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from daemon.cli.output import JsonOption, print_json, print_line, print_table, say
from daemon.cli.status import ExitStatus
from daemon.models.adopt import adopt, find_models
from daemon.models.catalog import FACES, Entry, find_entry
from daemon.models.download import Progress, download
from daemon.models.pack import pack as pack_model
from daemon.models.pack import unpack as unpack_model
from daemon.models.store import Store, on_disk
from daemon.models.verify import verify as verify_model
from daemon.paths import find_paths
from daemon.protocol.errors import MachineError
from installer import face_models
from installer.environment import Environment
from installer.lock import only_installer
from installer.pip import Pip
from installer.problems import InstallError
from installer.progress import Progress as StepProgress

LINE_EVERY_S = 0.2  # on a terminal
LINE_EVERY_S_IN_A_FILE = 10.0

app = typer.Typer(help="The models: what is here, and how more of it comes here.")
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="As `dubwright models list` names it.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> int:
    """List the models: which are here, whole and checked."""
    store = _store()
    found = store.models()
    if as_json:
        print_json({"models": found, "folder": str(store.root)})
        return 0
    rows = [
        [model.task, model.state, _gigabytes(model.bytes), _gigabytes(model.needed_bytes), model.folder]
        for model in found
    ]
    print_table(["task", "state", "here", "needs", "folder"], rows)
    return 0


@app.command()
def get(
    task: TaskArgument,
    hub: Annotated[
        str | None,
        typer.Option("--from", metavar="huggingface|modelscope", help="Otherwise the first that answers."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Download a model, or what is missing of it; Ctrl-C, then the same again, goes on."""
    entry, store = find_entry(task), _store()
    with _at_work(store):
        if entry.task == FACES:
            _get_faces(store, entry)
        else:
            download(store, entry, _lines("come"), hub=hub)
    return _show(store, entry, as_json=as_json)


@app.command("import")
def import_(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Official, Diffusers, ComfyUI or a hub's cache.")
    ],
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Otherwise every task the folder serves.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Take models that lie elsewhere into the store, by links; nothing is copied."""
    store = _store()
    with _at_work(store):
        entries = [adopt(store, found) for found in find_models(folder.absolute(), task)]
    return _show(store, *entries, as_json=as_json)


@app.command()
def verify(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Otherwise every model that is here.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Read every file of a model and check it; exit status 4 when one is damaged or missing."""
    store = _store()
    entries = (
        [find_entry(task)] if task else [find_entry(model.task) for model in store.models() if model.bytes]
    )
    broken = 0
    document = []
    for entry in entries:
        for verdict in verify_model(store, entry, lambda path: None if as_json else say(f"  reading {path}")):
            broken += bool(verdict.problem)
            document.append({"task": entry.task, **_plain(verdict)})
            if not as_json:
                state = "ok" if not verdict.problem else f"BROKEN: {verdict.problem}"
                print_line(f"{entry.task}/{verdict.path} [{verdict.how}] {state}")
    if as_json:
        print_json({"files": document})
    elif not document:
        print_line("No model is here.")
    return ExitStatus.MACHINE if broken else ExitStatus.OK


@app.command()
def remove(task: TaskArgument, as_json: JsonOption = False) -> int:
    """Delete a model from the store; what it was linked from stays."""
    entry, store = find_entry(task), _store()
    with _at_work(store):
        freed = store.remove(entry)
    if as_json:
        print_json({"task": task, "bytes": freed})
    else:
        print_line(f"{_gigabytes(freed)} removed." if freed else f"No model {task} is here.")
    return 0


@app.command()
def pack(
    task: TaskArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.tar", help="The file to write.")],
    as_json: JsonOption = False,
) -> int:
    """Write a model to one file, for a machine without a network."""
    entry, store = find_entry(task), _store()
    out = out.absolute()
    with on_disk(out):
        pack_model(store, entry, out, _lines("are packed"))
    if as_json:
        print_json({"task": task, "path": str(out), "bytes": out.stat().st_size})
    else:
        print_line(str(out))
    return 0


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="What `pack` wrote.")],
    as_json: JsonOption = False,
) -> int:
    """Put a packed model into the store, each file checked as it comes."""
    store = _store()
    with _at_work(store):
        entry = unpack_model(store, file.absolute(), _lines("are unpacked"))
    return _show(store, entry, as_json=as_json)


def _store() -> Store:
    paths = find_paths()
    paths.make()
    return Store(paths.models)


@contextmanager
def _at_work(store: Store) -> Iterator[None]:
    """Hold the store for this process; what the disk refuses becomes an error with a code."""
    with on_disk(store.root), only_installer(store.root, StepProgress()):
        yield


def _show(store: Store, *entries: Entry, as_json: bool) -> int:
    found = [store.describe(entry) for entry in entries]
    if as_json:
        print_json({"models": found})
    else:
        for model in found:
            print_line(f"{model.task}: {model.state}, {_gigabytes(model.bytes)}, {model.folder}")
    return 0


def _get_faces(store: Store, entry: Entry) -> None:
    try:
        face_models.fetch(Pip(Environment(Path(sys.prefix))), store.folder(entry), StepProgress())
    except InstallError as problem:
        raise MachineError("models.unreachable", problem.message, hint=problem.hint) from problem


def _lines(verb: str) -> Callable[[Progress], None]:
    """Return what shows a download: one changing line on a terminal, else a line now and then."""
    is_terminal = sys.stderr.isatty()
    every = LINE_EVERY_S if is_terminal else LINE_EVERY_S_IN_A_FILE
    last = 0.0

    def show(progress: Progress) -> None:
        nonlocal last
        now, is_all = time.monotonic(), progress.done >= progress.total
        if now - last < every and not is_all:
            return
        last = now
        left = "" if progress.left_s is None else f", {progress.left_s / 60:.0f} min left"
        text = (
            f"{_gigabytes(progress.done)} of {_gigabytes(progress.total)} {verb}, "
            f"{progress.speed / 1e6:.1f} MB/s{left}: {progress.file}"
        )
        if is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="\n" if is_all else "", file=sys.stderr, flush=True)
        else:
            say(text)

    return show


def _plain(thing: object) -> dict:
    return msgspec.to_builtins(thing)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
