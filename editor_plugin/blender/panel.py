"""The panel in the sequencer's sidebar, and the menu."""

from __future__ import annotations

from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

from ..shared.status import Status
from .controller import controller
from .operators import Accept, Cancel, Place, Redub, RedubChannel, Remove, SwitchTake

SHOWN = 12  # re-dubs listed in the panel


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


def _offered(state: str) -> tuple[Any, ...]:
    return {
        "baking": (Cancel,),
        "submitting": (Cancel,),
        "waiting": (Cancel,),
        "ready": (Place, Remove),
        "placed": (Accept, Remove),
        "accepted": (Remove,),
        "failed": (Remove,),
    }.get(state, ())
