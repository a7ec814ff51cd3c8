"""Which engine paints a take: the one asked for, or the best one that this machine can run."""

from daemon.engines.engine import Engine
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.engines.wan_settings import model_side
from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import RedubSpec


def open_engine(spec: RedubSpec) -> Engine:
    """Return a fresh engine for one take. Raises MachineError `engine.unavailable`."""
    if spec.engine != "wan":
        return RewriteEngine()
    try:
        from daemon.engines.wan import open_wan  # it needs torch, which only this engine does
    except ModuleNotFoundError as error:
        raise MachineError(
            "engine.unavailable",
            f"The wan engine needs {error.name}, which is not installed.",
            hint="Install the extra `engine` of dubwright, or use --engine rewrite, which needs no weights.",
        ) from error
    return open_wan(spec)


def crop_size_for(spec: RedubSpec, native: int) -> int:
    """Return the side of the crops an engine works on; `native` is as fine as the source."""
    return model_side(native, spec.crop) if spec.engine == "wan" else native
