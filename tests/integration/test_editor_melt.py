"""A timeline with takes, written for Kdenlive and as FCP7 XML, rendered by melt frame by frame."""

import shutil
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from editor_plugin.interchange.adapters import quiet
from editor_plugin.interchange.chooser import choose
from editor_plugin.interchange.reader import read_document
from editor_plugin.interchange.writer import Delivered, write_document
from editor_plugin.shared.planner import Options
from tests.barcode import make_barcode, read_barcodes
from tests.melt import run_melt

pytestmark = pytest.mark.skipif(shutil.which("melt") is None, reason="melt is not installed")
RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50)]


def span(start: int, length: int, rate: Fraction) -> otio.opentime.TimeRange:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, float(rate)), time(length, float(rate)))


def write_edit(folder: Path, rate: Fraction, suffix: str) -> Path:
    """Write 60 frames of a shot from its frame 10 on, under a voice from 20 to 45."""
    shot = make_barcode(folder / "shot.mov", rate, 80)
    timeline = otio.schema.Timeline(name="Edit")
    picture, voices = otio.schema.Track("V1", kind="Video"), otio.schema.Track("Voices", kind="Audio")
    reference = otio.schema.ExternalReference(shot.as_uri(), span(0, 80, rate))
    picture.append(otio.schema.Clip("shot", reference, span(10, 60, rate)))
    voice = otio.schema.ExternalReference((folder / "voice.wav").as_uri(), span(0, 100, rate))
    voices.append(otio.schema.Gap(source_range=span(0, 20, rate)))
    voices.append(otio.schema.Clip("voice", voice, span(0, 25, rate)))
    timeline.tracks.extend([picture, voices])
    path = folder / f"edit{suffix}"
    with quiet():
        otio.adapters.write_to_file(timeline, str(path))
    return path


@pytest.mark.parametrize(
    ("rate", "suffix"),
    [(rate, ".otio") for rate in RATES] + [(RATES[0], ".xml"), (RATES[3], ".xml")],
    ids=str,
)
def test_melt_shows_every_frame_of_the_take_where_it_belongs(
    tmp_path: Path, rate: Fraction, suffix: str
) -> None:
    document = read_document(write_edit(tmp_path, rate, suffix))
    (plan,) = choose(document, "1", Options())[0]
    assert (plan.spec["in"], plan.spec["out"]) == (30, 55)
    take = make_barcode(tmp_path / "take.mov", rate, 25 + 8, first=500)
    first = write_document(
        document, [Delivered(plan, "j", "j-1", str(take), 33, trim=4)], tmp_path / f"redub{suffix}"
    )
    project = write_document(read_document(first), [], tmp_path / "edit.kdenlive")
    frames = tmp_path / "frames"
    frames.mkdir()
    picture = str(frames / "%04d.png")
    # no sound: the voice file is not there
    consumer = ["-consumer", f"avformat:{picture}", "vcodec=png", "real_time=-1", "an=1", "-silent"]
    run_melt([str(project), "out=59", *consumer], has_written=lambda: any(frames.iterdir()))
    numbers = read_barcodes(sorted(frames.iterdir()))
    expected = list(range(10, 30)) + list(range(504, 529)) + list(range(55, 70))
    assert numbers == expected
