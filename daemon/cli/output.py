"""What is printed: results on stdout, as text or as one JSON document; everything else on stderr."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import Job, Take

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def is_json(arguments: Sequence[str]) -> bool:
    """Tell whether `--json` stands among the options; asked before they are parsed, for errors in them."""
    options = list(arguments)
    return "--json" in options[: options.index("--")] if "--" in options else "--json" in options


def print_json(document: Any) -> None:
    """Print one JSON document on one line."""
    print(msgspec.json.encode(document).decode(), flush=True)


def print_line(text: str = "") -> None:
    """Print a line of the result."""
    print(text, flush=True)


def say(text: str) -> None:
    """Tell the person something that is not the result."""
    print(text, file=sys.stderr, flush=True)


def print_error(error: ErrorInfo, *, as_json: bool) -> None:
    """Print what went wrong, why, and what to do, with its code."""
    if as_json:
        shown = {"code": error.code, "message": error.message, "hint": error.hint}
        print_json({"error": shown})
    else:
        say(f"Error: {error.message}\n{error.hint}\n[{error.code}]".replace("\n\n", "\n"))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, as wide as they need."""
    table = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        print_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local_time(seconds: float) -> str:
    """Write seconds since the epoch as this machine's date and time."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def take_document(take: Take) -> dict[str, Any]:
    """Return a take as `--json` shows it."""
    return {
        "take_id": take.take_id,
        "path": take.path,
        "matte": take.matte,
        "sidecar": take.sidecar,
        "frames": take.frames,
        "rate": list(take.rate),
        "seed": take.seed,
        "engine": take.engine,
        "quality": take.quality,
        "badge": take.badge,
        "verdict": take.verdict,
        "checks": take.checks,
        "notes": take.notes,
    }


def job_document(job: Job) -> dict[str, Any]:
    """Return a job with its takes as `--json` shows it; `error` and `result` only where there is one."""
    document: dict[str, Any] = {
        "job": job.job_id,
        "state": job.state,
        "takes": [take_document(take) for take in job.takes],
    }
    if job.error is not None:
        document["error"] = {key: getattr(job.error, key) for key in ("code", "message", "hint")}
    if job.result is not None:
        document["result"] = job.result
    return document
