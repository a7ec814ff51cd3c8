"""Do on a GPU all that waits for one, in one command of under eight minutes.

    python -m tests.benchmarks.gpu_all --out FOLDER [--model FOLDER] [--training RUN] [--tiny]

In order: a whole small re-dub in bfloat16 on the GPU against float32 on the processor; 5 s re-dubbed with
random weights of the released size, resident and within 24 and 12 GB; with a model's FOLDER, what a re-dub of
it costs beside its forwards, through the product's own pipeline; the training of the small
speech-to-video model, when a RUN is given of which all but the transformer is there (`tests.training.train`
on any machine); the engine's own forwards. Each is a process with a limit of its own, and what it prints is
kept in FOLDER, so a part that fails or takes too long costs the others nothing. `--tiny` goes through all of
it on any machine.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

TOTAL_S = 470.0


class Part(NamedTuple):
    """A command, and the seconds it may take."""

    name: str
    module: str
    flags: list[str]
    limit_s: float


def parts(options: argparse.Namespace) -> list[Part]:
    """Return what is to be done, what matters most first."""
    tiny = ["--tiny"] if options.tiny else []
    out: Path = options.out
    found = [
        Part("rounding", "tests.benchmarks.gpu_rounding", [], 90),
        Part(
            "redub",
            "tests.benchmarks.gpu_redub",
            ["--capped-steps", "4", "--out", str(out / "redub.md"), *tiny],
            260,
        ),
    ]
    if options.model is not None:
        flags = ["--model", str(options.model), *(["--crop", "64", "--steps", "2"] if options.tiny else [])]
        found.append(Part("overhead", "tests.benchmarks.redub_overhead", flags, 260))
    if options.training is not None:
        device = "cpu" if options.tiny else "cuda"
        minutes = "0.1" if options.tiny else "1.5"
        flags = ["--out", str(options.training), "--device", device, "--minutes", minutes]
        found.append(Part("training", "tests.training.train", [*flags, *options.training_flags], 120))
    found.append(
        Part(
            "forwards", "tests.benchmarks.gpu", ["--seconds", "100", "--out", str(out / "gpu.md"), *tiny], 160
        )
    )
    return found


def run(part: Part, folder: Path, limit_s: float) -> str:
    """Run a part; return in words how it ended."""
    since = time.monotonic()
    with (folder / f"{part.name}.txt").open("w", encoding="utf-8") as output:
        try:
            status = subprocess.run(
                [sys.executable, "-u", "-m", part.module, *part.flags],
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=limit_s,
                check=False,
            ).returncode
            ended = "done" if status == 0 else f"failed ({status})"
        except subprocess.TimeoutExpired:
            ended = "stopped: it took too long"
    return f"{part.name:10} {ended}, {time.monotonic() - since:.0f} s"


def main() -> None:
    """Run every part and say how each ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for what the parts print")
    parser.add_argument("--model", type=Path, help="folder of the released weights, if they are here")
    parser.add_argument("--training", type=Path, help="a run of tests.training.train to go on with")
    parser.add_argument("--training-flags", nargs=argparse.REMAINDER, default=[], help="the run's own, last")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, on any machine")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + TOTAL_S
    for part in parts(options):
        left_s = end - time.monotonic()
        if left_s < 10:
            print(f"{part.name:10} left out: the time is up", flush=True)
            continue
        print(run(part, options.out, min(part.limit_s, left_s)), flush=True)


if __name__ == "__main__":
    main()
