"""From what was typed to a job spec: positions, choices, boxes, absolute paths."""

import difflib
import os
import sys
from pathlib import Path
from typing import Any, get_args

from daemon.models.catalog import MODEL_FIELDS, is_task
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import GENERATE_PATHS, Codec, DurationMode, JobSpec, Position, Quality, Timing
from daemon.protocol.reading import read_json, spec_from_builtins

CHOICES: dict[str, tuple[str, ...]] = {
    "engine": ("auto", "rewrite", "wan"),
    "quality": get_args(Quality),
    "timing": get_args(Timing),
    "duration_mode": get_args(DurationMode),
    "deliver": ("overlay", "baked"),
    "codec": get_args(Codec),
}
PATHS = ("source", "voice", "picture", "pose", "model", "dest", "take", *GENERATE_PATHS)


def position(text: str) -> Position:
    """Read a frame number or leave a timecode as it is."""
    digits = text.strip()
    return int(digits) if digits.lstrip("-").isdigit() else digits


def position_pair(text: str) -> tuple[Position, Position]:
    """Read `POS,POS`. Raises RequestError `job.invalid`."""
    parts = text.split(",")
    if len(parts) != 2:
        raise RequestError("job.invalid", f"`{text}` is not a range: two positions with a comma between.")
    return position(parts[0]), position(parts[1])


def build_spec(kind: str, fields: dict[str, Any]) -> JobSpec:
    """Build a spec from options; those that are None keep their defaults. Raises RequestError."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name in CHOICES.keys() & given.keys():
        check_choice(name, given[name])
    return spec_from_builtins(with_absolute_paths({"kind": kind, **given}))


def consent_from(who: str | None, by: str | None, note: str | None) -> dict[str, str] | None:
    """Return the consent note of a job. Raises RequestError `job.invalid` when half of it is missing."""
    if who is None and by is None and note is None:
        return None
    if not who or not by:
        raise RequestError(
            "job.invalid", "A consent note needs --consent-of and --consent-by.", hint="Give both."
        )
    return {"who": who, "by": by, "note": note or ""}


def check_choice(name: str, value: str) -> None:
    """Refuse a word that is not one of the option's. Raises RequestError `job.invalid`."""
    if value in CHOICES[name]:
        return
    near = difflib.get_close_matches(value, CHOICES[name], n=1)
    option = "--" + name.replace("_", "-")
    raise RequestError(
        "job.invalid",
        f"{option} cannot be `{value}`; it is one of {', '.join(CHOICES[name])}.",
        hint=f"Did you mean `{near[0]}`?" if near else "Choose one of them.",
    )


def with_absolute_paths(raw: dict[str, Any]) -> dict[str, Any]:
    """Make paths absolute against the present folder, because the daemon has another one.

    Raises RequestError `job.invalid` for a path that is not UTF-8, which no job can hold.
    """
    found: dict[str, Any] = {
        name: os.path.abspath(raw[name])
        for name in PATHS
        if isinstance(raw.get(name), str) and not (name in MODEL_FIELDS and is_task(raw[name]))
    }
    loras = raw.get("lora")  # of a generate job
    if isinstance(loras, list):
        found["lora"] = [os.path.abspath(path) if isinstance(path, str) else path for path in loras]
    for name, path in found.items():
        if not _is_text(str(path)):
            shown = os.fsencode(str(path)).decode("utf-8", "replace")
            raise RequestError(
                "job.invalid", f"The path of `{name}`, {shown}, is not UTF-8.", hint="Rename the file."
            )
    if isinstance(raw.get("redub"), dict):  # of a probe job
        found["redub"] = with_absolute_paths(raw["redub"])
    return {**raw, **found}


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_job_file(path: str) -> JobSpec:
    """Read a job file, strictly. Raises RequestError `job.invalid`, `job.unknown_field`."""
    raw = read_json(_read(path), path)
    return spec_from_builtins(with_absolute_paths(raw) if isinstance(raw, dict) else raw)


def read_boxes(path: str) -> list[Any]:
    """Read `--boxes`: a JSON list of [x0, y0, x1, y1] or null, one a frame. Raises RequestError."""
    boxes = read_json(_read(path), path, code="boxes.invalid")
    if not isinstance(boxes, list):
        raise RequestError("boxes.invalid", f"{path} holds no list of boxes.")
    return boxes


def read_mask(
    grow: float | None, feather: float | None, shift: str | None, paint_out: str | None
) -> dict[str, Any] | None:
    """Build `mask` from its options; None when none was given. Raises RequestError `job.invalid`."""
    given: dict[str, Any] = {"grow": grow, "feather": feather}
    if shift is not None:
        try:
            right, down = (float(part) for part in shift.split(","))
        except ValueError:
            raise RequestError("job.invalid", f"--shift `{shift}` is not two numbers X,Y.") from None
        given["shift"] = [right, down]
    if paint_out is not None:
        polygons = read_json(_read(paint_out), paint_out)
        if not isinstance(polygons, list):
            raise RequestError("job.invalid", f"{paint_out} holds no list of polygons.")
        given["paint_out"] = polygons
    return {name: value for name, value in given.items() if value is not None} or None


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        hint = "Check the path."
        raise RequestError("job.invalid", f"{path} cannot be read: {error.strerror}.", hint=hint) from error
