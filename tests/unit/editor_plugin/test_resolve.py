"""The Resolve adapter against a labelled fake with the known quirks, and against published signatures."""

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from editor_plugin.resolve import adapter as adapter_module
from editor_plugin.resolve import items as items_module
from editor_plugin.resolve import probe as probe_module
from editor_plugin.resolve import self_test
from editor_plugin.resolve import tags as tags_module
from editor_plugin.resolve.adapter import Resolve
from editor_plugin.resolve.probe import probe
from editor_plugin.shared.placement import verify
from editor_plugin.shared.planner import Options, plan_with_file
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.timeline import SOUND, Placement
from tests.fakes.resolve import FakeResolve, Quirks

FIRST = 86400
QUIRKS = {
    "as known of 21.0.4": Quirks(),
    "18, end inclusive": Quirks(version=(18, 6, 6, 0, ""), end_is_inclusive=True, has_selection=False),
    "20 said to be exclusive but is not": Quirks(version=(20, 0, 0, 0, ""), end_is_inclusive=True),
    "free": Quirks(product="DaVinci Resolve", has_selection=False),
    "29.97 drop-frame from an hour": Quirks(rate="29.97 DF", first_frame=107892),
    "23.976": Quirks(rate="23.976"),
    "paths spelt anew": Quirks(spells_paths_anew=True),
    "before 18.6": Quirks(version=(18, 1, 0, 0, ""), end_is_inclusive=True, has_selection=False, is_old=True),
    "on the Fairlight page": Quirks(page="fairlight"),
}


@pytest.fixture
def take(tmp_path: Path) -> str:
    path = tmp_path / "prise d'été.mov"
    path.touch()
    return str(path)


def placement(quirks: Quirks, take: str, **changes: object) -> Placement:
    first = quirks.first_frame
    made = Placement("j1", take, first + 20, first + 50, above=1, sound_path=take, take_id="j1-1", trim=5)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("quirks", QUIRKS.values(), ids=QUIRKS)
def test_a_take_is_placed_read_back_and_removed(quirks: Quirks, take: str) -> None:
    fake = FakeResolve(replace(quirks))
    fake.add_shot("/m/shot.mov", 0, 100)
    host, wanted = Resolve(fake), placement(quirks, take)
    host.place(wanted)
    timeline = host.timeline()
    verify(timeline, wanted)
    assert sorted(clip.kind for clip in timeline.placed("j1")) == ["picture", SOUND]
    assert fake.timeline.names["video"] == ["Video 1", "Re-dub"]
    assert fake.pool.current is fake.pool.root
    assert [one.alpha for one in fake.pool.root.folders[0].clips] == ["Straight"]
    assert next(iter(fake.timeline.markers)) == 20
    host.remove("j1")
    assert host.timeline().placed("j1") == []
    assert len(host.timeline().pictures()) == 1
    assert fake.timeline.markers == {}


def test_a_second_take_over_the_first_goes_to_another_track_and_one_beside_it_does_not(take: str) -> None:
    fake = FakeResolve()
    fake.add_shot("/m/shot.mov", 0, 200)
    host, first = Resolve(fake), placement(Quirks(), take, sound_path="")
    host.place(first)
    host.place(replace(first, tag="j2", start=FIRST + 40, stop=FIRST + 60))
    host.place(replace(first, tag="j3", start=FIRST + 60, stop=FIRST + 80))
    tracks = {clip.tag: clip.track for clip in host.timeline().clips if clip.tag}
    assert tracks == {"j1": 2, "j2": 3, "j3": 3}


def test_a_whole_shot_gets_a_take_in_its_own_selector(take: str) -> None:
    fake = FakeResolve()
    item = fake.add_shot("/m/shot.mov", 20, 30, offset=7)
    host, wanted = Resolve(fake), placement(Quirks(), take, clip_id=item.id, sound_path="", trim=0)
    host.place(wanted)
    verify(host.timeline(), wanted)
    assert (item.GetTakesCount(), fake.timeline.GetTrackCount("video")) == (2, 1)
    host.remove("j1")
    media = item.GetMediaPoolItem()
    assert media is not None
    assert (item.GetTakesCount(), media.path) == (1, "/m/shot.mov")


def test_the_users_own_clip_of_the_same_file_and_place_is_never_removed(take: str) -> None:
    fake = FakeResolve()
    fake.add_shot(take, 20, 30)
    host, wanted = Resolve(fake), placement(Quirks(), take, sound_path="")
    host.place(wanted)
    assert [clip.track for clip in host.timeline().placed("j1")] == [2]
    host.remove("j1")
    assert len(host.timeline().clips) == 1


def test_a_locked_track_is_opened_and_locked_again(take: str) -> None:
    fake = FakeResolve()
    host, wanted = Resolve(fake), placement(Quirks(), take, sound_path="")
    host.place(wanted)
    fake.timeline.SetTrackLock("video", 2, True)
    host.place(replace(wanted, tag="j2", start=FIRST + 60, stop=FIRST + 90))
    assert host.timeline().placed("j2")[0].track == 2
    assert fake.timeline.GetIsTrackLocked("video", 2)


