"""A command of ours that runs beside the app: `dubwright ...` or `python -m installer ...`, line by line."""

import sys
from collections.abc import Sequence

from PySide6.QtCore import QObject, QProcess, Signal

_PATIENCE_MS = 3000


class Command(QObject):
    """One command at a time; a second `run` while one runs is ignored."""

    said = Signal(str)  # a line
    ended = Signal(int)  # the exit status; -1: it could not start, or was stopped

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._rest = ""
        self.output: list[str] = []

    @property
    def is_running(self) -> bool:
        """Whether a command runs."""
        return self._process is not None

    def run(self, arguments: Sequence[str], *, has_errors: bool = True) -> None:
        """Start Python with these arguments. has_errors: whether what goes to its error output counts."""
        if self._process is not None:
            return
        self.output = []
        self._rest = ""
        process = self._process = QProcess(self)
        mode = QProcess.ProcessChannelMode
        process.setProcessChannelMode(mode.MergedChannels if has_errors else mode.SeparateChannels)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._end)
        process.errorOccurred.connect(self._fail)
        process.start(sys.executable, list(arguments))

    def stop(self) -> None:
        """End it, kindly at first."""
        process = self._process
        if process is not None:
            process.terminate()
            if not process.waitForFinished(_PATIENCE_MS):
                process.kill()
                process.waitForFinished(_PATIENCE_MS)

    def _read(self) -> None:
        if self._process is not None:
            self._take(bytes(self._process.readAllStandardOutput().data()).decode(errors="replace"))

    def _take(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).replace("\r", "\n").split("\n")
        for line in lines:
            if line.strip():
                self.output.append(line.strip())
                self.said.emit(line.strip())

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._end(-1)

    def _end(self, status: int, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._process = process
        self._read()
        self._take("\n")
        self._process = None
        process.deleteLater()
        self.ended.emit(status)


def dubwright(*arguments: str) -> list[str]:
    """Return what runs a command of `dubwright`."""
    return ["-c", "from daemon.cli import main; main()", *arguments]


def installer(*arguments: str) -> list[str]:
    """Return what runs a command of the installer."""
    return ["-m", "installer", *arguments]
