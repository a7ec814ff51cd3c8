"""What a crash left is cleared away, and what a job still needs stays."""

import json
from pathlib import Path

from daemon.protocol.jobs import JobState, RedubSpec
from daemon.queue.recovery import BEGUN, UNFINISHED, delete_folder, doom_folder, doomed_folders
from daemon.queue.store import JobStore

SPEC = RedubSpec(source="a.mov", voice="b.wav", in_=0, out=10)


def test_only_needless_work_folders_are_deleted(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    work = tmp_path / "work"
    folders: dict[JobState, Path] = {}
    for state, steps in {
        JobState.QUEUED: [],
        JobState.PAUSED: [JobState.PAUSED],
        JobState.FAILED: [JobState.RUNNING, JobState.FAILED],
        JobState.DONE: [JobState.RUNNING, JobState.DONE],
        JobState.CANCELLED: [JobState.CANCELLED],
    }.items():
        job, _ = store.submit(SPEC)
        for step in steps:
            store.move(job.job_id, step)
        folders[state] = work / job.job_id
        (folders[state] / "take1").mkdir(parents=True)
    (work / "unknown").mkdir()
    for doomed in doomed_folders(store, work):
        delete_folder(doomed)
    kept = {state for state, folder in folders.items() if folder.exists()}
    assert kept == {JobState.QUEUED, JobState.PAUSED, JobState.FAILED}
    assert len(list(work.iterdir())) == len(kept)
    store.close()


def test_half_deleted_folder_is_finished_at_the_next_start(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    folder = tmp_path / "work" / "job"
    folder.mkdir(parents=True)
    doomed = doom_folder(folder)
    assert doomed is not None
    assert not folder.exists()
    assert doomed_folders(store, tmp_path / "work") == [doomed]
    store.close()


def test_what_a_killed_worker_began_elsewhere_goes_with_its_folder(tmp_path: Path) -> None:
    folder, takes = tmp_path / "work" / "job", tmp_path / "takes"
    (takes / "b.part").mkdir(parents=True)
    folder.mkdir(parents=True)
    for name in ("a.mov.part", "b.part/1.exr", "mine.mov"):
        (takes / name).touch()
    names = ["a.mov.part", "b.part", "gone.mov.part", "mine.mov"]
    (folder / UNFINISHED).write_text(json.dumps([str(takes / name) for name in names]))
    delete_folder(folder)
    assert [path.name for path in takes.iterdir()] == ["mine.mov"]
    assert not folder.exists()


def test_files_of_a_take_without_its_sidecar_go_too_and_those_of_a_take_stay(tmp_path: Path) -> None:
    folder, takes = tmp_path / "work" / "job", tmp_path / "takes"
    folder.mkdir(parents=True)
    takes.mkdir()
    for name in ("done.mov", "done.json", "begun.mov", "begun_matte.mov", "mine.mov"):
        (takes / name).touch()
    begun = {"done.json": ["done.mov"], "begun.json": ["begun.mov", "begun_matte.mov", "mine.mov"]}
    note = {str(takes / sidecar): [str(takes / name) for name in names] for sidecar, names in begun.items()}
    (folder / BEGUN).write_text(json.dumps(note))
    delete_folder(folder)
    assert sorted(path.name for path in takes.iterdir()) == ["done.json", "done.mov", "mine.mov"]


def test_no_work_folder_is_fine(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    assert doomed_folders(store, tmp_path / "work") == []
    assert doom_folder(tmp_path / "work" / "job") is None
    store.close()
