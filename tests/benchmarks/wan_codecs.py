"""Time the codecs, solvers and loading on this machine, with random weights of the released sizes.

    python tests/benchmarks/wan_codecs.py [--size 128] [--latents 3] [--vae wan21]

Prints processor seconds beside wall seconds, because the machine may be shared.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from wan_engine.loading.checkpoint import fill
from wan_engine.loading.stored import open_weights
from wan_engine.sampling.solver import SOLVERS, make_solver
from wan_engine.shapes import pixel_frames
from wan_engine.vae.codec import VideoCodec
from wan_engine.vae.wan21 import Wan21Vae
from wan_engine.vae.wan22 import Wan22Vae


def timed(name: str, work: Callable[[], object], *, repeats: int = 2) -> None:
    """Print the best wall and processor time, and the process's peak memory so far."""
    walls, processor = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{name:32} wall {min(walls):8.3f} s   processor {min(processor):8.3f} s   peak {peak:5.2f} GB",
        flush=True,
    )


def time_vae(vae: VideoCodec, size: int, latents: int) -> None:
    """Encode and decode a few latents, whole and in tiles."""
    video = torch.rand(1, 3, pixel_frames(latents), size, size) * 2 - 1
    latent = vae.encode(video)
    name = f"{type(vae).__name__} {size}x{size}x{video.shape[2]}"
    timed(f"{name} encode", lambda: vae.encode(video))
    timed(f"{name} decode", lambda: vae.decode(latent))
    timed(f"{name} decode, tiles", lambda: vae.decode(latent, tile=size // 2))
    timed(f"{name} decode, the last latent", lambda: list(vae.decode_chunks(latent, skip=latents - 1)))


def time_solvers(steps: int = 40) -> None:
    """Run whole schedules on a latent of 512x512 and 80 frames, the network left out."""
    latent, velocity = torch.randn(2, 1, 16, 20, 64, 64)

    def run(name: str) -> None:
        solver, x = make_solver(name, steps=steps, shift=3.0), latent
        for _ in range(steps):
            x = solver.step(x, velocity)

    for name in SOLVERS:
        timed(f"{name}, {steps} steps", lambda name=name: run(name))


def time_loading(layers: int = 64) -> None:
    """Read a quarter of a gigabyte of float32 as bfloat16."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_file({f"{i}.weight": torch.randn(1024, 1024) for i in range(layers)}, path)

        def load() -> None:
            with torch.device("meta"):
                model = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(layers)))
            fill(model, open_weights(path), dtype=torch.bfloat16)

        timed(f"load {path.stat().st_size / 1e9:.2f} GB", load)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--latents", type=int, default=3)
    parser.add_argument("--vae", choices=("wan21", "wan22"), default="wan21")
    options = parser.parse_args()
    time_solvers()
    time_loading()
    vae = Wan21Vae() if options.vae == "wan21" else Wan22Vae()
    time_vae(vae.eval(), options.size, options.latents)


if __name__ == "__main__":
    main()
