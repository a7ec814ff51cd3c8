"""What a pipeline is made of: networks that are lent for as long as they are needed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from wan_engine.sampling.experts import Experts, Lease
from wan_engine.specs import TaskSpec
from wan_engine.transformer.model import Transformer
from wan_engine.vae.codec import VideoCodec


@dataclass(frozen=True)
class Parts:
    """The parts of one task. Each lease brings a network to its device and takes it away again."""

    task: TaskSpec
    transformers: tuple[
        Lease[Transformer], ...
    ]  # the low-noise and the high-noise expert, or the only network
    vae: Lease[VideoCodec]
    encode_text: Callable[[str], Tensor]  # a prompt to its features [l, text_dim]
    encode_speech: Callable[[Tensor], Tensor] | None = None  # 16 kHz mono samples to hidden states [25, T, C]
    device: torch.device | str = "cpu"  # of the latents

    tokens: ProcessGroup | None = None  # devices that share every forward's tokens
    branches: ProcessGroup | None = None  # two devices that share the guidance's two forwards
    is_roomy: bool = False  # the device holds all networks of a job together

    def experts(self) -> Experts:
        """Return the networks as a context that holds one of them at a time."""
        return Experts(self.transformers)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Keep all networks on the device for a job of several pieces, where there is room for them."""
        with ExitStack() as stack:
            for lease in (*self.transformers, self.vae) if self.is_roomy else ():
                stack.enter_context(lease())
            yield


def draw_noise(shape: tuple[int, ...], seed: int, device: torch.device | str) -> Tensor:
    """Return float32 noise. Drawn on the processor, so that a seed means the same picture on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)
