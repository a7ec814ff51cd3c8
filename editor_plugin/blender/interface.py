"""What the user sees in Blender: operators, the panel in the sequencer's sidebar, the menu."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.app.handlers import persistent  # pyright: ignore[reportMissingImports]

from ..shared.actions import Session
from ..shared.planner import Options
from ..shared.problems import PluginError
from ..shared.record import bake_folder
from ..shared.status import Status
from ..shared.timeline import PICTURE, SOUND
from .controller import Controller
from .sequencer import Sequencer, find_editor, strips

controller = Controller()
OVERLAY_CODEC = "ffv1_8bit"
"""Blender 4.5 to 5.2 take movies of more than 8 bits for premultiplied, whatever `alpha_mode` says: the mouth
of a ProRes 4444 overlay gets a white rim (up to 128 of 255 off). With 8 bits all versions are right."""
SHOWN = 12  # re-dubs listed in the panel
ENGINES = [
    ("auto", "Automatic", "The best engine this machine can run"),
    ("rewrite", "Draft", "Seconds on any machine"),
    ("wan", "Final", "Needs the model's weights and a GPU"),
]


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
    clips = [clip for clip in Sequencer().timeline().clips if clip.clip_id in chosen and not clip.tag]
    shots = [clip for clip in clips if clip.kind == PICTURE]
    voices = [clip for clip in clips if clip.kind == SOUND]
    if not shots:
        raise PluginError("clip.none", "No shot is selected.", "Select a movie strip.")
    for shot in shots:
        under = [voice for voice in voices if voice.start < shot.stop and voice.stop > shot.start]
        if under and not scene.dubwright_voice:
            session.redub_with_strip(shot.clip_id, under[0].clip_id, options_of(scene))
        elif scene.dubwright_voice:
            path = bpy.path.abspath(scene.dubwright_voice)
            session.redub_with_file(shot.clip_id, path, options_of(scene), marks_of(scene))
        else:
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


class DubwrightPanel(bpy.types.Panel):
    bl_idname = "SEQUENCER_PT_dubwright"
    bl_label = "Dubwright"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Dubwright"

    def draw(self, context: Any) -> None:
        scene, layout = getattr(context, "sequencer_scene", None) or context.scene, self.layout
        layout.operator(Redub.bl_idname, icon="USER")
        column = layout.column()
        for name in ("voice", "takes", "engine", "baked", "bake", "handles", "seed", "folder"):
            column.prop(scene, f"dubwright_{name}")
        row = layout.row(align=True)
        row.prop(scene, "dubwright_channel")
        row.operator(RedubChannel.bl_idname, text="Re-dub All")
        if controller.message:
            _draw_words(layout.box(), controller.message)
        for status in controller.statuses()[:SHOWN]:
            if status.state != "removed":
                _draw_status(layout.box(), status)


class DubwrightMenu(bpy.types.Menu):
    bl_idname = "SEQUENCER_MT_dubwright"
    bl_label = "Dubwright"

    def draw(self, _context: Any) -> None:
        self.layout.operator(Redub.bl_idname)
        self.layout.operator(RedubChannel.bl_idname)


def _draw_words(layout: Any, text: str, width: int = 42) -> None:
    line = ""
    for word in text.split():
        if len(line) + len(word) > width:
            layout.label(text=line)
            line = ""
        line += f" {word}" if line else word
    layout.label(text=line)


def _draw_status(box: Any, status: Status) -> None:
    _draw_words(box, f"{status.job_id or 'New'}: {status.sentence}")
    if status.state in ("baking", "waiting") and hasattr(box, "progress"):
        box.progress(factor=status.fraction, text=f"{status.fraction:.0%}")
    takes = box.row(align=True)
    for number, take in enumerate(status.takes, 1):
        button = takes.operator(
            SwitchTake.bl_idname,
            text=f"{number} ({take['badge']})",
            depress=take["take_id"] == status.shown,
        )
        button.key, button.take_id = status.key, take["take_id"]
    row = box.row(align=True)
    for operator in _offered(status.state):
        row.operator(operator.bl_idname, text=operator.bl_label).key = status.key


def _offered(state: str) -> tuple[type[_EntryAction], ...]:
    return {
        "baking": (Cancel,),
        "submitting": (Cancel,),
        "waiting": (Cancel,),
        "ready": (Place, Remove),
        "placed": (Accept, Remove),
        "accepted": (Remove,),
        "failed": (Remove,),
    }.get(state, ())


def _draw_menu(self: Any, _context: Any) -> None:
    self.layout.menu(DubwrightMenu.bl_idname)


@persistent
def _after_change(*_ignored: Any) -> None:
    controller.after_change()


CLASSES = (Redub, RedubChannel, Place, SwitchTake, Accept, Cancel, Remove, DubwrightPanel, DubwrightMenu)
PROPERTIES = {
    "voice": lambda: bpy.props.StringProperty(
        name="Voice", description="A file; empty: the selected sound strip", subtype="FILE_PATH"
    ),
    "takes": lambda: bpy.props.IntProperty(name="Takes", default=1, min=1, max=64),
    "engine": lambda: bpy.props.EnumProperty(name="Engine", items=ENGINES),
    "baked": lambda: bpy.props.BoolProperty(
        name="Whole Picture", description="Otherwise the mouth alone, over the untouched shot"
    ),
    "bake": lambda: bpy.props.BoolProperty(
        name="Render First",
        description="What a retimed, grouped or reversed strip shows is rendered and that is re-dubbed;"
        " otherwise such strips are refused",
        default=True,
    ),
    "handles": lambda: bpy.props.IntProperty(
        name="Handles", description="Frames delivered untouched before and after", min=0, max=1000
    ),
    "seed": lambda: bpy.props.IntProperty(name="Seed", min=0),
    "folder": lambda: bpy.props.StringProperty(
        name="Folder", description="For takes; empty: Dubwright's own", subtype="DIR_PATH"
    ),
    "channel": lambda: bpy.props.IntProperty(name="Voices on Channel", default=1, min=1, max=128),
}
HANDLERS = ("load_post", "undo_post", "redo_post")


def register() -> None:
    """Add everything to Blender."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    for name, make in PROPERTIES.items():
        setattr(bpy.types.Scene, f"dubwright_{name}", make())
    bpy.types.SEQUENCER_MT_editor_menus.append(_draw_menu)
    for name in HANDLERS:
        getattr(bpy.app.handlers, name).append(_after_change)


def unregister() -> None:
    """Take everything away again and end the bridge."""
    controller.close()
    for name in HANDLERS:
        getattr(bpy.app.handlers, name).remove(_after_change)
    bpy.types.SEQUENCER_MT_editor_menus.remove(_draw_menu)
    for name in PROPERTIES:
        delattr(bpy.types.Scene, f"dubwright_{name}")
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
