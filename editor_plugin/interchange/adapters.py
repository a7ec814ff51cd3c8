"""The one door to OpenTimelineIO's readers; process.py runs them in a process of their own."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import opentimelineio as otio

from ..shared.problems import PluginError

ADAPTERS = {
    ".otio": "otio_json",
    ".otioz": "otioz",
    ".xml": "fcp_xml",
    ".aaf": "AAF",
    ".kdenlive": "kdenlive",
    ".edl": "cmx_3600",
}
DROP_FRAME = re.compile(rb"^FCM:\s*DROP", re.MULTILINE | re.IGNORECASE)
MAX_BYTES = 256 * 1024 * 1024  # of a timeline without its media; feature films stay under a tenth
EXPORTS = {
    ".fcpxml": "Open it in DaVinci Resolve and export OTIO, or convert it to FCP7 XML.",
    ".fcpxmld": "Open it in DaVinci Resolve and export OTIO, or convert it to FCP7 XML.",
    ".prproj": "In Premiere Pro choose File > Export > Final Cut Pro XML.",
    ".drp": "In DaVinci Resolve choose File > Export > Timeline and OTIO or FCP7 XML.",
    ".mlt": "MLT files can only be written; save as .kdenlive.",
}


def load(path: Path, rate: Fraction | None = None) -> Any:
    """Read a file by its adapter; `rate` is for lists that do not tell theirs.

    Raises PluginError `timeline.unreadable`, `.unknown`, `.missing`, `.rate`.
    """
    suffix = path.suffix.lower()
    if suffix not in ADAPTERS:
        hint = EXPORTS.get(suffix, f"Known: {', '.join(ADAPTERS)}.")
        raise PluginError("timeline.unknown", f"{path.name} is in no format that can be read.", hint)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PluginError("timeline.missing", f"{path} cannot be read: {error.strerror}.") from error
    if suffix != ".otioz" and size > MAX_BYTES:
        raise PluginError("timeline.unreadable", f"{path.name} is larger than any timeline.")
    options: dict[str, Any] = {}
    if suffix == ".otioz":
        options["extract_to_directory"] = str(_unpack_folder(path))
    if suffix == ".edl":
        options["ignore_timecode_mismatch"] = True
        options["rate"] = float(rate or _rate_of_list(path))
    try:
        with quiet():
            found = otio.adapters.read_from_file(str(path), ADAPTERS[suffix], **options)
    except Exception as error:  # readers of other programs' files raise anything
        with contextlib.suppress(KeyError, OSError):
            Path(options["extract_to_directory"]).rmdir()  # if nothing was unpacked
        raise unreadable(path, error) from error
    timeline = _only_timeline(path, found)
    if suffix == ".otioz":
        _point_into(Path(options["extract_to_directory"]), timeline)
    return timeline


def _rate_of_list(path: Path) -> Fraction:
    """Return the rate of an EDL, which drop-frame timecode tells. Raises PluginError `timeline.rate`."""
    if DROP_FRAME.search(path.read_bytes()):
        return Fraction(30000, 1001)
    raise PluginError(
        "timeline.rate",
        f"{path.name} does not say how many frames a second has; an EDL never does.",
        "Say it: --rate 25, or --rate 24000/1001.",
    )


def _point_into(folder: Path, timeline: Any) -> None:
    """Have a bundle's clips name the unpacked files: in it they are named from the bundle's own root."""
    for clip in timeline.find_clips():
        reference = clip.media_reference
        if isinstance(reference, otio.schema.ExternalReference) and "://" not in reference.target_url:
            reference.target_url = (folder / unquote(reference.target_url)).absolute().as_uri()


def _unpack_folder(path: Path) -> Path:
    """Make a folder beside a bundle, for its media, that was not there yet."""
    for number in range(1, 1000):
        folder = path.with_name(f"{path.stem}_media" + (f"_{number}" if number > 1 else ""))
        if not folder.exists():
            folder.mkdir()
            return folder
    raise PluginError("timeline.unreadable", f"{path.name} was unpacked a thousand times already.")


def _only_timeline(path: Path, found: Any) -> Any:
    if isinstance(found, otio.schema.SerializableCollection):
        timelines = [one for one in found if isinstance(one, otio.schema.Timeline)]
        if len(timelines) > 1:
            raise PluginError(
                "timeline.unreadable",
                f"{path.name} holds {len(timelines)} timelines.",
                "Export the one timeline by itself.",
            )
        found = timelines[0] if timelines else None
    if not isinstance(found, otio.schema.Timeline) or found.tracks is None:
        raise PluginError("timeline.unreadable", f"{path.name} holds no timeline.")
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep adapters' prints and deprecation notices from the user's output."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def unreadable(path: Path, error: BaseException) -> PluginError:
    """Return the error for a file that its adapter could not read."""
    detail = f"{type(error).__name__}: {error}"
    return PluginError(
        "timeline.unreadable",
        f"{path.name} is damaged or not what its name says.",
        "Export it again.",
        detail[:2000],
    )
