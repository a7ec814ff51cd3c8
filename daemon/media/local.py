"""Opens a media file, and nothing else on its behalf: a list of other files is no media file."""

from pathlib import Path

import av
from av.container import InputContainer

LISTS = frozenset({"hls", "concat", "dash", "imf"})
"""FFmpeg's names of formats that name other files. One in a job of a paired machine would show it these."""


def open_local(path: Path) -> InputContainer:
    """Open a file that refers to no other one. Raises FFmpegError, OSError, UnicodeError."""
    container = av.open(
        str(path.absolute()), "r", metadata_errors="replace", container_options={"protocol_whitelist": "file"}
    )
    if not LISTS.isdisjoint(container.format.name.split(",")):
        container.close()
        raise OSError(f"it is a list of other files ({container.format.name})")
    return container
