"""A check of the whole machine, and buttons that mend what it finds."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.models.command import Command, dubwright
from gui.models.health import Finding, read_findings
from gui.texts import text
from gui.theme import GAP, colour
from gui.views.parts import clear, leave_keys, muted, named, wrapped


class CheckSection(QWidget):
    """`dubwright doctor`, with what it says to do done by a button where a command can."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.remedies: dict[str, QPushButton] = {}
        self._mends = ""
        self.command = Command(self)
        self.command.said.connect(self._say)
        self.command.ended.connect(self._end)
        self.button = QPushButton(text("check.run"))
        self.button.clicked.connect(lambda _=False: self.run())
        self.copy = QPushButton(text("error.copy"))
        self.copy.clicked.connect(lambda _=False: self._copy())
        self.copy.hide()
        self._said = muted(text("check.hint"))
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self.button)
        row.addWidget(self.copy)
        row.addWidget(self._said, 1)
        self._list = QVBoxLayout()
        self._list.setSpacing(GAP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addLayout(self._list)

    def run(self) -> None:
        """Check everything; it takes some seconds."""
        self._mends = ""
        self._said.setText(text("check.running"))
        self.button.setEnabled(False)
        self.command.run(dubwright("doctor", "--json"), has_errors=False)

    def _mend(self, finding: Finding) -> None:
        self._mends = finding.name
        self._said.setText(text("check.mending", name=finding.name))
        for button in (self.button, *self.remedies.values()):
            button.setEnabled(False)
        self.command.run(finding.remedy())

    def _say(self, line: str) -> None:
        if self._mends:
            self._said.setText(line)

    def _end(self, status: int) -> None:
        self.button.setEnabled(True)
        if self._mends:
            self.changed.emit()
            if status == 0:
                self.run()
            else:
                for button in self.remedies.values():
                    button.setEnabled(True)
            return
        found = read_findings(self.command.output)
        if found is None:
            self._said.setText(text("check.broken"))
            return
        self._show(found)

    def _show(self, findings: list[Finding]) -> None:
        self.findings = findings
        wrong = [finding for finding in findings if not finding.is_well]
        bad = sum(1 for finding in wrong if not finding.ok)
        key = "check.well" if not wrong else "check.found"
        self._said.setText(text(key, n=len(findings), bad=bad, notes=len(wrong) - bad))
        self.copy.show()
        clear(self._list)
        self.remedies = {}
        for finding in wrong:
            self._list.addWidget(self._row(finding))
        leave_keys(self)

    def _row(self, finding: Finding) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        dot = QLabel("●")
        dot.setStyleSheet(f"color: {colour('warn' if finding.ok else 'bad').name()};")
        words = wrapped(f"{finding.name}: {finding.detail}\n{finding.hint}".strip())
        row.addWidget(dot)
        row.addWidget(words, 1)
        if finding.remedy():
            button = self.remedies[finding.name] = named(QPushButton(text("check.mend")), "primary")
            button.setAccessibleName(text("check.mend_name", name=finding.name))
            button.clicked.connect(lambda _=False: self._mend(finding))
            row.addWidget(button)
        return box

    def _copy(self) -> None:
        lines = [
            f"{finding.state}  {finding.name}: {finding.detail} {finding.hint}" for finding in self.findings
        ]
        QGuiApplication.clipboard().setText("\n".join(lines))
