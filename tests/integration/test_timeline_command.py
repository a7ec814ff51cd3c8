"""`dubwright timeline` over the real daemon; what it wrote is rendered by melt, picture and sound."""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from daemon.cli.status import ExitStatus
from daemon.demo import VOICE
from editor_plugin.interchange.adapters import quiet
from editor_plugin.interchange.reader import read_document
from editor_plugin.interchange.writer import write_document
from editor_plugin.shared.rates import nominal_rate
from tests.barcode import read_barcodes, stamp
from tests.clips import make_clip, read_sound, samples_between
from tests.melt import run_melt
from tests.studio import Studio, command, open_studio

pytestmark = pytest.mark.slow
RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50)]


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        yield opened


def span(start: int, length: int, rate: Fraction) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, float(rate)), time(length, float(rate)))


def write_edit(path: Path, rate: Fraction, *, hour: bool) -> Path:
    """Write 40 frames of a shot, from its frame 5 on, over a voice that speaks from 12 to 32.

    hour: shot and timeline begin at 01:00:00:00, of their own timecode.
    """
    first = nominal_rate(rate) * 3600 if hour else 0
    if hour and rate == RATES[3]:
        first = 107892  # drop-frame
    shot = make_clip(
        path.with_name("shot.mov"),
        codec="prores_ks",
        pixels="yuv422p10le",
        rate=rate,
        count=50,
        edit=lambda number, picture: stamp(picture, number),
        metadata={"timecode": f"01:00:00{';' if first == 107892 else ':'}00"} if hour else {},
    )
    timeline = otio.schema.Timeline("Edit", global_start_time=span(first, 0, rate).start_time)
    pictures, voices = otio.schema.Track("V1", kind="Video"), otio.schema.Track("Voices", kind="Audio")
    reference = otio.schema.ExternalReference(shot.as_uri(), span(first, 50, rate))
    voice = otio.schema.ExternalReference(VOICE.as_uri(), span(0, int(4 * rate), rate))
    reference.name, voice.name = "shot", "voice"
    pictures.append(otio.schema.Clip("shot", reference, span(first + 5, 40, rate)))
    voices.append(otio.schema.Gap(source_range=span(0, 12, rate)))
    voices.append(otio.schema.Clip("voice", voice, span(0, 20, rate)))
    timeline.tracks.extend([pictures, voices])
    with quiet():
        otio.adapters.write_to_file(timeline, str(path))
    return path


def melt(project: Path, folder: Path) -> tuple[list[int | None], Path]:
    """Render a project; return the numbers in its pictures, and its sound."""
    folder.mkdir()
    sound = folder.with_suffix(".wav")
    render, quietly = [str(project), "out=39", "-consumer"], ["real_time=-1", "-silent"]
    pictures = [f"avformat:{folder}/%04d.png", "vcodec=png", "an=1"]
    run_melt([*render, *pictures, *quietly], has_written=lambda: any(folder.iterdir()))
    samples = [f"avformat:{sound}", "vn=1", "acodec=pcm_s24le", "ar=48000"]
    run_melt([*render, *samples, *quietly], has_written=sound.is_file)
    return read_barcodes(sorted(folder.glob("*.png"))), sound


