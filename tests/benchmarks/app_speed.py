"""How fast the app is: first window, playing and stepping 1080p, ten thousand jobs, memory.

    QT_QPA_PLATFORM=offscreen python tests/benchmarks/app_speed.py

Makes a long-GOP 1080p25 clip; needs no daemon and starts none. Prints one JSON object. Wall times and dropped
frames say something on a machine that does nothing else; processor times always do.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from daemon.paths import Paths
from daemon.protocol.jobs import Job, JobState, RedubSpec
from gui.app import QUEUE, SHOTS, TAKES, App
from gui.media.player import Track
from gui.models.job_table import list_jobs
from gui.models.mode import Mode

FRAMES = 200
JOBS = 10_000
SHOTS_OPEN = 10
PLAYED_S = 7  # and the clip has 8


def make_clip(path: Path) -> Path:
    """Write moving noise of 1920x1080 at 25 fps, one group of pictures with B-frames."""
    noise = np.random.default_rng(1).integers(0, 255, (270, 480 + FRAMES, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"g": "250", "bf": "3", "preset": "veryfast"}
        for number in range(FRAMES):
            part = np.ascontiguousarray(noise[:, number : number + 480])
            frame = av.VideoFrame.from_ndarray(part, "rgb24").reformat(1920, 1080, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def wait(qt: QApplication, is_done: Callable[[], object]) -> float:
    """Let the app work until something is so; return how many milliseconds that took.

    Between events it sleeps, as an app does: a loop without rest takes the interpreter from the decoders.
    """
    began = time.perf_counter()
    while not is_done():
        qt.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 5)
    return (time.perf_counter() - began) * 1000


def wait_ms(qt: QApplication, pause_ms: int) -> None:
    """Let the app work for a while."""
    loop = QEventLoop()
    QTimer.singleShot(pause_ms, loop.quit)
    loop.exec()


def measure_playing(qt: QApplication, app: App, clip: Path) -> dict[str, float]:
    """Play side by side for five seconds, then step back."""
    app.window.show_page(TAKES)
    panel = app.takes_page.panel
    panel.player.load({"original": Track(clip), "take": Track(clip, 1)}, rate=Fraction(25), count=FRAMES - 1)
    wait(qt, lambda: all(panel.player.picture(name) is not None for name in ("original", "take")))
    panel.refresh_modes()
    panel.set_mode(Mode.SIDE)
    wait(qt, lambda: all(panel.player.picture(name) is not None for name in ("original", "take")))
    shown: list[int] = []
    panel.player.position_changed.connect(shown.append)
    worked = time.process_time()
    panel.player.play(1)
    wait_ms(qt, PLAYED_S * 1000)
    panel.player.stop()
    cpu_ms = (time.process_time() - worked) * 1000 / max(1, len(shown))
    dropped = panel.player.dropped
    panel.player.seek(FRAMES - 20)
    wait(
        qt, lambda: panel.player.picture("take") is not None and panel.player.picture("original") is not None
    )
    steps = []
    for _ in range(30):
        wait_ms(qt, 100)  # ten steps a second
        panel.player.step(-1)
        steps.append(wait(qt, lambda: panel.player.picture("original") is not None))
        wait(qt, lambda: panel.player.picture("take") is not None)
    return {
        "side_by_side_frames_due": PLAYED_S * 25,
        "side_by_side_frames_shown": len(shown),
        "frames_dropped": dropped,
        "side_by_side_cpu_ms_a_frame": round(cpu_ms, 1),  # of 80 that two cores have
        "step_back_ms_median": round(float(np.median(steps)), 1),
        "step_back_ms_worst": round(max(steps), 1),
    }


def measure_jobs(qt: QApplication, app: App) -> dict[str, float]:
    """Scroll through many jobs."""
    spec = RedubSpec(source="/a.mov", voice="/a.wav", in_=0, out=100)
    jobs = [
        Job(
            job_id=f"{n:08}",
            spec=spec,
            state=JobState.QUEUED,
            priority=0,
            submitted_at=0.0,
            submitted_by="cli",
        )
        for n in range(JOBS)
    ]
    app.window.show_page(QUEUE)
    began = time.perf_counter()
    app.jobs.set_all(list_jobs(jobs))
    filled_ms = (time.perf_counter() - began) * 1000
    bar = app.queue_page.table.verticalScrollBar()
    times, cpu_ms = [], []
    for value in range(0, bar.maximum(), max(1, bar.maximum() // 100)):
        began, worked = time.perf_counter(), time.thread_time()
        bar.setValue(value)
        qt.processEvents()
        cpu_ms.append((time.thread_time() - worked) * 1000)
        times.append((time.perf_counter() - began) * 1000)
    return {
        "fill_10000_jobs_ms": round(filled_ms, 1),
        "scroll_ms_median": round(float(np.median(times)), 1),
        "scroll_cpu_ms_median": round(float(np.median(cpu_ms)), 1),
    }


def measure_shots(qt: QApplication, app: App, clip: Path) -> dict[str, float]:
    """Open ten shots, each a file of its own, one after the other; return the memory after that."""
    app.window.show_page(SHOTS)
    for number in range(SHOTS_OPEN):
        copy = clip.with_name(f"shot {number}.mp4")
        shutil.copy(clip, copy)
        app.shots_page.take_in(copy)
        wait(qt, lambda number=number: len(app.project.project.shots) > number)
        wait(qt, lambda: app.shots_page.panel.player.picture("original") is not None)
        wait_ms(qt, 1000)
    return {"memory_ten_shots_mb": memory_mb()}


def memory_mb() -> int:
    """Return what the process has in memory."""
    return round(psutil.Process().memory_info().rss / 2**20)


def main() -> int:
    """Measure everything and print it."""
    qt = QApplication([])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = Paths(*(folder / part for part in ("data", "config", "cache", "logs", "models", "takes")))
        app = App(qt, paths, language="en")
        app.window.show()
        qt.processEvents()
        since_start_s = time.time() - psutil.Process().create_time()
        found: dict[str, float] = {
            "first_window_s": round(since_start_s, 2),
            "first_window_cpu_s": round(time.process_time(), 2),
            "first_window_memory_mb": memory_mb(),
        }
        clip = make_clip(folder / "clip.mp4")
        found |= measure_playing(qt, app, clip)
        found |= measure_jobs(qt, app)
        found |= measure_shots(qt, app, clip)
        app.window.close()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
