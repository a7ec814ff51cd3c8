"""What the plugin tells a person when something cannot be done."""

from __future__ import annotations


class PluginError(Exception):
    """One sentence that says what and why, and a hint what to do next; `code` is stable."""

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
