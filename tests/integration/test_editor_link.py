"""The plugin's link to the real bridge and the real daemon, and what happens when either ends badly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from daemon.client import Client
from editor_plugin.shared import journal as states
from editor_plugin.shared.actions import Session
from editor_plugin.shared.journal import Journal
from editor_plugin.shared.link import Link
from editor_plugin.shared.planner import Options
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.record import find_interpreter, write_record
from editor_plugin.shared.timeline import PICTURE, Clip, Timeline
from tests.fakes.editor import FakeBake, FakeEditor

COMMAND = [sys.executable, "-E", "-u", "-m", "daemon.bridge"]
Script = Callable[[str], dict[str, Any]]


@pytest.fixture
def link(client: object) -> Iterator[Link]:
    made = Link(COMMAND, "test")
    yield made
    made.close()


def until(link: Link, is_done: Callable[[], bool], timeout_s: float = 20.0) -> list[dict[str, Any]]:
    """Poll as a host's timer does until something is so; return the events heard."""
    heard = []
    deadline = time.monotonic() + timeout_s
    while not is_done():
        heard += link.poll()
        assert time.monotonic() < deadline, heard
        time.sleep(0.005)
    return heard


def speak(python: str) -> Link:
    """Return a link to a bridge that is a line of Python."""
    return Link([sys.executable, "-c", python], "test")


def test_requests_and_events_come_through(link: Link, script: Script) -> None:
    assert link.ask("status", {})["protocol"] == 1
    job = link.ask("submit_job", {"spec": script("paint"), "key": "one"})["job"]
    assert link.ask("submit_job", {"spec": script("paint"), "key": "one"})["is_new"] is False
    deadline = time.monotonic() + 20
    seen: list[dict[str, Any]] = []
    while not any(event["type"] == "take_added" for event in seen):
        seen += link.poll()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert link.ask("get_job", {"job_id": job["job_id"]})["job"]["takes"]


def test_the_daemons_error_reaches_the_user_with_its_hint(link: Link) -> None:
    with pytest.raises(PluginError, match="no job nosuch") as caught:
        link.ask("get_job", {"job_id": "nosuch"})
    assert (caught.value.code, bool(caught.value.hint)) == ("job.not_found", True)


def test_a_killed_bridge_is_told_and_started_again(link: Link) -> None:
    link.ask("status", {})
    assert link._process is not None
    os.kill(link._process.pid, signal.SIGKILL)
    link._process.wait()
    replies: list[dict[str, Any]] = []
    link._waiting[10**6] = replies.append  # a request that was under way
    until(link, lambda: bool(replies))
    assert replies[0]["body"]["code"] == "bridge.gone"
    assert not link.is_open
    assert link.ask("status", {})["protocol"] == 1


def test_rubbish_on_the_pipe_is_passed_over() -> None:
    link = speak(
        "import sys, json\n"
        "print('Warning: a library talks'); print('[1, 2]'); print('\\xff{'); print('[' * 99999)\n"
        "for line in sys.stdin:\n"
        "    m = json.loads(line)\n"
        "    print(json.dumps({'parent': m['id'], 'type': 'x_reply', 'body': {'n': len(line)}}), flush=True)"
    )
    assert link.ask("x", {})["n"] > 10
    link.close()


def test_megabytes_pass_both_ways_without_blocking_the_caller() -> None:
    link = speak(
        "import sys, json, time\n"
        "time.sleep(0.3)\n"
        "for line in sys.stdin:\n"
        "    m = json.loads(line)\n"
        "    print(json.dumps({'parent': m['id'], 'type': 'x_reply', 'body': m['body']}), flush=True)"
    )
    big = {"text": "x" * 4_000_000}
    replies: list[dict[str, Any]] = []
    link.open()
    begun = time.perf_counter()
    link.send("x", big, replies.append)
    assert time.perf_counter() - begun < 0.2  # the bridge does not even read yet
    until(link, lambda: bool(replies))
    assert replies[0]["body"] == big
    link.close()


def test_a_flood_of_complaints_does_not_stop_it_and_the_last_are_kept() -> None:
    link = speak(
        "import sys\n"
        "for n in range(20000): print('complaint', n, file=sys.stderr)\n"
        'print(\'{"parent": 3, "type": "x_reply", "body": {}}\', flush=True)\n'
        "sys.stdin.read()"
    )
    assert link.ask("x", {}) == {}
    until(link, lambda: "complaint 19999" in link.complaints)
    assert len(link.complaints.splitlines()) == 200
    link.close()


def test_a_version_nobody_speaks_is_said(link: Link) -> None:
    with pytest.raises(PluginError) as caught:
        link.ask("hello", {"versions": [99], "client": "plugin", "client_version": "9"})
    assert caught.value.code == "protocol.version"


def test_no_installation_and_no_python_are_said_clearly(home: Path) -> None:
    with pytest.raises(PluginError, match="not installed"):
        find_interpreter()
    write_record(sys.executable)
    assert find_interpreter() == sys.executable
    with pytest.raises(PluginError, match="cannot be started"):
        Link([str(home / "gone")], "test").open()


