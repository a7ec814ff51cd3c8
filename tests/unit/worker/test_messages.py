"""Messages between server and worker, through a real pipe."""

import io
import os

import pytest

from daemon.protocol.jobs import RedubSpec
from daemon.worker.messages import MESSAGE_LIMIT, ORDERS, Run, Stop, read_message, write_message

SPEC = RedubSpec(
    source="a.mov", voice="b.wav", in_="01:00:00:00", out="01:00:04:00", boxes=[None, (1, 2, 3, 4)]
)


def test_messages_come_through_a_pipe_in_order() -> None:
    near, far = os.pipe()
    sent = [Run("job", 2, SPEC, "/jobs/job"), Stop("job", 2)]
    with os.fdopen(far, "wb") as writer:
        for message in sent:
            write_message(writer, message)
    with os.fdopen(near, "rb") as reader:
        found = [ORDERS.decode(read_message(reader) or b"") for _ in sent]
        assert read_message(reader) is None
    assert found == sent


@pytest.mark.parametrize("kept", [0, 3, 4, 10])
def test_stream_torn_by_a_death_just_ends(kept: int) -> None:
    whole = io.BytesIO()
    write_message(whole, Stop("job", 1))
    assert read_message(io.BytesIO(whole.getvalue()[:kept])) is None


def test_absurd_length_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        read_message(io.BytesIO((MESSAGE_LIMIT + 1).to_bytes(4, "big")))
