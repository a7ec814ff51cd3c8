"""Which frames of which clip are re-dubbed, and where takes go."""

import time
from dataclasses import replace
from fractions import Fraction

import pytest

from daemon.protocol.jobs import RedubSpec
from daemon.protocol.reading import spec_from_builtins
from editor_plugin.shared.planner import (
    Options,
    free_track,
    plan_under_track,
    plan_with_file,
    plan_with_strip,
    visible_parts,
)
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.timeline import PICTURE, SOUND, Clip, Timeline

SHOT = Clip("shot", PICTURE, 1, 100, 200, "/m/shot.mov", source_in=40, source_frames=500)
VOICE = Clip("voice", SOUND, 3, 120, 260, "/m/voice.wav", source_in=10)


def timeline(*clips: Clip, rate: Fraction = Fraction(25)) -> Timeline:
    return Timeline("p", "Edit", rate, clips)


def test_the_range_is_where_shot_and_voice_lie_over_each_other() -> None:
    plan = plan_with_strip(timeline(SHOT, VOICE), SHOT, VOICE, Options())
    assert (plan.start, plan.stop, plan.is_whole, plan.has_voice) == (120, 200, False, True)
    assert (plan.spec["in"], plan.spec["out"]) == (60, 140)
    # the voice file's first sample would lie at timeline frame 110, which shows the source's frame 50
    assert plan.spec["voice_at"] == 50


def test_a_plan_is_a_job_the_daemon_understands() -> None:
    plan = plan_with_strip(timeline(SHOT, VOICE), SHOT, VOICE, Options(takes=3, baked=True))
    spec = spec_from_builtins(plan.spec)
    assert isinstance(spec, RedubSpec)
    assert (spec.takes, spec.deliver, spec.rate) == (3, "baked", "25")


def test_a_voice_file_covers_the_whole_shot_or_the_marked_part() -> None:
    whole = plan_with_file(timeline(SHOT), SHOT, "/v.wav", Options())
    assert (whole.start, whole.stop, whole.is_whole) == (100, 200, True)
    part = plan_with_file(timeline(SHOT), SHOT, "/v.wav", Options(), marks=(150, 400))
    assert (part.start, part.stop, part.spec["in"], part.spec["voice_at"]) == (150, 200, 90, 90)
    with pytest.raises(PluginError, match="marks"):
        plan_with_file(timeline(SHOT), SHOT, "/v.wav", Options(), marks=(0, 100))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"problem": "it is a meta strip"}, "meta"),
        ({"speed": Fraction(1, 2)}, "retimed to 50 %"),
        ({"media_rate": Fraction(30000, 1001)}, "29.970"),
        ({"source_in": -3}, "past"),
        ({"source_frames": 139}, "past"),
    ],
)
def test_what_cannot_come_back_exact_is_refused_with_the_reason(change: dict[str, object], word: str) -> None:
    shot = replace(SHOT, **change)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=word):
        plan_with_file(timeline(shot), shot, "/v.wav", Options())


def test_a_voice_beside_the_shot_or_retimed_is_refused() -> None:
    for voice, word in ((replace(VOICE, start=200), "under"), (replace(VOICE, speed=Fraction(2)), "retimed")):
        with pytest.raises(PluginError, match=word):
            plan_with_strip(timeline(SHOT), SHOT, voice, Options())


def test_the_same_plan_has_the_same_key_and_another_has_another() -> None:
    first, again = (plan_with_file(timeline(SHOT), SHOT, "/v.wav", Options()) for _ in range(2))
    other = plan_with_file(timeline(SHOT), SHOT, "/v.wav", Options(takes=2))
    assert first.key == again.key != other.key


