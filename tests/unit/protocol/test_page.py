"""docs/protocol.md and the code say the same."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from daemon.protocol import (
    codec,
    daemon_messages,
    events,
    job_messages,
    jobs,
    messages,
    night,
    reading,
    transfer_messages,
)
from daemon.protocol.errors import ERRORS, ErrorInfo
from daemon.redub.progress import STAGES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
SAMPLES = [msgspec.json.decode(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading."""
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.M)[1]
    table = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", section, re.M)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def fields_of(struct: type[msgspec.Struct]) -> str:
    """Return a struct's fields as the page writes them."""
    fields = [f"`{f.encode_name}`" + ("" if f.required else "?") for f in msgspec.structs.fields(struct)]
    return ", ".join(fields) or "none"


def test_every_request_and_reply_is_on_the_page_with_its_fields() -> None:
    expected = {
        f"`{name}`": [fields_of(kind.request), fields_of(kind.reply)]
        for name, kind in messages.REQUESTS.items()
    }
    assert {name: [request, reply] for name, request, reply, _ in rows("Requests")} == expected


def test_every_event_is_on_the_page_with_its_topic_and_fields() -> None:
    found = {name: [topic, fields] for name, topic, fields, _ in rows("Events")}
    expected = {}
    for name, event in events.EVENTS.items():
        about_job = "job_id" in event.__struct_fields__
        topic = f"`{events.job_topic('<job id>')}`" if about_job else f"`{events.DAEMON_TOPIC}`"
        expected[f"`{name}`"] = ["the one subscribed to" if name == "subscribed" else topic, fields_of(event)]
    assert found == expected


def test_every_error_code_is_on_the_page_with_its_exit_status() -> None:
    expected = {f"`{code}`": str(kind.family.exit_status) for code, kind in ERRORS.items()}
    assert {code: status for code, status, _ in rows("Errors")} == expected


def test_the_states_and_their_transitions_are_those_of_the_table() -> None:
    found = {}
    for state, _, goes_to in rows("States of a job"):
        words = re.sub(r"\(.*?\)", "", goes_to).split(",")
        found[state.strip("`")] = {word.strip() for word in words if word.strip()}
    assert found == {str(state): {str(to) for to in targets} for state, targets in jobs.TRANSITIONS.items()}


@pytest.mark.parametrize(
    ("thing", "struct"),
    [
        ("job", jobs.Job),
        ("take", jobs.Take),
        ("progress", jobs.Progress),
        ("error", ErrorInfo),
        ("log entry", job_messages.LogEntry),
        ("file of a job", transfer_messages.JobFile),
        ("worker", daemon_messages.WorkerInfo),
        ("model", daemon_messages.ModelInfo),
        ("GPU", night.GpuInfo),
        ("GPU process", night.GpuProcess),
        ("schedule", night.ScheduleSettings),
        ("forecast of a job", night.ForecastJob),
        ("report", night.NightReport),
        ("job of a report", night.ReportJob),
    ],
)
def test_the_fields_of_things_are_on_the_page(thing: str, struct: type[msgspec.Struct]) -> None:
    assert dict(rows("Things"))[thing] == fields_of(struct)


def test_every_kind_of_job_is_on_the_page_with_its_fields() -> None:
    kinds = get_args(jobs.JobSpec)
    expected = {f"`{kind.__struct_config__.tag}`": fields_of(kind) for kind in kinds}
    assert dict(rows("Job specs")) == expected


def test_the_envelope_is_on_the_page() -> None:
    names = [name.replace("`", "") for name, _, _ in rows("Messages")]
    expected = [
        f.encode_name + ("" if f.required else "?") for f in msgspec.structs.fields(messages.Envelope)
    ]
    assert sorted(names) == sorted(expected)


def test_versions_limits_features_and_stages_are_on_the_page() -> None:
    assert f"Protocol version: {messages.PROTOCOL_VERSION}." in PAGE
    assert f"Oldest version still understood: {messages.OLDEST_VERSION}." in PAGE
    limits = {what: limit for what, limit, _ in rows("Limits")}
    assert limits["a request"] == f"{codec.MAX_REQUEST_BYTES} bytes"
    assert limits["a frame"] == f"{codec.MAX_FRAME_BYTES} bytes"
    assert limits["lists and maps within each other, in a job spec"] == f"{codec.MAX_NESTING} levels"
    paragraph = re.search(r"^Features: (.*?)\n\n", PAGE, re.M | re.S)
    assert paragraph is not None
    assert set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", paragraph[1]))) == set(messages.FEATURES)
    assert f"is one of {', '.join(STAGES)}." in PAGE.replace("\n", " ")


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if "type" in sample], ids=lambda s: s["type"]
)
def test_samples_of_messages_decode(sample: dict[str, Any]) -> None:
    envelope = codec.decode_envelope(msgspec.msgpack.encode(sample))
    data = msgspec.msgpack.encode(sample)
    if envelope.type in messages.REQUESTS:
        request = codec.decode_request(envelope)
        if isinstance(request, messages.SubmitJob):
            reading.spec_from_builtins(request.spec)
    elif envelope.type in events.EVENTS:
        assert codec.decode_event(data) is not None
    else:
        assert codec.decode_reply(data).parent == sample["parent"]


def test_the_sample_of_a_job_file_is_a_job() -> None:
    specs = [sample for sample in SAMPLES if "type" not in sample]
    assert len(specs) == 1
    assert isinstance(reading.spec_from_builtins(specs[0]), jobs.RedubSpec)
