"""Every sentence is there in both languages, with the same blanks, and is used."""

import re
import string
from pathlib import Path

import gui
from gui.texts import CHINESE, ENGLISH

_CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in Path(gui.__file__).parent.rglob("*.py")
    if path.parent.name != "texts"
)
_USED = set(re.findall(r'"([a-z]+\.[a-z_0-9]+)"', _CODE)) - {"app.json"}


def test_both_languages_have_the_same_sentences_and_blanks() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    for key, english in ENGLISH.items():
        assert _blanks(english) == _blanks(CHINESE[key]), key
        assert CHINESE[key], key


def test_every_sentence_is_used_and_every_used_one_is_there() -> None:
    families = {key.partition(".")[0] for key in ENGLISH}
    wanted = {key for key in _USED if key.partition(".")[0] in families}
    errors = {"daemon.unreachable", "daemon.refused", "source.unreadable"}
    assert wanted - errors == set(ENGLISH)


def _blanks(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
