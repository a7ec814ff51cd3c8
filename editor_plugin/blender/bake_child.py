"""What the second Blender runs: one strip of a project, without the others, rendered without a look.

... -- PROJECT SCENE STRIP FIRST STOP DRAFT TARGET
"""

from __future__ import annotations

import os
import sys
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]


def show_only(scene: Any, name: str) -> None:
    """Mute everything but one strip."""
    editor = scene.sequence_editor
    for strip in editor.strips if hasattr(editor, "strips") else editor.sequences:
        strip.mute = strip.name != name
        if strip.name == name:
            editor.channels[strip.channel].mute = False


def neutralise(scene: Any) -> None:
    """Switch off what would change code values: the project's own look comes over the take later."""
    view = scene.view_settings
    scene.display_settings.display_device = "sRGB"
    view.view_transform, view.look = "Standard", "None"
    view.exposure, view.gamma, view.use_curve_mapping = 0.0, 1.0, False
    render = scene.render
    render.use_sequencer, render.use_stamp, render.use_border, render.use_multiview = (
        True,
        False,
        False,
        False,
    )
    render.dither_intensity, render.resolution_percentage = 0.0, 100


def write_movie(scene: Any, first: int, stop: int, path: str) -> None:
    """Render frames to a movie without loss, at the scene's rate and size."""
    render, settings = scene.render, scene.render.image_settings
    scene.frame_start, scene.frame_end, scene.frame_step = first, stop - 1, 1
    if hasattr(settings, "media_type"):  # since 5.0, and before the format
        settings.media_type = "VIDEO"
    settings.file_format, settings.color_mode = "FFMPEG", "RGB"
    settings.color_management = "FOLLOW_SCENE"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "QUICKTIME", "PNG", "NONE"
    render.filepath, render.use_file_extension = path, False
    bpy.ops.render.render(animation=True, scene=scene.name)


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    project, scene_name, strip, first, stop, draft, target = arguments
    bpy.ops.wm.open_mainfile(filepath=project, load_ui=False)
    scene = bpy.data.scenes[scene_name]
    show_only(scene, strip)
    neutralise(scene)
    begin = int(first)
    bpy.app.handlers.render_write.append(
        lambda *_: print(f"BAKED {scene.frame_current - begin + 1}", flush=True)
    )
    write_movie(scene, begin, int(stop), draft)
    os.replace(draft, target)
    sys.stdout.flush()
    os._exit(0)  # the 4.5 module would hang in its own exit after a render with sound


main(sys.argv[sys.argv.index("--") + 1 :])
