"""The daemon's own jobs, with the linear codec where a model folder's autoencoder is loaded.

Runs in the real worker process (DUBWRIGHT_RUNNER). The released autoencoder's layers need a GPU to be trained
in minutes, so the small model has a codec of its own; all else of it is loaded from its folder as always.
"""

from pathlib import Path
from typing import Any

import torch

from daemon.redub.pipeline import run_job as run_job
from tests.training.codec import LinearCodec
from wan_engine.loading import assemble
from wan_engine.vae.codec import VideoCodec


def _load_codec(name: str, path: Path, **placed: Any) -> VideoCodec:
    codec = LinearCodec()
    codec.load_state_dict(torch.load(path, weights_only=True))
    return codec.to(**placed).eval()


assemble.load_vae = _load_codec
