"""The command that re-dubs a whole timeline: `dubwright timeline`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.carried import CarriedDisplay
from daemon.cli.output import JsonOption, print_error, print_json, print_line
from daemon.cli.status import ExitStatus
from daemon.client import Client
from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import Job, JobState, Take
from editor_plugin.shared.placement import BADGES


def timeline(
    path: Annotated[
        Path, typer.Argument(metavar="IN", help="The timeline: .otio .otioz .xml .aaf .kdenlive .edl.")
    ],
    voice_track: Annotated[
        str, typer.Option(metavar="NAME|INDEX", help="The sound track that holds the new voices.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIPS", help="Only clips of such names (SC_04*); may be given again."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="OUT", help="What to write; otherwise IN with .redub in its name.")
    ] = None,
    takes: Annotated[int, typer.Option(help="How many takes of each shot.")] = 1,
    handles: Annotated[int, typer.Option(help="Frames delivered untouched on both sides.")] = 0,
    baked: Annotated[
        bool, typer.Option("--baked", help="The whole picture, not the mouth on alpha.")
    ] = False,
    engine: Annotated[str, typer.Option(help="auto, rewrite or wan.")] = "auto",
    dest: Annotated[Path | None, typer.Option(metavar="DIR", help="Where takes go.")] = None,
    rate: Annotated[
        str, typer.Option(help="Frames a second of an EDL, which does not say: 25, 24000/1001.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the shots, make nothing.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Re-dub every shot over a voice track and write the timeline with a track of takes."""
    try:
        from editor_plugin.interchange import chooser, reader, writer
        from editor_plugin.shared.planner import Options
        from editor_plugin.shared.problems import PluginError
        from editor_plugin.shared.rates import exact_rate
    except ImportError as error:
        hint = "Install the extra: pip install 'dubwright[timeline]'."
        return _fail(
            "timeline.unavailable", f"OpenTimelineIO is not installed ({error.name}).", hint, as_json
        )
    extra = {} if dest is None else {"dest": str(dest.absolute())}
    options = Options(takes=takes, handles=handles, baked=baked, engine=engine, extra=extra)
    try:
        document = reader.read_document(path, exact_rate(rate) if rate else None)
        plans, left_out = chooser.choose(document, voice_track, options, where or [])
        shots = [_shot(plan, document.names) for plan in plans]
        if dry_run or not plans:
            return _report({"shots": shots, "left_out": left_out, "out": None}, as_json)
        ended = _make(plans, as_json=as_json)
        delivered = [
            writer.Delivered(
                plan, job.job_id, best.take_id, best.path, best.frames, min(handles, plan.spec["in"])
            )
            for plan, job in zip(plans, ended, strict=True)
            if job.state is JobState.DONE and (best := best_of(job.takes)) is not None
        ]
        for shot, job in zip(shots, ended, strict=True):
            shot.update(job=job.job_id, state=job.state, takes=[take.path for take in job.takes])
            if job.error is not None:
                shot["error"] = job.error.message
        written = writer.write_document(document, delivered, out or writer.usual_target(path))
    except PluginError as error:
        return _fail(error.code, error.message, error.hint, as_json)
    status = _report({"shots": shots, "left_out": left_out, "out": str(written)}, as_json)
    return status if len(delivered) == len(plans) else ExitStatus.MEDIA


def best_of(takes: Sequence[Take]) -> Take | None:
    """Return the take that is placed, as in the editors: the best badge, then the first made."""
    return min(takes, key=lambda take: BADGES.index(take.badge), default=None)


def _make(plans: list[Any], *, as_json: bool) -> list[Job]:
    """Queue everything, then wait for everything; one shot's failure leaves the others alone."""
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        jobs = [client.submit(plan.spec, key=plan.key) for plan in plans]
        if not as_json:
            print_line(f"{len(jobs)} shots are on the queue.")
        for job in jobs:
            for _ in client.watch(job.job_id):
                pass
        return [client.job(job.job_id) for job in jobs]


def _shot(plan: Any, names: dict[str, str]) -> dict[str, Any]:
    clip = plan.clip.clip_id
    return {
        "clip": clip,
        "name": names.get(clip, ""),
        "start": plan.start,
        "stop": plan.stop,
        "spec": plan.spec,
    }


def _report(document: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(document)
        return ExitStatus.OK
    for shot in document["shots"]:
        words = shot.get("error") or " ".join(shot.get("takes", []))
        print_line(f"{shot['clip']} {shot['name']} {shot['start']}-{shot['stop']} {words}".rstrip())
    for sentence in document["left_out"]:
        print_line(f"left out: {sentence}")
    if document["out"]:
        print_line(document["out"])
    return ExitStatus.OK


def _fail(code: str, message: str, hint: str, as_json: bool) -> int:
    print_error(ErrorInfo(code=code, message=message, hint=hint), as_json=as_json)
    return ExitStatus.MEDIA if code in ("timeline.unreadable", "timeline.missing") else ExitStatus.REQUEST


COMMANDS = {"timeline": timeline}
