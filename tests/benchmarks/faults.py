"""Fault injection: `python -m tests.benchmarks.faults --kills 200` (docs/reliability.md has the figures).

A stream of jobs through a real daemon, half of them by way of a bridge, while processes are killed (-9) at
random: the server, its worker, the bridge. In between the queue is locked by another program, a page of its
file is overwritten while the server is dead, folders of takes are deleted, and the clock of all of them jumps
by up to 400 days, ahead or back. At the end every job must be done, once, with the bytes that an undisturbed
run makes. Jobs are scripted (tests/fakes/runner.py) unless --real: then they are re-dubs.
"""

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from daemon.client import Client
from daemon.launch import wait_until_stopped
from daemon.paths import find_paths
from daemon.protocol.errors import DubwrightError
from daemon.protocol.jobs import Job, JobState, RedubSpec
from tests.benchmarks.home import home_for
from tests.leaping import LeapingClock, leaping_clock

CHECKOUT = Path(__file__).resolve().parents[2]
AT_ONCE = 4  # jobs on the queue
LOCKED_S = 1.0
LEAP_S = 400 * 86_400.0
PATIENCE_S = 120.0  # in which a job must get on
FAULTS = ("server", "worker", "bridge")
RARE = ("locked", "damaged", "folder", "clock")  # one of them after every tenth kill


