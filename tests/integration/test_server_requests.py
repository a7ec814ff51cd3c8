"""Every request, against the real daemon."""

import os
from collections.abc import Callable

import msgspec
import pytest
import zmq

from daemon.channel import Channel
from daemon.client import Client
from daemon.connection import load_keys, read_endpoint
from daemon.protocol import codec, events, messages
from daemon.protocol.errors import DubwrightError, ErrorInfo
from daemon.protocol.jobs import JobState, RedubSpec

Script = Callable[[str], dict[str, object]]


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(DubwrightError) as caught:
        call()
    assert caught.value.hint
    return caught.value.code


@pytest.fixture
def wire(client: Client) -> Callable[[bytes], codec.Reply]:
    """Return a function that sends bytes as they are and returns the next reply."""
    endpoint, keys = read_endpoint(client.paths.endpoint_file), load_keys(client.paths.keys_file)
    assert endpoint is not None
    assert keys is not None
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    channel = Channel(context, zmq.DEALER, endpoint.requests, keys)

    def send(data: bytes) -> codec.Reply:
        return codec.decode_reply(channel.exchange(data, lambda _: True, timeout_s=5))

    yield send  # type: ignore[misc]
    channel.close()
    context.term()


def test_hello_agrees_on_a_version_and_tells_what_is_missing(client: Client) -> None:
    reply = client.hello(features=["reorder", "teleport"])
    assert reply.version == messages.PROTOCOL_VERSION
    assert reply.missing == ["teleport"]
    assert set(reply.requests) == set(messages.REQUESTS)


def test_status_tells_processes_counts_and_places(client: Client, home: os.PathLike[str]) -> None:
    status = client.status()
    assert status.server_pid != os.getpid()
    os.kill(status.server_pid, 0)
    assert status.jobs == dict.fromkeys(map(str, JobState), 0)
    assert status.data.startswith(os.fspath(home))
    assert status.endpoint.startswith("tcp://127.0.0.1:")
    assert status.problems == []


def test_a_job_goes_through_its_life(client: Client, script: Script) -> None:
    job = client.submit(script("paint"), hold=True, priority=3)
    assert (job.state, job.priority, job.submitted_by) == (JobState.HELD, 3, "test")
    assert isinstance(job.spec, RedubSpec)
    assert [found.job_id for found in client.jobs([JobState.HELD])] == [job.job_id]
    assert client.release(job.job_id).state == JobState.QUEUED
    last = list(client.watch(job.job_id))[-1]
    assert isinstance(last, events.JobChanged)
    assert last.job.state == JobState.DONE
    [take] = client.takes(job.job_id)
    assert last.job.takes == [take] == client.takes()
    assert client.set_verdict(take.take_id, "accepted").verdict == "accepted"
    assert client.job(job.job_id).takes[0].verdict == "accepted"
    assert "The take is painted." in [entry.sentence for entry in client.job_log(job.job_id)]


def test_waiting_jobs_are_reordered(client: Client, script: Script) -> None:
    ids = [client.submit(script("paint"), hold=True).job_id for _ in range(3)]
    client.reorder(ids[2], before=ids[0])
    assert [job.job_id for job in client.jobs()] == [ids[2], ids[0], ids[1]]
    client.reorder(ids[1], priority=5)
    assert [job.job_id for job in client.jobs(limit=2)] == [ids[1], ids[2]]
    assert [job.job_id for job in client.jobs(limit=2, offset=2)] == [ids[0]]


def test_the_same_key_twice_is_one_job(client: Client, script: Script) -> None:
    first = client.submit(script("paint"), key="clip 12", hold=True)
    assert client.submit(script("paint"), key="clip 12").job_id == first.job_id
    assert len(client.jobs()) == 1
    assert code_of(lambda: client.submit(script("loop"), key="clip 12")) == "job.key_reused"


def test_a_repeated_message_is_carried_out_once(
    client: Client, wire: Callable[[bytes], codec.Reply], script: Script
) -> None:
    request = messages.SubmitJob(spec=script("paint"), hold=True)
    data = codec.encode_request(request, message_id=codec.new_id())
    assert wire(data) == wire(data)
    assert len(client.jobs()) == 1
    wire(codec.encode_request(request, message_id=codec.new_id()))
    assert len(client.jobs()) == 2


