"""The schedule of the night: hours by day, quiet hours, and what work gives way to."""

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QWidget,
)

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.messages import ScheduleReply
from daemon.protocol.night import USUAL_NIGHT, WEEKDAYS, ScheduleSettings, Weekday
from gui.link import Link
from gui.texts import Key, text
from gui.theme import GAP, colour
from gui.views.fields import Tick, number
from gui.views.parts import column, heading, muted, named, wrapped

_DAY_KEYS: dict[Weekday, Key] = {
    "mon": "day.mon",
    "tue": "day.tue",
    "wed": "day.wed",
    "thu": "day.thu",
    "fri": "day.fri",
    "sat": "day.sat",
    "sun": "day.sun",
}


class ScheduleDialog(QDialog):
    """Edits the daemon's schedule; what it refuses is said here."""

    def __init__(self, link: Link, found: ScheduleReply, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(text("night.schedule_title"))
        self.setMinimumWidth(460)
        self._link, self._old = link, found.settings
        layout = column(self)
        layout.addWidget(muted(text("night.hours_hint", usual=USUAL_NIGHT)))
        form = QFormLayout()
        form.setHorizontalSpacing(GAP * 3)
        self.days: dict[Weekday, QLineEdit] = {}
        for day in WEEKDAYS:
            field = self.days[day] = named(QLineEdit(found.settings.windows.get(day, "")), "timecode")
            field.setAccessibleName(text(_DAY_KEYS[day]))
            form.addRow(text(_DAY_KEYS[day]), field)
        self.quiet = named(QLineEdit(found.settings.quiet), "timecode")
        self.quiet.setAccessibleName(text("night.quiet"))
        form.addRow(text("night.quiet"), self.quiet)
        layout.addLayout(form)
        layout.addWidget(heading("night.give_way_title"))
        self.give_way = self._check("night.give_way", is_on=found.settings.give_way)
        self.only_when_away = self._check("night.only_when_away", is_on=found.settings.only_when_away)
        self.away_after = number(1, 24 * 60)
        self.away_after.setAccessibleName(text("night.away_after"))
        self.away_after.setValue(found.settings.away_after_min)
        self.away_after.setSuffix(" " + text("night.minutes"))
        self.on_battery = self._check("night.on_battery", is_on=found.settings.on_battery)
        rest = QFormLayout()
        for row in (self.give_way, self.only_when_away, self.on_battery):
            rest.addRow(row)
        rest.addRow(text("night.away_after"), self.away_after)
        layout.addLayout(rest)
        if found.held_back:
            layout.addWidget(muted("\n".join(found.held_back)))
        self.said = wrapped()
        self.said.setStyleSheet(f"color: {colour('bad').name()};")
        self.said.hide()
        layout.addWidget(self.said)
        buttons = QDialogButtonBox()
        self.apply = buttons.addButton(text("settings.apply"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(text("settings.cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self._send)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    def _check(self, key: Key, *, is_on: bool) -> Tick:
        box = Tick(text(key))
        box.setChecked(is_on)
        return box

    def _send(self) -> None:
        settings = ScheduleSettings(
            windows={day: field.text().strip() for day, field in self.days.items() if field.text().strip()},
            quiet=self.quiet.text().strip(),
            give_way=self.give_way.isChecked(),
            render_programs=self._old.render_programs,
            quiet_after_s=self._old.quiet_after_s,
            only_when_away=self.only_when_away.isChecked(),
            away_after_min=self.away_after.value(),
            on_battery=self.on_battery.isChecked(),
            max_temperature=self._old.max_temperature,
        )
        self._link.ask(lambda client: client.schedule(settings), lambda _: self.accept(), self._refuse)

    def _refuse(self, info: ErrorInfo) -> None:
        self.said.setText(f"{info.message} {info.hint}".strip())
        self.said.show()
