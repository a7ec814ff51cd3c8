"""The player with its controls: picture, strip, transport, timecode, and the keys that drive them."""

from collections.abc import Callable
from fractions import Fraction

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from daemon.protocol.timecode import clip_timecode
from gui.media.player import Player
from gui.media.sound_output import SoundDevices
from gui.models.mode import MODE_KEYS, NEEDS_ALPHA, Mode
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.icons import icon
from gui.views.parts import named, on_key
from gui.views.strip import Strip
from gui.views.viewer import Viewer

_MODE_KEYS = {
    Mode.TAKE: "1",
    Mode.ORIGINAL: "2",
    Mode.SIDE: "3",
    Mode.WIPE: "4",
    Mode.DIFFERENCE: "5",
    Mode.OVERLAY: "6",
    Mode.MASK: "7",
}

_ICON = 16  # px
_SETTLE_MS = 100  # until the window is drawn


class PlayerPanel(QWidget):
    """A viewer, a strip and a transport bar around one player."""

    volume_chosen = Signal(float)

    def __init__(self, strip: Strip, *, has_modes: bool) -> None:
        super().__init__()
        self.player = Player(self)
        self._devices = SoundDevices(self)
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._devices.watch)
        self.viewer = Viewer(self.player)
        self.strip = strip
        self.timecode_start: str | None = None
        self.first_frame = 0  # number, in its clip, of the player's first frame
        self._mode = Mode.TAKE
        self._modes = QButtonGroup(self)
        self._icons: dict[QToolButton, str] = {}
        self._mode_buttons: dict[Mode, QToolButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._mode_bar = self._make_mode_bar() if has_modes else None
        if self._mode_bar is not None:
            layout.addWidget(self._mode_bar)
        layout.addWidget(self.viewer, 1)
        layout.addWidget(strip)
        layout.addWidget(self._make_transport())
        self._connect()
        self._make_keys()
        self.refresh_icons()
        self._show_position(0)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Once the window is there, see where sound goes to."""
        self._settle.start()

    def refresh_icons(self) -> None:
        """Draw the icons in the colours of the theme."""
        for button, name in self._icons.items():
            button.setIcon(icon(name, colour("text"), colour("faint")))
        self._speaker.setPixmap(icon("sound", colour("muted"), colour("faint")).pixmap(_ICON, _ICON))

    def set_mode(self, mode: Mode) -> None:
        """Show the pictures in another way."""
        button = self._mode_buttons[mode]
        if button.isEnabled():
            button.setChecked(True)
            self._mode = mode
            self.viewer.set_mode(mode)

    def show_modes(self, *, is_shown: bool) -> None:
        """Show or hide the bar of modes; with it, show what it says."""
        assert self._mode_bar is not None
        self._mode_bar.setVisible(is_shown)
        if is_shown:
            self.viewer.set_mode(self._mode)

    def show_position(self) -> None:
        """Write the timecode anew, after `timecode_start` or `first_frame` changed."""
        self._show_position(self.player.position)

    def refresh_modes(self) -> None:
        """Offer what the loaded pictures allow."""
        has_both = {"original", "take"} <= set(self.player.decoders)
        for mode, button in self._mode_buttons.items():
            is_possible = bool(self.player.tracks) and (
                mode is Mode.TAKE or (has_both and (mode not in NEEDS_ALPHA or self.viewer.has_alpha))
            )
            button.setEnabled(is_possible)
            hint = text("mode.key", name=text(MODE_KEYS[mode]), key=_MODE_KEYS[mode])
            button.setToolTip(hint if is_possible or mode not in NEEDS_ALPHA else text("mode.no_alpha"))

    def _make_mode_bar(self) -> QWidget:
        bar = named(QWidget(), "panel")
        row = QHBoxLayout(bar)
        row.setContentsMargins(GAP, 6, GAP, 6)
        row.setSpacing(4)
        for mode, key in MODE_KEYS.items():
            button = QToolButton()
            button.setText(text(key))
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, mode=mode: self.set_mode(mode))
            self._modes.addButton(button)
            self._mode_buttons[mode] = button
            row.addWidget(button)
        self._mode_buttons[Mode.TAKE].setChecked(True)
        row.addStretch(1)
        fit = QToolButton()
        fit.setText(text("viewer.fit"))
        fit.setToolTip(text("viewer.fit_hint"))
        fit.clicked.connect(self.viewer.fit)
        pixels = QToolButton()
        pixels.setText("1:1")
        pixels.setToolTip(text("viewer.pixels_hint"))
        pixels.clicked.connect(lambda: self.viewer.zoom_to(1.0))
        row.addWidget(fit)
        row.addWidget(pixels)
        return bar

    def _make_transport(self) -> QWidget:
        bar = named(QWidget(), "transport")
        row = QHBoxLayout(bar)
        row.setContentsMargins(GAP * 2, 6, GAP * 2, 6)
        row.setSpacing(4)
        self._timecode = named(QLabel(), "timecode")
        self._timecode.setToolTip(text("transport.timecode"))
        row.addWidget(self._timecode, 1)
        player = self.player
        row.addWidget(self._button("first", "transport.first", lambda: player.seek(player.in_)))
        row.addWidget(self._button("back", "transport.back", lambda: player.step(-1)))
        self._play = self._button("play", "transport.play", player.toggle)
        row.addWidget(self._play)
        row.addWidget(self._button("on", "transport.on", lambda: player.step(1)))
        row.addWidget(self._button("last", "transport.last", lambda: player.seek(player.out - 1)))
        self._loop = self._button("loop", "transport.loop", self._set_loop)
        self._loop.setCheckable(True)
        self._loop.setChecked(True)
        row.addWidget(self._loop)
        row.addWidget(self._make_right_side(), 1)
        return bar

    def _make_right_side(self) -> QWidget:
        side = QWidget()
        row = QHBoxLayout(side)
        row.setContentsMargins(0, 0, 0, 0)
        self._speed = named(QLabel(), "muted")
        self._speaker = QLabel()
        row.addStretch(1)
        row.addWidget(self._speed)
        self._volume = QSlider(Qt.Orientation.Horizontal)
        self._volume.setRange(0, 100)
        self._volume.setValue(100)
        self._volume.setMaximumWidth(90)
        self._volume.setAccessibleName(text("transport.volume"))
        self._volume.valueChanged.connect(self._choose_volume)
        row.addWidget(self._speaker)
        row.addWidget(self._volume)
        self._show_device()
        return side

    def set_volume(self, volume: float) -> None:
        """Set the loudness, 0 to 1."""
        self._volume.setValue(round(volume * 100))

    def _choose_volume(self, value: int) -> None:
        self.player.set_volume(value / 100)
        self.volume_chosen.emit(value / 100)

    def _on_device(self) -> None:
        self._show_device()
        self.player.renew_sound()

    def _show_device(self) -> None:
        has_any = self._devices.has_any
        self._volume.setEnabled(has_any)
        self._volume.setToolTip(text("transport.volume" if has_any else "transport.no_device"))

    def _button(self, name: str, hint: Key, act: Callable[[], object]) -> QToolButton:
        button = QToolButton()
        button.setToolTip(text(hint))
        button.setAccessibleName(text(hint))
        self._icons[button] = name
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _=False: act())
        return button

    def _connect(self) -> None:
        player = self.player
        player.position_changed.connect(self._show_position)
        player.position_changed.connect(self.strip.show_position)
        player.speed_changed.connect(self._show_speed)
        player.opened.connect(lambda _name: (self.refresh_modes(), self.viewer.update()))
        player.range_changed.connect(self._show_range)
        self._devices.changed.connect(self._on_device)
        self.strip.sought.connect(player.seek)

    def _make_keys(self) -> None:
        player = self.player
        keys: dict[str, Callable[[], object]] = {
            "Space": self._press_space,
            "J": lambda: player.shuttle(-1),
            "K": player.stop,
            "L": lambda: player.shuttle(1),
            "Left": lambda: player.step(-1),
            "Right": lambda: player.step(1),
            "Shift+Left": lambda: player.step(-round(player.rate)),
            "Shift+Right": lambda: player.step(round(player.rate)),
            "Home": lambda: player.seek(player.in_),
            "End": lambda: player.seek(player.out - 1),
            "F": self.viewer.fit,
            "Ctrl+L": self._loop.click,
        }
        for key, act in keys.items():
            on_key(self, key, act)
        if self._mode_bar is not None:  # hidden, it has no keys
            for mode, key in _MODE_KEYS.items():
                on_key(self._mode_bar, key, lambda mode=mode: self.set_mode(mode))

    def _press_space(self) -> None:
        """Play; but on a button that the keyboard chose, press it."""
        focused = QApplication.focusWidget()
        if isinstance(focused, QAbstractButton):
            focused.click()
        else:
            self.player.toggle()

    def _set_loop(self) -> None:
        self.player.set_looping(self._loop.isChecked())

    def _show_position(self, frame: int) -> None:
        rate: Fraction = self.player.rate
        if self.player.count == 0:
            self._timecode.setText("--:--:--:--")
            return
        number = frame + self.first_frame
        code = clip_timecode(number, rate, self.timecode_start)
        self._timecode.setText(text("transport.at", code=code, n=number, count=self.player.count))

    def _show_speed(self, speed: int) -> None:
        self._icons[self._play] = "pause" if speed else "play"
        self.refresh_icons()
        self._speed.setText("" if speed in (0, 1) else f"{speed}×")

    def _show_range(self) -> None:
        player = self.player
        for button in self._icons:
            button.setEnabled(player.count > 0)
        self.strip.show_range(count=player.count, rate=float(player.rate), in_=player.in_, out=player.out)
        self.refresh_modes()
        self._show_position(player.position)
