"""Reading a job that a person or a program wrote, and refusing what no source could make right."""

import difflib
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import (
    LIMITS,
    MASK_LIMITS,
    PAINT_LIMITS,
    PROMPT_LIMIT,
    VIDEO_ENDINGS,
    AlignSpec,
    CheckSpec,
    FacesSpec,
    GenerateSpec,
    JobSpec,
    MaskSpec,
    ProbeSpec,
    RedubSpec,
    SpeakSpec,
)


def decode_spec(data: bytes) -> JobSpec:
    """Read a job spec from JSON and check its values.

    Raises RequestError `job.unknown_field` (naming the nearest known field) or `job.invalid`.
    """
    return spec_from_builtins(read_json(data, "The job"))


def read_json(data: bytes, what: str, *, code: str = "job.invalid") -> Any:
    """Read JSON that a person wrote. Raises RequestError `code`, calling it `what`."""
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise RequestError(code, f"{what} is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(code, f"{what} is not valid JSON: {error}.") from error


def spec_from_builtins(raw: Any) -> JobSpec:
    """Build a job spec from plain dicts and lists. Raises as `decode_spec`."""
    if isinstance(raw, dict):
        raw = {"kind": "redub", **raw}
        _refuse_unknown(raw)
    try:
        spec = msgspec.convert(raw, JobSpec)
    except msgspec.ValidationError as error:
        raise RequestError("job.invalid", f"The job is not valid: {error}.") from error
    check_spec(spec)
    return spec


def check_spec(spec: JobSpec) -> None:
    """Refuse values that no source could make right. Raises RequestError `job.invalid` or `range.empty`."""
    if isinstance(spec, ProbeSpec):
        check_spec(spec.redub)
        return
    if isinstance(spec, CheckSpec):
        return
    if isinstance(spec, GenerateSpec):
        _check_generate(spec)
        return
    if isinstance(spec, SpeakSpec):
        _check_limits(spec, ("takes", "seed", "chunk"))
        _check_prompt(spec.prompt)
        return
    if isinstance(spec.in_, int) and isinstance(spec.out, int) and spec.out <= spec.in_:
        raise RequestError("range.empty", f"The range {spec.in_} to {spec.out} holds no frame.")
    if isinstance(spec, FacesSpec | AlignSpec):
        return
    _check_limits(spec, LIMITS)
    if spec.mask is not None:
        _check_mask(spec.mask)
    if spec.overlap > spec.chunk - 8:
        raise RequestError(
            "job.invalid",
            f"`overlap` is {spec.overlap}; with a chunk of {spec.chunk} it may be {spec.chunk - 8} at most.",
        )
    if spec.strength == 0:
        raise RequestError("job.invalid", "`strength` is 0; it must be above 0: nothing would change.")
    _check_prompt(spec.prompt)
    if spec.deliver == "overlay" and spec.codec not in (None, "prores4444", "ffv1_8bit", "exr"):
        raise RequestError(
            "job.invalid",
            f"{spec.codec} cannot hold an overlay; use prores4444, ffv1_8bit or exr, or deliver baked.",
        )
    if spec.deliver == "baked" and spec.codec == "ffv1_8bit":
        raise RequestError("job.invalid", "ffv1_8bit holds overlays only; use ffv1 for a baked clip.")


def _check_mask(mask: MaskSpec) -> None:
    given = [("grow", mask.grow), ("feather", mask.feather), *(("shift", part) for part in mask.shift)]
    for name, value in given:
        low, high = MASK_LIMITS[name]
        if not low <= value <= high:
            raise RequestError("job.invalid", f"`mask.{name}` is {value}; it must be from {low} to {high}.")
    if len(mask.paint_out) > PAINT_LIMITS["polygons"]:
        raise RequestError(
            "job.invalid",
            f"`mask.paint_out` has {len(mask.paint_out)} polygons; at most "
            f"{PAINT_LIMITS['polygons']} are read.",
        )
    for number, painted in enumerate(mask.paint_out):
        if not 3 <= len(painted.points) <= PAINT_LIMITS["points"]:
            raise RequestError(
                "job.invalid",
                f"Polygon {number} of `mask.paint_out` has {len(painted.points)} points; it must have "
                f"from 3 to {PAINT_LIMITS['points']}.",
            )
        if not all(abs(part) <= 1e5 for point in painted.points for part in point):
            raise RequestError(
                "job.invalid", f"Polygon {number} of `mask.paint_out` lies outside of any picture."
            )


def _check_limits(spec: msgspec.Struct, names: Iterable[str]) -> None:
    for name in names:
        value, (low, high, step) = getattr(spec, name), LIMITS[name]
        if value is None:
            continue
        if not low <= value <= high or (step > 1 and value % step):
            multiple = f"a multiple of {step} " if step > 1 else ""
            raise RequestError(
                "job.invalid", f"`{name}` is {value}; it must be {multiple}from {low} to {high}."
            )


def _check_prompt(prompt: str) -> None:
    if len(prompt) > PROMPT_LIMIT:
        raise RequestError(
            "job.invalid", f"`prompt` has {len(prompt)} characters; at most {PROMPT_LIMIT} are read."
        )


def _check_generate(spec: GenerateSpec) -> None:
    if not -1 <= spec.base_seed < 2**63:
        raise RequestError(
            "job.invalid", f"`base_seed` is {spec.base_seed}; it must be from -1 to {2**63 - 1}."
        )
    if spec.save_file is not None and not spec.save_file.lower().endswith(VIDEO_ENDINGS):
        endings = ", ".join(VIDEO_ENDINGS)
        raise RequestError(
            "job.invalid", f"`save_file` is {spec.save_file}; its name must end with one of {endings}."
        )


def _choices(kind: Any) -> tuple[str, ...]:
    """Return the words of a field that is one of a few, or None."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    words = [get_args(option) for option in options if get_origin(option) is Literal]
    return words[0] if len(words) == 1 and set(options) <= {Literal[words[0]], NoneType} else ()


def _refuse_unknown(raw: dict[str, Any]) -> None:
    """Refuse fields, and words of fields that have a few, that are not known, naming those that are."""
    kinds: dict[str, type[msgspec.Struct]] = {
        "redub": RedubSpec,
        "faces": FacesSpec,
        "align": AlignSpec,
        "probe": ProbeSpec,
        "check": CheckSpec,
        "generate": GenerateSpec,
        "speak": SpeakSpec,
    }
    kind = kinds.get(str(raw["kind"]))
    if kind is None:
        raise RequestError("job.invalid", f"`kind` is {raw['kind']!r}; it must be one of {', '.join(kinds)}.")
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    known = {"kind", *fields}
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key).lower(), known, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known fields: {', '.join(sorted(known))}."
            raise RequestError("job.unknown_field", f"A {raw['kind']} job has no field `{key}`.", hint=hint)
        choices = _choices(fields.get(key))
        if choices and isinstance(raw[key], str) and raw[key] not in choices:
            raise RequestError(
                "job.invalid", f"`{key}` is {raw[key]!r}; it must be one of {', '.join(choices)}."
            )
    if kind is ProbeSpec and isinstance(raw.get("redub"), dict):
        _refuse_unknown({"kind": "redub", **raw["redub"]})
