"""What a crash left is cleared away, and what a job still needs stays."""

from pathlib import Path

from daemon.protocol.jobs import JobState, RedubSpec
from daemon.queue.recovery import delete_folder, doom_folder, doomed_folders
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


def test_no_work_folder_is_fine(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "queue.sqlite")
    assert doomed_folders(store, tmp_path / "work") == []
    assert doom_folder(tmp_path / "work" / "job") is None
    store.close()
