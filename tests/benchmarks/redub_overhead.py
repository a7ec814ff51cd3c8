"""What a re-dub of the wan engine costs beside the model's own forwards, and what a second take of it saves.

    python -m tests.benchmarks.redub_overhead [SHOT VOICE IN OUT] [--model FOLDER] [--crop PX] [--steps N]

Runs one job of two takes in this process, as the worker does. The thread that has the model is timed part
by part: the network's forwards, the autoencoder, checkpoints, and the rest. What other threads do in the
meantime (decoding the source, compositing, encoding) is overlapped. On a processor seconds are those of
processor time, so that a busy machine tells the same; on a GPU they are those that pass. Without a model,
tiny random networks: then only what is beside the forwards and the autoencoder means anything.
"""

import argparse
import functools
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.demo import SHOT, VOICE
from daemon.redub.progress import SilentReporter

PARTS = ("forwards", "encoder", "decoder", "checkpoints")


@dataclass
class Spent:
    """Seconds of a take, or of a chunk of it."""

    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    total: float = 0.0  # of the thread that has the model
    beside: float = 0.0  # of the other threads

    @property
    def rest(self) -> float:
        """Return what is neither the network's nor the autoencoder's."""
        return self.total - sum(self.parts[name] for name in PARTS)


class Stopwatch(SilentReporter):
    """The Reporter of a job: notes what each stage and each chunk spend, and the parts it watches."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[dict[str, Spent]] = [{}]  # of each take
        self.chunks: list[list[Spent]] = [[]]
        self._running: list[Spent] = []
        self._stage: tuple[str, float, float] | None = None

    def stage(self, name: str, total: int) -> None:
        """Begin a stage; `learn` begins a take."""
        if self._stage is not None:
            before, own, others = self._stage
            spent = self._running.pop()
            spent.total, spent.beside = clock() - own, others_clock() - others
            self.spent[-1][before] = spent
        if name == "learn" and "check" in self.spent[-1]:
            self.spent.append({})
            self.chunks.append([])
        self._running.append(Spent())
        self._stage = name, clock(), others_clock()

    def log(self, sentence: str) -> None:
        """Show the sentence."""
        print(sentence)

    def watch(self, owner: type, name: str, part: str) -> None:
        """Count the time spent in a function, or in what it yields, as that of a part."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*given: Any, **settings: Any) -> Any:
            since = clock()
            result = inner(*given, **settings)
            self._count(part, clock() - since)
            return self._timed(result, part) if isinstance(result, Iterator) else result

        setattr(owner, name, timed)

    def watch_chunks(self, owner: type, name: str) -> None:
        """Count each call of a function as a chunk."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*given: Any, **settings: Any) -> Any:
            spent, own, others = Spent(), clock(), others_clock()
            self._running.append(spent)
            result = inner(*given, **settings)
            self._running.pop()
            spent.total, spent.beside = clock() - own, others_clock() - others
            self.chunks[-1].append(spent)
            return result

        setattr(owner, name, timed)

    def _count(self, part: str, seconds: float) -> None:
        for spent in self._running:
            spent.parts[part] += seconds

    def _timed(self, items: Iterator[Any], part: str) -> Iterator[Any]:
        while True:
            since = clock()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._count(part, clock() - since)
            yield item


def clock() -> float:
    """Return this thread's processor time; on a GPU the time that has passed, once it has done its work."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.thread_time()


def others_clock() -> float:
    """Return the processor time of all other threads."""
    return time.process_time() - time.thread_time()


def main() -> None:
    """Run the job and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shot", nargs="*", default=[SHOT, VOICE, 20, 100], metavar="SHOT VOICE IN OUT")
    parser.add_argument("--model", type=Path, help="folder of the weights; otherwise tiny networks")
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--chunk", type=int, default=40, help="frames")
    options = parser.parse_args()
    source, voice, first, stop = options.shot
    with tempfile.TemporaryDirectory() as folder:
        link_face_models(Path(folder))
        os.environ["DUBWRIGHT_HOME"] = folder
        measure(Path(folder), source, voice, range(int(first), int(stop)), options)


def link_face_models(home: Path) -> None:
    """Let a home of its own see the face models that are installed."""
    from daemon.faces.mesh import models_folder

    (home / "models").mkdir()
    (home / "models" / "faces").symlink_to(models_folder(), target_is_directory=True)


def measure(folder: Path, source: str, voice: str, frames: range, options: argparse.Namespace) -> None:
    """Run one job of two takes; print what it spent where."""
    import torch

    from daemon.engines.wan import WanEngine
    from daemon.protocol.jobs import RedubSpec
    from daemon.redub.pipeline import redub
    from daemon.worker.checkpoint import Checkpoints
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny
    from wan_engine.transformer.s2v import SpeechTransformer
    from wan_engine.vae.codec import VideoCodec

    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # so that its processor time is all of the arithmetic's
    model = options.model or folder / "tiny"
    if options.model is None:
        write_tiny(model, find_task("s2v-14B"))
    watch = Stopwatch()
    watch.watch(SpeechTransformer, "forward", "forwards")
    watch.watch(VideoCodec, "encode_pieces", "encoder")
    watch.watch(VideoCodec, "decode_chunks", "decoder")
    watch.watch(Checkpoints, "save", "checkpoints")
    watch.watch_chunks(WanEngine, "render")
    spec = RedubSpec(
        str(Path(source).absolute()), str(Path(voice).absolute()), frames.start, frames.stop, engine="wan",
        model=str(Path(model).absolute()), takes=2, crop=options.crop, steps=options.steps,
        chunk=options.chunk, dest=str(folder / "takes"),
    )  # fmt: skip
    redub(spec, work=folder / "work", job_id="overhead", reporter=watch)
    watch.stage("", 0)
    show(watch)


def show(watch: Stopwatch) -> None:
    """Print each take's stages, and its chunks."""
    rests = []
    for number, (stages, chunks) in enumerate(zip(watch.spent, watch.chunks, strict=True), start=1):
        total = sum(spent.total for spent in stages.values())
        rests.append(total - sum(spent.parts["forwards"] for spent in stages.values()))
        print(
            f"take {number}: {total:.1f} s, beside the forwards {rests[-1]:.1f} s ({rests[-1] / total:.0%})"
        )
        for name, spent in stages.items():
            print(f"  {name:8} {describe(spent)}")
        for place, spent in enumerate(chunks, start=1):
            print(f"  chunk {place}  {describe(spent)}")
    print(f"the second take costs {1 - rests[1] / rests[0]:.0%} less beside the forwards")


def describe(spent: Spent) -> str:
    """Return where the time went, in words."""
    parts = [f"{name} {spent.parts[name]:.2f}" for name in PARTS if spent.parts[name] >= 0.005]
    return ", ".join([*parts, f"rest {spent.rest:.2f}", f"overlapped {spent.beside:.2f}"])


if __name__ == "__main__":
    main()
