"""What a job has made, file by file, for a paired machine that fetches it."""

from collections.abc import Iterator
from pathlib import Path

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import Job
from daemon.protocol.transfer_messages import CHUNK_BYTES, JobFile
from daemon.transfer.disk import sha256_of

PICTURES = ("thumbnail", "outline")
"""Of each face in the result of a `faces` job: files."""


def files_of(job: Job) -> list[Path]:
    """Return the files that belong to a job's takes and result; a take's sidecar comes last."""
    return [path for path in _named(job) if path.is_file()]


def list_files(job: Job) -> list[JobFile]:
    """Return the job's files with their hashes; reads each of them once."""
    return [
        JobFile(path=str(path), size=path.stat().st_size, sha256=sha256_of(path)) for path in files_of(job)
    ]


def read_chunk(job: Job, path: str, offset: int) -> bytes:
    """Return the bytes of a job's file from `offset` on. Raises RequestError `transfer.unknown`."""
    found = next((file for file in files_of(job) if str(file) == path), None)
    if found is None:
        raise RequestError("transfer.unknown", f"{path} is no file of job {job.job_id}.")
    with found.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)


def _named(job: Job) -> Iterator[Path]:
    for take in job.takes:
        media = Path(take.path)
        yield from sorted(media.iterdir()) if media.is_dir() else [media]
        yield media.with_name(f"{media.name}.c2pa")
        if take.matte is not None:
            matte = Path(take.matte)
            yield from sorted(matte.iterdir()) if matte.is_dir() else [matte]
        yield Path(take.sidecar)
    for face in (job.result or {}).get("faces", []):
        for picture in PICTURES:
            if isinstance(face, dict) and isinstance(face.get(picture), str):
                yield Path(face[picture])
