"""What any mouth does for a sound: a small network that has heard many voices say known phonemes.

It knows no face. It was trained on synthesised speech (making/), whose phonemes and so whose lips are known;
its weights lie beside this file. Letters: t rows of 10 ms, d features, n frames.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from daemon.engines.rewrite.sound import Sound

WEIGHTS = Path(__file__).with_name("prior.npz")
OUTPUTS = ("gap", "width", "tuck", "closed")
_CLIP = 4.0
_REACH = (
    33  # rows: how far the network hears to either side; beyond the ends the sound goes on as it is there
)


@dataclass(frozen=True)
class Lips:
    """The mouth of a general face, one row each 10 ms: `gap` (t,) 0 shut to 1 wide open, `width` (t,) -1
    round to 1 spread, `closed` (t,) 0..1 how surely the lips are together (p, b, m) or next to it (f, v),
    `kinds` (t, d) 0..1 how surely the sound is of each kind (visemes).
    """

    gap: np.ndarray
    width: np.ndarray
    closed: np.ndarray
    kinds: np.ndarray


def network_input(sound: Sound) -> np.ndarray:
    """Return (t, d) what the network hears: voicing, and bands relative to their mean in sound."""
    active = sound.active if sound.active.any() else np.ones(len(sound.mel), bool)
    related = (sound.mel - sound.mel[active].mean(axis=0)) / (sound.mel[active].std() + 1e-3)
    features = np.concatenate([np.clip(related, -_CLIP, _CLIP), sound.voicing[:, None]], axis=1)
    return features.astype(np.float32)


def read_lips(sound: Sound) -> Lips:
    """Return the mouth of a general face that says `sound`."""
    heard = np.pad(network_input(sound), ((_REACH, _REACH), (0, 0)), mode="edge")
    out = run(heard, _weights())[_REACH:-_REACH]
    shape, kinds = out[:, : len(OUTPUTS)], out[:, len(OUTPUTS) :]
    odds = np.exp(kinds - kinds.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    return Lips(
        np.clip(shape[:, 0], 0, 1.2),
        np.clip(shape[:, 1], -1.2, 1.2),
        1 / (1 + np.exp(-shape[:, 3])),
        odds,
    )


def run(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Return the (t, outputs) of making/train.py's network for (t, d) inputs."""
    x = np.maximum(_convolve(x, weights["first.weight"], weights["first.bias"], 1), 0)
    block = 0
    while f"wide.{block}.weight" in weights:
        step = 2**block
        y = np.maximum(_convolve(x, weights[f"wide.{block}.weight"], weights[f"wide.{block}.bias"], step), 0)
        x = x + _convolve(y, weights[f"mix.{block}.weight"], weights[f"mix.{block}.bias"], 1)
        block += 1
    return _convolve(np.maximum(x, 0), weights["last.weight"], weights["last.bias"], 1)


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, step: int) -> np.ndarray:
    """Return (t, o) of (t, i) convolved with (o, i, k), `step` rows between taps, zeros beyond the ends."""
    taps = weight.shape[2]
    reach = step * (taps // 2)
    padded = np.pad(x, ((reach, reach), (0, 0)))
    return bias + sum(padded[k * step : k * step + len(x)] @ weight[:, :, k].T for k in range(taps))


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
