"""How long the wan engine will take on a processor: its arithmetic, over what this machine was timed at."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from wan_engine.loading.models import vae_width
from wan_engine.shapes import MOTION_LATENTS, TEMPORAL_STRIDE, speech_tokens, token_grid
from wan_engine.specs import TransformerSpec
from wan_engine.transformer.flops import forward_flops
from wan_engine.vae.flops import PREFIX_LATENTS, codec_flops

_STRIDE = 8  # pixels to a latent
_SIDE, _ROUNDS = 768, 3  # of the timed product


def cpu_estimate(spec: TransformerSpec, vae: Path, side: int, made: Sequence[int], forwards: int) -> str:
    """Return the time for chunks of `made` frames with so many forwards each, in words: "about 40 hours".

    `vae`: the autoencoder's file.
    """
    operations = sum(_forward(spec, side, frames) for frames in made) * forwards
    width = vae_width(vae)
    operations += sum(_coding(width, side, frames) for frames in made)
    return in_words(operations / _operations_per_second())


def in_words(seconds: float) -> str:
    """Return a time as a person would say it."""
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return "some minutes" if seconds >= 60 else "less than a minute"


def _forward(spec: TransformerSpec, side: int, frames: int) -> int:
    shape = (frames // TEMPORAL_STRIDE, side // _STRIDE, side // _STRIDE)
    return forward_flops(spec, token_grid(shape), tokens=speech_tokens(shape, has_motion=True))


def _coding(width: int, side: int, frames: int) -> float:
    """Return the operations of encoding a chunk with its motion, and of decoding it."""
    latents = frames / TEMPORAL_STRIDE
    return codec_flops(
        width,
        (side // _STRIDE) ** 2,
        encoded=latents + MOTION_LATENTS,
        decoded=latents + PREFIX_LATENTS,
    )


def _operations_per_second() -> float:
    matrix = torch.rand(_SIDE, _SIDE)
    _ = matrix @ matrix
    start = time.perf_counter()
    for _round in range(_ROUNDS):
        _ = matrix @ matrix
    return _ROUNDS * 2 * _SIDE**3 / (time.perf_counter() - start)
