"""A machine short of memory: the real jobs, in a worker whose networks refuse large crops.

Runs in the real worker process (DUBWRIGHT_RUNNER). A forward over more latents than MOST raises what torch
raises when a GPU is full.
"""

from typing import Any

import torch
from torch import Tensor

from daemon.redub.pipeline import run_job as run_job
from wan_engine.transformer.s2v import SpeechTransformer

MOST = 8  # latents, the side of a crop of 64 pixels

_forward = SpeechTransformer.forward


def _forward_while_there_is_room(self: SpeechTransformer, latent_BCfhw: Tensor, *given: Any) -> Tensor:
    if latent_BCfhw.shape[-1] > MOST:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return _forward(self, latent_BCfhw, *given)


SpeechTransformer.forward = _forward_while_there_is_room
