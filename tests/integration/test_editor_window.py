"""Blender with a window, on a screen that nobody sees: a real click on our button re-dubs real footage.

`DUBWRIGHT_BLENDER` names Blender programs, separated as in PATH; otherwise it is the installed one. Pictures
of the screen are kept in the folder `DUBWRIGHT_SCREENSHOTS`, to be looked at.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from editor_plugin.blender.package import build
from editor_plugin.shared.record import write_record
from tests.screen import Screen, open_screen
from tests.studio import Studio, open_studio

SCRIPT = Path(__file__).with_name("window_in_blender.py")
INSTALLED = shutil.which("blender")
PROGRAMS = [name for name in os.environ.get("DUBWRIGHT_BLENDER", INSTALLED or "").split(os.pathsep) if name]
SIZE = (1600, 900)
FROM_PANEL = (-15, 46)  # our button from the middle of the panel's top edge, the same in 3.4, 4.3 and 5.2
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="no Blender with a window is installed"),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        write_record(sys.executable)
        yield opened


@dataclass(frozen=True)
class Window:
    """A running Blender, and the file in which it tells how things stand."""

    screen: Screen
    process: "subprocess.Popen[bytes]"
    state_file: Path
    output: Path

    def wait(self, is_so: Callable[[dict[str, Any]], bool], timeout_s: float = 150) -> dict[str, Any]:
        """Wait until what Blender tells is so."""
        deadline, state = time.monotonic() + timeout_s, {}
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.state_file.exists():
                state = json.loads(self.state_file.read_text(encoding="utf-8"))
                if is_so(state):
                    return state
            time.sleep(0.05)
        raise AssertionError((state, self.output.read_text(errors="replace")[-3000:]))


@pytest.fixture(params=PROGRAMS, ids=lambda name: Path(name).name)
def window(request: pytest.FixtureRequest, studio: Studio, media: Path, tmp_path: Path) -> Iterator[Window]:
    """Open Blender with a shot and a voice on the timeline, both selected."""
    case = {
        "rate": [25, 1.0],
        "size": [576, 768],
        "shot": str(media / "musetalk_sun.mp4"),
        "voice": str(media / "latentsync_demo1_voice.wav"),
        "range": [21, 51],
        "shown": 38,
        "state": str(tmp_path / "state.json"),
    }
    (tmp_path / "case.json").write_text(json.dumps(case))
    extension = build(tmp_path / "dubwright-0.1.0.zip")
    place = ["-p", "0", "0", *map(str, SIZE)]
    script = ["--python", str(SCRIPT), "--", str(extension), str(tmp_path / "case.json")]
    with open_screen("x".join(map(str, SIZE))) as screen, (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [request.param, "--factory-startup", *place, *script],
            env={**screen.environment, "BLENDER_USER_RESOURCES": str(tmp_path / "user")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Window(screen, process, tmp_path / "state.json", tmp_path / "output")
        finally:
            process.terminate()
            process.wait()


def test_a_click_brings_a_take_and_undo_takes_it_away(window: Window, studio: Studio, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("DUBWRIGHT_SCREENSHOTS", tmp_path))
    opened = window.wait(lambda state: state["has_tab"])
    version = ".".join(map(str, opened["version"]))
    x, y, width, _ = opened["panel"]
    window.screen.click(x + width // 2 + FROM_PANEL[0], y + FROM_PANEL[1])
    working = window.wait(lambda state: any(job[1] == "waiting" and job[2] > 0.1 for job in state["jobs"]))
    window.screen.save(pictures / f"blender-{version}-progress.png")
    assert len(working["jobs"]) == 1
    done = window.wait(lambda state: state["jobs"][0][1] == "placed")
    ((job_id, _, _),) = done["jobs"]
    assert [strip for strip in done["strips"] if strip[3]] == [["MOVIE", 21, 51, job_id]]
    window.screen.save(pictures / f"blender-{version}-take.png")
    assert done["message"] == ""
    (job,) = [one for one in studio.client.jobs() if one.job_id == job_id]
    assert (job.submitted_by, job.spec.in_, job.spec.out) == ("plugin", 20, 50)
    left, top, across, down = done["area"]
    window.screen.point(left + across // 3, top + down * 3 // 4)
    window.screen.press("ctrl+z")
    undone = window.wait(lambda state: state["jobs"][0][1] == "ready")
    assert not any(strip[3] for strip in undone["strips"])
    window.screen.press("ctrl+shift+z")
    redone = window.wait(lambda state: state["jobs"][0][1] == "placed")
    assert redone["strips"] == done["strips"]
