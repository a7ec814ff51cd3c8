"""The journal survives what an editor can do to it."""

from dataclasses import replace
from pathlib import Path

from editor_plugin.shared import journal as states
from editor_plugin.shared.journal import KEPT_LINES, Entry, Journal

ENTRY = Entry("k", "project", states.SUBMITTING, {"in": 3}, 100, 200, 1)


def test_entries_come_back_in_their_last_state(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "blender.jsonl")
    entry = journal.move(journal.write(ENTRY), states.WAITING, job_id="k7m2p9qd")
    journal.write(replace(ENTRY, key="other", project_id="another"))
    again = Journal(tmp_path / "deep" / "blender.jsonl")
    assert again.entries("project") == [entry]
    assert again.of_job("k7m2p9qd") == again.find("k") == entry
    assert again.of_job("nobody") is None


def test_a_line_cut_short_loses_only_itself_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.write(ENTRY)
    whole = path.read_bytes()
    journal.move(ENTRY, states.WAITING)
    both = path.read_bytes()
    for length in range(len(whole), len(both) - 1, 7):
        path.write_bytes(both[:length])
        again = Journal(path)
        assert again.find("k") == ENTRY
        again.move(ENTRY, states.READY)
        found = Journal(path).find("k")
        assert found is not None
        assert found.state == states.READY


def test_rubbish_and_fields_of_a_newer_version_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path).write(ENTRY)
    line = path.read_bytes()
    path.write_bytes(b"\xff\xfe\n[1]\nnull\n{}\n" + line.replace(b"{", b'{"colour": 1, ', 1))
    assert Journal(path).entries("project") == [ENTRY]


def test_a_long_journal_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path).write(ENTRY)
    path.write_bytes(path.read_bytes() * (KEPT_LINES + 1))
    assert Journal(path).find("k") == ENTRY
    assert len(path.read_bytes().splitlines()) == 1
