"""The one door to Blender's sequencer: reads strips, places takes, in 4.2, 4.5, 5.0 and later.

Names changed between versions (sequences became strips, handles were renamed); both are tried here and
nowhere else. `context.selected_strips` is never asked: it is empty where no sequencer area is active. Never
called, for they crash Blender: `retiming_keys.add` on a new strip (4.2 to 5.0) and, in the background,
`sequencer.movie_strip_add` (5.0).
"""

from __future__ import annotations

import os
import uuid
from fractions import Fraction
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]

from ..shared.planner import free_track
from ..shared.problems import PluginError
from ..shared.rates import exact_rate
from ..shared.timeline import PICTURE, SOUND, Clip, Placement, Timeline

TAG = "dubwright_job"
PROJECT = "dubwright_project"
TRACK_NAME = "Re-dub"
TOP_CHANNEL = 128
BLEND = "ALPHA_OVER"
UNUSABLE = {
    "META": "it is a meta strip; open it and choose the strip inside",
    "SCENE": "it is a scene strip; render it to a file first",
    "IMAGE": "it is a sequence of images; make it a movie first",
    "MOVIECLIP": "it is a movie clip strip; add it as a movie",
    "MASK": "it is a mask",
}


class Sequencer:
    """Implements `shared.host.Host` for the scene whose strips the user edits."""

    def timeline(self) -> Timeline:
        """Read the strips. Raises PluginError `timeline.none`."""
        scene, editor = find_editor()
        rate = scene_rate(scene)
        clips = [clip for clip in (read_strip(one, rate) for one in strips(editor)) if clip is not None]
        return Timeline(
            project_id=_project_id(scene),
            name=scene.name,
            rate=rate,
            clips=tuple(clips),
            start=scene.frame_start,
        )

    def place(self, placement: Placement) -> None:
        """Add the take on a free channel, and its sound on another."""
        _, editor = find_editor()
        self._add_picture(editor, placement)
        if placement.sound_path:
            self._add_sound(editor, placement)

    def show_take(self, placement: Placement) -> None:
        """Swap the file of the strips that are there already; they keep their place and their effects."""
        _, editor = find_editor()
        for strip in tagged(editor, placement.tag):
            if strip.type == "MOVIE":
                strip.filepath = placement.path
                _check_media(strip, placement.path)
            elif strip.type == "SOUND" and placement.sound_path:
                strip.sound = bpy.data.sounds.load(placement.sound_path, check_existing=True)

    def remove(self, tag: str) -> None:
        """Remove the strips of one job."""
        _, editor = find_editor()
        for strip in tagged(editor, tag):
            strips(editor).remove(strip)

    def _add_picture(self, editor: Any, placement: Placement) -> None:
        if not os.path.isfile(placement.path):  # Blender would make a strip of one frame and say nothing
            raise PluginError("take.missing", f"The take {placement.path} is not there.")
        channel = _free_channel(editor, placement)
        strip = strips(editor).new_movie(
            name=f"Re-dub {placement.take_id}",
            filepath=placement.path,
            channel=channel,
            frame_start=placement.start - placement.trim,
        )
        strip[TAG] = placement.tag
        _check_media(strip, placement.path)
        _trim(strip, placement)
        strip.blend_type = BLEND
        if not placement.is_baked:
            _copy_look(editor, strip, placement)
        editor.channels[channel].name = TRACK_NAME

    def _add_sound(self, editor: Any, placement: Placement) -> None:
        channel = _free_channel(editor, placement)
        try:
            strip = strips(editor).new_sound(
                name=f"Voice {placement.take_id}",
                filepath=placement.sound_path,
                channel=channel,
                frame_start=placement.start - placement.trim,
            )
        except RuntimeError as error:  # the 4.2 module from the package index is built without sound
            if "Audaspace" in str(error):
                return
            raise PluginError("place.failed", f"Blender cannot read the take's sound: {error}.") from error
        strip[TAG] = placement.tag
        _trim(strip, placement)


def _free_channel(editor: Any, placement: Placement) -> int:
    """Return a channel with nothing there, neither picture nor sound: Blender's channels hold both.

    Strips that are no clips for us (effects, texts) take room too.
    """
    taken = [Clip("", PICTURE, strip.channel, left(strip), right(strip), "") for strip in strips(editor)]
    return free_track(taken, placement.start, placement.stop, above=placement.above, top=TOP_CHANNEL)


def find_editor() -> tuple[Any, Any]:
    """Return the scene whose strips are edited, and its strip editor.

    Since 5.0 that scene need not be the window's. Raises PluginError `timeline.none`.
    """
    scene = getattr(bpy.context, "sequencer_scene", None) or bpy.context.scene
    if scene is None or scene.sequence_editor is None:
        raise PluginError("timeline.none", "This scene has no strips.", "Add footage in the sequencer.")
    return scene, scene.sequence_editor


def strips(holder: Any) -> Any:
    """Return the collection of strips of an editor; `sequences` until 4.3."""
    return holder.strips if hasattr(holder, "strips") else holder.sequences


