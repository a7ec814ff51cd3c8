"""How far the picture is from the sound of a real device, minute after minute, and when it is unplugged.

    QT_QPA_PLATFORM=offscreen python tests/benchmarks/sound_sync.py [--minutes 5] [--rate 30000/1001]

Starts a PulseAudio of its own (Debian: pulseaudio, pulseaudio-utils) whose device is a null sink: to
QAudioSink a device like any other, whose output can be recorded. A clip has a click at the first sample of
each second's frame. The recording says when a click was heard, the player which frame was shown then.
Prints one JSON object; `late_ms` is how long after its frame began to show a click was heard.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 48_000
CLICK = 480  # samples
LOUD = 8_000
_BLOCK = SAMPLE_RATE // 200 * 2  # bytes of 5 ms
_WARM_S = 3.0  # an idle null sink has made this much silence ahead and cannot take it back


@contextlib.contextmanager
def pulse_server(folder: Path) -> Iterator[None]:
    """Run a sound server with one device, for this process alone."""
    address = f"unix:{folder}/sound.socket"
    os.environ.update(PULSE_SERVER=address, XDG_RUNTIME_DIR=str(folder), PULSE_COOKIE=str(folder / "cookie"))
    modules = [f"module-native-protocol-unix socket={folder}/sound.socket auth-anonymous=1", _device("first")]
    loads = [part for module in modules for part in ("-L", module)]
    fixed = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--high-priority=no"]
    server = subprocess.Popen(["pulseaudio", *fixed, *loads], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("PulseAudio does not answer")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


def _device(name: str) -> str:
    return f"module-null-sink sink_name={name} rate={SAMPLE_RATE}"


class Recorder:
    """Writes down when clicks come out of the device, by the machine's clock."""

    def __init__(self, device: str) -> None:
        self.clicks: list[float] = []
        command = ["parec", "--raw", "--format=s16le", f"--rate={SAMPLE_RATE}", "--channels=1"]
        command += ["--latency-msec=5", f"--device={device}.monitor"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._process.terminate()
        self._thread.join()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        quiet = SAMPLE_RATE
        while block := os.read(self._process.stdout.fileno(), _BLOCK):
            now = time.monotonic()
            samples = np.frombuffer(block[: len(block) // 2 * 2], np.int16)
            loud = np.flatnonzero(np.abs(samples.astype(int)) > LOUD)
            if len(loud) and quiet + loud[0] > 10 * CLICK:
                self.clicks.append(now - (len(samples) - int(loud[0])) / SAMPLE_RATE)
            quiet = len(samples) - int(loud[-1]) if len(loud) else quiet + len(samples)


def make_clip(path: Path, rate: Fraction, count: int) -> Path:
    """Write small pictures; which one is shown the player knows."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.options = {"g": "50", "bf": "2", "preset": "ultrafast"}
        picture = np.zeros((180, 320, 3), np.uint8)
        for number in range(count):
            picture[:] = number % 250
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def make_clicks(rate: Fraction, count: int) -> tuple[np.ndarray, list[int]]:
    """Return (n, 2) samples with a click at the first sample of a frame a second, and those frames."""
    samples = np.zeros((round(count / rate * SAMPLE_RATE), 2), np.int16)
    frames = list(range(round(rate), count - 1, round(rate)))
    for frame in frames:
        first = round(frame / rate * SAMPLE_RATE)
        samples[first : first + CLICK] = 16_000
    return samples, frames


def measure(minutes: float, rate: Fraction, folder: Path) -> dict[str, object]:
    """Play against the device; then unplug it, and plug in another."""
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication

    from gui.media.player import Track
    from gui.views.player_panel import PlayerPanel
    from gui.views.strip import Strip

    application = QApplication([])
    count = int((minutes * 60 + 30) * rate)
    clip, (samples, frames) = make_clip(folder / "a.mp4", rate, count), make_clicks(rate, count)
    panel = PlayerPanel(Strip(), has_modes=False)
    panel.resize(800, 600)
    panel.show()
    player = panel.player
    player.load({"original": Track(clip)}, rate=rate, count=count)
    player.set_sound(samples)
    shown: list[tuple[float, int]] = []
    player.position_changed.connect(lambda frame: shown.append((time.monotonic(), frame)))

    def work(seconds: float) -> None:
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    work(1)
    recorder = Recorder("first")
    player.play(1)
    work(minutes * 60 + _WARM_S)
    result = {"rate": str(rate), **_compare(shown, frames, recorder.clicks, rate), "dropped": player.dropped}
    recorder.close()

    before = player.position
    subprocess.run(["pactl", "unload-module", "module-null-sink"], check=True)
    work(3)
    result["frames_shown_in_3_s_without_a_device"] = player.position - before
    subprocess.run(["pactl", "load-module", *_device("second").split()], check=True, capture_output=True)
    recorder = Recorder("second")
    del shown[:]
    work(_WARM_S + 6)
    recorder.close()
    result["another_device"] = _compare(shown, frames, recorder.clicks, rate)
    player.close()
    application.processEvents()
    return result


def _compare(
    shown: list[tuple[float, int]], frames: list[int], clicks: list[float], rate: Fraction
) -> dict[str, object]:
    """Return by how much each click was heard after its frame began to show."""
    positions = [frame for _, frame in shown]
    began = [shown[at][0] for frame in frames if (at := bisect_left(positions, frame)) < len(shown)]
    late = [1000 * (click - min(began, key=lambda at: abs(at - click))) for click in clicks]
    if not late:
        return {"clicks": 0}
    first, last = np.median(late[:20]), np.median(late[-20:])
    return {
        "clicks": len(late),
        "late_ms_least_median_most": [round(float(v), 1) for v in (min(late), np.median(late), max(late))],
        "drift_ms": round(float(last - first), 1),
        "a_frame_ms": round(1000 / float(rate), 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=Fraction, default=Fraction(25))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, pulse_server(Path(name)):
        sys.stdout.write(json.dumps(measure(options.minutes, options.rate, Path(name)), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
