"""Guidance with two scales: how strongly the voice drives the mouth, and how strongly the prompt the picture.

    velocity = none + text * (prompt - none) + audio * (prompt and voice - prompt)

where `none` is the negative prompt in silence. With equal scales this is the released guidance, and takes two
forwards in place of three. Source: Ho & Salimans 2022; Brooks et al. 2023 (InstructPix2Pix), section 3.2, for
two conditions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wan_engine.pipelines.settings import Sampling
from wan_engine.sampling.control import Control
from wan_engine.sampling.denoise import Guide, Prepared
from wan_engine.sampling.experts import Experts
from wan_engine.transformer.model import Memory, Transformer


def forwards_a_step(audio: float, text: float) -> int:
    """Return how often a guided step asks the network."""
    if audio == text:
        return 1 if audio == 1 else 2
    return 3


@dataclass(frozen=True)
class RedubPrepared(Prepared):
    """What the network keeps for all steps of a chunk."""

    silent: Memory | None  # the prompt without the voice; None where both scales are equal


class RedubGuide(Guide):
    """Gives the guided velocity of each step; below a noise level the unguided one."""

    def __init__(
        self,
        experts: Experts,
        sampling: Sampling,
        scales: tuple[float, float],
        until: float,
        prepare: Callable[[Transformer, float], RedubPrepared],
        control: Control,
    ) -> None:
        super().__init__(experts, sampling.switch, (scales[0], scales[0]), prepare, control)
        self._scales, self._until = scales, until
        self._is_guided = True

    def velocity(self, latent_BCfhw: Tensor, step: int, sigma: float, timestep: int) -> Tensor:
        """Return the velocity the solver is given."""
        self._is_guided = sigma >= self._until
        return super().velocity(latent_BCfhw, step, sigma, timestep)

    def _guided(
        self, model: Transformer, prepared: Prepared, scale: float, latent_BCfhw: Tensor, step: int
    ) -> Tensor:
        assert isinstance(prepared, RedubPrepared)
        modulation = prepared.times.at(prepared.rows(step))

        def ask(memory: Memory) -> Tensor:
            return model(latent_BCfhw, modulation, prepared.clip, memory)

        wanted = ask(prepared.prompt)
        if prepared.negative is None or not self._is_guided:
            return wanted
        audio, text = self._scales
        unwanted = ask(prepared.negative)
        if prepared.silent is None:
            return torch.add(unwanted, wanted - unwanted, alpha=audio)
        silent = ask(prepared.silent)
        guided = torch.add(unwanted, silent - unwanted, alpha=text)
        return torch.add(guided, wanted - silent, alpha=audio)
