"""Commands about finished takes: takes, accept, reject, checks."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from daemon.cli.carried import CarriedDisplay
from daemon.cli.follow import follow
from daemon.cli.output import JsonOption, print_json, print_line, print_table, say, take_document
from daemon.cli.status import ExitStatus
from daemon.client import Client
from daemon.protocol.errors import RequestError, error_from_info
from daemon.protocol.jobs import FINAL_STATES, CheckSpec, Take

TakeArgument = Annotated[str, typer.Argument(metavar="TAKE", help="The take's id, its file or its sidecar.")]


MEANINGS = {
    "frames_expected": "frames that the take should have",
    "frames_found": "frames that its file has",
    "outside_max_difference": "largest change outside the matte, in code values",
    "speech_s": "seconds of speech in the voice",
    "av_offset_ms": "the mouth after the voice (below 0: before it)",
    "av_confidence": "how well mouth and voice match there, up to 1",
    "av_evidence": "how much better than without an offset, in standard errors",
    "movement": "how far the mouth moves; 1: as the voice asks for",
    "seam_delta_e": "colour difference on the matte's edge, CIEDE2000",
    "seam_delta_e_p95": "the same, exceeded in one frame of twenty",
    "colour_shift_delta_e": "colour difference of the skin inside the matte, CIEDE2000",
    "likeness": "how foreign the mouth looks; about 1 or less: this actor's own",
    "chunk_jump": "largest jump between two chunks, in L*",
    "silence_leak": "how far the mouth moves in silence, in distances between the eyes",
    "passed_through": "frames that were left as they are, from and up to",
    "frames_passed_through": "how many these are",
    "frames_without_face": "frames with speech in which the mouth cannot be used",
    "speaker_doubt": "how unsure it is who speaks, 0 to 1",
    "sha256": "of the file that was measured; empty for a folder of pictures",
}


class _Sidecar(msgspec.Struct):
    """The part of a sidecar that is read here."""

    take: Take


def takes(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only this job's.")] = None,
    as_json: JsonOption = False,
) -> int:
    """List takes, oldest first."""
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        found = client.takes(job)
        client.fetch(found)
    if as_json:
        print_json({"takes": [take_document(take) for take in found]})
    elif found:
        rows = [[take.take_id, take.badge, take.verdict, take.path] for take in found]
        print_table(["TAKE", "BADGE", "VERDICT", "PATH"], rows)
    else:
        say("There are no takes.")
    return 0


def accept(take: TakeArgument, as_json: JsonOption = False) -> int:
    """Mark a take as the one to use."""
    return _judge(take, "accepted", as_json=as_json)


def reject(take: TakeArgument, as_json: JsonOption = False) -> int:
    """Mark a take as not to be used. Its files stay."""
    return _judge(take, "rejected", as_json=as_json)


def checks(
    take: TakeArgument,
    again: Annotated[bool, typer.Option("--again", help="Measure anew, as the file is now.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show what was measured on a take, anew if its file changed; the exit status is 7 for a fail."""
    found = find_take(take)
    if again or _has_changed(found):
        found = _measure(found, quiet=as_json)
    if as_json:
        print_json(take_document(found))
    else:
        print_checks(found)
    return ExitStatus.BAD_TAKE if found.badge == "fail" else ExitStatus.OK


def _judge(name: str, verdict: Literal["accepted", "rejected"], *, as_json: bool) -> int:
    take_id = _read_sidecar(Path(name)).take_id if Path(name).exists() else name
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        take = client.set_verdict(take_id, verdict)
    if as_json:
        print_json({"take": take_document(take)})
    else:
        print_line(f"Take {take.take_id} is {take.verdict}.")
    return 0


def _measure(take: Take, *, quiet: bool) -> Take:
    """Have the daemon measure a take's file again; return the take with the new figures."""
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        job = client.submit(CheckSpec(take=take.path))
        if job.state not in FINAL_STATES:
            job = follow(client, job.job_id, quiet=quiet)
    if job.error is not None:
        raise error_from_info(job.error)
    figures = (job.result or {})["checks"]
    return msgspec.structs.replace(take, checks=figures, badge=figures["badge"])


def _has_changed(take: Take) -> bool:
    """Return whether the take's file is another than the one that was measured."""
    media, recorded = Path(take.path), take.checks.get("sha256")
    if recorded is None or not media.is_file():
        return False
    with media.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != recorded


def find_take(name: str) -> Take:
    """Return the take of an id, or of a path whether or not this daemon knows it."""
    if Path(name).exists():
        return _read_sidecar(Path(name))
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        for take in client.takes():
            if take.take_id == name:
                return take
    raise RequestError("take.not_found", f"There is no take {name}, and no such file.")


def _read_sidecar(path: Path) -> Take:
    """Read a take's sidecar: beside its file or folder, the suffix replaced by .json."""
    candidates = [path] if path.suffix == ".json" else [path.with_suffix(".json"), Path(f"{path}.json")]
    for candidate in candidates:
        try:
            take = msgspec.json.decode(candidate.read_bytes(), type=_Sidecar).take
            media = candidate.with_name(Path(take.path).name) if path == candidate else path
            return msgspec.structs.replace(
                take, path=str(media.absolute()), sidecar=str(candidate.absolute())
            )
        except (OSError, msgspec.DecodeError):
            continue
    hint = "Give a file that Dubwright made; its sidecar must lie beside it."
    raise RequestError("take.not_found", f"{path} has no sidecar that can be read.", hint=hint)


def print_checks(take: Take) -> None:
    """Print a take, its badge with the reasons, and every figure."""
    print_line(f"{take.path}: {take.badge}")
    for sentence in [*take.checks.get("reasons", []), *take.notes]:
        print_line(f"  {sentence}")
    figures = {name: value for name, value in take.checks.items() if name not in ("badge", "reasons")}
    rows = [(name, _shown(value), MEANINGS.get(name, "")) for name, value in figures.items()]
    width = max((len(name) for name in figures), default=0)
    for name, value, meaning in rows:
        print_line(f"  {name.ljust(width)}  {value.ljust(5)}  {meaning}".rstrip())


def _shown(value: Any) -> str:
    return "-" if value is None else msgspec.json.encode(value).decode()


COMMANDS = {"takes": takes, "accept": accept, "reject": reject, "checks": checks}
