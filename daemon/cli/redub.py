"""Commands that put a job on the queue: redub, submit, faces."""

from typing import Annotated

import msgspec
import typer

from daemon.cli.carried import CarriedDisplay
from daemon.cli.follow import follow
from daemon.cli.moments import DeadlineOption, TonightOption, deadline_from
from daemon.cli.output import (
    JsonOption,
    job_document,
    print_error,
    print_json,
    print_line,
    print_table,
    say,
)
from daemon.cli.plan_words import plan_in_words
from daemon.cli.specs import (
    CHOICES,
    build_spec,
    consent_from,
    position,
    position_pair,
    read_boxes,
    read_job_file,
    read_mask,
)
from daemon.cli.status import status_of
from daemon.client import Client
from daemon.protocol.jobs import FINAL_STATES, Job, JobSpec, JobState, ProbeSpec, RedubSpec, Take
from daemon.protocol.messages import EstimateJobReply


def choice(name: str, help_text: str) -> typer.models.OptionInfo:
    """Declare an option that is one of some words."""
    words = CHOICES[name]
    return typer.Option(
        "--" + name.replace("_", "-"),
        metavar="|".join(words),
        help=help_text,
        autocompletion=lambda incomplete: [word for word in words if word.startswith(incomplete)],
    )


def redub(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The shot.")],
    in_: Annotated[str, typer.Option("--in", metavar="POS", help="First frame: a number, or a timecode.")],
    out: Annotated[str, typer.Option("--out", metavar="POS", help="The frame after the last.")],
    voice: Annotated[str, typer.Option(metavar="FILE", help="The new voice.")],
    voice_at: Annotated[
        str | None, typer.Option(metavar="POS", help="Where the voice begins; otherwise at --in.")
    ] = None,
    engine: Annotated[str, choice("engine", "What draws the mouth.")] = "auto",
    takes: Annotated[int, typer.Option(help="How many takes to make.")] = 1,
    seed: Annotated[int, typer.Option(help="The first take's seed.")] = 0,
    handles: Annotated[int, typer.Option(help="Frames delivered untouched on both sides.")] = 0,
    face: Annotated[
        str, typer.Option(metavar="auto|ID|X,Y", help="Who speaks; `dubwright faces` lists them.")
    ] = "auto",
    boxes: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON: for each frame [x0,y0,x1,y1] or null.")
    ] = None,
    leave_alone: Annotated[
        list[str] | None,
        typer.Option(metavar="POS,POS", help="A range in which nothing is changed; may be given again."),
    ] = None,
    grow: Annotated[
        float | None, typer.Option(metavar="W", help="The mask wider by this share of the face's width.")
    ] = None,
    feather: Annotated[
        float | None, typer.Option(metavar="W", help="The mask's edge softer by this share.")
    ] = None,
    shift: Annotated[
        str | None, typer.Option(metavar="X,Y", help="The mask moved right and down by these shares.")
    ] = None,
    paint_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON: polygons in which nothing may change.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/D", help="The timeline's rate; otherwise the shot's own.")
    ] = None,
    duration_mode: Annotated[
        str, choice("duration_mode", "What to do where voice and range differ.")
    ] = "silence",
    deliver: Annotated[str, choice("deliver", "The mouth on alpha, or the whole picture.")] = "overlay",
    codec: Annotated[str | None, choice("codec", "How takes are written.")] = None,
    matte: Annotated[bool, typer.Option("--matte", help="Write the matte as a clip, too.")] = False,
    dest: Annotated[str | None, typer.Option(metavar="DIR", help="Where takes go.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, make nothing.")] = False,
    consent_of: Annotated[
        str | None, typer.Option(metavar="WHO", help="Whose face and voice; kept with the takes.")
    ] = None,
    consent_by: Annotated[
        str | None, typer.Option(metavar="WHO", help="By whose permission; kept with the takes.")
    ] = None,
    consent_note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Such as the number of the contract.")
    ] = None,
    tonight: TonightOption = False,
    deadline: DeadlineOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return as soon as the job is queued.")] = False,
    quality: Annotated[str, choice("quality", "Of the wan engine: how many steps.")] = "standard",
    model: Annotated[
        str | None, typer.Option(metavar="DIR", help="Of the wan engine: the folder of its weights.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="Of the wan engine: what is seen and how it is said.")] = "",
    crop: Annotated[
        int | None, typer.Option(metavar="PX", help="Of the wan engine: the square it works in.")
    ] = None,
    timing: Annotated[
        str, choice("timing", "Of the wan engine: make every frame, or 16 a second.")
    ] = "native",
    smaller_crop: Annotated[
        bool, typer.Option("--smaller-crop", help="Of the wan engine: work smaller when memory runs out.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(help="Of the wan engine: steps of sampling; otherwise the quality's.")
    ] = None,
    chunk: Annotated[int, typer.Option(help="Of the wan engine: frames made at a time, 4n.")] = 80,
    overlap: Annotated[int, typer.Option(help="Of the wan engine: frames that chunks share, 4n.")] = 0,
    strength: Annotated[
        float, typer.Option(help="Of the wan engine: below 1 it begins with the source's own mouth.")
    ] = 1.0,
    audio_guidance: Annotated[
        float | None, typer.Option(help="Of the wan engine: how strongly the voice drives the mouth.")
    ] = None,
    text_guidance: Annotated[
        float | None, typer.Option(help="Of the wan engine: how strongly the prompt counts.")
    ] = None,
    guidance_until: Annotated[
        float, typer.Option(help="Of the wan engine: noise level, 0 to 1, at which guidance ends.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> int:
    """Re-dub frames IN to OUT (exclusive) of SOURCE with a new voice."""
    spec = build_spec(
        "redub",
        {
            "source": source,
            "voice": voice,
            "in": position(in_),
            "out": position(out),
            "voice_at": None if voice_at is None else position(voice_at),
            "engine": engine,
            "quality": quality,
            "model": model,
            "prompt": prompt,
            "crop": crop,
            "timing": timing,
            "smaller_crop": smaller_crop,
            "steps": steps,
            "chunk": chunk,
            "overlap": overlap,
            "strength": strength,
            "audio_guidance": audio_guidance,
            "text_guidance": text_guidance,
            "guidance_until": guidance_until,
            "takes": takes,
            "seed": seed,
            "handles": handles,
            "face": face,
            "boxes": None if boxes is None else read_boxes(boxes),
            "leave_alone": [position_pair(pair) for pair in leave_alone or []],
            "mask": read_mask(grow, feather, shift, paint_out),
            "rate": rate,
            "duration_mode": duration_mode,
            "deliver": deliver,
            "codec": codec,
            "matte": matte,
            "dest": dest,
            "consent": consent_from(consent_of, consent_by, consent_note),
        },
    )
    if dry_run:
        assert isinstance(spec, RedubSpec)
        spec = ProbeSpec(redub=spec)
    return run_spec(
        spec, wait=not no_wait, as_json=as_json, tonight=tonight, deadline=deadline_from(deadline)
    )


def submit(
    job_file: Annotated[str, typer.Argument(metavar="JOB.json", help="The job; - reads standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Watch the job until it ends.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Keep it from running until it is released.")] = False,
    tonight: TonightOption = False,
    deadline: DeadlineOption = None,
    priority: Annotated[int, typer.Option(help="Higher runs first.")] = 0,
    key: Annotated[str | None, typer.Option(help="The same key twice is one job.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Put the job of a file on the queue."""
    spec = read_job_file(job_file)
    return run_spec(
        spec, wait=wait, as_json=as_json, hold=hold, priority=priority, key=key, tonight=tonight,
        deadline=deadline_from(deadline),
    )  # fmt: skip


def faces(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The shot.")],
    in_: Annotated[str, typer.Option("--in", metavar="POS", help="First frame.")],
    out: Annotated[str, typer.Option("--out", metavar="POS", help="The frame after the last.")],
    as_json: JsonOption = False,
) -> int:
    """Find the people in a range: their ids for --face, where they are seen, a thumbnail of each."""
    spec = build_spec("faces", {"source": source, "in": position(in_), "out": position(out)})
    return run_spec(spec, wait=True, as_json=as_json)


def run_spec(
    spec: JobSpec,
    *,
    wait: bool,
    as_json: bool,
    hold: bool = False,
    priority: int = 0,
    key: str | None = None,
    tonight: bool = False,
    deadline: float | None = None,
) -> int:
    """Submit, watch if asked to, and print what came of it; a job of the night is not waited for."""
    with Client.connect(name="cli", on_transfer=CarriedDisplay()) as client:
        job = client.submit(spec, key=key, priority=priority, hold=hold, tonight=tonight, deadline=deadline)
        if wait and not tonight and job.state not in FINAL_STATES:
            job = follow(client, job.job_id, quiet=as_json)
        if isinstance(spec, ProbeSpec) and not as_json and job.error is None:
            say(_guess(client.estimate(spec.redub)))
    print_job(job, as_json=as_json)
    return status_of(job)


def _guess(guess: EstimateJobReply) -> str:
    """Say how long takes would take."""
    where = guess.gpu or "this machine"
    if guess.usual_s is None:
        return f"How long it takes on {where} is not known: no such job has ended here yet."
    if not guess.is_measured:
        return f"It takes roughly {guess.usual_s:.0f} s; no such job has ended here yet."
    fast, slow = guess.fast_s or 0.0, guess.slow_s or 0.0
    return f"It takes about {guess.usual_s:.0f} s on {where} ({fast:.0f} to {slow:.0f} s)."


def print_job(job: Job, *, as_json: bool) -> None:
    """Print how a job stands and what it left."""
    if as_json:
        print_json(job_document(job))
        return
    if job.error is not None:
        print_error(job.error, as_json=False)
    elif job.state is not JobState.DONE:
        print_line(f"Job {job.job_id} is {job.state}.")
    for take in job.takes:
        print_take(take)
    if job.result is not None and not job.takes:
        _print_result(job.result)


def print_take(take: Take) -> None:
    """Print a take's path, its badge and why."""
    print_line(take.path)
    engine = take.engine if take.quality is None else f"{take.engine}, {take.quality}"
    print_line(
        f"  take {take.take_id}, {take.frames} frames, engine {engine}, seed {take.seed}: {take.badge}"
    )
    for sentence in [*take.checks.get("reasons", []), *take.notes]:
        print_line(f"  {sentence}")


def _print_result(result: dict) -> None:
    if "path" in result:
        print_line(f"{result['path']}: {result['frames']} frames, seed {result['seed']}")
        return
    if "plan" in result:
        for name, words in plan_in_words(result):
            print_line(f"{name:12s}{words}")
        return
    tracks = result.get("faces")
    if tracks is None:
        print_line(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    names = list(tracks[0]) if tracks else ["id"]
    print_table(names, [[_short(track.get(name)) for name in names] for track in tracks])


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


COMMANDS = {"redub": redub, "submit": submit, "faces": faces}
