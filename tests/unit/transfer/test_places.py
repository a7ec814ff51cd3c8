"""Paths of one machine in the words of another."""

from daemon.transfer.inbox import plain_name
from daemon.transfer.places import Places, moved

ROOT = "/srv/dubwright/paired/1f"


def test_a_path_moves_with_its_folder_between_systems() -> None:
    assert moved("/mnt/footage/a/b.mov", "/mnt/footage", "D:\\Footage") == "D:\\Footage\\a\\b.mov"
    assert moved("D:\\Footage\\a\\b.mov", "D:\\Footage", "/mnt/footage/") == "/mnt/footage/a/b.mov"
    assert moved("/mnt/footage", "/mnt/footage/", "/v") == "/v"
    assert moved("/mnt/footage2/a.mov", "/mnt/footage", "/v") is None
    assert moved("/mnt/footage/../../etc/passwd", "/mnt/footage", "/v") is None
    assert moved("/mnt/footage/a\\..\\..\\x", "/mnt/footage", "D:\\v") is None


def test_every_path_in_a_message_is_translated_also_in_sentences() -> None:
    files = {f"{ROOT}/media/ab/line 1.wav": "/home/ada/line 1.wav"}
    places = Places(ROOT, files, [(f"{ROOT}/takes/x", "/home/ada/takes"), ("/srv/share", "/Volumes/share")])
    said = {
        "spec": {"voice": f"{ROOT}/media/ab/line 1.wav", "dest": f"{ROOT}/takes/x", "in": 3},
        "takes": [{"path": f"{ROOT}/takes/x/a.mov"}],
        "message": f"There is no file {ROOT}/media/ab/line 1.wav.",
        "other": "/srv/share/a b.mov",
    }
    assert places.translate(said) == {
        "spec": {"voice": "/home/ada/line 1.wav", "dest": "/home/ada/takes", "in": 3},
        "takes": [{"path": "/home/ada/takes/a.mov"}],
        "message": "There is no file /home/ada/line 1.wav.",
        "other": "/Volumes/share/a b.mov",
    }


def test_a_name_from_elsewhere_stays_in_its_folder() -> None:
    for name in ("..", "/etc/passwd", "a/../../b", "C:\\x", "", "con\0.mov", "x" * 500 + ".mov", "夜" * 200):
        plain = plain_name(name)
        assert plain not in ("", ".", "..")
        assert not set(plain) & set("/\\:\0")
        assert len(plain.encode()) <= 200
    assert plain_name("line 12 (final).wav") == "line 12 (final).wav"
