"""Colours, spacing and the style sheet. Greys are neutral: they must not tint the judgement of a picture."""

from dataclasses import dataclass

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from gui.models.settings import Theme

GAP = 8
"""Pixels between things that belong together; twice that between those that do not."""


@dataclass(frozen=True)
class Palette:
    """The named colours of a theme."""

    window: str
    panel: str
    raised: str
    field: str
    line: str
    text: str
    muted: str
    faint: str  # what is disabled, and the edges of fields
    accent: str
    on_accent: str
    good: str
    warn: str
    bad: str
    stage: str = "#0c0c0c"  # around pictures


DARK = Palette(
    window="#161616",
    panel="#1d1d1d",
    raised="#2a2a2a",
    field="#131313",
    line="#333333",
    text="#e6e6e6",
    muted="#a3a3a3",
    faint="#6e6e6e",
    accent="#3d9be0",
    on_accent="#08131c",
    good="#5cb878",
    warn="#e0b04a",
    bad="#e87166",
)
LIGHT = Palette(
    window="#dedede",
    panel="#ececec",
    raised="#fafafa",
    field="#ffffff",
    line="#bdbdbd",
    text="#1a1a1a",
    muted="#565656",
    faint="#7a7a7a",
    accent="#14609c",
    on_accent="#ffffff",
    good="#1a6b35",
    warn="#7a5200",
    bad="#b3261e",
    stage="#2b2b2b",
)
CONTRAST = Palette(
    window="#000000",
    panel="#000000",
    raised="#141414",
    field="#000000",
    line="#ffffff",
    text="#ffffff",
    muted="#e8e8e8",
    faint="#b0b0b0",
    accent="#ffd400",
    on_accent="#000000",
    good="#4dff88",
    warn="#ffd400",
    bad="#ff8a80",
    stage="#000000",
)
THEMES: dict[Theme, Palette] = {
    "dark": DARK,
    "light": LIGHT,
    "contrast": CONTRAST,
}
_current = DARK


def palette() -> Palette:
    """Return the colours in use."""
    return _current


def colour(name: str, alpha: int = 255) -> QColor:
    """Return a colour of the theme by its name."""
    found = QColor(getattr(_current, name))
    found.setAlpha(alpha)
    return found


def apply_theme(app: QApplication, name: Theme) -> None:
    """Give the whole app a theme."""
    global _current
    _current = THEMES[name]
    app.setStyle("Fusion")
    app.setPalette(_qt_palette(_current))
    app.setStyleSheet(style_sheet(_current))
    for widget in app.allWidgets():
        widget.update()


def _qt_palette(colours: Palette) -> QPalette:
    made = QPalette()
    role = QPalette.ColorRole
    for place, value in (
        (role.Window, colours.panel),
        (role.WindowText, colours.text),
        (role.Base, colours.field),
        (role.AlternateBase, colours.panel),
        (role.Text, colours.text),
        (role.Button, colours.raised),
        (role.ButtonText, colours.text),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.on_accent),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.PlaceholderText, colours.muted),
        (role.Mid, colours.line),
        (role.Link, colours.accent),
    ):
        made.setColor(place, QColor(value))
    for place in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, place, QColor(colours.faint))
    return made


