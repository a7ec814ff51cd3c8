"""What was typed becomes a job spec, or an error that says what to type."""

import json
from pathlib import Path

import pytest

from daemon.cli.specs import build_spec, position, read_boxes, read_job_file, with_absolute_paths
from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import ProbeSpec, RedubSpec

REDUB = {"source": "a.mov", "voice": "b.wav", "in": 1, "out": 9}


@pytest.mark.parametrize(
    ("text", "value"),
    [("96", 96), ("-3", -3), ("01:00:02:11", "01:00:02:11"), ("00:01:00;02", "00:01:00;02")],
)
def test_positions_are_numbers_or_timecodes(text: str, value: int | str) -> None:
    assert position(text) == value


def test_paths_are_made_absolute_against_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = build_spec("redub", {**REDUB, "dest": "takes"})
    assert isinstance(spec, RedubSpec)
    assert (spec.source, spec.dest) == (str(tmp_path / "a.mov"), str(tmp_path / "takes"))
    probe = with_absolute_paths({"kind": "probe", "redub": REDUB})
    assert probe["redub"]["voice"] == str(tmp_path / "b.wav")


def test_options_not_given_keep_their_defaults() -> None:
    spec = build_spec("redub", {**REDUB, "codec": None, "dest": None})
    assert isinstance(spec, RedubSpec)
    assert spec.codec is None


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("codec", "prores44444", "prores4444"),
        ("engine", "rewrit", "rewrite"),
        ("duration_mode", "cutoff", "cut_off"),
        ("deliver", "bake", "baked"),
    ],
)
def test_a_wrong_word_names_the_right_one(field: str, value: str, meant: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_spec("redub", {**REDUB, field: value})
    assert caught.value.code == "job.invalid"
    assert meant in caught.value.hint


def test_a_job_file_is_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({**REDUB, "sed": 3}))
    with pytest.raises(RequestError) as caught:
        read_job_file(str(file))
    assert caught.value.code == "job.unknown_field"
    assert "`seed`" in caught.value.hint


def test_a_job_file_may_hold_any_kind_of_job(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"kind": "probe", "redub": {"kind": "redub", **REDUB}}))
    assert isinstance(read_job_file(str(file)), ProbeSpec)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"redub"', "null", '{"kind": "dance"}'])
def test_a_job_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(text)
    with pytest.raises(RequestError) as caught:
        read_job_file(str(file))
    assert caught.value.code == "job.invalid"


def test_a_missing_job_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nowhere\.json cannot be read"):
        read_job_file(str(tmp_path / "nowhere.json"))


def test_boxes_are_a_list(tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    file.write_text("[[0, 0, 9, 9], null]")
    assert read_boxes(str(file)) == [[0, 0, 9, 9], None]
    file.write_text("{}")
    with pytest.raises(RequestError) as caught:
        read_boxes(str(file))
    assert caught.value.code == "boxes.invalid"
