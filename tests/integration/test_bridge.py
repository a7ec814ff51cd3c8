"""The bridge, as a plugin uses it: lines in, lines out, over a real daemon."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.client import Client
from daemon.protocol.codec import MAX_REQUEST_BYTES

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "daemon.bridge"]

Script = Callable[[str], dict[str, object]]
Line = dict[str, Any]


class Plugin:
    """The plugin's side of a bridge."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(COMMAND, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line: bytes | Line) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Line:
        """Wait for a line."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, line: bytes | Line) -> Line:
        """Send a line and wait for the next."""
        self.say(line)
        return self.hear()


@pytest.fixture
def plugin(client: Client) -> Iterator[Plugin]:
    made = Plugin()
    with made.process:
        yield made
        assert made.process.stdin is not None
        made.process.stdin.close()
        assert made.process.wait(10) == 0


def test_requests_are_answered_under_their_own_id(plugin: Plugin, script: Script) -> None:
    hello = plugin.ask({"id": "a", "type": "hello", "body": {"versions": [1], "client": "resolve"}})
    assert (hello["parent"], hello["type"], hello["body"]["version"]) == ("a", "hello_reply", 1)
    body = {"spec": script("paint") | {"seed": 2**62}, "hold": True}
    reply = plugin.ask({"id": 7, "type": "submit_job", "body": body})
    assert (reply["parent"], reply["body"]["job"]["state"]) == (7, "held")
    assert reply["body"]["job"]["spec"]["seed"] == 2**62
    assert plugin.ask({"type": "status"})["body"]["jobs"]["held"] == 1


def test_errors_of_the_daemon_come_through(plugin: Plugin) -> None:
    reply = plugin.ask({"id": 1, "type": "get_job", "body": {"job_id": "nobody"}})
    assert (reply["parent"], reply["type"], reply["body"]["code"]) == (1, "error", "job.not_found")
    assert plugin.ask({"id": 2, "type": "dance"})["body"]["code"] == "protocol.unknown_type"


@pytest.mark.parametrize(
    "line",
    [b"nonsense\n", b"[1, 2]\n", b'{"id": 1}\n', b'{"type": 5}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"],
)
def test_a_line_of_garbage_is_answered_and_the_bridge_goes_on(plugin: Plugin, line: bytes) -> None:
    reply = plugin.ask(line)
    assert (reply["parent"], reply["type"], reply["body"]["code"]) == (None, "error", "protocol.malformed")
    assert plugin.ask({"type": "status"})["type"] == "status_reply"


def test_a_line_that_is_too_long_is_skipped(plugin: Plugin) -> None:
    assert plugin.ask(b"x" * (2 * MAX_REQUEST_BYTES + 5) + b"\n")["body"]["code"] == "protocol.too_large"
    assert plugin.ask({"type": "status"})["type"] == "status_reply"


def test_empty_lines_are_nothing(plugin: Plugin) -> None:
    assert plugin.ask(b"\n  \n" + b'{"type": "status", "id": 3}\n')["parent"] == 3


def test_after_subscribe_every_event_comes(plugin: Plugin, script: Script) -> None:
    assert plugin.ask({"id": 1, "type": "subscribe"}) == {"parent": 1, "type": "subscribe_reply", "body": {}}
    plugin.say({"id": 2, "type": "submit_job", "body": {"spec": script("paint")}})
    states, replies = [], []
    while "done" not in states:
        line = plugin.hear()
        if line.get("parent") == 2:
            replies.append(line)
        elif line["type"] == "job_changed":
            states.append(line["body"]["job"]["state"])
    assert states == ["queued", "running", "done"]
    assert len(replies) == 1


def test_it_starts_a_daemon_when_none_runs(quiet_home: Path) -> None:
    plugin = Plugin()
    with plugin.process:
        assert plugin.ask({"id": 1, "type": "list_jobs"})["body"] == {"jobs": []}
        assert plugin.ask({"id": 2, "type": "shutdown"})["type"] == "shutdown_reply"


def test_it_says_why_no_daemon_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DUBWRIGHT_HOME", str(tmp_path / "file" / "home"))
    plugin = Plugin()
    with plugin.process:
        assert plugin.ask({"id": 1, "type": "status"})["body"]["code"] == "home.unwritable"


@pytest.mark.skipif(sys.platform == "win32", reason="there, a process does not learn of its parent's end")
def test_it_ends_when_its_parent_is_gone_though_its_input_stays_open(client: Client) -> None:
    program = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    command = [sys.executable, "-c", program, *COMMAND]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(b'{"type": "status"}\n')
        parent.stdin.flush()
        assert b"status_reply" in parent.stdout.readline()
        parent.kill()
        assert parent.stdout.read() == b""  # until the bridge, which holds the other end, has ended
