"""Timeline files, read and written: exact at every rate, judged by OpenTimelineIO; damaged ones too."""

import itertools
import json
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from editor_plugin.interchange.adapters import load, quiet
from editor_plugin.interchange.chooser import choose
from editor_plugin.interchange.media_path import media_path
from editor_plugin.interchange.reader import Document, read_document, understand
from editor_plugin.interchange.writer import Delivered, usual_target, write_document
from editor_plugin.shared.planner import Options
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.rates import nominal_rate

RATES = [
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
]
WRITTEN = [".otio", ".xml", ".kdenlive", ".aaf"]


def read(path: Path, rate: Fraction | None = None) -> Document:
    """Read a sound file here; `read_document` starts a process for each."""
    return understand(path, load(path, rate))


def span(start: int, length: int, rate: Fraction) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, float(rate)), time(length, float(rate)))


def clip(name: str, folder: Path, start: int, length: int, rate: Fraction, **fields: Any) -> Any:
    """Return a clip of a file that starts at 01:00:00:00 of its own timecode and has 400 frames."""
    origin = nominal_rate(rate) * 3600
    reference = otio.schema.ExternalReference((folder / f"{name}.mov").as_uri(), span(origin, 400, rate))
    reference.name = name  # AAF and FCP7 XML want one
    return otio.schema.Clip(
        name=name, media_reference=reference, source_range=span(origin + start, length, rate), **fields
    )


def make_timeline(folder: Path, rate: Fraction) -> Any:
    """Picture: 50 frames of nothing, A (100), B (60). Voices: from 70 to 170, from 180 to 200."""
    origin = otio.opentime.RationalTime(nominal_rate(rate) * 3600, float(rate))
    timeline = otio.schema.Timeline(name="Edit", global_start_time=origin)
    picture = otio.schema.Track(name="V1", kind="Video")
    picture.append(otio.schema.Gap(source_range=span(0, 50, rate)))
    picture.append(clip("A", folder, 10, 100, rate))
    picture.append(clip("B", folder, 30, 60, rate))
    voices = otio.schema.Track(name="Voices", kind="Audio")
    voices.append(otio.schema.Gap(source_range=span(0, 70, rate)))
    voices.append(clip("one", folder, 5, 100, rate))
    voices.append(otio.schema.Gap(source_range=span(0, 10, rate)))
    voices.append(clip("two", folder, 0, 20, rate))
    timeline.tracks.extend([picture, voices])
    return timeline


def save(timeline: Any, path: Path) -> Path:
    names = {".otio": "otio_json", ".xml": "fcp_xml", ".kdenlive": "kdenlive", ".aaf": "AAF"}
    options = {"use_empty_mob_ids": True} if path.suffix == ".aaf" else {}
    with quiet():
        otio.adapters.write_to_file(timeline, str(path), names[path.suffix], **options)
    return path


def delivered(plans: list[Any]) -> list[Delivered]:
    return [
        Delivered(plan, f"job{number}", f"job{number}-1", f"/takes/t{number}.mov", plan.stop - plan.start)
        for number, plan in enumerate(plans)
    ]


