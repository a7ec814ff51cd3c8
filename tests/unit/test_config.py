"""Settings: defaults, overrides, and one clear error for what is wrong."""

from pathlib import Path

import pytest

from daemon.config import Config, load_config
from daemon.paths import find_paths
from daemon.protocol.errors import RequestError


def write(home: Path, text: str) -> Path:
    """Write the settings of a home."""
    path = find_paths().config_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    config = load_config(tmp_path / "none.toml")
    assert config == Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 0)


def test_a_file_changes_only_what_it_names(home: Path) -> None:
    config = load_config(write(home, '[server]\nport = 5000\n[log]\nlevel = "debug"\n'))
    assert (config.server.host, config.server.port, config.log.level) == ("127.0.0.1", 5000, "debug")


def test_folders_in_the_settings_move_takes_and_models(home: Path) -> None:
    write(home, '[folders]\ntakes = "/fast/takes"\n')
    paths = find_paths()
    assert paths.takes == Path("/fast/takes")
    assert paths.models == home / "models"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 5000\n", "Did you mean `server.port`?"),
        ("[sever]\n", "Did you mean `server`?"),
        ("[server]\nport = 'x'\n", "server.port"),
        ("[server]\nport = 65535\n", "from 0 to 65533"),
        ("[log]\nlevel = 'loud'\n", "debug, info, warning, error"),
        ("[report]\nwebhook = 'file:///etc/passwd'\n", "a web address"),
        ("[provenance]\ncertificate = '/c.pem'\n", "belong together"),
        ("[provenance]\nalgorithm = 'rot13'\n", "es256"),
        ("[limits]\nfolders = ['footage']\n", "an absolute path"),
        ("[limits]\nworker_memory_gb = 0\n", "above 0"),
        ("server = 3\n", "server"),
        ("[server\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        load_config(path)
    assert caught.value.code == "config.invalid"
    assert words in str(caught.value)


def test_a_file_that_is_no_text_is_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError) as caught:
        load_config(path)
    assert caught.value.code == "config.invalid"
