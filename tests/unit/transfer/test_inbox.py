"""What a daemon keeps of a paired machine's files."""

import hashlib
import os
from pathlib import Path

import pytest

from daemon.protocol.errors import DubwrightError
from daemon.transfer.inbox import OPEN_LIMIT, Inbox

DATA = os.urandom(50_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def inbox_in(folder: Path, limit: int = 10**12, needed: tuple[Path, ...] = ()) -> Inbox:
    return Inbox(folder, limit=limit, is_needed=lambda file: file in needed)


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(DubwrightError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_a_file_larger_than_the_disk_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path, limit=2**62)
    assert code_of(inbox.offer, SHA256, 2**60, "a.mov") == "disk.full"
    assert inbox.used() == 0


def test_what_is_on_its_way_counts_so_that_two_files_cannot_share_the_same_room(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path, limit=80_000)
    inbox.offer(SHA256, len(DATA), "a.mov")
    assert inbox.used() == len(DATA)
    assert code_of(inbox.offer, "0" * 64, len(DATA), "b.mov") == "transfer.quota"
    assert inbox.add(SHA256, 0, DATA) == len(DATA)


def test_only_so_many_files_are_open_and_the_others_go_on_when_they_are_offered_again(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path)
    inbox.offer(SHA256, len(DATA), "a.mov")
    inbox.add(SHA256, 0, DATA[:20_000])
    for number in range(OPEN_LIMIT):
        inbox.offer(f"{number:064x}", 100, "b.mov")
    assert code_of(inbox.add, SHA256, 20_000, DATA[20_000:]) == "transfer.unknown"
    assert inbox.offer(SHA256, len(DATA), "a.mov")[1] == 20_000
    assert inbox.add(SHA256, 20_000, DATA[20_000:]) == len(DATA)


def test_a_part_that_was_changed_on_disk_never_becomes_a_file(tmp_path: Path) -> None:
    inbox = inbox_in(tmp_path)
    path, _ = inbox.offer(SHA256, len(DATA), "a.mov")
    inbox.add(SHA256, 0, DATA[:20_000])
    (part,) = inbox.parts.iterdir()
    part.write_bytes(b"x" * 20_000)
    again = inbox_in(tmp_path)
    assert again.offer(SHA256, len(DATA), "a.mov")[1] == 20_000
    assert code_of(again.add, SHA256, 20_000, DATA[20_000:]) == "transfer.damaged"
    assert not path.exists()
    assert again.offer(SHA256, len(DATA), "a.mov")[1] == 0


def test_an_empty_file_is_there_at_once(tmp_path: Path) -> None:
    path, have = inbox_in(tmp_path).offer(hashlib.sha256(b"").hexdigest(), 0, "a.txt")
    assert (path.read_bytes(), have) == (b"", 0)


def test_cleaning_spares_what_a_job_needs_and_what_is_on_its_way(tmp_path: Path) -> None:
    needed = tmp_path / "media" / "aa" / "a.mov"
    inbox = inbox_in(tmp_path, needed=(needed,))
    for folder in ("aa", "bb"):
        (tmp_path / "media" / folder).mkdir(parents=True)
        (tmp_path / "media" / folder / "a.mov").write_bytes(b"media")
        os.utime(tmp_path / "media" / folder, (0, 0))
    inbox.offer(SHA256, len(DATA), "c.mov")
    (tmp_path / "parts" / "old.part").write_bytes(b"x")
    for part in (tmp_path / "parts").iterdir():
        os.utime(part, (0, 0))
    inbox.clean(30)
    assert [folder.name for folder in (tmp_path / "media").iterdir()] == ["aa"]
    assert [part.stem for part in (tmp_path / "parts").iterdir()] == [SHA256]