def test_a_host_that_is_killed_leaves_no_bridge(client: object, tmp_path: Path) -> None:
    host = (
        "import sys, time\n"
        "from editor_plugin.shared.link import Link\n"
        f"link = Link({COMMAND!r}, 'test')\n"
        "link.ask('status', {})\n"
        "print(link._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE)
    assert process.stdout is not None
    bridge = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while _is_alive(bridge):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# The actions, over the real daemon, on a timeline made of lists.


@pytest.fixture
def editor(script: Script) -> FakeEditor:
    source = script("paint")["source"]
    shot = Clip("shot", PICTURE, 1, 100, 130, source, source_frames=30)
    return FakeEditor(Timeline("project", "Edit", Fraction(25), (shot,)))


@pytest.fixture
def session(editor: FakeEditor, link: Link, tmp_path: Path) -> Session:
    return Session(editor, link, Journal(tmp_path / "journal.jsonl"))


def run_until(session: Session, state: str) -> None:
    deadline = time.monotonic() + 20
    while session.statuses("project")[0].state != state:
        session.pump()
        assert time.monotonic() < deadline, (session.statuses("project")[0], session.trouble)
        time.sleep(0.005)


@pytest.fixture
def placed(session: Session, script: Script, tmp_path: Path) -> Session:
    (tmp_path / "takes").mkdir(exist_ok=True)
    voice = os.path.abspath("paint")
    session.redub_with_file("shot", voice, Options(extra={"dest": str(tmp_path / "takes")}))
    run_until(session, states.PLACED)
    return session


def test_a_take_arrives_on_the_timeline_by_itself(placed: Session, editor: FakeEditor) -> None:
    status = placed.statuses("project")[0]
    (clip,) = [one for one in editor.timeline().placed(status.job_id) if one.kind == PICTURE]
    assert (clip.start, clip.stop, clip.track, clip.path) == (100, 130, 2, status.takes[0]["path"])
    assert placed.recover() == []


def test_an_undone_take_can_be_placed_again_and_a_removed_one_stays_away(
    placed: Session, editor: FakeEditor
) -> None:
    status = placed.statuses("project")[0]
    editor.remove(status.job_id)  # the user's undo
    assert "no longer on the timeline" in placed.recover()[0]
    placed.place(status.key)
    assert editor.timeline().placed(status.job_id)
    placed.remove(status.key)
    assert not editor.timeline().placed(status.job_id)
    assert placed.recover() == []


def test_a_placement_that_reads_back_wrong_is_rolled_back(placed: Session, editor: FakeEditor) -> None:
    status = placed.statuses("project")[0]
    placed.remove(status.key)
    editor.slip = 1
    with pytest.raises(PluginError, match=r"101 to 131 instead of\s+100 to 130"):
        placed.place(status.key)
    assert not editor.timeline().placed(status.job_id)
    editor.slip = 0
    assert placed.place(status.key).state == states.PLACED


def test_two_answers_that_tell_of_the_same_end_place_one_take(placed: Session, editor: FakeEditor) -> None:
    status = placed.statuses("project")[0]
    editor.remove(status.job_id)
    entry = placed._journal.move(placed._entry(status.key), states.READY)
    placed._jobs.ready = [entry.key, entry.key]
    run_until(placed, states.PLACED)
    assert len([one for one in editor.timeline().placed(status.job_id) if one.kind == PICTURE]) == 1
    assert placed.trouble is None


def test_a_crash_between_journal_and_timeline_is_cleaned_or_finished(
    placed: Session, editor: FakeEditor, tmp_path: Path, link: Link
) -> None:
    status = placed.statuses("project")[0]
    entry = placed._entry(status.key)
    Journal(tmp_path / "journal.jsonl").move(entry, states.PLACING)  # killed after inserting
    again = Session(editor, link, Journal(tmp_path / "journal.jsonl"))
    assert "in full" in again.recover()[0]
    editor.remove(status.job_id)
    Journal(tmp_path / "journal.jsonl").move(entry, states.PLACING)  # killed before
    last = Session(editor, link, Journal(tmp_path / "journal.jsonl"))
    assert "interrupted" in last.recover()[0]
    assert last.place(status.key).state == states.PLACED


def test_a_host_that_quits_while_a_job_runs_finds_it_again(
    session: Session, editor: FakeEditor, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "takes").mkdir(exist_ok=True)
    settings = Options(extra={"dest": str(tmp_path / "takes")})
    entry = session.redub_with_file("shot", os.path.abspath("paint"), settings)
    # killed at once: the request may or may not have left
    other = Link(COMMAND, "test")
    again = Session(editor, other, Journal(tmp_path / "journal.jsonl"))
    assert again.recover()
    run_until(again, states.PLACED)
    other.close()
    assert len([job for job in client.jobs() if job.spec.voice.endswith("paint")]) == 1
    assert again.statuses("project")[0].key == entry.key


def test_accepting_marks_the_take_and_cancelling_ends_the_job(
    placed: Session, client: Any, editor: FakeEditor, tmp_path: Path
) -> None:
    status = placed.statuses("project")[0]
    placed.accept(status.key)
    deadline = time.monotonic() + 10
    while client.takes(status.job_id)[0].verdict != "accepted":
        placed.pump()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    entry = placed.redub_with_file(
        "shot", os.path.abspath("loop"), Options(extra={"dest": str(tmp_path / "takes")})
    )
    run_until(placed, states.WAITING)
    placed.cancel(entry.key)
    job_id = placed._entry(entry.key).job_id
    deadline = time.monotonic() + 10
    while client.job(job_id).state != "cancelled":
        placed.pump()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_happened_while_the_bridge_or_the_daemon_was_away_is_heard(
    session: Session, client: Any, link: Link, tmp_path: Path
) -> None:
    (tmp_path / "takes").mkdir(exist_ok=True)

    def wait_for_a_long_job() -> str:
        options = Options(extra={"dest": str(tmp_path / "takes")})
        session.redub_with_file("shot", os.path.abspath("loop"), options)
        run_until(session, states.WAITING)
        return session.statuses("project")[0].job_id

    job_id = wait_for_a_long_job()
    until_heard(session, lambda: session._jobs._is_live)
    assert link._process is not None
    link._process.kill()
    link._process.wait()
    client.cancel(job_id)
    run_until(session, states.FAILED)
    assert wait_for_a_long_job() == job_id
    client.shutdown()
    until_heard(session, lambda: "No daemon" in str(session.trouble))
    with Client.connect(name="test") as other:  # which starts it again
        other.cancel(job_id)
        run_until(session, states.FAILED)


def until_heard(session: Session, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        session.pump()
        assert time.monotonic() < deadline, session.trouble
        time.sleep(0.005)


def test_a_failed_job_says_why_in_the_panel(session: Session, script: Script, tmp_path: Path) -> None:
    (tmp_path / "takes").mkdir(exist_ok=True)
    session.redub_with_file(
        "shot", os.path.abspath("missing"), Options(extra={"dest": str(tmp_path / "takes")})
    )
    run_until(session, states.FAILED)
    assert len(session.statuses("project")[0].sentence) > 20


# Shots that are rendered first.


@pytest.fixture
def bakes() -> list[FakeBake]:
    return []


@pytest.fixture
def retimed(editor: FakeEditor, link: Link, tmp_path: Path, bakes: list[FakeBake]) -> Session:
    """Return a session whose shots are at half speed; `bad` cannot be rendered."""
    (tmp_path / "takes").mkdir(exist_ok=True)
    (shot,) = editor.timeline().clips
    slow = replace(shot, speed=Fraction(1, 2), can_bake=True)
    clips = (slow, replace(slow, clip_id="bad", start=200, stop=230))
    editor.take_over(replace(editor.timeline(), clips=clips))

    def start(clip_id: str, first: int, stop: int, path: str) -> FakeBake:
        bakes.append(FakeBake(clip_id, first, stop, path))
        return bakes[-1]

    return Session(editor, link, Journal(tmp_path / "journal.jsonl"), start)


def ask_for(session: Session, tmp_path: Path, clip_id: str = "shot") -> str:
    options = Options(extra={"dest": str(tmp_path / "takes")}, bake_folder=str(tmp_path))
    return session.redub_with_file(clip_id, os.path.abspath("paint"), options).key


def test_a_retimed_shot_is_rendered_then_redubbed_and_the_rendering_goes_with_it(
    retimed: Session, bakes: list[FakeBake], tmp_path: Path
) -> None:
    key = ask_for(retimed, tmp_path)
    assert retimed.statuses("project")[0].state == states.BAKING
    assert ask_for(retimed, tmp_path) == key  # pressed twice
    assert len(bakes) == 1
    run_until(retimed, states.PLACED)
    assert (bakes[0].first, bakes[0].last, Path(bakes[0].path).exists()) == (100, 130, True)
    retimed.remove(key)
    assert not Path(bakes[0].path).exists()
    assert ask_for(retimed, tmp_path) == key  # anew: the shot may have another speed by now
    assert bakes[1].path != bakes[0].path
    run_until(retimed, states.PLACED)


def test_a_rendering_is_stopped_by_cancel_begun_again_after_a_crash_and_may_fail(
    retimed: Session, editor: FakeEditor, link: Link, bakes: list[FakeBake], tmp_path: Path
) -> None:
    retimed.cancel(ask_for(retimed, tmp_path))
    assert bakes[0].was_stopped
    assert not retimed.is_baking
    ask_for(retimed, tmp_path)
    again = Session(editor, link, Journal(tmp_path / "journal.jsonl"), retimed._bakes._start)
    assert "begun again" in again.recover()[0]
    run_until(again, states.PLACED)
    ask_for(again, tmp_path, "bad")
    run_until(again, states.FAILED)
    assert again.trouble is not None
    assert "cannot be rendered" in again.statuses("project")[0].sentence
