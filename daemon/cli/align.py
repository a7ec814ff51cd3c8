"""The command that lays a reading against the shot's own sound: align."""

from typing import Annotated, Any

import typer

from daemon.cli.carried import CarriedDisplay
from daemon.cli.follow import follow
from daemon.cli.output import JsonOption, job_document, print_error, print_json, print_line, print_table
from daemon.cli.specs import build_spec, position
from daemon.cli.status import status_of
from daemon.client import Client
from daemon.protocol.jobs import FINAL_STATES


def align(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The shot.")],
    in_: Annotated[str, typer.Option("--in", metavar="POS", help="First frame.")],
    out: Annotated[str, typer.Option("--out", metavar="POS", help="The frame after the last.")],
    voice: Annotated[str, typer.Option(metavar="FILE", help="The new reading.")],
    rate: Annotated[
        str | None, typer.Option(metavar="N/D", help="The timeline's rate; otherwise the shot's own.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Find where a reading of the same words lies under the shot's own sound, for --voice-at."""
    fields = {"source": source, "voice": voice, "in": position(in_), "out": position(out), "rate": rate}
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        job = client.submit(build_spec("align", fields))
        if job.state not in FINAL_STATES:
            job = follow(client, job.job_id, quiet=as_json)
    if as_json:
        print_json(job_document(job))
    elif job.error is not None:
        print_error(job.error, as_json=False)
    elif job.result is not None:
        _print(job.result)
    return status_of(job)


def _print(found: dict[str, Any]) -> None:
    exact_s = found["offset_samples"] / found["sample_rate"]
    print_line(f"--voice-at {found['voice_at']}    confidence {found['confidence']:.0%}")
    rest = f"{found['rest_ms']:+z.1f} ms off that frame"
    print_line(f"the voice begins at {exact_s:z.4f} s of the clip, {rest}")
    if found["segments"]:
        rows = [[str(s["in"]), str(s["out"]), f"{s['drift_ms']:+d} ms"] for s in found["segments"]]
        print_table(("from", "to", "reading comes"), rows)


COMMANDS = {"align": align}
