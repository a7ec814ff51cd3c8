"""Speaks, listens, trains and writes prior.npz: `python -m daemon.engines.rewrite.making [FILE]`."""

import argparse
from pathlib import Path

import numpy as np
import torch

from daemon.engines.rewrite.making.examples import Example, make_example
from daemon.engines.rewrite.making.train import Network, train
from daemon.engines.rewrite.making.voices import HELD_OUT, say_all
from daemon.engines.rewrite.prior import WEIGHTS

_TEXT_SEED, _SEED = 1, 5
_ROOMS = 2  # recordings made of each line


def main() -> None:
    """Write the weights to the file given, or beside prior.py, and print what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=WEIGHTS)
    file = parser.parse_args().file
    rng = np.random.default_rng(_SEED)
    learned, unknown = [], []
    for line in say_all(_TEXT_SEED):
        print(f"\r{len(learned) + len(unknown)} examples, {line.voice:24s}", end="", flush=True)
        if line.voice in HELD_OUT:
            unknown.append(make_example(line.speech, rng))
        else:
            learned += [make_example(line.speech, rng) for _ in range(_ROOMS)]
    network = train(learned, _SEED)
    weights = {name: value.numpy().astype(np.float16) for name, value in network.state_dict().items()}
    np.savez_compressed(file, allow_pickle=False, **weights)
    print(f"{file}: {file.stat().st_size} bytes; voices it never heard: {worth(network, unknown)}")


def worth(network: Network, examples: list[Example]) -> str:
    """Return how well the mouth is known from the sound of `examples`, for people."""
    with torch.no_grad():
        out = [network(torch.from_numpy(example.heard.T[None]))[0].T.numpy() for example in examples]
    found, real = np.concatenate(out), np.concatenate([example.shape for example in examples])
    gap, width = (np.corrcoef(found[:, column], real[:, column])[0, 1] for column in (0, 1))
    said, closed = found[:, 3] > 0, real[:, 3] > 0.5
    hits = (said & closed).sum()
    return (
        f"aperture {gap:.2f}, width {width:.2f}, closures found {hits / closed.sum():.0%}, "
        f"of those found real {hits / max(said.sum(), 1):.0%}"
    )


if __name__ == "__main__":
    main()
