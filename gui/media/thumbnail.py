"""Small pictures of takes."""

from pathlib import Path

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from daemon.protocol.jobs import Take
from gui.media.clip import ClipError
from gui.media.frame_folder import open_clip
from gui.models.take_list import read_origin

WIDTH = 320


def make_thumbnail(take: Take) -> QImage:
    """Return the middle frame of a take as it is seen, small; empty when it cannot be read."""
    middle = take.frames // 2
    origin = read_origin(take)
    try:
        seen = QImage()
        if origin is not None and origin.source.is_file():
            seen = _small(origin.source, middle + origin.first)
        over = _small(Path(take.path), middle)
    except (ClipError, ValueError):
        return QImage()
    if seen.isNull() or not over.hasAlphaChannel():
        return over
    painter = QPainter(seen)
    painter.drawImage(QRectF(seen.rect()), over)
    painter.end()
    return seen


def _small(path: Path, frame: int) -> QImage:
    with open_clip(path) as clip:
        pixels = clip.pictures(frame, before=0, scaled_width=WIDTH)[frame]
        form = QImage.Format.Format_ARGB32 if clip.facts.has_alpha else QImage.Format.Format_RGB32
        return QImage(pixels.data, pixels.shape[1], pixels.shape[0], pixels.shape[1] * 4, form).copy()
