"""A page on which files are dropped."""

from pathlib import Path

from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget


class FileTarget(QWidget):
    """What is dropped goes to `take_in`, file by file."""

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)

    def take_in(self, path: Path) -> None:
        """Make something of a file or a folder."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Accept files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Take them in."""
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.take_in(Path(url.toLocalFile()))
