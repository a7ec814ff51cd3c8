"""The user's settings: `config.toml` in the configuration folder. The file and each key may be missing.

[server]
host = "127.0.0.1"    # where the daemon listens; keep it on this machine unless you know why not
port = 0              # 0: the system chooses free ports; else this one and the two after it

[remote]
listen = "192.168.1.20:47100"  # where paired machines reach this daemon, on four ports; otherwise nowhere
upload_gb = 100       # that each of them may keep here, media and takes
upload_days = 30      # media that no job needs are deleted so long after their last use

[client]
daemon = "render"     # the daemon that commands, app and editors use; otherwise the one on this machine

[folders]
takes = "/path"       # where takes go when a job names no folder
models = "/path"      # where the models lie

[wan]
model = "/path"       # folder of Wan2.2-S2V-14B; otherwise looked for in the models folder
memory_gb = 12        # of the GPU, that the engine may use; otherwise all that is free
draft_lora = "/path"  # a step-distilled LoRA, for drafts in four steps

[limits]
folders = ["/footage"]  # every path of a job must lie in one of these; otherwise any folder of yours will do
worker_memory_gb = 48   # a worker that takes more is ended; otherwise 0.9 of this machine's memory
waiting_jobs = 100000   # that may be on the queue

[history]
days = 365            # jobs that ended longer ago are forgotten, but for the newest 1000; takes stay on disk
jobs = 20000          # more are forgotten, the oldest first, unless a take of theirs is undecided

[provenance]
enabled = true        # every take carries a signed C2PA manifest; false is noted in the take's sidecar
embed = true          # inside .mov and .mp4; false: beside the take, as NAME.c2pa
certificate = "/path" # the studio's own certificate chain, leaf first, and its key, both in PEM
key = "/path"
algorithm = "es256"   # of that key

[report]
notify = true         # a desktop notification when a night's report is written
command = ["/path/to/program", "argument"]  # run with the report's path as its last argument; no shell
webhook = "https://..."                     # the report is sent there as JSON

[log]
level = "info"        # debug, info, warning or error
"""

import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from daemon.protocol.errors import RequestError

LOG_LEVELS = ("debug", "info", "warning", "error")
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")


@dataclass(frozen=True)
class ServerConfig:
    """Where the daemon listens."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class RemoteConfig:
    """Where paired machines reach the daemon, and what they may leave there."""

    listen: str | None = None
    upload_gb: float = 100.0
    upload_days: float = 30.0


@dataclass(frozen=True)
class ClientConfig:
    """Which daemon this machine's clients use; None: its own."""

    daemon: str | None = None


@dataclass(frozen=True)
class FoldersConfig:
    """Folders that are elsewhere than usual; None: the usual one (daemon/paths.py)."""

    takes: str | None = None
    models: str | None = None


@dataclass(frozen=True)
class WanConfig:
    """The wan engine's weights, and the memory it may use."""

    model: str | None = None
    memory_gb: float | None = None
    draft_lora: str | None = None


@dataclass(frozen=True)
class LimitsConfig:
    """What jobs may reach and take."""

    folders: list[str] = field(default_factory=list)
    worker_memory_gb: float | None = None
    waiting_jobs: int = 100_000


@dataclass(frozen=True)
class HistoryConfig:
    """How long the queue remembers jobs that ended."""

    days: float = 365.0
    jobs: int = 20_000


@dataclass(frozen=True)
class ProvenanceConfig:
    """Whether and as whom takes are signed."""

    enabled: bool = True
    embed: bool = True
    certificate: str | None = None
    key: str | None = None
    algorithm: str = "es256"


@dataclass(frozen=True)
class ReportConfig:
    """Who is told of a night's report. Only this file can name a program or an address."""

    notify: bool = True
    command: list[str] = field(default_factory=list)
    webhook: str | None = None


@dataclass(frozen=True)
class LogConfig:
    """How much is written to the logs."""

    level: str = "info"


