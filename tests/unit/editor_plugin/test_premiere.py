"""FCP7 XML as Premiere Pro writes it: paths, disabled clips, dissolves, speeds, nests, markers."""

from pathlib import Path

import pytest

from editor_plugin.interchange.adapters import load
from editor_plugin.interchange.chooser import choose
from editor_plugin.interchange.reader import Document, understand
from editor_plugin.shared.planner import Options

NTSC = "<rate><timebase>30</timebase><ntsc>TRUE</ntsc></rate>"
FILE = f"""<file id="file-1"><name>A.mov</name><pathurl>file://localhost/Volumes/My%20Disk/A%231.mov</pathurl>
{NTSC}<duration>900</duration><timecode>{NTSC}<string>01:00:00;00</string><frame>107892</frame>
<displayformat>DF</displayformat></timecode><media><video/><audio/></media></file>"""
SAME = '<file id="file-1"/>'
VOICE = f"""<file id="file-2"><name>V.wav</name><pathurl>file://localhost/D%3a/new%20voices/V.wav</pathurl>
<duration>900</duration>{NTSC}<media><audio/></media></file>"""
PREMIERES = '<parameter authoringApp="PremierePro"><parameterid>'
SPEED = f"""<filter><effect><name>Time Remap</name><effectid>timeremap</effectid>
<effecttype>motion</effecttype><effectcategory>motion</effectcategory><mediatype>video</mediatype>
{PREMIERES}variablespeed</parameterid><value>{{variable}}</value></parameter>
{PREMIERES}speed</parameterid><value>{{speed}}</value></parameter>
{PREMIERES}reverse</parameterid><value>{{reverse}}</value></parameter></effect></filter>"""
DISSOLVE = f"""<transitionitem><start>90</start><end>110</end><alignment>center</alignment>{NTSC}<effect>
<name>Cross Dissolve</name><effectid>Cross Dissolve</effectid><effectcategory>Dissolve</effectcategory>
<effecttype>transition</effecttype><mediatype>video</mediatype></effect></transitionitem>"""
NEST = f"""<clipitem id="nest"><name>Nest</name><duration>100</duration>{NTSC}<start>300</start><end>400</end>
<in>0</in><out>100</out><sequence id="sequence-2"><name>Nest</name><duration>100</duration>{NTSC}
<media><video/></media></sequence></clipitem>"""


def item(
    place: tuple[int, int], media: tuple[int, int], file: str, *, more: str = "", is_on: bool = True
) -> str:
    """Return a clip; an end at a dissolve is -1."""
    return f"""<clipitem id="{place}{media}{is_on}"><name>A.mov</name><enabled>{str(is_on).upper()}</enabled>
<duration>900</duration>{NTSC}<start>{place[0]}</start><end>{place[1]}</end>
<in>{media[0]}</in><out>{media[1]}</out>{file}{more}</clipitem>"""


def read(folder: Path, *tracks: str, markers: str = "") -> Document:
    """Read a sequence from 01:00:00;00 with these picture tracks, over a stereo voice from 0 to 500."""
    pictures = "".join(f"<track>{track}</track>" for track in tracks)
    left, right = item((0, 500), (0, 500), VOICE), item((0, 500), (0, 500), '<file id="file-2"/>')
    path = folder / "cut.xml"
    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE xmeml>
<xmeml version="4"><sequence id="sequence-1"><duration>500</duration>{NTSC}<name>Cut</name>
<media><video>{pictures}</video><audio><track>{left}</track><track>{right}</track></audio></media>
<timecode>{NTSC}<string>01:00:00;00</string><frame>107892</frame><displayformat>DF</displayformat></timecode>
{markers}</sequence></xmeml>""",
        encoding="utf-8",
    )
    return understand(path, load(path))


def ranges(document: Document) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Return where takes would lie, with the first frame of the media, and why others will not."""
    plans, left_out = choose(document, "1", Options())
    return [(plan.start, plan.stop, plan.spec["in"]) for plan in plans], left_out


def test_paths_rates_drop_frame_timecode_and_either_channel_of_the_voice(tmp_path: Path) -> None:
    document = read(tmp_path, item((50, 150), (30, 130), FILE))
    assert (str(document.timeline.rate), document.timeline.start) == ("30000/1001", 107892)
    assert document.timeline.drop
    (plan,) = choose(document, "2", Options())[0]
    assert (plan.start, plan.stop, plan.spec["in"], plan.spec["out"]) == (50, 150, 30, 130)
    assert plan.spec["source"] == "/Volumes/My Disk/A#1.mov"
    assert plan.spec["voice"] == "D:/new voices/V.wav"


def test_a_disabled_clip_neither_covers_nor_is_redubbed(tmp_path: Path) -> None:
    above = item((20, 60), (0, 40), SAME, is_on=False)
    assert ranges(read(tmp_path, item((0, 100), (0, 100), FILE), above)) == ([(0, 100, 0)], [])


def test_what_lies_under_a_dissolve_is_left_out_with_the_reason(tmp_path: Path) -> None:
    shots = item((0, -1), (60, 170), FILE) + DISSOLVE + item((-1, 160), (200, 270), SAME)
    found, left_out = ranges(read(tmp_path, shots))
    assert found == [(0, 90, 60), (110, 160, 220)]
    assert len(left_out) == 1
    assert "a transition lies there" in left_out[0]


@pytest.mark.parametrize(
    ("speed", "reverse", "variable", "reason"),
    [
        ("50", "FALSE", "0", "retimed to 50 %"),
        ("-100", "TRUE", "0", "plays backwards"),
        ("100", "FALSE", "1", "its speed changes"),
        ("100", "FALSE", "0", ""),
    ],
)
def test_speeds_are_refused_with_the_reason(
    tmp_path: Path, speed: str, reverse: str, variable: str, reason: str
) -> None:
    more = SPEED.format(speed=speed, reverse=reverse, variable=variable)
    found, left_out = ranges(read(tmp_path, item((0, 100), (0, 100), FILE, more=more)))
    assert found == ([] if reason else [(0, 100, 0)])
    assert reason in "".join(left_out)


def test_a_nest_is_refused_and_the_shot_beside_it_is_not(tmp_path: Path) -> None:
    found, left_out = ranges(read(tmp_path, item((0, 100), (0, 100), FILE) + NEST))
    assert found == [(0, 100, 0)]
    assert "compound" in left_out[0]


def test_a_dub_marker_of_the_sequence_chooses(tmp_path: Path) -> None:
    marker = "<marker><comment/><name>DUB 1</name><in>20</in><out>40</out></marker>"
    document = read(tmp_path, item((0, 100), (10, 110), FILE), markers=marker)
    assert ranges(document) == ([(20, 40, 30)], [])
