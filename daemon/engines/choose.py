"""Which engine paints a take: the one asked for, or the best one that this machine can run."""

from daemon.engines.engine import Engine
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.protocol.errors import MachineError


def open_engine(name: str) -> Engine:
    """Return a fresh engine for one take. Raises MachineError `engine.unavailable`."""
    if name == "wan":
        raise MachineError(
            "engine.unavailable", "The wan engine needs the Wan2.2-S2V weights, which are not installed."
        )
    assert name in ("auto", "rewrite"), name
    return RewriteEngine()
