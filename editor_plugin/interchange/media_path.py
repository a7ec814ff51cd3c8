"""Which file a timeline means: each program spells the path its own way."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit


def media_path(url: str | None, file: Path) -> str:
    """Return the file that a media reference means, absolute; empty where it means none on this machine.

    file: the timeline; what is no whole path lies beside it.
    """
    if not url:
        return ""
    if url[1:2] in (":", "|") or url.startswith("\\\\"):  # C:\\footage, \\\\server\\footage: no URL
        return _with_colon(url)
    parts = urlsplit(url, allow_fragments=False)  # some write a # as it is
    if parts.scheme == "file":
        path = unquote(parts.path + (f"?{parts.query}" if parts.query else ""))
        if path[2:3] in (":", "|"):
            path = _with_colon(path[1:])  # file:///C:/footage, file://localhost/C|/footage
        return path if parts.netloc in ("", "localhost") else f"//{parts.netloc}{path}"
    if parts.scheme:
        return ""
    return os.path.abspath(os.path.join(file.resolve().parent, unquote(url)))


def _with_colon(path: str) -> str:
    return path.replace("|", ":", 1) if path[1:2] == "|" else path
