"""The training loop of every network here: stop at any step, go on later, and get the same weights.

What a step sees depends on the seed and the step's number alone, so a run that was stopped and one that was
not are the same run.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

WARM_UP = 30  # steps
LAST_RATE = 0.05  # of the learning rate, at the end
AVERAGE = 0.995  # how much of the averaged weights stays at a step
MOST_GRADIENT = 1.0
SAVE_EVERY_S = 60.0
LOG_EVERY = 25


@dataclass(frozen=True)
class Course:
    """What is to be trained, and how long."""

    name: str
    model: nn.Module
    loss: Callable[[np.random.Generator], Tensor]
    steps: int
    rate: float  # learning rate


def train(course: Course, folder: Path, *, seed: int, deadline: float, say: Callable[[str], None]) -> bool:
    """Train until the course is over or `deadline` (time.monotonic) has come; tell whether it is over.

    The model is left with the averaged weights when it is over, with the last ones before.
    """
    path = folder / f"{course.name}.pt"
    parameters = [parameter for parameter in course.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=course.rate, betas=(0.9, 0.95), weight_decay=0.01)
    averaged = [parameter.detach().clone() for parameter in parameters]
    step, losses = 0, []
    if path.exists():
        kept = torch.load(path, weights_only=True)
        step, losses = kept["step"], kept["losses"]
        course.model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        for mean, value in zip(averaged, kept["averaged"], strict=True):
            mean.copy_(value)
    saved = time.monotonic()

    def save() -> None:
        state = {"step": step, "losses": losses, "averaged": averaged}
        state |= {"model": course.model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    try:
        while step < course.steps and time.monotonic() < deadline:
            losses.append(_step(course, optimizer, parameters, averaged, seed, step))
            step += 1
            if step % LOG_EVERY == 0 or step == course.steps:
                say(f"{course.name} {step}/{course.steps}: loss {np.mean(losses[-LOG_EVERY:]):.4f}")
            if time.monotonic() - saved > SAVE_EVERY_S:
                saved = time.monotonic()
                save()
    finally:
        save()
    if step < course.steps:
        return False
    with torch.no_grad():
        for parameter, mean in zip(parameters, averaged, strict=True):
            parameter.copy_(mean)
    return True


def _step(
    course: Course, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter],
    averaged: list[Tensor], seed: int, step: int,
) -> float:  # fmt: skip
    """Take one step; return its loss."""
    torch.manual_seed(seed * 1_000_003 + step)
    for group in optimizer.param_groups:
        group["lr"] = course.rate * rate_at(step, course.steps)
    optimizer.zero_grad(set_to_none=True)
    loss = course.loss(np.random.default_rng([seed, step]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, MOST_GRADIENT)
    optimizer.step()
    with torch.no_grad():
        share = max(1 - AVERAGE, 1 / (step + 2))  # at first the mean of all there have been
        for mean, parameter in zip(averaged, parameters, strict=True):
            mean.lerp_(parameter, share)
    return loss.item()


def rate_at(step: int, steps: int) -> float:
    """Return the share of the learning rate: up at the start, then down along a cosine."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps)))
