"""The command: run cases, print a line for each tensor, and fail when one is outside its tolerance."""

import argparse
import sys
import time
from pathlib import Path

import torch

from wan_engine.errors import WanError
from wan_engine.parity.case import Comparison, read_case
from wan_engine.parity.kinds import find_runner


def compare_case(path: Path) -> list[Comparison]:
    """Run one case and compare all its outputs."""
    case = read_case(path)
    with torch.inference_mode():
        ours = find_runner(case)(case)
    return [case.compare(name, ours.get(name)) for name in case.outputs]


def main(arguments: list[str] | None = None) -> int:
    """Run every case named; return 0 when all are within tolerance."""
    parser = argparse.ArgumentParser(prog="python -m wan_engine.parity", description=__doc__)
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE.safetensors")
    parser.add_argument(
        "--threads", type=int, default=1, help="processor threads; one is best for small models"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(max(1, options.threads))
    return max(_report(path) for path in options.cases)


def _report(path: Path) -> int:
    start = time.perf_counter()
    try:
        comparisons = compare_case(path)
    except WanError as error:
        print(f"{path.stem}: FAILED: {error}")
        return 1
    for line in comparisons:
        print(f"{path.stem:22} {_describe(line)}".rstrip())
    failed = sum(not line.is_ok for line in comparisons)
    print(f"{path.stem:22} {len(comparisons)} tensors, {failed} failed, {time.perf_counter() - start:.1f} s")
    return int(failed > 0 or not comparisons)


def _describe(line: Comparison) -> str:
    numbers = (
        f"max abs {line.max_abs:9.3e}  relative L2 {line.relative_l2:9.3e}  tolerance {line.tolerance:9.3e}"
    )
    return f"{line.name:34} {numbers}  {'ok' if line.is_ok else 'FAILED'} {line.note}"


if __name__ == "__main__":
    sys.exit(main())