@dataclass(frozen=True)
class Config:
    """All settings."""

    server: ServerConfig = field(default_factory=ServerConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)
    client: ClientConfig = field(default_factory=ClientConfig)
    folders: FoldersConfig = field(default_factory=FoldersConfig)
    wan: WanConfig = field(default_factory=WanConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    provenance: ProvenanceConfig = field(default_factory=ProvenanceConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    log: LogConfig = field(default_factory=LogConfig)


def load_config(path: Path) -> Config:
    """Read the settings, or the defaults when there is no file. Raises RequestError `config.invalid`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("config.invalid", f"The settings {path} cannot be read: {error}.") from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError("config.invalid", f"The settings {path} are not valid TOML: {error}.") from error
    return _config_from(raw, path)


def _config_from(raw: dict[str, Any], path: Path) -> Config:
    _refuse_unknown_keys(raw, Config, path, prefix="")
    for name, section in Config.__dataclass_fields__.items():
        if isinstance(raw.get(name), dict):
            _refuse_unknown_keys(raw[name], type(section.default_factory()), path, prefix=f"{name}.")  # type: ignore[misc]
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise RequestError("config.invalid", f"The settings {path} are not valid: {error}.") from error
    _check_values(config, path)
    return config


def _refuse_unknown_keys(raw: dict[str, Any], section: type, path: Path, *, prefix: str) -> None:
    known = list(section.__dataclass_fields__)
    for key in raw:
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
        hint = f"Did you mean `{prefix}{near[0]}`?" if near else f"Known here: {', '.join(known)}."
        raise RequestError("config.invalid", f"{path} has an unknown setting `{prefix}{key}`.", hint=hint)


def _check_values(config: Config, path: Path) -> None:
    if not 0 <= config.server.port <= 65533:
        raise RequestError(
            "config.invalid", f"{path}: `server.port` is {config.server.port}; it must be from 0 to 65533."
        )
    if not (config.remote.upload_gb > 0 and config.remote.upload_days > 0):
        raise RequestError(
            "config.invalid", f"{path}: `remote.upload_gb` and `remote.upload_days` must be above 0."
        )
    if config.wan.memory_gb is not None and not config.wan.memory_gb > 0:
        raise RequestError(
            "config.invalid", f"{path}: `wan.memory_gb` is {config.wan.memory_gb}; it must be above 0."
        )
    if config.report.webhook is not None and not config.report.webhook.startswith(("https://", "http://")):
        raise RequestError(
            "config.invalid",
            f"{path}: `report.webhook` is {config.report.webhook!r}; it must be a web address.",
        )
    if not (config.history.days > 0 and config.history.jobs >= 0):
        raise RequestError(
            "config.invalid", f"{path}: `history.days` must be above 0, and `history.jobs` 0 or more."
        )
    memory_gb = config.limits.worker_memory_gb
    if (memory_gb is not None and not memory_gb > 0) or config.limits.waiting_jobs < 1:
        raise RequestError(
            "config.invalid", f"{path}: `limits.worker_memory_gb` and `limits.waiting_jobs` must be above 0."
        )
    for folder in config.limits.folders:
        if not Path(folder).expanduser().is_absolute():
            raise RequestError(
                "config.invalid", f"{path}: `limits.folders` has {folder!r}; it must be an absolute path."
            )
    provenance = config.provenance
    if (provenance.certificate is None) != (provenance.key is None):
        raise RequestError(
            "config.invalid", f"{path}: `provenance.certificate` and `provenance.key` belong together."
        )
    if provenance.algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise RequestError(
            "config.invalid",
            f"{path}: `provenance.algorithm` is {provenance.algorithm!r}; it must be one of {known}.",
        )
    if config.log.level not in LOG_LEVELS:
        levels = ", ".join(LOG_LEVELS)
        raise RequestError(
            "config.invalid", f"{path}: `log.level` is {config.log.level!r}; it must be one of {levels}."
        )