def test_stopping_a_stopped_job_again_does_no_harm(client: Client, script: Script) -> None:
    job_id = client.submit(script("paint"), hold=True).job_id
    assert client.hold(job_id).state == JobState.HELD
    assert client.cancel(job_id).state == client.cancel(job_id).state == JobState.CANCELLED
    assert code_of(lambda: client.pause(job_id)) == "job.wrong_state"
    assert code_of(lambda: client.resume(job_id)) == "job.wrong_state"
    assert code_of(lambda: client.release(job_id)) == "job.wrong_state"


def test_a_job_is_estimated_before_it_is_submitted(client: Client) -> None:
    spec = RedubSpec(source="/a.mov", voice="/a.wav", in_=0, out=250)
    one, three = (client.estimate(msgspec.structs.replace(spec, takes=takes)) for takes in (1, 3))
    assert one.usual_s is not None
    assert three.usual_s is not None
    assert 0 < one.usual_s < three.usual_s < 3 * one.usual_s
    assert (one.fast_s or 0) < one.usual_s < (one.slow_s or 0)
    assert not one.is_measured
    assert client.estimate(msgspec.structs.replace(spec, engine="wan")).usual_s is None, "nobody knows"
    assert code_of(lambda: client.estimate({"source": "/a.mov"})) == "job.invalid"
    assert client.jobs() == []


def test_what_is_not_there_is_named(client: Client) -> None:
    assert code_of(lambda: client.job("nobody")) == "job.not_found"
    assert code_of(lambda: client.cancel("nobody")) == "job.not_found"
    assert code_of(lambda: client.job_log("nobody")) == "job.not_found"
    assert code_of(lambda: client.takes("nobody")) == "job.not_found"
    assert code_of(lambda: next(client.watch("nobody"))) == "job.not_found"
    assert code_of(lambda: client.set_verdict("nobody-1", "accepted")) == "take.not_found"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"sorce": "b.mov"}, "job.unknown_field", "Did you mean `source`?"),
        ({"codec": "mpeg1"}, "job.invalid", "codec"),
        ({"out": 0}, "range.empty", "no frame"),
        ({"takes": 0}, "job.invalid", "`takes` is 0"),
        ({"kind": "paint"}, "job.invalid", "`kind`"),
        ({"source": "/a\0b"}, "job.invalid", "NUL"),
        ({"source": "a.mov"}, "job.invalid", "absolute"),
        ({"dest": "~/takes"}, "job.invalid", "absolute"),
    ],
)
def test_a_wrong_spec_is_refused_and_nothing_is_queued(
    client: Client, script: Script, change: dict[str, object], code: str, words: str
) -> None:
    with pytest.raises(DubwrightError) as caught:
        client.submit(script("paint") | change)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert client.jobs() == []


def test_an_old_client_is_told_to_update(wire: Callable[[bytes], codec.Reply]) -> None:
    hello = messages.Hello(versions=[0], client="old")
    old_hello = codec.encode_request(hello, message_id="1")
    plain = {"id": "2", "type": "hello", "version": 0, "body": {}}
    for data in (old_hello, msgspec.msgpack.encode(plain)):
        reply = wire(data).body
        assert isinstance(reply, ErrorInfo)
        assert (reply.code, reply.hint) == ("protocol.version", "Update the client.")


def test_unknown_requests_are_answered(client: Client) -> None:
    envelope, body = client.ask_raw("dance", {})
    assert (envelope.type, body["code"]) == ("error", "protocol.unknown_type")
    envelope, body = client.ask_raw("get_job", {"job": 1})
    assert (envelope.type, body["code"]) == ("error", "protocol.malformed")


def test_a_request_that_is_too_large_is_refused_on_both_sides(
    client: Client, wire: Callable[[bytes], codec.Reply]
) -> None:
    assert code_of(lambda: client.job("x" * codec.MAX_REQUEST_BYTES)) == "protocol.too_large"
    request = messages.GetJob(job_id="x" * codec.MAX_REQUEST_BYTES)
    reply = wire(codec.encode_request(request, message_id="7"))
    assert isinstance(reply.body, ErrorInfo)
    assert (reply.parent, reply.body.code) == ("7", "protocol.too_large")
