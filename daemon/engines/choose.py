"""Which engine paints a take: the one asked for, or the best one that this machine can run.

Also the way to the wan engine's own videos. Torch is imported when an engine that needs it is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.engines.engine import Engine
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.engines.wan_settings import model_side
from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import GenerateSpec, RedubSpec, SpeakSpec, Take
from daemon.redub.progress import Reporter


def open_engine(spec: RedubSpec) -> Engine:
    """Return a fresh engine for one take. Raises MachineError `engine.unavailable`."""
    if spec.engine != "wan":
        return RewriteEngine()
    with _needs_packages("Install the extra `engine` of dubwright, or use --engine rewrite."):
        from daemon.engines.wan import open_wan
    return open_wan(spec)


def make_videos(spec: GenerateSpec | SpeakSpec, *, work: Path, job_id: str, reporter: Reporter) -> list[Take]:
    """Make videos of the wan engine's own. Raises as daemon/engines/wan_generate.py does."""
    with _needs_packages("Install the extra `engine` of dubwright."):
        from daemon.engines import wan_generate
    if isinstance(spec, SpeakSpec):
        return wan_generate.speak(spec, work=work, job_id=job_id, reporter=reporter)
    return [wan_generate.generate(spec, work=work, job_id=job_id, reporter=reporter)]


@contextmanager
def _needs_packages(hint: str) -> Iterator[None]:
    """Turn the lack of a package that only the wan engine needs into MachineError `engine.unavailable`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MachineError(
            "engine.unavailable", f"The wan engine needs {error.name}, which is not installed.", hint=hint
        ) from error


def crop_size_for(spec: RedubSpec, native: int) -> int:
    """Return the side of the crops an engine works on; `native` is as fine as the source."""
    return model_side(native, spec.crop) if spec.engine == "wan" else native
