"""What the daemon does not let in, and what it survives."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.channel import Channel, ChannelClosedError
from daemon.client import Client
from daemon.connection import Endpoint, Keys, load_keys, make_keys, read_endpoint, secure_client
from daemon.protocol import codec
from daemon.protocol.errors import MachineError, RequestError

FLOOD = 2_000
HOSTILE = st.binary(max_size=300) | st.builds(
    lambda kind, body: msgspec.msgpack.encode({"id": "x", "type": kind, "version": 1, "body": body}),
    st.sampled_from(["get_job", "submit_job", "list_jobs", "reorder_job", "set_verdict", "?"]),
    st.dictionaries(
        st.sampled_from(["job_id", "spec", "states", "limit", "priority", "before", "take_id", "verdict"]),
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.lists(st.floats()),
    ),
)


@pytest.fixture
def endpoint(client: Client) -> Endpoint:
    found = read_endpoint(client.paths.endpoint_file)
    assert found is not None
    return found


@pytest.fixture
def keys(client: Client) -> Keys:
    found = load_keys(client.paths.keys_file)
    assert found is not None
    return found


@pytest.fixture
def dealer(endpoint: Endpoint, keys: Keys) -> Iterator["zmq.Socket[bytes]"]:
    """Return a bare socket of a client whose key is known."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bare = context.socket(zmq.DEALER)
    bare.linger = 0
    bare.rcvtimeo = 20_000
    secure_client(bare, keys)
    bare.connect(endpoint.requests)
    yield bare
    context.destroy(linger=0)


@pytest.mark.parametrize("name", ["requests", "control", "events"])
def test_a_client_with_another_key_is_refused(
    client: Client, endpoint: Endpoint, keys: Keys, name: str
) -> None:
    stranger = make_keys()
    strange = Keys(
        server_public=keys.server_public,
        server_secret=stranger.server_secret,
        client_public=stranger.client_public,
        client_secret=stranger.client_secret,
    )
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    channel = Channel(context, zmq.SUB if name == "events" else zmq.DEALER, getattr(endpoint, name), strange)
    with pytest.raises(MachineError) as caught:
        channel.next(timeout_s=10)
    assert caught.value.code == "daemon.refused"
    channel.close()
    context.term()
    assert client.status().jobs


def test_a_client_that_expects_another_daemon_is_not_answered(endpoint: Endpoint) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    channel = Channel(context, zmq.DEALER, endpoint.requests, make_keys())
    with pytest.raises(ChannelClosedError):
        channel.exchange(b"hello", lambda _: True, timeout_s=2)
    channel.close()
    context.term()


def test_bytes_that_are_no_zeromq_do_no_harm(client: Client, endpoint: Endpoint) -> None:
    for address in (endpoint.requests, endpoint.control, endpoint.events):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)) * 64)
    assert client.status().jobs


def test_a_flood_of_garbage_leaves_the_daemon_answering(client: Client, dealer: "zmq.Socket[bytes]") -> None:
    for index in range(FLOOD):
        dealer.send_multipart([bytes([index % 256]) * (index % 97)] * (1 + index % 3))
        if index % 500 == 0:
            assert client.status().server_pid
    for _ in range(FLOOD):
        reply = codec.decode_reply(dealer.recv())
        assert (reply.type, reply.parent) == ("error", None)
    assert client.status().jobs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(HOSTILE, min_size=1, max_size=3))
def test_every_hostile_message_gets_one_reply(dealer: "zmq.Socket[bytes]", frames: list[bytes]) -> None:
    dealer.send_multipart(frames)
    reply = codec.decode_reply(dealer.recv())
    assert reply.type == "error" or reply.type.endswith("_reply")
    if reply.type == "error":
        assert reply.body.code != "internal"  # type: ignore[attr-defined]


def test_a_frame_beyond_the_limit_ends_the_connection_and_not_the_daemon(
    client: Client, dealer: "zmq.Socket[bytes]"
) -> None:
    monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    monitor.rcvtimeo = 20_000
    dealer.send(b"x" * (codec.MAX_FRAME_BYTES + 1))
    assert monitor.recv_multipart()
    dealer.disable_monitor()
    monitor.close()
    assert client.status().jobs


def test_a_control_request_passes_a_queue_of_long_ones(client: Client, dealer: "zmq.Socket[bytes]") -> None:
    spec = {"source": __file__, "voice": __file__, "in": 0, "out": 9}
    job_id = client.submit(spec, hold=True).job_id
    listing = msgspec.msgpack.encode({"id": "x", "type": "list_jobs", "version": 1})
    for _ in range(FLOOD):
        dealer.send(listing)
    client.cancel(job_id)
    answered_before = 0
    while b"cancelled" not in dealer.recv():
        answered_before += 1
    assert answered_before < FLOOD - 1


def test_paths_outside_the_allowed_folders_are_refused_also_through_a_link(
    quiet_home: Path, tmp_path: Path
) -> None:
    footage, elsewhere = tmp_path / "footage", tmp_path / "elsewhere"
    for folder in (footage, elsewhere):
        folder.mkdir()
    (footage / "link").symlink_to(elsewhere)
    config = quiet_home / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text(f'[limits]\nfolders = ["{footage}"]\nwaiting_jobs = 2\n')
    spec = {"source": str(footage / "a.mov"), "voice": str(footage / "b.wav"), "in": 0, "out": 9}
    with Client.connect(name="test") as client:
        for field, path in (
            ("source", elsewhere / "a.mov"),
            ("voice", footage / "link" / "b.wav"),
            ("dest", footage / ".." / "elsewhere"),
            ("model", elsewhere),
        ):
            with pytest.raises(RequestError) as caught:
                client.submit({**spec, field: str(path)}, hold=True)
            assert caught.value.code == "path.forbidden"
            assert f"`{field}`" in caught.value.message
        for key in ("first", "second"):
            client.submit({**spec, "dest": str(footage / "takes")}, hold=True, key=key)
        with pytest.raises(RequestError) as caught:
            client.submit(spec, hold=True)
        assert caught.value.code == "queue.full"
        client.submit({**spec, "dest": str(footage / "takes")}, hold=True, key="second")