def style_sheet(c: Palette) -> str:
    """Return the style sheet of a theme."""
    return f"""
* {{ font-size: 13px; }}
QWidget {{ color: {c.text}; }}
QMainWindow, QDialog, #page {{ background: {c.window}; }}
#panel, #pageBar, #transport {{ background: {c.panel}; }}
#pageBar {{ border-top: 1px solid {c.line}; }}
#transport {{ border-top: 1px solid {c.line}; }}
QLabel {{ background: transparent; }}
QLabel#title {{ font-size: 15px; font-weight: 600; }}
QLabel#heading {{ color: {c.muted}; font-size: 11px; font-weight: 600; }}
QLabel#muted, QLabel#hint {{ color: {c.muted}; }}
QLabel#big {{ font-size: 20px; font-weight: 600; }}
QLabel#timecode, QLineEdit#timecode {{ font-family: "DejaVu Sans Mono", "Menlo", "Consolas", monospace; }}
QPushButton, QToolButton {{ background: {c.raised}; border: 1px solid {c.line}; border-radius: 4px;
  padding: 5px 12px; min-height: 18px; }}
QToolButton {{ padding: 5px 6px; }}
QPushButton:hover, QToolButton:hover {{ border-color: {c.muted}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {c.field}; }}
QPushButton:focus, QToolButton:focus {{ border-color: {c.accent}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {c.faint}; background: {c.panel}; }}
QPushButton:checked, QToolButton:checked {{ background: {c.accent}; color: {c.on_accent};
  border-color: {c.accent}; }}
QPushButton#primary {{ background: {c.accent}; color: {c.on_accent}; border-color: {c.accent};
  font-weight: 600; }}
QPushButton#primary:disabled {{ background: {c.raised}; color: {c.faint}; border-color: {c.line}; }}
QPushButton#pageButton {{ background: transparent; border: none; border-radius: 0; padding: 9px 22px;
  color: {c.muted}; border-top: 2px solid transparent; }}
QPushButton#pageButton:hover {{ color: {c.text}; }}
QPushButton#pageButton:checked {{ color: {c.text}; border-top: 2px solid {c.accent};
  background: {c.window}; }}
QPushButton#pageButton:focus {{ color: {c.text}; text-decoration: underline; }}
QLineEdit, QPlainTextEdit, QSpinBox, QComboBox {{ background: {c.field}; border: 1px solid {c.faint};
  border-radius: 4px; padding: 4px 7px; min-height: 18px; selection-background-color: {c.accent};
  selection-color: {c.on_accent}; placeholder-text-color: {c.muted}; }}
QLineEdit:focus, QPlainTextEdit:focus, QSpinBox:focus, QComboBox:focus {{ border-color: {c.accent}; }}
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled {{ color: {c.faint}; background: {c.panel};
  border-color: {c.line}; placeholder-text-color: {c.faint}; }}
QPlainTextEdit {{ border-color: {c.line}; }}
QLineEdit[wrong="true"] {{ border-color: {c.bad}; }}
QSpinBox QLineEdit {{ border: none; padding: 0; min-height: 0; background: transparent; }}
QSpinBox::up-button, QSpinBox::down-button {{ subcontrol-origin: border; width: 0; border: none; }}
Choice {{ padding-right: 0; }}
QSpinBox {{ padding: 3px 0; }}
QComboBox:hover, QSpinBox:hover, QLineEdit:hover {{ border-color: {c.muted}; }}
Choice::drop-down {{ border: none; width: 24px; }}
Choice::down-arrow {{ image: none; }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {c.line}; }}
QSlider::sub-page:horizontal {{ border-radius: 2px; background: {c.accent}; }}
QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -4px 0; border-radius: 6px;
  background: {c.text}; }}
QSlider::handle:horizontal:focus {{ background: {c.accent}; }}
QSlider::sub-page:horizontal:disabled {{ background: {c.line}; }}
QSlider::handle:horizontal:disabled {{ background: {c.faint}; }}
QCheckBox {{ spacing: 8px; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {c.faint}; border-radius: 3px;
  background: {c.field}; }}
QCheckBox::indicator:checked {{ background: {c.accent}; border: 1px solid {c.accent}; }}
QCheckBox::indicator:focus {{ border-color: {c.text}; }}
QToolButton#face {{ padding: 2px; min-width: 56px; min-height: 56px; }}
QComboBox QAbstractItemView {{ background: {c.raised}; border: 1px solid {c.line}; padding: 4px;
  selection-background-color: {c.accent}; selection-color: {c.on_accent}; outline: none; }}
QAbstractItemView {{ background: {c.panel}; border: none; outline: none; }}
QListWidget::item {{ padding: 4px 14px; border-left: 3px solid transparent; }}
QListWidget::item:selected {{ background: {c.raised}; color: {c.text}; border-left: 3px solid {c.accent}; }}
QTableView {{ gridline-color: transparent; selection-background-color: {c.raised};
  selection-color: {c.text}; alternate-background-color: {c.window}; }}
QTableView::item {{ padding: 0 8px; }}
QHeaderView {{ background: {c.panel}; }}
QHeaderView::section {{ background: {c.panel}; color: {c.muted}; border: none;
  border-bottom: 1px solid {c.line}; padding: 0 12px; font-size: 11px; font-weight: 600; }}
QSplitter::handle {{ background: {c.line}; }}
QSplitter::handle:horizontal {{ width: 1px; }}
QSplitter::handle:vertical {{ height: 1px; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {c.faint}; border-radius: 4px; margin: 2px; min-height: 28px;
  min-width: 28px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QMenu {{ background: {c.raised}; border: 1px solid {c.line}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px; border-radius: 3px; }}
QMenu::item:selected {{ background: {c.accent}; color: {c.on_accent}; }}
QMenu::item:disabled {{ color: {c.faint}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {c.line}; margin: 4px 8px; }}
QMenuBar {{ background: {c.panel}; border-bottom: 1px solid {c.line}; }}
QMenuBar::item {{ background: transparent; padding: 5px 10px; }}
QMenuBar::item:selected {{ background: {c.raised}; }}
QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px; }}
#banner {{ background: {c.raised}; border-bottom: 1px solid {c.warn}; }}
#rule {{ background: {c.line}; }}
"""
