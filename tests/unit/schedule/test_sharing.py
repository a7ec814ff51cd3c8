"""When work gives way: a table of readings, and the waiting after them."""

import msgspec
import pytest

from daemon.protocol.night import GpuInfo, GpuProcess, ScheduleSettings
from daemon.schedule.sharing import Readings, Sharing, decide, memory_left, objections

GIB = 2**30
USUAL = ScheduleSettings()


def gpu(*processes: GpuProcess, utilisation: int = 0, temperature: int = 50) -> GpuInfo:
    return GpuInfo(
        index=0, name="RTX", memory_total=24 * GIB, memory_used=0, temperature=temperature,
        utilisation=utilisation, processes=list(processes),
    )  # fmt: skip


def other(used: int | None = 0, memory: int | None = GIB) -> GpuProcess:
    return GpuProcess(pid=7, name="resolve", memory=memory, utilisation=used)


OURS = GpuProcess(pid=8, name="python", memory=20 * GIB, utilisation=99, is_ours=True)

USES = "resolve uses the RTX."
HOT = "The RTX is hot: 90 °C."


@pytest.mark.parametrize(
    ("settings", "readings", "expected"),
    [
        (USUAL, Readings(), []),
        (USUAL, Readings([gpu(OURS, utilisation=99)]), []),
        (USUAL, Readings([gpu(OURS, other(used=0))]), []),  # open, but idle
        (USUAL, Readings([gpu(OURS, other(used=40))]), [USES]),
        (USUAL, Readings([gpu(other(memory=13 * GIB))]), [USES]),  # idle, but it holds the memory
        (USUAL, Readings([gpu(other(used=None, memory=None), utilisation=60)]), [USES]),
        (USUAL, Readings([gpu(OURS, other(used=None, memory=None), utilisation=99)]), []),  # it may be ours
        (USUAL, Readings(rendering=["melt"]), ["melt renders."]),
        (ScheduleSettings(give_way=False), Readings([gpu(other(used=90))], rendering=["melt"]), []),
        (USUAL, Readings(idle_s=0.0), []),
        (ScheduleSettings(only_when_away=True), Readings(idle_s=30.0), ["Somebody uses this machine."]),
        (ScheduleSettings(only_when_away=True), Readings(idle_s=601.0), []),
        (
            ScheduleSettings(only_when_away=True),
            Readings(idle_s=None),
            ["It cannot be told whether somebody uses this machine."],
        ),
        (USUAL, Readings(on_battery=True), ["The machine runs on battery."]),
        (ScheduleSettings(on_battery=True), Readings(on_battery=True), []),
        (USUAL, Readings([gpu(temperature=90)], {0: 93}), [HOT]),
        (USUAL, Readings([gpu(temperature=87)], {0: 93}), []),
        (USUAL, Readings([gpu(temperature=90)]), []),  # the driver names no limit
        (ScheduleSettings(max_temperature=80), Readings([gpu(temperature=90)], {0: 93}), [HOT]),
    ],
)
def test_what_is_in_the_way(settings: ScheduleSettings, readings: Readings, expected: list[str]) -> None:
    assert objections(settings, readings, is_quiet=False, at_rest=False) == expected


def test_a_hot_gpu_must_cool_before_work_goes_on() -> None:
    warm = Readings([gpu(temperature=80)], {0: 93})
    assert objections(USUAL, warm, is_quiet=False, at_rest=False) == []
    assert objections(USUAL, warm, is_quiet=False, at_rest=True) == ["The RTX is hot: 80 °C."]


def test_work_rests_at_once_and_goes_on_when_others_have_been_quiet_for_a_while() -> None:
    busy, calm = Readings(rendering=["melt"]), Readings()
    settings = ScheduleSettings(quiet_after_s=60)
    rest: list[bool] = []
    state = Sharing()
    for now, readings in (
        (0, calm),
        (2, busy),
        (4, calm),
        (50, calm),
        (52, busy),
        (54, calm),
        (113, calm),
        (114, calm),
    ):
        state = decide(state, settings, readings, is_quiet=False, now=now)
        rest.append(state.at_rest)
        assert bool(state.reasons) is state.at_rest
    assert rest == [False, True, True, True, True, True, True, False]


def test_quiet_hours_are_a_reason() -> None:
    assert decide(Sharing(), USUAL, Readings(), is_quiet=True, now=0).reasons == ("These are quiet hours.",)


def test_a_job_may_take_what_others_leave_up_to_the_setting() -> None:
    busy = msgspec.structs.replace(gpu(OURS, other(memory=2 * GIB)), memory_used=22 * GIB)
    assert memory_left(busy, None) == 22 * GIB
    assert memory_left(busy, 12) == 12 * GIB
    assert memory_left(busy, 40) == 22 * GIB
