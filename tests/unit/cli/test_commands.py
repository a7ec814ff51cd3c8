"""Each command against a real daemon: what it prints and with which status it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.client import Client
from daemon.demo import SHOT, VOICE
from daemon.paths import find_paths
from daemon.protocol.jobs import Take

from .conftest import Run

Command = Callable[..., Run]
JOB = ("redub", SHOT, "--in", 0, "--out", 20, "--voice", VOICE)


def held_job(dubwright: Command, tmp_path: Path) -> str:
    """Put a job on the queue that will not run; return its id."""
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"source": str(SHOT), "voice": str(VOICE), "in": 0, "out": 20}))
    return dubwright("submit", file, "--hold", "--json").document["job"]


def test_daemon_starts_tells_its_state_and_stops(dubwright: Command) -> None:
    assert dubwright("daemon", "status").status == 4
    started = dubwright("daemon", "start", "--json").document
    status = dubwright("daemon", "status", "--json").document
    assert status["server_pid"] == started["server_pid"]
    assert [worker["pid"] for worker in status["workers"]] == []
    assert dubwright("daemon", "start").out.startswith("The daemon already runs")
    assert dubwright("daemon", "stop", "--json").document == {"was_running": True}
    assert dubwright("daemon", "stop").out == "No daemon runs.\n"
    gone = dubwright("daemon", "status", "--json")
    assert (gone.status, gone.document["error"]["code"]) == (4, "daemon.unreachable")


def test_a_dry_run_says_what_would_be_made(dubwright: Command) -> None:
    said = dubwright(*JOB, "--dry-run", "--handles", 4, "--leave-alone", "5,9").out.splitlines()
    lines = dict(line.split(maxsplit=1) for line in said)
    assert lines["range"].startswith("0 to 20, handles of 0 and 4 more: 24 frames from ")
    assert lines["take"].startswith("overlay, prores4444, ")
    assert lines["left"] == "alone  5 to 9"


def test_an_empty_queue_is_listed(dubwright: Command) -> None:
    assert dubwright("jobs", "--json").document == {"jobs": []}
    assert dubwright("takes", "--json").document == {"takes": []}
    assert dubwright("jobs").err == "There are no jobs.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("redub", "nowhere.mov", "--in", 0, "--out", 20, "--voice", VOICE), 3, "source.missing"),
        (("redub", SHOT, "--in", 0, "--out", 20, "--voice", "nowhere.wav"), 3, "voice.missing"),
        (("redub", SHOT, "--in", 20, "--out", 20, "--voice", VOICE), 2, "range.empty"),
        (("redub", SHOT, "--in", 20, "--out", 2000, "--voice", VOICE), 2, "range.outside"),
        (("redub", SHOT, "--in", "01:00:00:99", "--out", 90, "--voice", VOICE), 2, "timecode.invalid"),
        ((*JOB, "--codec", "betamax"), 2, "job.invalid"),
        ((*JOB, "--codec", "h264"), 2, "job.invalid"),
        ((*JOB, "--takes", 0), 2, "job.invalid"),
        ((*JOB, "--engine", "wan"), 4, "engine.unavailable"),
        (("faces", "nowhere.mov", "--in", 0, "--out", 20), 3, "source.missing"),
        (("submit", "nowhere.json"), 2, "job.invalid"),
        (("watch", "nothing"), 2, "job.not_found"),
        (("cancel", "nothing"), 2, "job.not_found"),
        (("pause", "nothing"), 2, "job.not_found"),
        (("resume", "nothing"), 2, "job.not_found"),
        (("retry", "nothing"), 2, "job.not_found"),
        (("accept", "nothing"), 2, "take.not_found"),
        (("reject", "nothing"), 2, "take.not_found"),
        (("checks", "nothing"), 2, "take.not_found"),
        (("jobs", "--state", "asleep"), 2, "job.invalid"),
        (("redub", SHOT, "--in", 0), 2, "usage"),
        (("dance",), 2, "usage"),
        (("jobs", "--limit", "many"), 2, "usage"),
    ],
)
def test_each_mistake_has_a_code_a_reason_and_a_way_out(
    shared_dubwright: Command, arguments: tuple[object, ...], status: int, code: str
) -> None:
    run = shared_dubwright(*arguments, "--json")
    assert run.status == status
    error = run.document["error"]
    assert error["code"] == code
    assert error["message"].endswith((".", "?"))
    assert error["hint"]


def test_an_error_for_people_names_its_code(shared_dubwright: Command) -> None:
    run = shared_dubwright("checks", "nothing")
    assert run.out == ""
    assert run.err.splitlines()[-1] == "[take.not_found]"


def test_a_held_job_is_listed_and_cancelled(dubwright: Command, tmp_path: Path) -> None:
    job = held_job(dubwright, tmp_path)
    assert [found["job_id"] for found in dubwright("jobs", "--state", "held", "--json").document["jobs"]] == [
        job
    ]
    assert f"redub {SHOT} 0 to 20" in dubwright("jobs").out
    assert dubwright("cancel", job, "--json").document == {"job": job, "state": "cancelled", "takes": []}
    assert dubwright("watch", job).status == 6
    assert dubwright("pause", job, "--json").document["error"]["code"] == "job.wrong_state"


def test_resume_lets_a_held_job_run(dubwright: Command, tmp_path: Path) -> None:
    job = held_job(dubwright, tmp_path)
    assert dubwright("resume", job, "--json").document["state"] in ("queued", "running")
    assert dubwright("cancel", job, "--json").document["state"] == "cancelled"


def test_a_running_job_is_paused_resumed_and_cancelled(dubwright: Command) -> None:
    job = dubwright("redub", SHOT, "--in", 0, "--out", 200, "--voice", VOICE, "--no-wait", "--json").document[
        "job"
    ]
    assert dubwright("pause", job, "--json").document["state"] == "paused"
    assert dubwright("resume", job, "--json").document["state"] in ("queued", "running")
    assert dubwright("cancel", job, "--json").document["state"] == "cancelled"
    assert dubwright("retry", job, "--json").document["state"] in ("queued", "running")
    assert dubwright("cancel", job, "--json").document["state"] == "cancelled"


def test_the_same_key_twice_is_one_job(dubwright: Command, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"source": str(SHOT), "voice": str(VOICE), "in": 0, "out": 20}))
    submit = ("submit", file, "--hold", "--key", "the same", "--json")
    assert dubwright(*submit).document["job"] == dubwright(*submit).document["job"]


def test_watching_prints_a_line_an_event_and_the_job_last(shared_dubwright: Command) -> None:
    job = shared_dubwright(*JOB[:-1], "nowhere.wav", "--no-wait", "--json").document["job"]
    run = shared_dubwright("watch", job, "--json")
    lines = [json.loads(line) for line in run.out.splitlines()]
    assert run.status == 3
    assert all("event" in line for line in lines[:-1])
    assert lines[-1]["error"]["code"] == "voice.missing"


def test_a_dry_run_prints_the_plan_and_makes_nothing(shared_dubwright: Command, tmp_path: Path) -> None:
    run = shared_dubwright(*JOB, "--handles", 5, "--dest", tmp_path / "takes", "--dry-run", "--json")
    assert run.status == 0
    assert run.document["result"]["plan"]["range"] == [0, 20]
    assert run.document["takes"] == []
    assert list((tmp_path / "takes").iterdir()) == []
    again = shared_dubwright(*JOB, "--dest", tmp_path / "takes", "--dry-run")
    assert "It takes" in again.err


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles")
def test_ctrl_c_ends_the_watching_and_not_the_job(dubwright: Command, tmp_path: Path) -> None:
    job = held_job(dubwright, tmp_path)
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # CI may ignore it
    command = [sys.executable, "-c", heeded + "from daemon.cli import main; main()", "watch", job]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline() == f"Job {job} is held.\n"
        watching.send_signal(signal.SIGINT)
        said = watching.stderr.read()
    assert watching.returncode == 130
    assert f"dubwright watch {job}" in said
    assert f"dubwright cancel {job}" in said
    with Client.connect() as client:
        assert client.job(job).state == "held"


def test_checks_reads_a_sidecar_beside_a_take(dubwright: Command, tmp_path: Path) -> None:
    media = tmp_path / "shot_take01.mov"
    media.touch()
    sidecar = media.with_suffix(".json")
    checks = {"av_offset_ms": 120.0, "reasons": ["the mouth is +120 ms off the voice"]}
    take = {
        "take_id": "x-1",
        "path": str(media),
        "sidecar": str(sidecar),
        "frames": 20,
        "rate": [25, 1],
        "seed": 0,
        "engine": "rewrite",
        "badge": "fail",
        "checks": checks,
    }
    sidecar.write_text(json.dumps({"sidecar_version": 1, "take": take, "request": {}}))
    for name in (media, sidecar):
        run = dubwright("checks", name)
        assert run.status == 7
        assert "the mouth is +120 ms off the voice" in run.out
    assert set(Take.__struct_fields__) - set(dubwright("checks", media, "--json").document) <= {"checks"}
    sidecar.unlink()
    assert dubwright("checks", media, "--json").document["error"]["code"] == "take.not_found"


def test_doctor_finds_what_is_wrong(
    dubwright: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUBWRIGHT_FACE_MODELS", str(tmp_path / "none"))
    dubwright("daemon", "start")
    paths = find_paths()
    findings = {found["name"]: found for found in dubwright("doctor", "--json").document["findings"]}
    assert {name for name, found in findings.items() if not found["ok"]} == {"face models", "engine"}
    paths.keys_file.chmod(0o644)
    dubwright("daemon", "stop")
    paths.queue_file.write_bytes(b"no database at all" * 1000)
    run = dubwright("doctor", "--json")
    bad = {found["name"] for found in run.document["findings"] if not found["ok"]}
    assert run.status == 4
    assert {"keys", "queue"} <= bad
    assert "chmod 600" in dubwright("doctor").out


def test_help_is_shown_for_a_bare_command(shared_dubwright: Command) -> None:
    assert "redub" in shared_dubwright().out
    assert "start" in shared_dubwright("daemon").out
