"""What a re-dub of the wan engine costs beside the model's own forwards, and what a second take of it saves.

    python -m tests.benchmarks.redub_overhead [SHOT VOICE IN OUT] [--model FOLDER] [--crop PX] [--steps N]

Runs one job of two takes in this process, as the worker does, and prints for each take how long the
network's forwards took, the autoencoder, and all the rest: tracking, compositing, encoding, checkpoints,
checks. Without a model, tiny random networks: then only the seconds beside the forwards mean anything.
"""

import argparse
import functools
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from daemon.demo import SHOT, VOICE

STAGES_OF_A_TAKE = ("learn", "engine", "deliver", "check")
PARTS = ("forwards", "encoder", "decoder", "checkpoints")


class Stopwatch:
    """The Reporter of a job: notes what each take spends in which stage, and in the parts it watches."""

    def __init__(self) -> None:
        self.takes: list[dict[str, float]] = [defaultdict(float)]
        self._stage, self._since = "", time.perf_counter()

    def picture(self, width: int, height: int) -> None:
        """Ignore the size."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage; `learn` begins a take."""
        now = time.perf_counter()
        if self._stage:
            self.takes[-1][self._stage] += now - self._since
        if name == "learn" and "check" in self.takes[-1]:
            self.takes.append(defaultdict(float))
        self._stage, self._since = name, now

    def frames(self, done: int) -> None:
        """Ignore the progress."""

    def log(self, sentence: str) -> None:
        """Show the sentence."""
        print(sentence)

    def preview(self, make: Callable[[], Any]) -> None:
        """Ignore the preview."""

    def watch(self, owner: type, name: str, part: str) -> None:
        """Count the time spent in a function, or in what it yields, as that of a part."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*given: Any, **settings: Any) -> Any:
            wait_for_device()
            since = time.perf_counter()
            result = inner(*given, **settings)
            wait_for_device()
            self.takes[-1][part] += time.perf_counter() - since
            return self._timed(result, part) if isinstance(result, Iterator) else result

        setattr(owner, name, timed)

    def _timed(self, items: Iterator[Any], part: str) -> Iterator[Any]:
        while True:
            since = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                wait_for_device()
                self.takes[-1][part] += time.perf_counter() - since
            yield item


def wait_for_device() -> None:
    """Wait until a GPU has done all it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Run the job and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shot", nargs="*", default=[SHOT, VOICE, 20, 100], metavar="SHOT VOICE IN OUT")
    parser.add_argument("--model", type=Path, help="folder of the weights; otherwise tiny networks")
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    source, voice, first, stop = options.shot
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DUBWRIGHT_HOME"] = folder
        measure(Path(folder), source, voice, range(int(first), int(stop)), options)


def measure(folder: Path, source: str, voice: str, frames: range, options: argparse.Namespace) -> None:
    """Run one job of two takes; print what it spent where."""
    from daemon.protocol.jobs import RedubSpec
    from daemon.redub.pipeline import redub
    from daemon.worker.checkpoint import Checkpoints
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny
    from wan_engine.transformer.s2v import SpeechTransformer
    from wan_engine.vae.codec import VideoCodec

    model = options.model or folder / "tiny"
    if options.model is None:
        write_tiny(model, find_task("s2v-14B"))
    watch = Stopwatch()
    watch.watch(SpeechTransformer, "forward", "forwards")
    watch.watch(VideoCodec, "encode_pieces", "encoder")
    watch.watch(VideoCodec, "decode_chunks", "decoder")
    watch.watch(Checkpoints, "save", "checkpoints")
    spec = RedubSpec(
        str(Path(source).absolute()), str(Path(voice).absolute()), frames.start, frames.stop, engine="wan",
        model=str(Path(model).absolute()), takes=2, crop=options.crop, steps=options.steps,
        dest=str(folder / "takes"),
    )  # fmt: skip
    redub(spec, work=folder / "work", job_id="overhead", reporter=watch)
    watch.stage("", 0)
    show(watch.takes)


def show(takes: list[dict[str, float]]) -> None:
    """Print the takes beside each other."""
    names = [*dict.fromkeys(name for take in takes for name in take)]
    stages = [name for name in names if name not in PARTS]
    rests = []
    for number, take in enumerate(takes, start=1):
        total = sum(take[stage] for stage in stages)
        rest = total - take["forwards"]
        rests.append(rest)
        print(f"take {number}: {total:.1f} s, forwards {take['forwards']:.1f} s, beside them {rest:.1f} s "
              f"({rest / total:.0%} of the job)")  # fmt: skip
        print("  stages: " + ", ".join(f"{stage} {take[stage]:.1f}" for stage in stages if take[stage]))
        print("  of them: " + ", ".join(f"{part} {take[part]:.1f}" for part in PARTS[1:]))
    print(f"the second take costs {1 - rests[1] / rests[0]:.0%} less beside the forwards")


if __name__ == "__main__":
    main()
