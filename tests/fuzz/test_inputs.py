"""Whatever bytes stand in a message, a job file, the settings, a checkpoint: an answer or our own error."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.client import Client
from daemon.config import Config, load_config
from daemon.connection import load_keys, read_endpoint, secure_client
from daemon.paths import find_paths
from daemon.protocol import codec, messages
from daemon.protocol.errors import DubwrightError, RequestError
from daemon.protocol.reading import decode_spec
from daemon.queue.recovery import BEGUN, UNFINISHED, delete_folder
from daemon.schedule.report import load_report
from daemon.schedule.settings import load_schedule
from daemon.worker.checkpoint import MAGIC, Checkpoints

fuzzed = settings(settings.get_profile("fuzz"))

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=40),
    st.binary(max_size=40), st.sampled_from(["", "\0", "../..", "9" * 400, "1e999"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = sorted({name for kind in messages.REQUESTS.values() for name in kind.request.__struct_fields__})
SPEC = {"source": "/a.mov", "voice": "/b.wav", "in": 0, "out": 9}
SPEC_FIELDS = [
    *SPEC,
    "kind",
    "takes",
    "boxes",
    "leave_alone",
    "mask",
    "consent",
    "dest",
    "crop",
    "redub",
    "lora",
]

# Requests that would only end or fill the daemon under test.
TYPES = st.sampled_from([name for name in messages.REQUESTS if name not in ("shutdown", "schedule")])
BODIES = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=12)), VALUES, max_size=5)
SPECS = st.dictionaries(st.sampled_from(SPEC_FIELDS), VALUES, max_size=5).map(lambda found: {**SPEC, **found})


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Return `data` with bytes changed, cut off, put in or doubled."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double"])):
            case "flip" if changed:
                changed[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del changed[at:]
            case "insert":
                changed[at:at] = draw(st.binary(max_size=16))
            case _:
                changed += changed[at : at + 64]
    return bytes(changed)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], codec.Reply]]:
    """A daemon of its own, and a function that sends it bytes and returns the reply."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_HOME", str(tmp_path_factory.mktemp("fuzz") / "home"))
        patch.setenv("DUBWRIGHT_RUNNER", "tests.fakes.runner:run_job")
        with Client.connect(name="fuzz") as client, contextlib.ExitStack() as stack:
            endpoint, keys = read_endpoint(client.paths.endpoint_file), load_keys(client.paths.keys_file)
            assert endpoint is not None
            assert keys is not None
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(context.destroy, linger=0)
            dealer = context.socket(zmq.DEALER)
            secure_client(dealer, keys)
            dealer.rcvtimeo = 60_000
            dealer.connect(endpoint.requests)
            pid = client.status().server_pid

            def send(data: bytes) -> codec.Reply:
                dealer.send(data)
                return codec.decode_reply(dealer.recv())

            yield send
            assert client.status().server_pid == pid
            client.shutdown()


def check(reply: codec.Reply) -> None:
    assert reply.type == "error" or reply.type.endswith("_reply")
    if reply.type == "error":
        assert reply.body.code != "internal", reply.body  # type: ignore[attr-defined]


@fuzzed
@given(kind=TYPES, body=BODIES)
def test_requests_with_any_body(
    wire: Callable[[bytes], codec.Reply], kind: str, body: dict[str, Any]
) -> None:
    if kind == "submit_job":
        body["hold"] = True
    with contextlib.suppress(ValueError):  # what msgpack cannot hold
        check(wire(msgspec.msgpack.encode({"id": codec.new_id(), "type": kind, "version": 1, "body": body})))


@fuzzed
@given(spec=SPECS)
def test_jobs_with_any_field(wire: Callable[[bytes], codec.Reply], spec: dict[str, Any]) -> None:
    body = {"spec": spec, "hold": True}
    with contextlib.suppress(ValueError):
        check(
            wire(
                msgspec.msgpack.encode(
                    {"id": codec.new_id(), "type": "submit_job", "version": 1, "body": body}
                )
            )
        )


