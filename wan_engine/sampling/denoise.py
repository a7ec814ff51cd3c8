"""The sampling loop: ask the network for the velocity, guide it, let the solver take a step.

What does not change from step to step is prepared once for each network, when it is first asked. A step reads
nothing back from the device but one flag, and that a step late, so that the device always has work queued.
Source: Ho & Salimans 2022 (classifier-free guidance).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from wan_engine.errors import NumericError
from wan_engine.parallel import share_branches
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.experts import Experts, ExpertSwitch
from wan_engine.sampling.solver import Solver
from wan_engine.transformer.model import Clip, Memory, Transformer
from wan_engine.transformer.modulation import TimeTable


@dataclass(frozen=True)
class Prepared:
    """What one network keeps for all steps of a clip."""

    times: TimeTable
    clip: Clip
    prompt: Memory
    negative: Memory | None  # None where the guidance does not ask for it
    rows: Callable[[int], tuple[int, ...]]  # the table's row of each run, at a step


class Guide:
    """Gives the guided velocity of each step of a clip, from one network or from two."""

    def __init__(
        self,
        experts: Experts,
        switch: ExpertSwitch,
        guidance: tuple[float, float],
        prepare: Callable[[Transformer, float], Prepared],
        control: Control,
        *,
        branches: dist.ProcessGroup | None = None,
    ) -> None:
        self._experts, self._switch, self._guidance = experts, switch, guidance
        self._branches = branches  # two devices, one for the prompt and one for the negative
        self._prepare, self._control = prepare, control
        self._prepared: dict[int, Prepared] = {}

    def velocity(self, latent_BCfhw: Tensor, step: int, sigma: float, timestep: int) -> Tensor:
        """Return the velocity the solver is given."""
        shares = self._switch.shares(sigma, timestep)
        guided = [(share, self._ask(expert, latent_BCfhw, step)) for expert, share in shares]
        if len(guided) == 1:
            return guided[0][1]
        (high_share, high), (_, low) = guided
        return torch.lerp(low, high, high_share)

    def _ask(self, expert: int, latent_BCfhw: Tensor, step: int) -> Tensor:
        """Return one expert's guided velocity."""
        model, scale = self._experts.use(expert), self._guidance[expert]
        if expert not in self._prepared:
            self._prepared[expert] = self._prepare(model, scale)
        model.check = self._control.check
        try:
            return self._guided(model, self._prepared[expert], scale, latent_BCfhw, step)
        finally:
            del model.check  # a model that stays loaded must not keep the job

    def _guided(
        self, model: Transformer, prepared: Prepared, scale: float, latent_BCfhw: Tensor, step: int
    ) -> Tensor:
        modulation = prepared.times.at(prepared.rows(step))
        if self._branches is not None and prepared.negative is not None:
            memory = prepared.negative if dist.get_rank(self._branches) else prepared.prompt
            mine = model(latent_BCfhw, modulation, prepared.clip, memory)
            wanted, unwanted = share_branches(mine, self._branches)
            return torch.add(unwanted, wanted - unwanted, alpha=scale)
        wanted = model(latent_BCfhw, modulation, prepared.clip, prepared.prompt)
        self._control.show(f"velocity_cond_step{step}", wanted)
        if prepared.negative is None:
            return wanted
        unwanted = model(latent_BCfhw, modulation, prepared.clip, prepared.negative)
        self._control.show(f"velocity_uncond_step{step}", unwanted)
        return torch.add(unwanted, wanted - unwanted, alpha=scale)


def denoise(
    latent_BCfhw: Tensor,
    solver: Solver,
    guide: Guide,
    *,
    control: Control,
    after_step: Callable[[Tensor], Tensor] | None = None,
    clip: int = 0,
    clips: int = 1,
) -> Tensor:
    """Take a latent from noise to clean. `after_step` puts known parts back after every step.

    Raises NumericError when a step gives values that are not numbers, Cancelled when the caller stops.
    """
    timesteps, sigmas = solver.schedule.timesteps.tolist(), solver.schedule.sigmas.tolist()
    watch = _FiniteWatch(len(timesteps), latent_BCfhw.device)
    for step, timestep in enumerate(timesteps):
        control.progress(Progress("denoise", step, len(timesteps), clip, clips))
        control.show(f"model_input_step{step}", latent_BCfhw)
        velocity = guide.velocity(latent_BCfhw, step, sigmas[step], timestep)
        latent_BCfhw = solver.step(latent_BCfhw, velocity)
        if after_step is not None:
            latent_BCfhw = after_step(latent_BCfhw)
        watch.add(step, latent_BCfhw)
    watch.finish()
    control.progress(Progress("denoise", len(timesteps), len(timesteps), clip, clips))
    return latent_BCfhw


class _FiniteWatch:
    """Notices values that are not numbers, one step after they appear, without making the device wait."""

    def __init__(self, steps: int, device: torch.device) -> None:
        is_cuda = device.type == "cuda"
        self._flags = torch.ones(steps, dtype=torch.bool, pin_memory=is_cuda)
        self._seen: np.ndarray = self._flags.numpy()
        self._events = [torch.cuda.Event() for _ in range(steps)] if is_cuda else []
        self._last = -1

    def add(self, step: int, latent_BCfhw: Tensor) -> None:
        """Look at a step's latent; read the answer for the step before."""
        self._flags[step].copy_(latent_BCfhw.isfinite().all(), non_blocking=True)
        if self._events:
            self._events[step].record()
        if step > 0:
            self._read(step - 1)
        self._last = step

    def finish(self) -> None:
        """Read the last answer."""
        if self._last >= 0:
            self._read(self._last)

    def _read(self, step: int) -> None:
        if self._events:
            self._events[step].synchronize()
        if not self._seen[step]:
            raise NumericError(
                f"The latent has values that are not numbers after step {step + 1} of {len(self._seen)}.",
                hint="Run in bfloat16 or float32; check the model's files.",
            )