@pytest.mark.skipif(shutil.which("melt") is None, reason="melt is not installed")
@pytest.mark.parametrize(
    ("rate", "suffix", "hour"),
    [(rate, ".otio", number % 2 == 1) for number, rate in enumerate(RATES)]
    + [(rate, ".xml", True) for rate in RATES[::2]],
    ids=str,
)
def test_a_timeline_is_queued_and_comes_back_with_every_frame_and_sample_in_place(
    studio: Studio, tmp_path: Path, rate: Fraction, suffix: str, hour: bool
) -> None:
    edit = write_edit(tmp_path / f"edit{suffix}", rate, hour=hour)
    said = command(
        "timeline", edit, "--voice-track", "1", "--baked", "--handles", 2, "--dest", tmp_path / "t"
    )
    assert said.status == ExitStatus.OK, said
    (shot,) = said.document["shots"]
    assert (shot["start"], shot["stop"], shot["state"]) == (12, 32, "done")
    assert (shot["spec"]["in"], shot["spec"]["out"], shot["spec"]["rate"]) == (17, 37, str(rate))
    document = read_document(tmp_path / f"edit.redub{suffix}")
    (take,) = [clip for clip in document.timeline.clips if clip.kind == "picture" and clip.track == 2]
    assert (take.start, take.stop, take.source_in, take.path) == (12, 32, 2, shot["takes"][0])
    project = write_document(document, [], tmp_path / "edit.kdenlive")
    numbers, sound = melt(project, tmp_path / "frames")
    assert numbers == list(range(5, 45)), (rate, suffix)
    voice = read_sound(VOICE).sound
    mix = read_sound(sound).sound
    assert voice is not None
    assert mix is not None
    length = samples_between(0, 20, rate, 48000)
    found = find(mix[:, 0].astype(float), voice[:length, 0].astype(float))
    assert abs(found - 12 / rate * 48000) <= 2


def find(mix: np.ndarray, part: np.ndarray) -> int:
    """Return the sample of `mix` at which `part` begins."""
    size = len(mix) + len(part)
    product = np.fft.rfft(mix, size) * np.conj(np.fft.rfft(part, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(mix)]))


def test_a_bundle_is_unpacked_redubbed_and_written_beside(studio: Studio, tmp_path: Path) -> None:
    edit = write_edit(tmp_path / "edit.otio", Fraction(25), hour=False)
    bundle = tmp_path / "edit.otioz"
    timeline = otio.adapters.read_from_file(str(edit))
    otio.adapters.write_to_file(timeline, str(bundle))
    (tmp_path / "shot.mov").rename(tmp_path / "gone.mov")  # the bundle's own is used
    said = command("timeline", bundle, "--voice-track", "Voices", "--dest", tmp_path / "t")
    assert said.status == ExitStatus.OK, said
    assert said.document["out"] == str(tmp_path / "edit.redub.otio")
    document = read_document(tmp_path / "edit.redub.otio")
    (take,) = document.timeline.placed(said.document["shots"][0]["job"])
    assert (take.start, take.stop, Path(take.path).is_file()) == (12, 32, True)
    shot = next(clip for clip in document.timeline.clips if clip.clip_id == "V1:1")
    assert Path(shot.path).is_file()
    again = command("timeline", bundle, "--voice-track", "Voices", "--dry-run")
    assert again.document["shots"][0]["start"] == 12


def test_a_shot_that_fails_leaves_the_others_and_is_named(studio: Studio, tmp_path: Path) -> None:
    edit = write_edit(tmp_path / "edit.otio", Fraction(25), hour=False)
    timeline = otio.adapters.read_from_file(str(edit))
    missing = otio.schema.ExternalReference(str(tmp_path / "missing.mov"), span(0, 50, Fraction(25)))
    timeline.tracks[0].append(otio.schema.Clip("missing", missing, span(0, 20, Fraction(25))))
    timeline.tracks[1].append(otio.schema.Gap(source_range=span(0, 8, Fraction(25))))
    timeline.tracks[1].append(timeline.tracks[1][1].deepcopy())
    otio.adapters.write_to_file(timeline, str(edit))
    said = command("timeline", edit, "--voice-track", "1", "--dest", tmp_path / "t")
    assert said.status == ExitStatus.MEDIA
    states = {shot["name"]: shot.get("state") for shot in said.document["shots"]}
    assert states == {"shot": "done", "missing": "failed"}
    (failed,) = [shot for shot in said.document["shots"] if shot["state"] == "failed"]
    assert failed["error"]
    assert Path(said.document["out"]).is_file()