@dataclass
class Figures:
    """What was done and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    retries: int = 0
    rerun: int = 0  # takes that were deleted with their folder and asked for again
    submitted_again: int = 0  # jobs that a damaged queue had lost
    failed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Bridge:
    """A bridge as an editor runs it, started again when it was killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, kind: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Return the reply, or None when the bridge died over it."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon.bridge"], cwd=CHECKOUT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"id": 1, "type": kind, "body": body}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def close(self) -> None:
        """End it as its editor would."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.communicate(timeout=20)


class Stream:
    """The jobs, and what is done to them."""

    def __init__(
        self,
        home: Path,
        seed: int,
        *,
        shot: tuple[Path, Path] | None = None,
        pause_s: float = 0.5,
        clock: LeapingClock,
    ) -> None:
        self.clock = clock
        self.home, self.shot, self.pause_s = home, shot, pause_s
        self.takes = home / "takes"
        self.random = random.Random(seed)
        self.figures = Figures()
        self.bridge = Bridge()
        self.client: Client | None = None
        self.open: dict[str, str] = {}  # key of each job that is not known to be done: its id
        self.done: dict[str, Job] = {}

    def run(self, kills: int) -> Figures:
        """Keep jobs on the queue until so many kills are done, then wait for the last ones and check."""
        begun = time.monotonic()
        while sum(self.figures.kills.values()) < kills:
            while len(self.open) < AT_ONCE:
                self._submit(f"job {self.figures.jobs}")
                self.figures.jobs += 1
            time.sleep(self.random.uniform(0.0, 2 * self.pause_s))
            self._hurt()
            self._look()
        deadline = time.monotonic() + PATIENCE_S * len(self.open)
        while self.open and time.monotonic() < deadline:
            self._look()
            time.sleep(0.1)
        self._settle()
        self._check()
        self.bridge.close()
        self._connected().shutdown()
        self._connected().close()
        self.figures.seconds = time.monotonic() - begun
        return self.figures

    def spec(self, key: str) -> dict[str, Any]:
        """Return the job of a key."""
        number = int(key.split()[1])
        if self.shot is None:
            source, voice, stop = self.home / "a.mov", self.home / "paint", 30
        else:
            (source, voice), stop = self.shot, 20
        return {
            "source": str(source), "voice": str(voice), "in": 8, "out": stop, "seed": number % 3,
            "deliver": "baked", "codec": "ffv1", "dest": str(self.takes / str(number)),
        }  # fmt: skip

    def _submit(self, key: str) -> None:
        spec = self.spec(key)
        Path(spec["dest"]).mkdir(parents=True, exist_ok=True)
        body = {"spec": spec, "key": key, "submitted_by": "faults"}
        while key not in self.open:
            if self.random.random() < 0.5:
                reply = self.bridge.ask("submit_job", body)
                if reply is not None and reply["type"] == "submit_job_reply":
                    self.open[key] = reply["body"]["job"]["job_id"]
            else:
                with contextlib.suppress(DubwrightError):
                    self.open[key] = self._connected().submit(spec, key=key).job_id

    def _connected(self) -> Client:
        while self.client is None:
            with contextlib.suppress(DubwrightError):
                self.client = Client.connect(name="faults")
        return self.client

    def _look(self) -> None:
        """Take note of jobs that ended; try failed ones again, as their message says."""
        for key, job_id in list(self.open.items()):
            try:
                job = self._connected().job(job_id)
                if job.state is JobState.FAILED:
                    assert job.error is not None
                    self.figures.failed[job.error.code] += 1
                    self.figures.retries += 1
                    Path(self.spec(key)["dest"]).mkdir(parents=True, exist_ok=True)
                    self._connected().retry(job_id)
            except DubwrightError as error:
                if error.code == "job.not_found":  # the damaged queue could not give it back
                    self.figures.submitted_again += 1
                    del self.open[key]
                    self._submit(key)
                continue
            if job.state is JobState.DONE:
                self.done[key] = job
                del self.open[key]

    def _hurt(self) -> None:
        what = self.random.choice(FAULTS)
        pid = self._pid(what)
        if pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
            self.figures.kills[what] += 1
            if sum(self.figures.kills.values()) % 10 == 0:
                rare = self.random.choice(RARE)
                getattr(self, f"_{rare}")()
                self.figures.faults[rare] += 1

    def _pid(self, what: str) -> int | None:
        if what == "bridge":
            return self.bridge.process.pid if self.bridge.process is not None else None
        try:
            status = self._connected().status()
        except DubwrightError:
            return None
        if what == "server":
            return status.server_pid
        return next((worker.pid for worker in status.workers if worker.role == "engine"), None)

    def _locked(self) -> None:
        """Have another program hold the queue's lock for a while."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(
                sqlite3.connect(find_paths().queue_file, isolation_level=None, timeout=5)
            ) as other,
        ):
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(LOCKED_S)
            other.execute("ROLLBACK")

    def _damaged(self) -> None:
        """Kill the server and write noise over a page of its queue, the first one apart."""
        pid = self._pid("server")
        if pid is None:
            return
        psutil.Process(pid).kill()
        wait_until_stopped(find_paths())
        queue = find_paths().queue_file
        for journal in (queue.with_name(queue.name + "-wal"), queue.with_name(queue.name + "-shm")):
            if journal.exists():
                with contextlib.closing(sqlite3.connect(queue)) as settled:
                    settled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = queue.stat().st_size // 4096
        with queue.open("rb+") as file:
            file.seek(4096 * self.random.randrange(1, max(2, pages)))
            file.write(self.random.randbytes(4096))

    def _clock(self) -> None:
        """Set the clock of every process of ours to another day, before now or after."""
        self.clock.leap(self.random.uniform(-LEAP_S, LEAP_S))

    def _folder(self) -> None:
        """Delete the folder of a job's takes, whether it is begun, done or neither."""
        key = self.random.choice([*self.open, *self.done])
        shutil.rmtree(self.spec(key)["dest"], ignore_errors=True)
        if key in self.done:
            self.figures.rerun += 1
            self.figures.jobs += 1
            del self.done[key]
            self._submit(f"{key} again")

    def _settle(self) -> None:
        """Wait for jobs that a restored queue runs once more; they find their takes on disk."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if not self._connected().jobs([JobState.QUEUED, JobState.RUNNING]):
                return
            time.sleep(0.2)

    def _check(self) -> None:
        """Compare what there is with what an undisturbed run makes."""
        wrong = self.figures.wrong
        wrong += [f"{key} is not done" for key in self.open]
        expected = {seed: self._undisturbed(seed) for seed in range(3)}
        takes = Counter(take.take_id for take in self._connected().takes())
        for key, job in self.done.items():
            found = [hashlib.sha256(Path(take.path).read_bytes()).hexdigest() for take in job.takes]
            if found != [expected[int(key.split()[1]) % 3]]:
                wrong.append(f"{key}: takes {found}")
            wrong += [
                f"{key}: {take.take_id} is recorded {takes[take.take_id]} times"
                for take in job.takes
                if takes[take.take_id] != 1
            ]
        wrong += [f"{path} is left over" for path in self.takes.rglob("*.part*")]
        deadline = time.monotonic() + PATIENCE_S
        while (left := list(find_paths().work.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.1)  # they are deleted in the background
        wrong += [f"{path} is left over" for path in left]

    def _undisturbed(self, seed: int) -> str:
        from daemon.redub.pipeline import run_job
        from daemon.redub.progress import SilentReporter
        from tests.fakes.runner import paint

        spec = self.spec(f"job {seed}") | {"dest": str(self.home / "undisturbed" / str(seed))}
        Path(spec["dest"]).mkdir(parents=True)
        plain = RedubSpec(**{"in_" if name == "in" else name: value for name, value in spec.items()})
        run = paint if self.shot is None else run_job
        done = run(
            plain, work=self.home / "work" / str(seed), job_id="undisturbed", reporter=SilentReporter()
        )
        return hashlib.sha256(Path(done.takes[0].path).read_bytes()).hexdigest()


def main() -> int:
    """Run, print the figures, and end with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two kills, about")
    parser.add_argument("--real", action="store_true", help="re-dub a shot instead of scripted jobs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, home_for(Path(name), scripted=not options.real) as folder:
        shot = None
        if options.real:
            from tests.clips import make_clip, make_voice

            shot = make_clip(folder / "shot.mov"), make_voice(folder / "voice.wav")
        with leaping_clock(folder) as clock:
            stream = Stream(folder, options.seed, shot=shot, pause_s=options.pause, clock=clock)
            figures = stream.run(options.kills)
    print(json.dumps(vars(figures), indent=2))
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
