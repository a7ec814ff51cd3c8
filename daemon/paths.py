"""Where things lie on this machine: data, settings, cache, logs, models.

The folders are the platform's own (platformdirs); `DUBWRIGHT_HOME` moves them all under one folder, for tests
and for a portable installation.
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from daemon.config import load_config
from daemon.protocol.errors import MachineError

APP_NAME = "dubwright"
HOME_VARIABLE = "DUBWRIGHT_HOME"


@dataclass(frozen=True)
class Paths:
    """Every folder and file the daemon and its clients share."""

    data: Path
    config: Path
    cache: Path
    logs: Path
    models: Path
    takes: Path  # of jobs that name no `dest`

    @property
    def config_file(self) -> Path:
        """Return the user's settings (TOML); it need not exist."""
        return self.config / "config.toml"

    @property
    def keys_file(self) -> Path:
        """Return the CURVE keys of the daemon and its clients, readable by the owner alone."""
        return self.config / "keys.json"

    @property
    def paired_file(self) -> Path:
        """Return the list of machines that may use this daemon from afar; it need not exist."""
        return self.config / "paired.json"

    @property
    def hosts(self) -> Path:
        """Return the folder of what is known of daemons on other machines, a file a daemon."""
        return self.config / "hosts"

    @property
    def paired(self) -> Path:
        """Return the folder of paired machines' media and takes, one folder a machine."""
        return self.data / "paired"

    @property
    def fetched(self) -> Path:
        """Return the folder of what is known of files that went to other machines or came from there."""
        return self.data / "fetched"

    @property
    def schedule_file(self) -> Path:
        """Return the schedule of the night (JSON); it need not exist."""
        return self.config / "schedule.json"

    @property
    def reports(self) -> Path:
        """Return the folder of the mornings' reports."""
        return self.data / "reports"

    @property
    def lock_file(self) -> Path:
        """Return the file whose lock the one running daemon holds."""
        return self.data / "daemon.lock"

    @property
    def endpoint_file(self) -> Path:
        """Return the file in which the running daemon says where it listens."""
        return self.data / "endpoint.json"

    @property
    def queue_file(self) -> Path:
        """Return the SQLite file of the job queue."""
        return self.data / "queue.sqlite"

    @property
    def work(self) -> Path:
        """Return the folder of checkpoints, one folder a job."""
        return self.data / "work"

    @property
    def server_log(self) -> Path:
        """Return the server's log."""
        return self.logs / "server.log"

    def make(self) -> None:
        """Create the folders, closed to other users. Raises MachineError `home.unwritable`."""
        for folder in (self.data, self.config, self.cache, self.logs, self.models):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise MachineError(
                    "home.unwritable", f"The folder {folder} cannot be made: {error.strerror}."
                ) from error


def find_paths() -> Paths:
    """Return this user's paths, or those under `DUBWRIGHT_HOME` when it is set, as the settings change them.

    Raises RequestError `config.invalid`.
    """
    usual = _usual_paths()
    folders = load_config(usual.config_file).folders
    return dataclasses.replace(
        usual,
        takes=Path(folders.takes).expanduser() if folders.takes else usual.takes,
        models=Path(folders.models).expanduser() if folders.models else usual.models,
    )


def _usual_paths() -> Paths:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        root = Path(home).expanduser().absolute()
        data, config, cache, logs = (root / name for name in ("data", "config", "cache", "logs"))
        return Paths(data, config, cache, logs, root / "models", data / "takes")
    import platformdirs  # not at the top: 25 ms that a moved home need not spend

    dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
    data = dirs.user_data_path
    config, cache, logs = dirs.user_config_path, dirs.user_cache_path, dirs.user_log_path
    return Paths(data, config, cache, logs, data / "models", data / "takes")
