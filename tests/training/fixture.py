"""Keeps a run's weights, and two voices with their mouths, for a test that needs no espeak-ng.

python -m tests.training.fixture FOLDER
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from daemon.demo.making.visemes import MouthCurve
from tests.training.heads import RATE
from tests.training.voices import Said, say

WEIGHTS = Path(__file__).resolve().parent / "weights"
NETWORKS = ("speaker", "codec", "listener")
VOICES = ("first", "second")
COUNT = 48  # frames


def read_voice(name: str) -> Said:
    """Return a voice that was kept; of its sounds only the mouth's curve is known."""
    kept = np.load(WEIGHTS / f"voice_{name}.npz")
    curve = MouthCurve(*kept["curve"].astype(np.float64))
    nothing = np.zeros(0)
    return Said(kept["samples"].astype(np.float32) / 32767, curve, nothing, nothing)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, copy and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    WEIGHTS.mkdir(exist_ok=True)
    for name in NETWORKS:
        shutil.copy(folder / f"{name}.safetensors", WEIGHTS)
    for seed, name in enumerate(VOICES):
        said = say(np.random.default_rng([seed, 9]), COUNT, RATE, is_unheard=True)
        curve = np.stack([said.curve.gap, said.curve.width, said.curve.tuck]).astype(np.float16)
        samples = np.rint(said.samples * 32767).astype(np.int16)
        np.savez_compressed(WEIGHTS / f"voice_{name}.npz", samples=samples, curve=curve)


if __name__ == "__main__":
    main()