def test_only_what_shows_is_redubbed() -> None:
    over = replace(SHOT, clip_id="over", track=2, start=140, stop=160)
    hidden = replace(SHOT, clip_id="hidden", start=145, stop=155, track=0)
    found = visible_parts([SHOT, over, hidden], 120, 260)
    assert [(clip.clip_id, start, stop) for clip, start, stop in found] == [
        ("shot", 120, 140),
        ("over", 140, 160),
        ("shot", 160, 200),
    ]


def test_every_shot_under_a_voice_track_is_planned_and_the_rest_named() -> None:
    late = replace(SHOT, clip_id="late", start=200, stop=230, problem="it is a colour")
    ours = replace(SHOT, clip_id="ours", track=5, start=100, stop=230, tag="k7m2p9qd")
    plans, left_out = plan_under_track(timeline(SHOT, late, ours, VOICE), 3, Options())
    assert [(plan.clip.clip_id, plan.start, plan.stop) for plan in plans] == [("shot", 120, 200)]
    assert left_out == ["late: The shot cannot be re-dubbed as it is: it is a colour."]
    with pytest.raises(PluginError, match="no sound"):
        plan_under_track(timeline(SHOT, VOICE), 4, Options())


def test_a_cut_voice_keeps_its_sync() -> None:
    second = replace(SHOT, clip_id="second", start=200, stop=300, source_in=7)
    plans, _ = plan_under_track(timeline(SHOT, second, VOICE), 3, Options())
    for plan in plans:
        voice_start_on_timeline = plan.spec["voice_at"] - plan.spec["in"] + plan.start
        assert voice_start_on_timeline == VOICE.start - VOICE.source_in


def test_a_take_goes_to_the_lowest_track_that_is_free_there() -> None:
    other = replace(SHOT, track=2, start=180, stop=220)
    sound = replace(VOICE, track=4, start=0, stop=500)
    clips = [SHOT, other, sound]
    assert free_track(clips, 120, 180, above=1, top=8) == 2
    assert free_track(clips, 120, 181, above=1, top=8) == 3
    assert free_track(clips, 0, 500, above=3, top=8, kind=SOUND) == 5
    with pytest.raises(PluginError, match="free"):
        free_track(clips, 120, 181, above=1, top=2)


def test_five_hundred_clips_are_planned_in_under_a_second() -> None:
    shots = [replace(SHOT, clip_id=f"s{i}", start=i * 100, stop=i * 100 + 100) for i in range(500)]
    voices = [replace(VOICE, clip_id=f"v{i}", start=i * 100 + 5, stop=i * 100 + 90) for i in range(500)]
    begun = time.perf_counter()
    plans, left_out = plan_under_track(timeline(*shots, *voices), 3, Options())
    assert (len(plans), left_out) == (500, [])
    assert time.perf_counter() - begun < 1.0


def test_a_retimed_shot_is_rendered_first_where_the_host_can_and_the_range_counts_from_its_handles() -> None:
    shot = replace(SHOT, speed=Fraction(1, 2), can_bake=True)
    options = Options(handles=30, bake_folder="/bakes")
    plan = plan_with_strip(timeline(shot, VOICE), shot, VOICE, options)
    assert (plan.start, plan.stop, plan.clip.start, plan.clip.stop) == (120, 200, 100, 200)
    assert (plan.spec["in"], plan.spec["out"]) == (20, 100)  # no handle before the shot's first frame
    assert plan.spec["voice_at"] == 10  # the voice's first sample lies at 110, the file's first frame at 100
    assert plan.clip.is_baked
    assert plan.spec["source"].startswith("/bakes/")
    assert plan.key == plan_with_strip(timeline(shot, VOICE), shot, VOICE, options).key
    plain = plan_with_strip(timeline(SHOT, VOICE), replace(SHOT, can_bake=True), VOICE, options)
    assert plain.spec["source"] == SHOT.path
    for clip, refusing in ((replace(shot, can_bake=False), options), (shot, Options())):
        with pytest.raises(PluginError, match="retimed"):
            plan_with_strip(timeline(clip, VOICE), clip, VOICE, refusing)
