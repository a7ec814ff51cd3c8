"""The Lua script of the free Resolve, in real Luas, over the fake Resolve: the adapter, through a folder."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from editor_plugin.install import install_resolve, our_scripts
from editor_plugin.install import main as install
from editor_plugin.resolve import self_test
from editor_plugin.resolve.adapter import Resolve
from editor_plugin.resolve.exchange import Exchange
from editor_plugin.shared.placement import verify
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.timeline import SOUND, Placement
from tests.fakes.lua import LUAS, LuaSide, Served
from tests.fakes.resolve import FakeResolve, Quirks

pytest.importorskip("lupa", reason="lupa, which brings Lua, is not installed")
FREE = Quirks(product="DaVinci Resolve", has_selection=False)
QUIRKS = {
    "free": FREE,
    "free 21.1": replace(FREE, version=(21, 1, 0, 1, ""), has_selection=True),
    "18, end inclusive": replace(FREE, version=(18, 6, 6, 0, ""), end_is_inclusive=True),
    "29.97 drop-frame": replace(FREE, rate="29.97 DF", first_frame=107892),
    "names that are really not there": replace(FREE, hasattr_lies=False),
}
Serve = Callable[[FakeResolve], Served]


@pytest.fixture(params=LUAS)
def lua(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def serve(lua: str, tmp_path: Path) -> Iterator[Serve]:
    script = (install_resolve(tmp_path / "Scripts")[2]).read_text(encoding="utf-8")
    opened: list[Served] = []

    def open_one(fake: FakeResolve) -> Served:
        folder = tmp_path / f"exchange{len(opened)}"
        folder.mkdir()
        opened.append(Served(lua, fake, script, folder))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def take(tmp_path: Path) -> str:
    path = tmp_path / 'täke "1" \\ 2.mov'
    path.touch()
    return str(path)


@pytest.mark.parametrize("quirks", QUIRKS.values(), ids=QUIRKS)
def test_a_take_is_placed_read_back_and_removed(serve: Serve, quirks: Quirks, take: str) -> None:
    fake = FakeResolve(replace(quirks))
    fake.add_shot("/m/shot.mov", 0, 100, offset=7)
    host, first = Resolve(serve(fake).resolve), quirks.first_frame
    wanted = Placement("j1", take, first + 20, first + 50, above=1, sound_path=take, take_id="j1-1", trim=5)
    host.place(wanted)
    timeline = host.timeline()
    verify(timeline, wanted)
    assert sorted(clip.kind for clip in timeline.placed("j1")) == ["picture", SOUND]
    (shot,) = timeline.pictures()
    assert (shot.start, shot.stop, shot.source_in, shot.path) == (first, first + 100, 7, "/m/shot.mov")
    host.remove("j1")
    assert host.timeline().placed("j1") == []
    assert (fake.timeline.markers, fake.has_modal) == ({}, False)


def test_what_is_chosen_and_marked_comes_through(serve: Serve) -> None:
    fake = FakeResolve(replace(FREE, has_selection=True))
    shot, under = fake.add_shot("/a.mov", 0, 50), fake.add_shot("/b.mov", 50, 50)
    fake.timeline.current, fake.timeline.selected = under, [shot]
    host = Resolve(serve(fake).resolve)
    assert (host.selection(), host.marks(), host.can.has_selection) == ([shot.id], None, True)
    fake.timeline.selected = []
    fake.timeline.mark_in_out = {"video": {"in": 10, "out": 19}}
    assert (host.selection(), host.marks()) == ([under.id], (86410, 86420))
    assert host.is_there()


def test_a_whole_shot_gets_a_take_in_its_own_selector(serve: Serve, take: str) -> None:
    fake = FakeResolve(replace(FREE))
    item = fake.add_shot("/m/shot.mov", 20, 30, offset=7)
    host = Resolve(serve(fake).resolve)
    wanted = Placement("j1", take, 86420, 86450, above=1, clip_id=item.id, take_id="j1-1")
    host.place(wanted)
    verify(host.timeline(), wanted)
    host.remove("j1")
    assert item.GetTakesCount() == 1


def test_five_hundred_clips_are_read_in_one_call_a_track(serve: Serve) -> None:
    fake = FakeResolve(replace(FREE))
    for number in range(500):
        fake.add_shot(f"/m/{number}.mov", number * 10, 10)
    clips = Resolve(serve(fake).resolve).timeline().clips
    assert [clip.path for clip in clips] == [f"/m/{number}.mov" for number in range(500)]


def test_what_resolve_refuses_is_an_error_and_lua_goes_on(serve: Serve) -> None:
    resolve = serve(FakeResolve(replace(FREE, hasattr_lies=False))).resolve
    with pytest.raises(PluginError, match="did not do GetNothing") as caught:
        resolve.GetCurrentTimeline().GetNothing()
    assert "GetNothing" in caught.value.detail
    assert resolve.GetProductName() == "DaVinci Resolve"


def test_no_lua_is_said(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="does not answer"):
        Exchange(tmp_path, timeout_s=0.05).resolve.GetProductName()


def test_the_self_test_runs_from_the_menu_in_a_process_of_its_own(home: Path, take: str) -> None:
    script = install_resolve(home / "Scripts")[3]
    assert script.name == "Dubwright Self-Test (Lua).lua"
    fake = FakeResolve(replace(FREE))
    fake.add_shot(take, 0, 100)
    side = LuaSide(LUAS[1], fake)  # as Resolve's own; the 5.1 that lupa brings starts no processes
    side.run(script.read_text(encoding="utf-8"))
    report = json.loads((home / "data" / "editors" / "resolve-self-test.json").read_text())
    assert report["passed"], report
    assert len(report["steps"]) == 8
    assert "Passed." in side.said
    assert sorted(one.name for one in (home / "data" / "editors").iterdir()) == [
        "resolve-self-test.json",
        "resolve-self-test.txt",
    ]


def test_a_python_that_is_gone_is_said(lua: str, tmp_path: Path) -> None:
    script = install_resolve(tmp_path)[2].read_text(encoding="utf-8").replace(sys.executable, "/gone/python")
    side = LuaSide(lua, FakeResolve())
    side.run(script)
    assert "moved or removed" in side.said[-1]


def test_scripts_are_listed_and_removed_and_a_strangers_stays(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(["resolve", str(tmp_path)]) == install(["resolve", str(tmp_path)]) == 0
    assert len(our_scripts(tmp_path)) == 4
    (tmp_path / "Dubwright.py").write_text("print('mine')")
    capsys.readouterr()
    for _ in range(2):
        assert install(["remove", str(tmp_path)]) == install(["list", str(tmp_path)]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(one.get("remove", one.get("list"))) for one in answers] == [3, 0, 0, 0]
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["Dubwright.py"]


def test_the_self_test_reports_a_resolve_that_shows_a_dialogue(tmp_path: Path, take: str) -> None:
    fake = FakeResolve(replace(FREE))
    fake.add_shot(take, 0, 100)
    fake.Fusion()
    report = self_test.run(fake, tmp_path / "report.json")
    assert "Close the dialogue" in report["steps"][0]["problem"]
