"""A timeline with a take, written for Kdenlive and rendered by Kdenlive itself, frame by frame.

`DUBWRIGHT_KDENLIVE` names Kdenlive programs, separated as in PATH; otherwise it is the installed one.
"""

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from editor_plugin.interchange.adapters import load
from editor_plugin.interchange.chooser import choose
from editor_plugin.interchange.reader import understand
from editor_plugin.interchange.writer import Delivered, write_document
from editor_plugin.shared.planner import Options
from tests.barcode import make_barcode, read_barcodes
from tests.screen import open_screen

INSTALLED = shutil.which("kdenlive")
PROGRAMS = [name for name in os.environ.get("DUBWRIGHT_KDENLIVE", INSTALLED or "").split(os.pathsep) if name]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="Kdenlive is not installed"),
    pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="dbus-run-session is not installed"),
]


def write_edit(folder: Path, rate: Fraction) -> Path:
    """Write 60 frames of a shot from its frame 10 on, under a voice from 20 to 45."""
    time = otio.opentime.RationalTime

    def span(start: int, length: int) -> otio.opentime.TimeRange:
        return otio.opentime.TimeRange(time(start, float(rate)), time(length, float(rate)))

    shot = make_barcode(folder / "shot.mov", rate, 80)
    timeline = otio.schema.Timeline(name="Edit")
    picture, voices = otio.schema.Track("V1", kind="Video"), otio.schema.Track("Voices", kind="Audio")
    reference = otio.schema.ExternalReference(shot.as_uri(), span(0, 80))
    picture.append(otio.schema.Clip("shot", reference, span(10, 60)))
    voice = otio.schema.ExternalReference((folder / "voice.wav").as_uri(), span(0, 100))
    voices.append(otio.schema.Gap(source_range=span(0, 20)))
    voices.append(otio.schema.Clip("voice", voice, span(0, 25)))
    timeline.tracks.extend([picture, voices])
    path = folder / "edit.otio"
    otio.adapters.write_to_file(timeline, str(path))
    return path


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda name: Path(name).name)
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001)], ids=str)
def test_kdenlive_shows_every_frame_of_the_take_where_it_belongs(
    program: str, rate: Fraction, tmp_path: Path
) -> None:
    path = write_edit(tmp_path, rate)
    document = understand(path, load(path))
    (plan,) = choose(document, "1", Options())[0]
    take = make_barcode(tmp_path / "take.mov", rate, 25 + 8, first=500)
    for part in document.source.tracks:  # no sound: the voice file is not there
        if part.kind == "Audio":
            part.clear()
    project = write_document(
        document, [Delivered(plan, "j", "j-1", str(take), 33, trim=4)], tmp_path / "edit.kdenlive"
    )
    movie = tmp_path / "movie.mp4"
    with open_screen() as screen:
        home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "QT_QPA_PLATFORM": "xcb"}
        command = ["dbus-run-session", "--", program, "--render", str(project), str(movie)]
        subprocess.run(command, env={**screen.environment, **home}, capture_output=True, timeout=120)
    assert read_barcodes([movie]) == [*range(10, 30), *range(504, 529), *range(55, 70)]
