"""Where a picture is drawn: on the GPU where there is a real one, else by Qt's own painter in memory.

Both run the same paint code. Software OpenGL (llvmpipe and its like) halves the rate of pictures, so it
counts as no GPU. `DUBWRIGHT_DRAW=gpu` or `=memory` overrides the choice.
"""

import functools
import os
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext, QPainter
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QWidget

VARIABLE = "DUBWRIGHT_DRAW"
_GL_RENDERER = 0x1F01
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "swrast", "software", "basic render", "gdi generic")
_WITHOUT_GL = ("offscreen", "minimal", "vnc", "linuxfb")


class GpuCanvas(QOpenGLWidget):
    """Fills its parent and lets it paint through OpenGL; the mouse stays the parent's."""

    def __init__(self, parent: QWidget, paint: Callable[[QPainter], None]) -> None:
        super().__init__(parent)
        self._paint = paint
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintGL(self) -> None:  # noqa: N802
        """Paint."""
        painter = QPainter(self)
        self._paint(painter)
        painter.end()


def make_canvas(parent: QWidget, paint: Callable[[QPainter], None]) -> GpuCanvas | None:
    """Return a canvas on the GPU, or None where the parent should paint itself."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "memory" or (wanted != "gpu" and not has_real_gpu()):
        return None
    return GpuCanvas(parent, paint)


@functools.cache
def has_real_gpu() -> bool:
    """Say whether OpenGL draws here with hardware."""
    name = renderer_name().lower()
    return bool(name) and not any(word in name for word in _SOFTWARE)


def renderer_name() -> str:
    """Return what OpenGL calls what it draws with; empty where there is no OpenGL."""
    if QGuiApplication.platformName() in _WITHOUT_GL:
        return ""
    context = QOpenGLContext()
    surface = QOffscreenSurface()
    surface.create()
    if not context.create() or not context.makeCurrent(surface):
        return ""
    name = context.functions().glGetString(_GL_RENDERER)
    context.doneCurrent()
    return str(name or "")
