"""The sounds of many shots do not fill the memory: those of the last ones are kept, others are read again."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtCore", reason="Qt or a library it needs is missing", exc_type=ImportError)

from gui.media.background import Background
from gui.models import clips as kept
from gui.models.clips import Clips
from tests.clips import make_clip

Wait = Callable[[Callable[[], object]], None]


def test_the_sound_that_was_heard_longest_ago_is_let_go_of(
    tmp_path: Path, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(make_clip(tmp_path / f"{number}.mov", count=5)) for number in range(4)]
    background = Background()
    clips = Clips(background)
    for path in paths[:3]:
        clips.listen(path)
    wait(lambda: all(clips.sound(path) for path in paths[:3]))
    clips.listen(paths[0])
    sound = clips.sound(paths[0])
    assert sound is not None
    monkeypatch.setattr(kept, "KEPT_BYTES", round(2.5 * sound.samples.nbytes))
    clips.listen(paths[3])
    wait(lambda: clips.sound(paths[3]))
    assert [clips.sound(path) is not None for path in paths] == [True, False, False, True]
    clips.listen(paths[1])
    wait(lambda: clips.sound(paths[1]))
    background.close()