@pytest.mark.parametrize(
    "quirks",
    [Quirks(lies_about_appends=True), Quirks(slip=3), Quirks(strays=True)],
    ids=["lies", "slips", "strays"],
)
def test_what_resolve_did_not_do_is_noticed_and_nothing_is_left(quirks: Quirks, take: str) -> None:
    fake = FakeResolve(quirks)
    with pytest.raises(PluginError):
        Resolve(fake).place(placement(Quirks(), take))
    assert all(not track for track in fake.timeline.tracks["video"])


def test_selection_falls_back_to_the_playhead_and_marks_are_absolute() -> None:
    for has_selection in (True, False):
        fake = FakeResolve(Quirks(has_selection=has_selection))
        shot, under = fake.add_shot("/a.mov", 0, 50), fake.add_shot("/b.mov", 50, 50)
        fake.timeline.current, fake.timeline.selected = under, [shot]
        assert Resolve(fake).can.has_selection is has_selection
        assert Resolve(fake).selection() == [shot.id if has_selection else under.id]
    assert Resolve(fake).marks() is None
    fake.timeline.mark_in_out = {"video": {"in": 10, "out": 19}}
    assert Resolve(fake).marks() == (FIRST + 10, FIRST + 20)


def test_titles_and_retimed_shots_are_refused_and_plain_ones_planned() -> None:
    fake = FakeResolve()
    plain, title = fake.add_shot("/a.mov", 0, 50, offset=12), fake.add_shot("", 50, 50)
    fast = fake.add_shot("/b.mov", 100, 50, speed=1.5)
    timeline = Resolve(fake).timeline()
    clips = {clip.clip_id: clip for clip in timeline.clips}
    plan = plan_with_file(timeline, clips[plain.id], "/v.wav", Options())
    assert (plan.start, plan.spec["in"], plan.spec["out"]) == (FIRST, 12, 62)
    for item, word in ((title, "title"), (fast, "retimed")):
        with pytest.raises(PluginError, match=word):
            plan_with_file(timeline, clips[item.id], "/v.wav", Options())


def test_no_resolve_and_a_missing_take_are_said() -> None:
    with pytest.raises(PluginError, match="Workspace"):
        probe(None)
    with pytest.raises(PluginError, match="not there"):
        Resolve(FakeResolve()).place(placement(Quirks(), "/gone.mov"))


SAME_DISK = {
    name: quirks for name, quirks in QUIRKS.items() if not quirks.spells_paths_anew
}  # else not found


@pytest.mark.parametrize("quirks", SAME_DISK.values(), ids=SAME_DISK)
def test_the_self_test_passes_on_the_fake_and_cleans_up(quirks: Quirks, tmp_path: Path, take: str) -> None:
    fake = FakeResolve(replace(quirks))
    fake.add_shot(take, 0, 100)
    report = self_test.run(fake, tmp_path / "report.json")
    assert report["passed"], report
    assert "place a take: as it should be" in (tmp_path / "report.txt").read_text().splitlines()
    assert fake.pool.root.folders == []
    assert len(Resolve(fake).timeline().clips) == 1
    assert (fake.timeline.markers, fake.pool.timelines) == ({}, [])


def test_the_self_test_reports_what_nobody_foresaw(tmp_path: Path, take: str) -> None:
    fake = FakeResolve()
    fake.add_shot(take, 0, 100)
    fake.pool.ImportMedia = None  # type: ignore[method-assign]
    report = self_test.run(fake, tmp_path / "report.json")
    assert len(report["steps"]) == 8
    assert "place a take: TypeError: 'NoneType' object is not callable" in self_test.describe(report)


def test_the_self_test_reports_what_fails(tmp_path: Path, take: str) -> None:
    fake = FakeResolve(Quirks(lies_about_appends=True))
    fake.add_shot(take, 0, 100)
    report = self_test.run(fake, tmp_path / "report.json")
    assert not report["passed"]
    assert fake.pool.timelines == []
    assert any("did not take the clip" in str(step["problem"]) for step in report["steps"])


def test_every_call_of_the_adapter_stands_in_the_published_stubs() -> None:
    """Blackmagic's stubs name every method; `GetSelectedClips` is newer than they are."""
    found = importlib.util.find_spec("fusionscript-stubs") or importlib.util.find_spec("fusionscript")
    if found is None or not found.submodule_search_locations:
        pytest.skip("fusionscript-stubs is not installed")
    known: dict[str, set[int]] = {}
    for path in Path(next(iter(found.submodule_search_locations))).rglob("*.pyi"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                args = [arg for arg in node.args.args if arg.arg != "self"]
                most = 99 if node.args.vararg else len(args)
                known.setdefault(node.name, set()).update(
                    range(len(args) - len(node.args.defaults), most + 1)
                )
    calls = 0
    for module in (adapter_module, items_module, tags_module, probe_module, self_test):
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name = node.func.attr
            if not name[0].isupper() or name == "GetSelectedClips":
                continue
            calls += 1
            assert name in known, name
            if not any(isinstance(arg, ast.Starred) for arg in node.args):
                assert len(node.args) in known[name], (name, len(node.args), known[name])
    assert calls > 40
