"""Compare a whole small re-dub on the GPU in bfloat16 with the same on the processor in float32.

    python -m tests.benchmarks.gpu_rounding

The networks are those of `python -m wan_engine.tiny`. Prints how far the two are apart, in the mask and out
of it, and how far float32 and bfloat16 are apart on the processor, which is rounding and nothing else; where
there is no GPU, that alone.
"""

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from wan_engine.loading.assemble import Placement, load_parts
from wan_engine.pipelines.redub import RedubInputs, RedubSettings, redub
from wan_engine.pipelines.redub_footage import HeldFootage
from wan_engine.pipelines.settings import sampling_for
from wan_engine.specs import find_task
from wan_engine.tiny import write_tiny

TASK = find_task("s2v-14B")
SIDE, BEFORE, COUNT, AFTER = 64, 20, 24, 8


def main() -> None:
    """Run the re-dub in each way and print the differences."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        write_tiny(Path(folder), TASK)
        exact = remake(Path(folder), Placement())
        report("processor, bfloat16", remake(Path(folder), Placement(dtype=torch.bfloat16)), exact)
        if torch.cuda.is_available():
            device = torch.device("cuda")
            report("GPU, float32", remake(Path(folder), Placement(device)), exact)
            report("GPU, bfloat16", remake(Path(folder), Placement(device, torch.bfloat16)), exact)


def remake(folder: Path, placement: Placement) -> Tensor:
    """Return the re-dubbed frames [3, F, H, W]."""
    parts = load_parts(TASK.name, folder, placement=replace(placement, vae_dtype=torch.float32))
    assert parts.encode_speech is not None
    random = torch.Generator().manual_seed(0)
    pictures = footage(random)
    inputs = RedubInputs(
        prompt=parts.encode_text("A person speaks."),
        negative=parts.encode_text(""),
        reference_CHW=pictures[:, BEFORE],
        footage=HeldFootage(pictures, mask(), before=BEFORE),
        features_JTC=parts.encode_speech(0.1 * torch.randn(16_000 * COUNT // 25, generator=random)),
        rate=Fraction(25),
    )
    made = redub(parts, inputs, sampling_for(TASK, steps=8, seed=1), RedubSettings(chunk_frames=16))
    return torch.cat([chunk.frames_CFHW.cpu() for chunk in made], dim=1)


def footage(random: torch.Generator) -> Tensor:
    """Return coloured squares in a light that changes."""
    frames = torch.arange(BEFORE + COUNT + AFTER)
    still = torch.rand(3, 1, SIDE // 8, SIDE // 8, generator=random) * 1.6 - 0.8
    still = still.repeat_interleave(8, 2).repeat_interleave(8, 3)
    return still + 0.1 * torch.sin(frames / 7)[:, None, None]


def mask() -> Tensor:
    """Return a square mask."""
    masks = torch.zeros(COUNT, SIDE, SIDE)
    masks[:, SIDE // 2 : SIDE * 7 // 8, SIDE // 4 : SIDE * 3 // 4] = 1
    return masks


def report(name: str, made: Tensor, exact: Tensor) -> None:
    """Print how far two re-dubs are apart."""
    inside = mask().bool().expand_as(exact)
    difference = (made - exact).abs()
    relative = float(difference[inside].norm() / (exact[inside] - exact[inside].mean()).norm())
    largest, outside = (127.5 * float(difference[where].max()) for where in (inside, ~inside))
    print(f"{name:20} in the mask: relative L2 {relative:.1e}, largest {largest:.2f} of 255")
    print(f"{'':20} outside: largest {outside:.3f}")


if __name__ == "__main__":
    main()
