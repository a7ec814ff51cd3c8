"""Trains the network of prior.py. Its layers here and there are the same; torch is needed only here."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from daemon.engines.rewrite.making.examples import KINDS, Example
from daemon.engines.rewrite.prior import OUTPUTS

_WIDTH, _BLOCKS = 80, 5
_CUT = 250  # rows of an example that are seen at once
_BATCH, _STEPS = 16, 5000
_LEARNING_RATE = 2e-3


class Network(nn.Module):
    """Convolutions over time, reaching 330 ms to either side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, _WIDTH, 5, padding=2)
        self.wide = nn.ModuleList(
            nn.Conv1d(_WIDTH, _WIDTH, 3, padding=2**block, dilation=2**block) for block in range(_BLOCKS)
        )
        self.mix = nn.ModuleList(nn.Conv1d(_WIDTH, _WIDTH, 1) for _ in range(_BLOCKS))
        self.last = nn.Conv1d(_WIDTH, len(OUTPUTS) + len(KINDS), 1)

    def forward(self, x_BDT: Tensor) -> Tensor:
        x_BDT = functional.relu(self.first(x_BDT))
        for wide, mix in zip(self.wide, self.mix, strict=True):
            x_BDT = x_BDT + mix(functional.dropout(functional.relu(wide(x_BDT)), 0.1, self.training))
        return self.last(functional.relu(x_BDT))


def train(examples: list[Example], seed: int) -> Network:
    """Return a network trained on the examples, the same for the same seed on the same machine."""
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(examples[0].heard.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=_STEPS)
    for step in range(_STEPS):
        loss = _loss(network, *_batch(examples, rng))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1} of {_STEPS}, loss {float(loss.detach()):.3f}", flush=True)
    return network.eval()


def _loss(network: Network, heard: Tensor, shape: Tensor, kind: Tensor) -> Tensor:
    out = network(heard)
    continuous = functional.mse_loss(out[:, :3], shape[:, :3])
    closed = functional.binary_cross_entropy_with_logits(out[:, 3], shape[:, 3])
    return 10 * continuous + closed + 0.3 * functional.cross_entropy(out[:, len(OUTPUTS) :], kind)


def _batch(examples: list[Example], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    heard, shape, kind = [], [], []
    for number in rng.integers(len(examples), size=_BATCH):
        example = examples[number]
        start = rng.integers(max(1, len(example.kind) - _CUT))
        part = slice(start, start + _CUT)
        short = _CUT - len(example.kind[part])
        heard.append(np.pad(example.heard[part], ((0, short), (0, 0))))
        shape.append(np.pad(example.shape[part], ((0, short), (0, 0))))
        kind.append(np.pad(example.kind[part], (0, short), constant_values=len(KINDS) - 1))
    return (
        torch.from_numpy(np.stack(heard)).transpose(1, 2).float(),
        torch.from_numpy(np.stack(shape)).transpose(1, 2).float(),
        torch.from_numpy(np.stack(kind)).long(),
    )
