"""The models of the catalogue: which are here, and a button that fetches what is missing."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from daemon.pairing.hosts import Host
from daemon.protocol.daemon_messages import ListModelsReply, ModelInfo
from gui.models.command import Command, dubwright
from gui.models.health import can_get, model_text
from gui.texts import text
from gui.theme import GAP, colour
from gui.views.parts import clear, leave_keys, muted, named

_STATE_COLOURS = {"verified": "good", "unverified": "text", "damaged": "bad"}


class ModelsSection(QWidget):
    """A row a model; one download at a time, which can be stopped and goes on later where it was."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QPushButton] = {}
        self._found: ListModelsReply | None = None
        self._host: Host | None = None
        self._task = ""
        self.command = Command(self)
        self.command.said.connect(self._say)
        self.command.ended.connect(self._end)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(GAP * 3)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._said = muted(text("status.unknown"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._grid)
        layout.addWidget(self._said)

    def show_models(self, found: ListModelsReply, host: Host | None) -> None:
        """Show which the daemon has. Those of `host`, another machine, are fetched there, not from here."""
        if (found, host) == (self._found, self._host):
            return
        self._found, self._host = found, host
        clear(self._grid)
        self.buttons = {}
        for row, model in enumerate(found.models):
            self._add(row, model)
        if not self.command.is_running:
            where = text("model.folder", folder=found.folder)
            self._said.setText(where if host is None else text("model.folder_there", name=host.name))
        leave_keys(self)
        self._show_buttons()

    def _add(self, row: int, model: ModelInfo) -> None:
        name = named(QLabel(model.task), "muted")
        name.setMinimumWidth(180)
        name.setToolTip(f"{model.repository}, {model.licence}")
        words = QLabel(model_text(model))
        words.setStyleSheet(f"color: {colour(_STATE_COLOURS.get(model.state, 'muted')).name()};")
        words.setToolTip(model.folder)
        self._grid.addWidget(name, row, 0)
        self._grid.addWidget(words, row, 1)
        if self._host is None and can_get(model):
            button = self.buttons[model.task] = QPushButton(text("model.get"))
            button.setAccessibleName(text("model.get_name", task=model.task))
            button.clicked.connect(lambda _=False: self._press(model))
            self._grid.addWidget(button, row, 2, Qt.AlignmentFlag.AlignRight)

    def _press(self, model: ModelInfo) -> None:
        if self.command.is_running:
            self.command.stop()
            return
        found = self._found
        if found is not None and model.needed_bytes - model.bytes > found.free_bytes:
            self._said.setText(text("model.no_room", folder=found.folder))
            return
        self._task = model.task
        self._said.setText(text("model.getting", task=model.task))
        self.command.run(dubwright("models", "get", model.task))
        self._show_buttons()

    def _show_buttons(self) -> None:
        is_running = self.command.is_running
        for task, button in self.buttons.items():
            is_this = is_running and task == self._task
            button.setText(text("model.stop" if is_this else "model.get"))
            button.setEnabled(not is_running or is_this)

    def _say(self, line: str) -> None:
        self._said.setText(line)

    def _end(self, status: int) -> None:
        if status == 0:
            self._said.setText(text("model.got", task=self._task))
        self._show_buttons()
        self.changed.emit()
