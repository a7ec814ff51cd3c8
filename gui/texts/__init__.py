"""Every sentence the app says, in English and in Simplified Chinese: one file a page."""

from gui.texts import batch, queue, shots, status, takes, window

Key = str

_PAGES = (window, shots, takes, queue, batch, status)
ENGLISH: dict[Key, str] = {key: said for page in _PAGES for key, said in page.ENGLISH.items()}
CHINESE: dict[Key, str] = {key: said for page in _PAGES for key, said in page.CHINESE.items()}
LANGUAGES = {"en": ENGLISH, "zh": CHINESE}

_current = ENGLISH


def text(key: Key, /, **values: object) -> str:
    """Return a sentence in the language in use, its `{names}` filled in."""
    found = _current[key]
    return found.format(**values) if values else found


def set_language(name: str) -> None:
    """Use another language from now on: "en" or "zh"."""
    global _current
    _current = LANGUAGES[name]
