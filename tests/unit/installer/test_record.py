"""The record gives back exactly what was there, whatever happened in between."""

import os
import stat
from pathlib import Path

import pytest

from installer.files import PlaceFile
from installer.progress import Progress
from installer.record import Record, read_record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record(tmp_path / "data")
    record.begin("install")
    return record


def put_all_back(record: Record) -> list[str]:
    kept = [item.path for item in list(record.files) if not record.put_back(Path(item.path))]
    record.remove_folders()
    return kept


def test_files_and_folders_go_and_what_was_there_comes_back(record: Record, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"\xff their own \x00")
    (tmp_path / "theirs").chmod(0o750)
    record.write(tmp_path / "theirs", b"ours")
    record.write(tmp_path / "a" / "b" / "ours", b"ours", mode=0o755)
    record.write(tmp_path / "a" / "b" / "ours", b"a newer one of ours")
    again = read_record(record.folder)
    assert put_all_back(again) == []
    assert (tmp_path / "theirs").read_bytes() == b"\xff their own \x00"
    assert os.name == "nt" or stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o750
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_was_there_is_a_link_again(record: Record, tmp_path: Path) -> None:
    (tmp_path / "theirs").symlink_to(tmp_path / "nowhere")
    record.write(tmp_path / "theirs", b"ours")
    assert not (tmp_path / "theirs").is_symlink()
    put_all_back(read_record(record.folder))
    assert os.readlink(tmp_path / "theirs") == str(tmp_path / "nowhere")


def test_what_somebody_changed_stays(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "a" / "ours", b"ours")
    (tmp_path / "a" / "ours").write_bytes(b"changed since")
    assert put_all_back(record) == [str(tmp_path / "a" / "ours")]
    assert (tmp_path / "a" / "ours").read_bytes() == b"changed since"


def test_what_was_announced_and_never_written_leaves_what_was_there(record: Record, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    record.announce(tmp_path / "theirs", b"ours")
    record.announce(tmp_path / "never", b"ours")
    assert put_all_back(read_record(record.folder)) == []
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_an_update_that_was_killed_before_it_wrote_leaves_files_that_are_still_ours(
    record: Record, tmp_path: Path
) -> None:
    record.write(tmp_path / "a" / "ours", b"ours")
    record.announce(tmp_path / "a" / "ours", b"newer")
    record.announce(tmp_path / "a" / "ours", b"newer still")
    assert put_all_back(read_record(record.folder)) == []
    assert not (tmp_path / "a").exists()


def test_a_folder_that_holds_something_else_stays(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "a" / "ours", b"ours")
    (tmp_path / "a" / "theirs").touch()
    put_all_back(record)
    assert os.listdir(tmp_path / "a") == ["theirs"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1}', '{"files": [], "surprise": 1}'])
def test_a_damaged_record_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "installation.json").write_text(text, encoding="utf-8")
    assert read_record(tmp_path).version is None


def test_a_placed_file_knows_whether_it_is_there(record: Record, tmp_path: Path) -> None:
    step = PlaceFile(record, "Placing", tmp_path / "x", lambda: b"new")
    assert not step.is_done()
    (tmp_path / "x").write_bytes(b"new")
    assert not step.is_done()  # the same, but not ours: it would not be taken away again
    step.do(Progress())
    assert step.is_done()
    put_all_back(record)
    assert (tmp_path / "x").read_bytes() == b"new"
