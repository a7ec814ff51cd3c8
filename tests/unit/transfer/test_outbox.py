"""Which files belong to a job, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import Job, JobState, RedubSpec, Take
from daemon.protocol.transfer_messages import CHUNK_BYTES
from daemon.transfer.outbox import files_of, list_files, read_chunk


def job(folder: Path, media: str, result: dict[str, Any] | None = None, matte: str | None = None) -> Job:
    take = Take(
        take_id="a-1", path=str(folder / media), sidecar=str(folder / "a.json"), frames=1,
        rate=(25, 1), seed=0, engine="rewrite", badge="pass", checks={},
        matte=None if matte is None else str(folder / matte),
    )  # fmt: skip
    spec = RedubSpec(source="/a.mov", voice="/b.wav", in_=0, out=1)
    return Job(
        job_id="a", spec=spec, state=JobState.DONE, priority=0, submitted_at=0.0, submitted_by="",
        takes=[take], result=result,
    )  # fmt: skip


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_folder_of_pictures_goes_with_its_manifest_its_matte_and_its_sidecar_last(tmp_path: Path) -> None:
    write(tmp_path, "a/1.exr", "a/2.exr", "a.c2pa", "m/1.exr", "a.json", "other.mov")
    found = [str(path.relative_to(tmp_path)) for path in files_of(job(tmp_path, "a", matte="m"))]
    assert found == ["a/1.exr", "a/2.exr", "a.c2pa", "m/1.exr", "a.json"]


def test_pictures_of_faces_belong_to_a_job_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "face1.png", "a.json")
    faces = [{"thumbnail": str(tmp_path / "face1.png"), "outline": str(tmp_path / "gone.npz"), "id": 1}, 7]
    found = [path.name for path in files_of(job(tmp_path, "gone.mov", {"faces": faces}))]
    assert found == ["a.json", "face1.png"]


def test_a_file_is_read_in_pieces_and_only_one_of_the_jobs(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "secret")
    (tmp_path / "a.mov").write_bytes(bytes(CHUNK_BYTES + 5))
    made = job(tmp_path, "a.mov")
    (media, _) = list_files(made)
    assert media.size == CHUNK_BYTES + 5
    sizes = [len(read_chunk(made, media.path, offset)) for offset in (0, CHUNK_BYTES, CHUNK_BYTES + 5)]
    assert sizes == [CHUNK_BYTES, 5, 0]
    for path in (str(tmp_path / "secret"), f"{tmp_path}/x/../a.mov"):
        with pytest.raises(RequestError):
            read_chunk(made, path, 0)
