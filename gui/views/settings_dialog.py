"""Settings: theme and language."""

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QWidget

from gui.models.settings import Language, Settings, Theme
from gui.texts import Key, text
from gui.views.fields import choice, show_value
from gui.views.parts import column, muted

_THEMES: tuple[tuple[str, Key], ...] = (
    ("dark", "theme.dark"),
    ("light", "theme.light"),
    ("contrast", "theme.contrast"),
)
_LANGUAGES: tuple[tuple[str, Key], ...] = (
    ("system", "language.system"),
    ("en", "language.en"),
    ("zh", "language.zh"),
)


class SettingsDialog(QDialog):
    """Edits a copy; the caller takes `theme` and `language` when it was accepted."""

    def __init__(self, settings: Settings, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(text("menu.settings"))
        self._theme, self._language = choice(_THEMES), choice(_LANGUAGES)
        show_value(self._theme, settings.theme)
        show_value(self._language, settings.language)
        self._theme.setAccessibleName(text("settings.theme"))
        self._language.setAccessibleName(text("settings.language"))
        layout = column(self)
        form = QFormLayout()
        form.addRow(text("settings.theme"), self._theme)
        form.addRow(text("settings.language"), self._language)
        layout.addLayout(form)
        layout.addWidget(muted(text("settings.restart")))
        layout.addStretch(1)
        buttons = QDialogButtonBox()
        buttons.addButton(text("settings.apply"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(text("settings.cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        self.setMinimumWidth(420)

    @property
    def theme(self) -> Theme:
        """The chosen theme."""
        return self._theme.currentData()

    @property
    def language(self) -> Language:
        """The chosen language."""
        return self._language.currentData()