@fuzzed
@given(
    data=damaged(
        msgspec.msgpack.encode(
            {"id": "x" * 20, "type": "submit_job", "version": 1, "body": {"spec": SPEC, "hold": True}}
        )
    )
)
def test_damaged_frames(wire: Callable[[bytes], codec.Reply], data: bytes) -> None:
    check(wire(data))


@fuzzed
@given(
    data=st.one_of(
        damaged(json.dumps({**SPEC, "boxes": [[1, 2, 3, 4], None]}).encode()), st.binary(max_size=200)
    )
)
def test_job_files(data: bytes) -> None:
    with contextlib.suppress(RequestError):
        decode_spec(data)


TOML = b"""[server]
port = 5000
[folders]
takes = "/takes"
[limits]
folders = ["/footage"]
[provenance]
certificate = "/c"
key = "/k"
[report]
command = ["a", "b"]
webhook = "https://x"
"""


@fuzzed
@given(data=st.one_of(damaged(TOML), st.binary(max_size=200)))
def test_settings(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(data)
    with contextlib.suppress(RequestError):
        assert isinstance(load_config(file), Config)


@fuzzed
@given(
    data=st.one_of(
        damaged(b'{"windows": {"mon": "22:00-06:30,12:00-13:00"}, "quiet": "01:00-02:00"}'), st.binary()
    )
)
def test_schedules_reports_keys_and_endpoints(home: Path, data: bytes) -> None:
    paths = find_paths()
    paths.make()
    paths.reports.mkdir(exist_ok=True)
    for file in (
        paths.schedule_file,
        paths.reports / "2026-11-18.json",
        paths.keys_file,
        paths.endpoint_file,
    ):
        file.write_bytes(data)
    for load in (lambda: load_schedule(paths), lambda: load_report(paths, "2026-11-18")):
        with contextlib.suppress(RequestError):
            load()
    load_keys(paths.keys_file)
    read_endpoint(paths.endpoint_file)


CHUNK = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


def chunk_file(folder: Path) -> bytes:
    kept = Checkpoints(folder, "print")
    kept.save(0, CHUNK)
    return (folder / "00000.chunk").read_bytes()


@fuzzed
@given(data=st.data())
def test_checkpoints(tmp_path: Path, data: st.DataObject) -> None:
    kept = Checkpoints(tmp_path / "kept", "print")
    (tmp_path / "kept" / "00000.chunk").write_bytes(data.draw(damaged(chunk_file(tmp_path / "good"))))
    found = kept.load(0)
    assert found is None or (found == CHUNK).all()


@fuzzed
@given(
    header=st.fixed_dictionaries(
        {
            "fingerprint": st.just("print"),
            "dtype": st.one_of(st.text(max_size=8), st.sampled_from(["<u2", "O", "<f8", "V9"])),
            "shape": st.lists(st.integers(-2, 2**62), max_size=5),
            "sha256": st.text(max_size=64),
        }
    )
)
def test_headers_of_checkpoints(tmp_path: Path, header: dict[str, Any]) -> None:
    kept = Checkpoints(tmp_path / "kept", "print")
    body = MAGIC + json.dumps(header).encode() + b"\n" + bytes(64)
    (tmp_path / "kept" / "00000.chunk").write_bytes(body)
    assert kept.load(0) is None


@fuzzed
@given(names=VALUES)
def test_a_note_of_unfinished_files_deletes_nothing_else(tmp_path: Path, names: Any) -> None:
    keep = tmp_path / "keep"
    keep.write_text("kept")
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    with contextlib.suppress(TypeError, ValueError):
        (work / UNFINISHED).write_text(json.dumps([names, str(keep)], default=str))
        (work / BEGUN).write_text(json.dumps({"x.json": [names, str(keep)]}, default=str))
    with contextlib.suppress(DubwrightError):
        delete_folder(work)
    assert keep.exists()
