"""The night over the wire and on the command line, against the real daemon."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from daemon.cli.app import run
from daemon.cli.moments import deadline_from
from daemon.client import Client
from daemon.protocol.errors import DubwrightError, RequestError
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import JobState
from daemon.protocol.night import WEEKDAYS, ScheduleSettings

Script = Callable[[str], dict[str, object]]

NEVER = ScheduleSettings(windows={})
ALWAYS = ScheduleSettings(windows=dict.fromkeys(WEEKDAYS, "00:00-24:00"), on_battery=True, give_way=False)


def test_the_schedule_is_kept_and_a_wrong_one_is_refused(client: Client) -> None:
    assert client.schedule().settings == ScheduleSettings()
    settings = ScheduleSettings(windows={"fri": "20:00-09:00"}, quiet="12:00-13:00", only_when_away=True)
    assert client.schedule(settings).settings == settings
    with pytest.raises(RequestError) as caught:
        client.schedule(ScheduleSettings(windows={"fri": "20-9"}))
    assert caught.value.code == "schedule.invalid"
    client.shutdown()
    with Client.connect(name="test") as again:
        found = again.schedule()
        assert found.settings == settings
        assert found.opens_at is not None
        assert found.closes_at == found.opens_at + 13 * 3600
    file = client.paths.schedule_file
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "body",
    [
        {"settings": {"windows": {"someday": ""}}},
        {"settings": {"run": ["rm"]}},
        {"settings": {"quiet_after_s": 0}},
    ],
)
def test_what_is_no_schedule_is_malformed(client: Client, body: dict[str, object]) -> None:
    envelope, reply = client.ask_raw("schedule", body)
    assert (envelope.type, reply["code"]) == ("error", "protocol.malformed")


def test_a_job_waits_for_the_window_and_runs_when_it_opens(client: Client, script: Script) -> None:
    client.schedule(NEVER)
    job = client.submit(script("paint"), tonight=True)
    assert (job.state, job.tonight) == (JobState.HELD, True)
    assert client.schedule().waiting == 1
    assert [found.fits for found in client.forecast().jobs] == ["no"]
    client.schedule(ALWAYS)
    for _ in client.watch(job.job_id):
        pass
    assert client.job(job.job_id).state is JobState.DONE
    report = client.report().report
    assert [done.job_id for done in report.done] == [job.job_id]
    assert report.busy_hours > 0


def test_what_is_due_first_runs_first_and_a_job_can_be_placed_before_it(
    client: Client, script: Script
) -> None:
    client.schedule(NEVER)
    late, early, none = (
        client.submit(script("paint"), tonight=True, deadline=deadline) for deadline in (2e9, 1.9e9, None)
    )

    def order() -> list[str]:
        return [job.job_id for job in client.jobs([JobState.HELD])]

    assert order() == [early.job_id, late.job_id, none.job_id]
    assert client.reorder(none.job_id, before=early.job_id).deadline is None
    assert order() == [none.job_id, early.job_id, late.job_id]
    assert client.reorder(early.job_id, deadline=0).deadline is None
    assert order() == [none.job_id, late.job_id, early.job_id]


def test_a_running_job_can_be_held_for_the_night(client: Client, script: Script) -> None:
    client.schedule(NEVER)
    job = client.submit(script("loop"))
    next(event for event in client.watch(job.job_id) if isinstance(event, JobProgressed))
    client.hold(job.job_id, tonight=True)
    for event in client.watch(job.job_id):
        if isinstance(event, JobChanged) and event.job.state is JobState.HELD:
            break
    assert client.job(job.job_id).tonight
    assert not client.hold(job.job_id).tonight  # held for good
    assert client.release(job.job_id).state in (JobState.QUEUED, JobState.RUNNING)


def test_a_report_that_is_not_there_is_a_clear_error(client: Client) -> None:
    for night in ("2020-01-01", "../../keys", "2020-01-0/"):
        with pytest.raises(DubwrightError) as caught:
            client.report(night)
        assert caught.value.code == "report.not_found"


def test_status_tells_of_gpus_and_of_what_is_in_the_way(client: Client) -> None:
    status = client.status()
    assert all(gpu.memory_total > 0 for gpu in status.gpus)
    assert status.held_back == []


def test_a_schedule_that_cannot_be_read_keeps_the_daemon_from_starting(quiet_home: Path) -> None:
    folder = quiet_home / "config"
    folder.mkdir()
    (folder / "schedule.json").write_text('{"windows": {"mon": "soon"}}')
    with pytest.raises(RequestError) as caught:
        Client.connect()
    assert caught.value.code == "schedule.invalid"


def test_the_commands_show_and_change_the_night(
    client: Client, script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def dubwright(*arguments: str) -> tuple[int, dict[str, object]]:
        capsys.readouterr()
        status = run([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    status, found = dubwright(
        "schedule", "--window", "all=none", "--window", "fri=20:00-09:00", "--quiet", "12:00-13:00"
    )
    settings = msgspec.convert(found["settings"], ScheduleSettings)
    assert (status, settings.windows["fri"], settings.windows["mon"]) == (0, "20:00-09:00", "")
    assert settings.quiet == "12:00-13:00"
    assert dubwright("schedule", "--window", "fri=20")[0] == 2
    assert dubwright("schedule", "--max-temperature", "5")[0] == 2
    file = tmp_path / "job.json"
    file.write_text(json.dumps(script("paint")))
    status, job = dubwright("submit", str(file), "--tonight", "--deadline", "07:00")
    assert (status, job["state"]) == (0, "held")
    assert len(dubwright("forecast")[1]["jobs"]) == 1  # type: ignore[arg-type]
    assert dubwright("report")[0] == 0
    assert dubwright("hold", str(job["job"]))[1]["state"] == "held"
    for command in (["schedule"], ["forecast"], ["report"]):
        assert run(command) == 0


@pytest.mark.parametrize(("text", "hours"), [("07:00", 19), ("13:30", 1.5), ("2026-11-19T12:00", 24)])
def test_a_deadline_is_the_next_such_time(text: str, hours: float) -> None:
    local_noon = deadline_from("2026-11-18T12:00")
    assert local_noon is not None
    found = deadline_from(text, now=local_noon)
    assert found is not None
    assert (found - local_noon) / 3600 == hours


def test_a_deadline_that_is_none_is_refused() -> None:
    for text in ("soon", "25:00", "7"):
        with pytest.raises(RequestError):
            deadline_from(text)
