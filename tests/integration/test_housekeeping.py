"""What the daemon tidies up, on the real queue and in the real folders."""

import asyncio
import os
from pathlib import Path

import pytest

from daemon.config import HistoryConfig, RemoteConfig
from daemon.housekeeping import Housekeeper
from daemon.pairing.clients import PairedClients
from daemon.protocol.jobs import JobState, RedubSpec, Take
from daemon.transfer.service import FileService
from tests.fakes.daemon import FakeDaemon, running


def take_of(job_id: str, folder: Path) -> Take:
    folder.mkdir(parents=True)
    for name in ("a.mov", "a.json"):
        (folder / name).write_text("a take")
    return Take(
        take_id=f"{job_id}-1", path=str(folder / "a.mov"), sidecar=str(folder / "a.json"), frames=9,
        rate=(25, 1), seed=0, engine="rewrite", badge="pass", checks={}, verdict="accepted",
    )  # fmt: skip


def job_with_take(daemon: FakeDaemon, folder: Path, client: str) -> str:
    job, _ = daemon.store.submit(RedubSpec(source="/a", voice="/b", in_=0, out=9), client=client)
    claim = daemon.store.claim("engine")
    assert claim is not None
    take = take_of(job.job_id, folder)
    daemon.store.move(job.job_id, JobState.DONE, attempt=claim.attempt, takes=[take])
    return job.job_id


@pytest.mark.usefixtures("quiet_home")
def test_old_jobs_go_with_their_folders_and_media_that_nobody_needs(tmp_path: Path) -> None:
    async def tidy() -> None:
        async with running() as daemon:
            clients = PairedClients(daemon.paths.paired_file)
            here = clients.add("here", "k" * 40, [])
            files = FileService(daemon.paths, RemoteConfig())
            own, gone = files.folder_of(here), daemon.paths.paired / "gone"
            for folder in (own / "media" / "aa", own / "media" / "bb", gone / "media" / "cc"):
                folder.mkdir(parents=True)
                (folder / "a.mov").write_text("media")
            os.utime(own / "media" / "bb", (0, 0))
            theirs = job_with_take(daemon, own / "takes" / "x", here.public)
            job_with_take(daemon, tmp_path / "takes", "")
            daemon.paths.work.mkdir(exist_ok=True)
            (daemon.paths.work / theirs).mkdir()
            housekeeper = Housekeeper(
                daemon.store,
                files,
                clients,
                asyncio.get_running_loop(),
                history=HistoryConfig(jobs=0),
                drop_folder=daemon.supervisor.drop_folder,
            )
            housekeeper.start(first_s=0)
            unneeded = (gone / "media" / "cc", own / "media" / "bb", daemon.paths.work / theirs)
            while any(folder.exists() for folder in unneeded):
                await asyncio.sleep(0.01)
            housekeeper.stop()
            assert daemon.store.list() == []
            assert (tmp_path / "takes" / "a.mov").exists()
            assert not list((own / "takes" / "x").iterdir())
            assert sorted(folder.name for folder in (own / "media").iterdir()) == ["aa"]

    asyncio.run(tidy())