@pytest.mark.parametrize("suffix", [".otio", ".xml"])
@pytest.mark.parametrize("rate", RATES, ids=str)
def test_every_shot_under_the_voices_is_found_exactly(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    document = read(save(make_timeline(tmp_path, rate), tmp_path / f"edit{suffix}"))
    assert document.timeline.rate == rate
    assert document.timeline.start == nominal_rate(rate) * 3600
    plans, left_out = choose(document, "1", Options())
    assert left_out == []
    assert [(plan.start, plan.stop, plan.spec["in"], plan.spec["out"]) for plan in plans] == [
        (70, 150, 30, 110),
        (150, 170, 30, 50),
        (180, 200, 60, 80),
    ]
    first_samples = [plan.spec["voice_at"] - plan.spec["in"] + plan.start for plan in plans]
    assert first_samples == [65, 65, 180]
    assert plans[0].spec["source"] == str(tmp_path / "A.mov")
    assert plans[0].spec["voice"] == str(tmp_path / "one.mov")
    assert plans[0].spec["rate"] == str(rate)


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("rate", [RATES[0], RATES[2], RATES[3]], ids=str)
def test_the_takes_lie_where_they_should_in_every_format(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    path = save(make_timeline(tmp_path, rate), tmp_path / "edit.otio")
    document = read(path)
    takes = delivered(choose(document, "Voices", Options())[0])
    target = write_document(document, takes, tmp_path / f"out{suffix}")
    again = read(target)
    assert again.timeline.rate == rate
    ours = [one for one in again.timeline.clips if one.kind == "picture" and one.track == 2]
    assert [(one.start, one.stop, one.source_in) for one in ours] == [
        (70, 150, 0),
        (150, 170, 0),
        (180, 200, 0),
    ]
    assert [Path(one.path).name for one in ours] == ["t0.mov", "t1.mov", "t2.mov"]
    theirs = [
        (one.start, one.stop) for one in again.timeline.clips if one.track == 1 and one.kind == "picture"
    ]
    assert theirs == [(50, 150), (150, 210)]
    if suffix == ".otio":
        assert [one.tag for one in ours] == ["job0", "job1", "job2"]
        assert again.timeline.start == document.timeline.start


def test_takes_with_handles_begin_after_them_and_overlapping_ones_get_tracks(tmp_path: Path) -> None:
    document = read(save(make_timeline(tmp_path, Fraction(25)), tmp_path / "edit.otio"))
    plan = choose(document, "1", Options())[0][0]
    take = Delivered(plan, "j", "j-1", "/takes/t.mov", 100, trim=10)
    again = read(write_document(document, [take, take], tmp_path / "o.otio"))
    assert [one.source_in for one in again.timeline.placed("j")] == [10, 10]
    assert [one.track for one in again.timeline.placed("j")] == [2, 3]
    short = Delivered(plan, "j", "j-1", "/takes/t.mov", 79)
    with pytest.raises(PluginError, match="79 frames"):
        write_document(document, [short], tmp_path / "o2.otio")
    assert not (tmp_path / "o2.otio").exists()


@pytest.mark.parametrize(
    ("mark", "expected"), [((80, 20), [(80, 100)]), ((160, 0), [(150, 170), (180, 200)])]
)
def test_dub_markers_choose(tmp_path: Path, mark: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    timeline = make_timeline(tmp_path, Fraction(25))
    timeline.tracks.markers.append(otio.schema.Marker("DUB", span(*mark, Fraction(25))))
    timeline.tracks.markers.append(otio.schema.Marker("music", span(0, 9, Fraction(25))))
    document = read(save(timeline, tmp_path / "edit.otio"))
    plans, _ = choose(document, "Voices", Options())
    assert [(plan.start, plan.stop) for plan in plans] == expected


def test_a_dub_marker_on_a_clip_counts_in_the_clips_own_time(tmp_path: Path) -> None:
    timeline = make_timeline(tmp_path, Fraction(25))
    timeline.tracks[0][1].markers.append(otio.schema.Marker("dub 1", span(90000 + 40, 10, Fraction(25))))
    plans, _ = choose(read(save(timeline, tmp_path / "edit.otio")), "1", Options())
    assert [(plan.start, plan.stop) for plan in plans] == [(80, 90)]


def test_where_keeps_the_wanted_clips(tmp_path: Path) -> None:
    document = read(save(make_timeline(tmp_path, Fraction(25)), tmp_path / "edit.otio"))
    for pattern, count in (("A", 1), ("B*", 2), ("V1:2", 1), ("A.mov", 1), ("C", 0)):
        assert len(choose(document, "1", Options(), [pattern])[0]) == count


def test_what_cannot_be_redubbed_is_left_out_with_the_reason(tmp_path: Path) -> None:
    rate = Fraction(25)
    timeline = make_timeline(tmp_path, rate)
    shots = timeline.tracks[0]
    shots[1].effects.append(otio.schema.LinearTimeWarp(time_scalar=0.5))
    shots[2].media_reference = otio.schema.MissingReference()
    plans, left_out = choose(read(save(timeline, tmp_path / "edit.otio")), "1", Options())
    assert plans == []
    assert len(left_out) == 3
    assert "retimed to 50 %" in left_out[0]
    assert "no media file" in left_out[1]


def test_mixed_rates_do_not_drift(tmp_path: Path) -> None:
    timeline = otio.schema.Timeline(name="mixed")
    track = otio.schema.Track(kind="Video")
    ntsc = Fraction(30000, 1001)
    for number in range(100):
        track.append(clip(f"c{number}", tmp_path, 0, 25, Fraction(25)))
        track.append(clip(f"d{number}", tmp_path, 0, 7, ntsc))
    timeline.tracks.append(track)
    clips = read(save(timeline, tmp_path / "edit.otio")).timeline.clips
    exact = 100 * 25 + 100 * 7 / ntsc * 25
    assert abs(clips[-1].stop - exact) <= Fraction(1, 2)
    assert all(one.stop == two.start for one, two in itertools.pairwise(clips))


def test_an_edl_can_be_read_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "list.edl"
    path.write_text(
        "TITLE: Edit\nFCM: NON-DROP FRAME\n\n"
        "001  A001     V     C        01:00:10:00 01:00:14:00 01:00:00:00 01:00:04:00\n"
        "* FROM CLIP NAME: shot\n"
    )
    with pytest.raises(PluginError, match="does not say how many frames") as caught:
        read(path)
    assert "--rate" in caught.value.hint
    document = read(path, Fraction(24000, 1001))
    assert [(one.start, one.stop) for one in document.timeline.clips] == [(0, 96)]
    assert document.timeline.rate == Fraction(24000, 1001)
    dropped = tmp_path / "dropped.edl"
    dropped.write_text(path.read_text().replace("NON-DROP", "DROP"))
    assert read(dropped).timeline.rate == Fraction(30000, 1001)
    assert read(path, Fraction(25)).timeline.clips[0].stop == 100
    assert usual_target(path).name == "list.redub.otio"
    with pytest.raises(PluginError, match="cannot be written"):
        write_document(document, [], tmp_path / "new.edl")


@pytest.mark.parametrize("name", ["a.fcpxml", "a.prproj", "a.mlt", "a.doc", "gone.otio"])
def test_other_files_are_refused_with_a_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(PluginError) as caught:
        read_document(tmp_path / name)
    assert caught.value.code in ("timeline.unknown", "timeline.missing")


def test_media_paths_of_every_spelling() -> None:
    here = Path("/edit/timeline.otio")
    assert media_path("file:///a%20b/%C3%A9.mov", here) == "/a b/é.mov"
    assert media_path("file://localhost/a.mov", here) == "/a.mov"
    assert media_path("file:///C:/a.mov", here) == "C:/a.mov"
    assert media_path("C:\\a.mov", here) == "C:\\a.mov"
    assert media_path("file://localhost/D%3a/My%20Media/A%231.mov", here) == "D:/My Media/A#1.mov"
    assert media_path("file://localhost/C|/a.mov", here) == media_path("C|/a.mov", here) == "C:/a.mov"
    assert media_path("file:///Volumes/Film/A #1?.mov", here) == "/Volumes/Film/A #1?.mov"
    assert media_path("file://nas/share/a.mov", here) == "//nas/share/a.mov"
    assert media_path("\\\\nas\\share\\a.mov", here) == "\\\\nas\\share\\a.mov"
    assert media_path("media/a.mov", here) == "/edit/media/a.mov"
    assert media_path("https://host/a.mov", here) == media_path(None, here) == ""


@pytest.mark.parametrize("suffix", [".otio", ".xml", ".kdenlive", ".aaf", ".edl"])
def test_damaged_files_are_refused_or_read_and_never_crash(tmp_path: Path, suffix: str) -> None:
    """Cut short, bytes changed, pieces doubled, numbers made absurd. `DUBWRIGHT_DAMAGED` asks for more."""
    chance = random.Random(7)
    if suffix == ".edl":
        whole = b"TITLE: x\n001  A V C 01:00:10:00 01:00:14:00 01:00:00:00 01:00:04:00\n" * 3
    else:
        whole = save(make_timeline(tmp_path, RATES[3]), tmp_path / f"whole{suffix}").read_bytes()
    count = int(os.environ.get("DUBWRIGHT_DAMAGED", "40"))  # a format; 200 in all
    paths = [tmp_path / f"damaged{number}{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(damage(whole, number, chance))
    died, refused, rest = 0, 0, list(paths)
    while rest:  # a process may die of a file; the next goes on after it
        command = [sys.executable, "-m", "editor_plugin.interchange.process", "--rate=24", *map(str, rest)]
        done = subprocess.run(command, capture_output=True, timeout=500)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        refused += sum(1 for answer in answers if "error" in answer and answer["error"][1])
        if len(answers) < len(rest):
            with pytest.raises(PluginError, match="damaged"):
                read_document(rest[len(answers)], Fraction(24))
            died += 1
        rest = rest[len(answers) + 1 :]
    assert died + refused > 8


def damage(whole: bytes, number: int, chance: random.Random) -> bytes:
    data = bytearray(whole)
    at = chance.randrange(len(data))
    if number % 4 == 0:
        return bytes(data[:at])
    if number % 4 == 1:
        for _ in range(1 + number):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif number % 4 == 2:
        data[at:at] = data[at // 2 : at // 2 + 500]
    else:
        digits = [place for place, byte in enumerate(data) if 48 <= byte < 58]
        absurd = (b"-", b"1e999", b"NaN", b"99999999999999999999", b"")
        for place in sorted(chance.sample(digits, min(6, len(digits))), reverse=True):
            data[place : place + 1] = chance.choice(absurd)
    return bytes(data)
