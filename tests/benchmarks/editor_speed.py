"""How fast the editors' plugins are: the panel, what a click and a tick take of the editor's time, 500 clips.

    DUBWRIGHT_BPY=PYTHON[:PYTHON...] python -m tests.benchmarks.editor_speed

Each Python has the `bpy` module. Starts a daemon of its own; needs the face models. Prints one JSON object.
"""

import json
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from daemon.demo import VOICE
from daemon.faces.mesh import models_folder
from editor_plugin.blender.package import build
from editor_plugin.shared.actions import Session
from editor_plugin.shared.journal import Journal
from editor_plugin.shared.link import Link
from editor_plugin.shared.planner import Options
from editor_plugin.shared.record import write_record
from editor_plugin.shared.timeline import PICTURE, SOUND, Clip, Timeline
from tests.clips import make_clip
from tests.fakes.editor import FakeEditor
from tests.integration.test_editor_blender import MODULES, run
from tests.studio import open_studio

CLIPS = 500


def measure_queueing(folder: Path) -> dict[str, float]:
    """Plan 500 clips under a voice track, write them down and hand them to the bridge, as one click does."""
    clips = []
    for number in range(CLIPS):
        start = 50 * number
        clips.append(Clip(f"v{number}", PICTURE, 1, start, start + 50, "/m/a.mov", source_frames=50))
        clips.append(Clip(f"a{number}", SOUND, 1, start, start + 50, "/m/a.wav"))
    link = Link([sys.executable, "-E", "-c", "import sys; sys.stdin.read()"], "benchmark")
    editor = FakeEditor(Timeline("p", "Edit", Fraction(25), tuple(clips)))
    session = Session(editor, link, Journal(folder / "journal.jsonl"))
    began = time.perf_counter()
    entries, _ = session.redub_track(1, Options())
    took_s = time.perf_counter() - began
    link.close()
    assert len(entries) == CLIPS
    return {"500 clips planned, written down and sent, s": round(took_s, 3)}


def measure_blender(python: str, folder: Path) -> dict[str, Any]:
    """Start the plugin, read 500 strips, re-dub one shot."""
    (folder / "frames").mkdir()
    shot = make_clip(folder / "shot.mov", codec="prores_ks", pixels="yuv422p10le", count=50)
    extension = build(folder / "dubwright.zip")
    job = {
        "rate": [25, 1.0],
        "shot": str(shot),
        "at": 1,
        "range": [11, 31],
        "handles": 0,
        "frames": str(folder / "frames"),
        "sound": str(folder / "mix.wav"),
    }
    reading = run(python, extension, folder, {"case": "speed_of_reading", "shot": str(shot)})
    case = {"case": "rates", "jobs": [job], "voice": str(VOICE), "folder": str(folder / "takes")}
    (redub,) = run(python, extension, folder, case)["answer"]
    answer = reading["answer"]
    return {
        "version": ".".join(map(str, reading["version"])),
        "script start to panel": spent(answer["start_s"]),
        "500 strips read": spent(answer["read_s"]),
        "500 strips planned": spent(answer["plan_s"]),
        "click on Re-dub, which starts the bridge": spent(redub["click_s"]),
        "longest tick while the job runs": spent(max(redub["ticks"][:-1])),
        "the tick that places the take": spent(redub["ticks"][-1]),
    }


def spent(seconds: list[float]) -> str:
    """Return what something took by the clock and, on a busy machine, of the editor's own thread."""
    clock, own = (round(one * 1000, 1) for one in seconds)
    return f"{clock} ms, {own} of CPU"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, open_studio(Path(name), models_folder()):
        write_record(sys.executable)
        report: dict[str, Any] = measure_queueing(Path(name))
        for number, python in enumerate(MODULES):
            folder = Path(name, f"blender{number}")
            folder.mkdir()
            report[f"blender {number}"] = measure_blender(python, folder)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
