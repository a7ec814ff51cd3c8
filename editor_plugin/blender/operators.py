"""What the buttons do: the actions on the session as Blender's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

from ..shared.actions import Session
from ..shared.planner import Options, Plan, plan_with_file, plan_with_strip
from ..shared.problems import PluginError
from ..shared.record import bake_folder
from ..shared.timeline import Clip, Timeline
from .controller import controller
from .sequencer import Sequencer, find_editor, strips

OVERLAY_CODEC = "ffv1_8bit"
"""Blender 4.5 to 5.2 take movies of more than 8 bits for premultiplied, whatever `alpha_mode` says: the mouth
of a ProRes 4444 overlay gets a white rim (up to 128 of 255 off). With 8 bits all versions are right."""


def options_of(scene: Any) -> Options:
    """Return what the user set in the panel."""
    extra: dict[str, Any] = {"seed": scene.dubwright_seed}
    if not scene.dubwright_baked:
        extra["codec"] = OVERLAY_CODEC
    if scene.dubwright_folder:
        extra["dest"] = bpy.path.abspath(scene.dubwright_folder)
    return Options(
        takes=scene.dubwright_takes,
        engine=scene.dubwright_engine,
        handles=scene.dubwright_handles,
        baked=scene.dubwright_baked,
        bake_folder=str(bake_folder()) if scene.dubwright_bake else "",
        extra=extra,
    )


def redub_selection(session: Session) -> None:
    """Re-dub every selected shot with the selected voice strip, or with the chosen file."""
    scene, editor = find_editor()
    chosen = {strip.name for strip in strips(editor) if strip.select}
    timeline = Sequencer().timeline()
    shots = [clip for clip in timeline.pictures() if clip.clip_id in chosen]
    voices = [clip for clip in timeline.sounds() if clip.clip_id in chosen]
    if not shots:
        raise PluginError("clip.none", "No shot is selected.", "Select a movie strip.")
    session.submit(timeline, [_plan(scene, timeline, shot, voices) for shot in shots])


def _plan(scene: Any, timeline: Timeline, shot: Clip, voices: Sequence[Clip]) -> Plan:
    """Plan one shot: the chosen file goes before the selected strips."""
    if scene.dubwright_voice:
        path = bpy.path.abspath(scene.dubwright_voice)
        return plan_with_file(timeline, shot, path, options_of(scene), marks_of(scene))
    for voice in voices:
        if voice.start < shot.stop and voice.stop > shot.start:
            return plan_with_strip(timeline, shot, voice, options_of(scene))
    raise PluginError(
        "voice.none", "No voice is chosen.", "Select a sound strip with the shot, or choose a file."
    )


def marks_of(scene: Any) -> tuple[int, int] | None:
    """Return the preview range, half-open; Blender's own end is the last frame itself."""
    if not scene.use_preview_range:
        return None
    return scene.frame_preview_start, scene.frame_preview_end + 1


class _Action(bpy.types.Operator):
    """Base of the operators: an action on the session, whose failure is told in the panel."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and context.scene.sequence_editor is not None

    def execute(self, _context: Any) -> set[str]:
        if controller.do(self.act):
            return {"FINISHED"}
        self.report({"WARNING"}, controller.message)
        return {"CANCELLED"}

    def act(self, session: Session) -> None:
        raise NotImplementedError


class Redub(_Action):
    bl_idname = "dubwright.redub"
    bl_label = "Re-dub"
    bl_description = "Have the lips of the selected shots speak the chosen voice"

    def act(self, session: Session) -> None:
        redub_selection(session)


class RedubChannel(_Action):
    bl_idname = "dubwright.redub_channel"
    bl_label = "Re-dub All over Channel"
    bl_description = "Re-dub every shot that shows while a voice on the channel speaks"

    def act(self, session: Session) -> None:
        scene, _ = find_editor()
        _, left_out = session.redub_track(scene.dubwright_channel, options_of(scene))
        if left_out:
            raise PluginError("clip.refused", "Left out: " + " ".join(left_out))


class _EntryAction(_Action):
    """Base of the operators on one re-dub of the list."""

    key: str
    take_id: str


for _name in (
    "key",
    "take_id",
):  # how Blender takes an operator's properties; a type checker wants types there
    _EntryAction.__annotations__[_name] = bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})


class Place(_EntryAction):
    bl_idname = "dubwright.place"
    bl_label = "Place"
    bl_description = "Put the take on the timeline"

    def act(self, session: Session) -> None:
        session.place(self.key)


class SwitchTake(_EntryAction):
    bl_idname = "dubwright.switch_take"
    bl_label = "Show Take"
    bl_description = "Show this take in the place of the other"

    def act(self, session: Session) -> None:
        session.switch_take(self.key, self.take_id)


class Accept(_EntryAction):
    bl_idname = "dubwright.accept"
    bl_label = "Accept"
    bl_description = "Make the take that is shown the final one"

    def act(self, session: Session) -> None:
        session.accept(self.key)


class Cancel(_EntryAction):
    bl_idname = "dubwright.cancel"
    bl_label = "Cancel"
    bl_description = "Stop this job for good"

    def act(self, session: Session) -> None:
        session.cancel(self.key)


class Remove(_EntryAction):
    bl_idname = "dubwright.remove"
    bl_label = "Remove"
    bl_description = "Take it off the timeline; its files stay"

    def act(self, session: Session) -> None:
        session.remove(self.key)


OPERATORS = (Redub, RedubChannel, Place, SwitchTake, Accept, Cancel, Remove)
