"""Commands about jobs on the queue: jobs, watch, cancel, pause, resume, retry."""

from collections.abc import Callable
from typing import Annotated

import msgspec
import typer

from daemon.cli.follow import follow
from daemon.cli.output import JsonOption, job_document, local_time, print_json, print_line, print_table, say
from daemon.cli.redub import print_job
from daemon.cli.status import status_of
from daemon.client import Client
from daemon.protocol.errors import RequestError
from daemon.protocol.events import EVENT_NAMES, JobChanged
from daemon.protocol.jobs import CheckSpec, GenerateSpec, Job, JobSpec, JobState, ProbeSpec, SpeakSpec

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def jobs(
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="|".join(JobState), help="Only these; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 1000,
    as_json: JsonOption = False,
) -> int:
    """List jobs: what runs, what waits in its order, then the newest."""
    states = [_state(word) for word in state or []]
    with Client.connect(name="cli") as client:
        found = client.jobs(states, limit=limit)
    if as_json:
        print_json({"jobs": found})
    elif found:
        print_table(["JOB", "STATE", "DONE", "SUBMITTED", "WHAT"], [_row(job) for job in found])
    else:
        say("There are no jobs.")
    return 0


def watch(job: JobArgument, as_json: JsonOption = False) -> int:
    """Show a job until it ends. With --json: one line an event, and the job itself last."""
    with Client.connect(name="cli") as client:
        if as_json:
            for event in client.watch(job):
                print_json({"event": EVENT_NAMES[type(event)], **msgspec.to_builtins(event)})
            found = client.job(job)
        else:
            found = follow(client, job)
    print_job(found, as_json=as_json)
    return status_of(found)


def cancel(job: JobArgument, as_json: JsonOption = False) -> int:
    """Stop a job for good and drop its finished chunks; `pause` keeps them."""
    return _stop(job, Client.cancel, as_json=as_json)


def pause(job: JobArgument, as_json: JsonOption = False) -> int:
    """Stop a job for now."""
    return _stop(job, Client.pause, as_json=as_json)


def resume(job: JobArgument, as_json: JsonOption = False) -> int:
    """Put a paused job back on the queue, or let a held one run."""
    with Client.connect(name="cli") as client:
        is_held = client.job(job).state is JobState.HELD
        found = client.release(job) if is_held else client.resume(job)
    return print_state(found, as_json=as_json)


def retry(job: JobArgument, as_json: JsonOption = False) -> int:
    """Put a failed or cancelled job back on the queue."""
    with Client.connect(name="cli") as client:
        return print_state(client.retry(job), as_json=as_json)


def _stop(job_id: str, request: Callable[[Client, str], Job], *, as_json: bool) -> int:
    """Ask for a stop and wait, less than a second, until the job has stopped."""
    with Client.connect(name="cli") as client:
        found = until_stopped(client, request(client, job_id))
    return print_state(found, as_json=as_json)


def until_stopped(client: Client, job: Job) -> Job:
    """Wait until a job that was told to stop does not run any more."""
    if job.state is JobState.RUNNING:
        for event in client.watch(job.job_id):
            if isinstance(event, JobChanged) and event.job.state is not JobState.RUNNING:
                return event.job
    return job


def print_state(job: Job, *, as_json: bool) -> int:
    """Print how a job stands; return the exit status of a command that changed it."""
    if as_json:
        print_json(job_document(job))
    else:
        print_line(f"Job {job.job_id} is {job.state}.")
    return 0


def _state(word: str) -> JobState:
    try:
        return JobState(word)
    except ValueError:
        hint = f"The states are {', '.join(JobState)}."
        raise RequestError("job.invalid", f"There is no job state `{word}`.", hint=hint) from None


def _row(job: Job) -> list[str]:
    progress = job.progress if job.state in (JobState.RUNNING, JobState.PAUSED) else None
    done = "" if progress is None else f"{progress.fraction:.0%}"
    return [job.job_id, str(job.state), done, local_time(job.submitted_at), _what(job.spec)]


def _what(spec: JobSpec) -> str:
    """Say in a few words what a job is about."""
    if isinstance(spec, ProbeSpec):
        return f"probe {_what(spec.redub)}"
    if isinstance(spec, CheckSpec):
        return f"check {spec.take}"
    if isinstance(spec, GenerateSpec):
        return f"generate {spec.task}{f' to {spec.save_file}' if spec.save_file else ''}"
    if isinstance(spec, SpeakSpec):
        return f"speak {spec.picture} with {spec.voice}"
    return f"{spec.__struct_config__.tag} {spec.source} {spec.in_} to {spec.out}"


COMMANDS = {
    "jobs": jobs,
    "watch": watch,
    "cancel": cancel,
    "pause": pause,
    "resume": resume,
    "retry": retry,
}
