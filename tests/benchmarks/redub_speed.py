"""Time the daemon and a whole re-dub in it: start, submit, list, seconds a shot takes, memory of the worker.

    python -m tests.benchmarks.redub_speed [SHOT VOICE IN OUT] [--uhd]

Without a shot, the bundled one. With --uhd the shot is first made into 60 seconds of 3840 x 2160. The
worker is warm: one short job runs first, as in an editor's second hour.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import psutil

from daemon import demo
from daemon.client import Client
from daemon.protocol.jobs import JobState, RedubSpec
from tests.benchmarks.home import home_for

LISTED = 10_000
UHD = (3840, 2160)
UHD_S = 60


def seconds(act: Callable[[], object]) -> float:
    """Return how long `act` takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def make_uhd(shot: Path, folder: Path) -> Path:
    """Loop and enlarge a shot to a minute of UHD, with the shot's sound looped under it."""
    path = folder / "uhd.mp4"
    with av.open(path, "w") as out, av.open(shot) as source:
        rate = source.streams.video[0].average_rate or Fraction(25)
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *UHD, "yuv420p"
        for index in range(round(UHD_S * rate)):
            try:
                frame = next(source.decode(video=0))
            except (StopIteration, av.error.EOFError):
                source.seek(0)
                frame = next(source.decode(video=0))
            frame = frame.reformat(*UHD, format="yuv420p")
            frame.pts, frame.time_base = index, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def run_job(client: Client, spec: RedubSpec) -> tuple[dict[str, float], int]:
    """Run a job; return the seconds at which each stage began and the end, and the worker's peak memory."""
    begun, marks, peak = time.perf_counter(), {}, 0
    job = client.submit(spec)
    for event in client.watch(job.job_id):
        progress: Any = getattr(event, "progress", None)
        if progress is not None:
            marks.setdefault(progress.stage, time.perf_counter() - begun)
        peak = max([peak, *(worker_peak(worker.pid) for worker in client.status().workers)])
    marks["done"] = time.perf_counter() - begun
    final = client.job(job.job_id)
    if final.state is not JobState.DONE:
        sys.exit(f"the job is {final.state}: {final.error}")
    return marks, peak


def worker_peak(pid: int) -> int:
    """Return the most memory a process has had, in bytes; where the system does not say, what it has now."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        return psutil.Process(pid).memory_info().rss
    except (OSError, psutil.Error):
        return 0


def time_requests(client: Client) -> None:
    """Print how long small requests and long lists take."""
    held = RedubSpec(source="/none.mov", voice="/none.wav", in_=0, out=25)
    trips = sorted(seconds(lambda: client.submit(held, hold=True)) for _ in range(200))
    print(f"submit, there and back: median {1000 * trips[100]:.1f} ms, 99 % {1000 * trips[197]:.1f} ms")
    for _ in range(LISTED - len(trips)):
        client.submit(held, hold=True)
    lists = sorted(seconds(lambda: client.jobs(limit=LISTED)) for _ in range(5))
    print(f"list of {LISTED}: median {1000 * lists[2]:.0f} ms")


def main() -> None:
    """Print the figures."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("--")]
    shot, voice, start, stop = arguments or [demo.SHOT, demo.VOICE, "100", "200"]
    with tempfile.TemporaryDirectory() as name, home_for(Path(name), scripted=False) as folder:
        begun = time.perf_counter()
        with Client.connect(name="benchmark") as client:
            print(f"daemon start to first reply: {time.perf_counter() - begun:.2f} s")
            source = Path(shot).absolute()
            if "--uhd" in sys.argv:
                source, start, stop = make_uhd(source, folder), "0", str(25 * UHD_S)
            spec = RedubSpec(
                source=str(source), voice=str(Path(voice).absolute()), in_=int(start), out=int(stop)
            )
            run_job(client, RedubSpec(source=str(demo.SHOT), voice=str(demo.VOICE), in_=10, out=35))
            marks, peak = run_job(client, spec)
            shown = ", ".join(f"{stage} {at:.1f}" for stage, at in marks.items())
            print(f"{source.name} {start} to {stop}, seconds since the submit: {shown}")
            print(f"worker's peak memory: {peak / 1e6:.0f} MB")
            time_requests(client)


if __name__ == "__main__":
    main()
