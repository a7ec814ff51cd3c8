"""What the user sees in Blender: settings, operators, panel and menu, put in and taken out."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.app.handlers import persistent  # pyright: ignore[reportMissingImports]

from .controller import controller
from .operators import OPERATORS
from .panel import DubwrightMenu, DubwrightPanel

ENGINES = [
    ("auto", "Automatic", "The best engine this machine can run"),
    ("rewrite", "Draft", "Seconds on any machine"),
    ("wan", "Final", "Needs the model's weights and a GPU"),
]


def _draw_menu(self: Any, _context: Any) -> None:
    self.layout.menu(DubwrightMenu.bl_idname)


@persistent
def _after_change(*_ignored: Any) -> None:
    controller.after_change()


CLASSES = (*OPERATORS, DubwrightPanel, DubwrightMenu)
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
