"""Runs inside a Blender with a window: lays out a timeline, then tells what is there, several times a second.

    blender --python window_in_blender.py -- EXTENSION CASE.json

The rest is done by mouse and keyboard (`test_editor_window.py`). Where the panel lies and how things stand is
written to the file that the case names as `state`.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from editor_in_blender import install, open_scene, part

LOOK_S = 0.1
TAB = "Dubwright"


def show_our_tab_alone() -> None:
    """Take the sequencer's other panels out, where a script cannot choose the tab (3.4)."""
    for name in dir(bpy.types):
        panel = getattr(bpy.types, name)
        where = getattr(panel, "bl_space_type", ""), getattr(panel, "bl_region_type", "")
        if where == ("SEQUENCE_EDITOR", "UI") and getattr(panel, "bl_category", TAB) != TAB:
            bpy.utils.unregister_class(panel)


def lay_out(case: dict[str, Any], sequencer: Any) -> None:
    """Put a shot and a voice on the timeline, selected, in a large sequencer with our tab open."""
    scene, strips = open_scene(case["rate"], sequencer)
    scene.render.resolution_x, scene.render.resolution_y = case["size"]
    strips.new_movie(name="shot", filepath=case["shot"], channel=1, frame_start=1)
    voice = strips.new_sound(name="voice", filepath=case["voice"], channel=2, frame_start=case["range"][0])
    voice.frame_final_end = case["range"][1]
    for strip in strips:
        strip.select = True
    scene.frame_start, scene.frame_end, scene.frame_current = 1, 80, case["shown"]
    area = max(bpy.context.window.screen.areas, key=lambda one: one.width * one.height)
    area.type = "SEQUENCE_EDITOR"
    area.spaces.active.view_type = "SEQUENCER_PREVIEW"
    area.spaces.active.show_region_ui = True


def tell(case: dict[str, Any], module: Any) -> None:
    """Write the panel's place in the window, from its top left corner, and how each re-dub stands."""
    interface, sequencer = part(module, "blender.interface"), part(module, "blender.sequencer")
    window = bpy.context.window_manager.windows[0]
    area = next(one for one in window.screen.areas if one.type == "SEQUENCE_EDITOR")
    region = next(one for one in area.regions if one.type == "UI")
    with contextlib.suppress(AttributeError):  # before the tabs were drawn it cannot be set, in 3.4 never
        if region.active_panel_category != TAB:
            region.active_panel_category = TAB
            area.tag_redraw()
    _, editor = sequencer.find_editor()
    state = {
        "has_tab": getattr(region, "active_panel_category", TAB) == TAB,
        "version": list(bpy.app.version),
        "panel": [region.x, window.height - region.y - region.height, region.width, region.height],
        "area": [area.x, window.height - area.y - area.height, area.width, area.height],
        "jobs": [[one.job_id, one.state, one.fraction] for one in interface.controller.statuses()],
        "message": interface.controller.message,
        "strips": [
            [strip.type, sequencer.left(strip), sequencer.right(strip), strip.get(sequencer.TAG, "")]
            for strip in sequencer.strips(editor)
        ],
    }
    draft = Path(case["state"] + ".new")
    draft.write_text(json.dumps(state), encoding="utf-8")
    os.replace(draft, case["state"])


def main() -> None:
    extension, case_file = map(Path, sys.argv[sys.argv.index("--") + 1 :])
    case = json.loads(case_file.read_text(encoding="utf-8"))
    bpy.context.preferences.view.show_splash = False
    module = install(extension, case_file.parent)
    if bpy.app.version < (4, 2, 0):
        show_our_tab_alone()
    lay_out(case, part(module, "blender.sequencer"))

    def look() -> float:
        tell(case, module)
        return LOOK_S

    bpy.app.timers.register(look, first_interval=LOOK_S, persistent=True)


main()
