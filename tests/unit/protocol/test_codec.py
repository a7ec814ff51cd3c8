"""Whatever bytes come, decoding ends in a message or in a `protocol.*` error."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.protocol import codec, events, messages
from daemon.protocol.errors import RequestError, error_from_info
from daemon.protocol.reading import spec_from_builtins

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)

patient = settings(deadline=None)  # a busy machine is no failure


def decode(data: bytes) -> messages.Request:
    """Do with a message what the server does with it."""
    return codec.decode_request(codec.decode_envelope(data))


def decode_or_explain(data: bytes) -> messages.Request | str:
    """Return the request, or the code of the error."""
    try:
        return decode(data)
    except RequestError as error:
        return error.code


def envelope(**fields: object) -> bytes:
    """Return a message, right but for the given fields."""
    plain = {"id": "1", "type": "get_job", "version": messages.PROTOCOL_VERSION, "body": {"job_id": "j"}}
    return msgspec.msgpack.encode(plain | fields)


@patient
@given(st.binary(max_size=4096))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode(data)
    assert caught.value.code == "protocol.malformed"
    assert codec.read_id(data) is None or isinstance(codec.read_id(data), str)


@patient
@given(kind=st.sampled_from(sorted(messages.REQUESTS)) | st.text(), body=PLAIN, extra=PLAIN)
def test_random_values_end_in_a_request_or_an_error(kind: str, body: object, extra: object) -> None:
    request = decode_or_explain(envelope(type=kind, body=body, extra=extra))
    if isinstance(request, str):
        assert request in {"protocol.malformed", "protocol.unknown_type"}
    else:
        assert type(request) is messages.REQUESTS[kind].request


@pytest.mark.parametrize("header", [b"\xdd", b"\xdf", b"\xdb", b"\xc6"])
def test_a_length_that_lies_takes_no_memory(header: bytes) -> None:
    lie = msgspec.Raw(header + b"\xff\xff\xff\xff")
    for fields in ({"body": {"spec": lie}}, {"body": lie}, {"more": lie}):
        assert decode_or_explain(envelope(type="submit_job", **fields)) == "protocol.malformed"


@patient
@given(st.data())
def test_a_message_cut_or_changed_anywhere_is_no_crash(data: st.DataObject) -> None:
    whole = bytearray(envelope(type="submit_job", body={"spec": {"in": [1, {"a": "b"}]}, "key": "k"}))
    where = data.draw(st.integers(0, len(whole) - 1))
    whole[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for piece in (bytes(whole), bytes(whole[:cut])):
        request = decode_or_explain(piece)
        assert isinstance(request, messages.SubmitJob) or str(request).startswith("protocol.")


@pytest.mark.parametrize("depth", [codec.MAX_NESTING + 2, 2_000, 500_000])
@pytest.mark.parametrize("place", ["body", "spec", "unknown"])
def test_deep_nesting_is_refused(depth: int, place: str) -> None:
    deep = msgspec.Raw(b"\x91" * depth + b"\xc0")
    fields = {"body": {"body": deep}, "spec": {"body": {"spec": deep}}, "unknown": {"more": deep}}[place]
    if place == "unknown" and depth < 1000:
        assert decode(envelope(**fields)) == messages.GetJob(job_id="j")
        return
    kind = "submit_job" if place == "spec" else "get_job"
    with pytest.raises(RequestError) as caught:
        decode(envelope(type=kind, **fields))
    assert caught.value.code == "protocol.malformed"


def test_nesting_up_to_the_limit_is_accepted() -> None:
    value: object = 1
    for _ in range(codec.MAX_NESTING - 1):
        value = [value]
    codec.check_nesting(value)
    with pytest.raises(RequestError):
        codec.check_nesting([[value]])


def test_a_message_beyond_the_limit_is_too_large_and_keeps_its_id() -> None:
    data = envelope(body={"job_id": "x" * codec.MAX_REQUEST_BYTES})
    with pytest.raises(RequestError) as caught:
        codec.decode_envelope(data)
    assert caught.value.code == "protocol.too_large"
    assert codec.read_id(data) == "1"


def test_unknown_fields_are_ignored_and_unknown_types_refused() -> None:
    assert decode(envelope(colour="red", body={"job_id": "j", "later": 1})) == messages.GetJob(job_id="j")
    with pytest.raises(RequestError) as caught:
        decode(envelope(type="frobnicate"))
    assert caught.value.code == "protocol.unknown_type"


@pytest.mark.parametrize(("version", "older"), [(0, "client"), (-1, "client"), (99, "daemon")])
def test_another_version_is_refused_and_the_older_side_named(version: int, older: str) -> None:
    with pytest.raises(RequestError) as caught:
        codec.decode_envelope(envelope(version=version))
    assert caught.value.code == "protocol.version"
    assert caught.value.hint == f"Update the {older}."


@pytest.mark.parametrize(
    "fields", [{"id": ""}, {"id": "x" * 129}, {"type": 5}, {"version": "1"}, {"body": {"job_id": "x" * 129}}]
)
def test_fields_of_wrong_type_or_length_are_malformed(fields: dict[str, object]) -> None:
    with pytest.raises(RequestError) as caught:
        decode(envelope(**fields))
    assert caught.value.code == "protocol.malformed"


def test_every_error_comes_back_as_it_was_raised() -> None:
    error = RequestError("job.not_found", "There is no job j.", detail="x")
    reply = codec.decode_reply(codec.encode_error(error.to_info(), parent="1"))
    assert reply.parent == "1"
    back = error_from_info(reply.body)  # type: ignore[arg-type]
    assert (type(back), back.code, back.message, back.hint, back.detail) == (
        RequestError,
        error.code,
        error.message,
        error.hint,
        "x",
    )


def test_events_carry_their_number_and_new_kinds_are_skipped() -> None:
    event = events.JobLogged(job_id="j", at=1.0, sentence="Hello.")
    assert codec.decode_event(codec.encode_event(event, seq=7)) == (event, 7)
    assert codec.decode_event(envelope(type="job_sang")) is None


def test_no_topic_is_the_prefix_of_another_jobs() -> None:
    assert not events.job_topic("ab1").startswith(events.job_topic("ab"))
    assert events.job_topic("ab").startswith(events.job_topic())


@pytest.mark.parametrize(
    ("field", "word"), [("codec", "prores"), ("engine", "Wan"), ("duration_mode", "stretch")]
)
def test_a_word_that_is_none_of_a_fields_is_answered_with_those_that_are(field: str, word: str) -> None:
    fields = {"source": "/a.mov", "voice": "/a.wav", "in": 0, "out": 9}
    with pytest.raises(RequestError, match=rf"`{field}` is '{word}'; it must be one of \w+, \w+"):
        spec_from_builtins({**fields, field: word})
    spec_from_builtins({**fields, "codec": None})