def tagged(editor: Any, tag: str) -> list[Any]:
    """Return the strips that a job put there, looked up anew: undo moves them in memory."""
    return [strip for strip in strips(editor) if strip.get(TAG) == tag]


def left(strip: Any) -> int:
    """Return the first frame that shows."""
    return strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start


def right(strip: Any) -> int:
    """Return the frame after the last that shows."""
    return strip.right_handle if hasattr(strip, "right_handle") else strip.frame_final_end


def content_start(strip: Any) -> int:
    """Return the frame at which the file's first frame lies, or would."""
    return int(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def content_frames(strip: Any) -> int:
    """Return the frames that the file gives this strip."""
    return strip.content_duration if hasattr(strip, "content_duration") else strip.frame_duration


def scene_rate(scene: Any) -> Fraction:
    """Return the scene's rate; `fps_base` reads back as a rounded float (1.001 as 1.0010000467)."""
    return exact_rate(scene.render.fps / scene.render.fps_base)


def read_strip(strip: Any, rate: Fraction) -> Clip | None:
    """Return what a strip is to us; None for effects, texts and what else is no media."""
    if strip.type == "SOUND":
        return _read_sound(strip)
    if strip.type == "MOVIE":
        return _read_movie(strip, rate)
    if strip.type in UNUSABLE:
        return Clip(
            strip.name,
            PICTURE,
            strip.channel,
            left(strip),
            right(strip),
            "",
            problem=UNUSABLE[strip.type],
            can_bake=strip.type != "MASK",
        )
    return None


def _read_movie(strip: Any, rate: Fraction) -> Clip:
    trimmed = strip.animation_offset_start
    path = bpy.path.abspath(strip.filepath)
    media_rate = _media_rate(strip)
    can_bake = media_rate is not None and os.path.isfile(path)
    problem = "" if can_bake else "its file cannot be read"
    speed = Fraction(1)
    keys = len(strip.retiming_keys) if hasattr(strip, "retiming_keys") else 0
    whole = content_frames(strip)
    if keys > 2:
        problem = "it is retimed with several speeds; bake it first"
    elif keys or (keys == 0 and _is_stretched(strip)):
        problem = "it is retimed; bake it first"
    if getattr(strip, "use_reverse_frames", False):
        problem = "it plays backwards; bake it first"
    return Clip(
        strip.name,
        PICTURE,
        strip.channel,
        left(strip),
        right(strip),
        path,
        source_in=left(strip) - content_start(strip) + trimmed,
        source_frames=whole + trimmed,
        media_rate=media_rate or rate,
        speed=speed,
        problem=problem,
        tag=strip.get(TAG, ""),
        can_bake=can_bake,
    )


def _media_rate(strip: Any) -> Fraction | None:
    """Return the rate that was read when the strip was made: `strip.fps` would open the file each time."""
    kept = strip.elements[0].orig_fps if strip.elements else 0.0
    return exact_rate(kept) if kept > 0 else None


def _is_stretched(strip: Any) -> bool:
    return getattr(strip, "speed_factor", 1.0) != 1.0


def _read_sound(strip: Any) -> Clip:
    path = bpy.path.abspath(strip.sound.filepath) if strip.sound else ""
    problem = "" if path and not strip.sound.packed_file else "its sound is not in a file of its own"
    keys = len(strip.retiming_keys) if hasattr(strip, "retiming_keys") else 0
    if keys:
        problem = "it is retimed"
    return Clip(
        strip.name,
        SOUND,
        strip.channel,
        left(strip),
        right(strip),
        path,
        source_in=left(strip) - content_start(strip) + strip.animation_offset_start,
        problem=problem,
        tag=strip.get(TAG, ""),
    )


def _check_media(strip: Any, path: str) -> None:
    """Raise PluginError `take.unreadable` for a file that Blender took and cannot show."""
    if strip.fps <= 0 or not strip.elements or strip.elements[0].orig_width <= 0:
        raise PluginError("take.unreadable", f"Blender cannot read the take {path}.")


def _copy_look(editor: Any, strip: Any, placement: Placement) -> None:
    """Scale, move, turn and crop the take as the shot that it covers."""
    for shot in strips(editor):
        covers = shot.type == "MOVIE" and left(shot) <= placement.start and right(shot) >= placement.stop
        if covers and shot.channel == placement.above and shot.name != strip.name:
            for name in ("scale_x", "scale_y", "offset_x", "offset_y", "rotation", "origin"):
                if hasattr(shot.transform, name):
                    setattr(strip.transform, name, getattr(shot.transform, name))
            for name in ("min_x", "max_x", "min_y", "max_y"):
                setattr(strip.crop, name, getattr(shot.crop, name))
            strip.use_flip_x, strip.use_flip_y = shot.use_flip_x, shot.use_flip_y


def _trim(strip: Any, placement: Placement) -> None:
    """Cut what lies outside the range: handles, and a last frame of sound."""
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = placement.start, placement.stop
    else:
        strip.frame_final_start, strip.frame_final_end = placement.start, placement.stop


def _project_id(scene: Any) -> str:
    """Return an id that is saved with the scene."""
    if PROJECT not in scene:
        scene[PROJECT] = uuid.uuid4().hex
    return scene[PROJECT]
