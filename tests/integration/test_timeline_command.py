"""`dubwright timeline` over the real daemon; what it wrote is rendered by melt, picture and sound."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import opentimelineio as otio
import pytest

from daemon.cli.status import ExitStatus
from daemon.demo import VOICE
from editor_plugin.interchange.adapters import quiet
from editor_plugin.interchange.chooser import choose
from editor_plugin.interchange.reader import Document, read_document
from editor_plugin.interchange.writer import Delivered, write_document
from editor_plugin.shared.planner import Options
from editor_plugin.shared.rates import nominal_rate
from tests.barcode import read_barcodes, stamp
from tests.clips import SIDE, make_clip, read_sound, samples_between
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


def render(project: Path, first: int, last: int) -> Path:
    """Have melt render frames of a project, with sound; return the movie."""
    movie = project.with_suffix(".mkv")
    coding = ["vcodec=ffv1", "pix_fmt=yuv420p", "acodec=pcm_s24le", "ar=48000", "real_time=-1", "-silent"]
    run_melt(
        [str(project), f"in={first}", f"out={last}", "-consumer", f"avformat:{movie}", *coding],
        has_written=movie.is_file,
    )
    return movie


@pytest.mark.skipif(shutil.which("melt") is None, reason="melt is not installed")
@pytest.mark.parametrize("hour", [False, True], ids=["from zero", "from 01:00:00:00"])
@pytest.mark.parametrize("rate", RATES, ids=str)
def test_a_timeline_is_queued_and_comes_back_with_every_frame_and_sample_in_place(
    studio: Studio, tmp_path: Path, rate: Fraction, hour: bool
) -> None:
    """FCP7 XML through the daemon and back, and to Kdenlive; OTIO says the same of every clip."""
    edit = write_edit(tmp_path / "edit.otio", rate, hour=hour)
    with quiet():
        timeline = otio.adapters.read_from_file(str(edit))
        otio.adapters.write_to_file(timeline, str(tmp_path / "edit.xml"))
    said = command(
        "timeline", tmp_path / "edit.xml",
        "--voice-track", "1", "--baked", "--handles", 2, "--dest", tmp_path / "t",
    )  # fmt: skip
    assert said.status == ExitStatus.OK, said
    (shot,) = said.document["shots"]
    assert (shot["start"], shot["stop"], shot["state"]) == (12, 32, "done")
    assert (shot["spec"]["in"], shot["spec"]["out"], shot["spec"]["rate"]) == (17, 37, str(rate))
    document = read_document(tmp_path / "edit.redub.xml")
    (take,) = [clip for clip in document.timeline.clips if clip.kind == "picture" and clip.track == 2]
    assert (take.start, take.stop, take.source_in, take.path) == (12, 32, 2, shot["takes"][0])
    assert_otio_says_the_same(edit, document, Path(take.path))
    movie = render(write_document(document, [], tmp_path / "edit.kdenlive"), 0, 39)
    assert read_barcodes([movie]) == list(range(5, 45))
    voice, mix = read_sound(VOICE).sound, read_sound(movie).sound
    assert voice is not None
    assert mix is not None
    length = samples_between(0, 20, rate, 48000)
    found = find(mix[:, 0].astype(float), voice[:length, 0].astype(float))
    assert abs(found - 12 / rate * 48000) <= 2


def assert_otio_says_the_same(edit: Path, document: Document, take: Path) -> None:
    """Place the take in the OTIO file as the command does, and compare with what came back as XML."""
    whole = read_document(edit)
    (plan,) = choose(whole, "1", Options(handles=2, baked=True))[0]
    written = write_document(
        whole, [Delivered(plan, "j", "j-1", str(take), 24, trim=2)], edit.with_name("redub.otio")
    )
    again = read_document(written).timeline
    assert [replace(clip, tag="") for clip in again.clips] == list(document.timeline.clips)
    assert (again.rate, again.start) == (document.timeline.rate, document.timeline.start)


def read_picture(path: str | Path, number: int) -> np.ndarray:
    """Return a frame's R'G'B'A, of the project's 1920 x 1080 its middle square, at the size of the shots."""
    with av.open(str(path)) as container:
        frame = next(itertools.islice(container.decode(video=0), number, None))
    if frame.width == frame.height:
        return frame.to_ndarray(format="rgba").astype(float)
    picture = frame.to_ndarray(format="rgba")[:, 420:1500]
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(float)


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
    movie = render(write_document(document, [], tmp_path / "edit.kdenlive"), 22, 22)
    whole, under, over = (
        read_picture(path, number) for path, number in ((movie, 0), (shot.path, 27), (take.path, 10))
    )
    alpha = over[..., 3:] / 255
    off = np.abs(whole[..., :3] - (over[..., :3] * alpha + under[..., :3] * (1 - alpha)))
    assert (alpha > 0.5).sum() > 1000
    assert off[alpha[..., 0] > 0.02].mean() < 4, "the mouth lies over the shot, melted into it"
    assert off[alpha[..., 0] == 0].mean() < 4
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
