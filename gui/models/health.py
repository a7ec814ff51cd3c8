"""What is said about the machine: its GPUs, its models, what a check of it found and what mends that."""

import json
from collections.abc import Sequence

import msgspec

from daemon.protocol.daemon_messages import ModelInfo, ModelState, WorkerInfo
from daemon.protocol.night import GpuInfo
from gui.models.command import dubwright, installer
from gui.texts import Key, text

MODEL_KEYS: dict[ModelState, Key] = {
    "missing": "model.missing",
    "incomplete": "model.incomplete",
    "unverified": "model.unverified",
    "verified": "model.verified",
    "damaged": "model.damaged",
}
WORKER_KEYS: dict[str, Key] = {
    "starting": "worker.starting",
    "idle": "worker.idle",
    "busy": "worker.busy",
    "ending": "worker.ending",
    "ended": "worker.ended",
}
_TO_GET: tuple[ModelState, ...] = ("missing", "incomplete", "damaged")
FACES = "faces"


class Finding(msgspec.Struct, frozen=True):
    """One thing that `dubwright doctor` looked at."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    state: str = "ok"

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be done."""
        return self.ok and self.state == "ok"

    def remedy(self) -> list[str]:
        """Return the command that mends it; empty where a person has to."""
        match self.name:
            case "face models":
                return dubwright("models", "get", FACES)
            case "packages":
                return installer("repair")
            case _:
                return []


def read_findings(output: Sequence[str]) -> list[Finding] | None:
    """Read what `dubwright doctor --json` printed; None when that is nothing of the kind."""
    for line in output:
        try:
            return msgspec.convert(json.loads(line)["findings"], list[Finding])
        except (ValueError, KeyError, TypeError, msgspec.ValidationError):
            continue
    return None


def gpu_text(gpu: GpuInfo) -> str:
    """Return memory, heat and load of a GPU, and who uses it."""
    used = {"used": _gigabytes(gpu.memory_used), "total": _gigabytes(gpu.memory_total)}
    words = [text("gpu.memory", **used)]
    if gpu.temperature is not None:
        words.append(text("gpu.temperature", n=gpu.temperature))
    if gpu.utilisation is not None:
        words.append(text("gpu.busy", n=gpu.utilisation))
    lines = ["   ".join(words)]
    for process in gpu.processes:
        name = text("gpu.ours") if process.is_ours else process.name or text("gpu.process", pid=process.pid)
        lines.append(name if process.memory is None else f"{name}   {_gigabytes(process.memory)}")
    return "\n".join(lines)


def model_text(model: ModelInfo) -> str:
    """Return how a model stands, and how large it is."""
    words = text(MODEL_KEYS[model.state])
    if model.bytes and model.state in _TO_GET:
        size = text("model.part", here=_gigabytes(model.bytes), all=_gigabytes(model.needed_bytes))
    else:
        size = _gigabytes(model.bytes or model.needed_bytes)
    return f"{words}   {size}"


def can_get(model: ModelInfo) -> bool:
    """Say whether there is something to download."""
    return model.state in _TO_GET


def worker_text(worker: WorkerInfo) -> str:
    """Return what a worker does and how much memory it has."""
    job = "" if worker.job_id is None else text("worker.job", id=worker.job_id)
    memory = "" if worker.rss is None else f"{worker.rss / 2**20:.0f} MB"
    key = WORKER_KEYS.get(worker.state)
    state = worker.state if key is None else text(key)
    return "   ".join(part for part in (state, job, memory) if part)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 50_000_000 else f"{size / 1e6:.1f} MB"
