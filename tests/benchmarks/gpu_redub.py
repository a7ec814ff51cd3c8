"""Time the masked re-dub on a GPU with random weights: 5 s of a shot, resident and within 24 and 12 GB.

    python -m tests.benchmarks.gpu_redub [--side 512] [--steps 20] [--out table.md]

For each cap the memory is planned as for real weights, and the process is held to it. Prints seconds of the
whole re-dub (encoding, forwards with guidance, decoding, compositing), how much of them was forwards, and the
peak memory. `--tiny` runs every part on any machine with tiny networks.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch

from tests.benchmarks.gpu import Bench, make_model, table
from wan_engine.loading.assemble import job_tokens
from wan_engine.loading.placement import Lease, kept, parked, streamed
from wan_engine.loading.plan import GB, Plan, make_plan, transformer_need
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.redub import RedubInputs, RedubSettings, redub
from wan_engine.pipelines.redub_footage import HeldFootage
from wan_engine.pipelines.settings import sampling_for
from wan_engine.specs import find_task
from wan_engine.transformer.audio_encoder import AUDIO_LAYERS
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.codec import VideoCodec
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae

TASK = find_task("s2v-14B")
RATE, SECONDS = Fraction(25), 5
CAPS_GB = (None, 24, 12)


def main() -> None:
    """Run the re-dub under each cap and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=512, help="of the crop, pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--capped-steps", type=int, help="steps within a cap; otherwise as many as without")
    parser.add_argument("--out", type=Path, help="file for the table")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and a short shot, on any machine")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.tiny:
        parser.error("there is no GPU here; --tiny shows that the script runs")
    bench = Bench(device, make_model(options, device), options, [], time.perf_counter())
    if options.tiny and device.type == "cpu":
        bench.model.set_dtype(torch.float32).float()
    config = Wan21Config(width=4) if options.tiny else Wan21Config()
    vae = Wan21Vae(config).to(torch.float32).eval()
    with torch.no_grad():
        for cap_gb in CAPS_GB:
            name = "resident" if cap_gb is None else f"within {cap_gb} GB"
            with bench.part(name):
                measure(bench, vae, name, cap_gb)
    if options.out:
        options.out.write_text(table(bench), encoding="utf-8")


def measure(bench: Bench, vae: VideoCodec, name: str, cap_gb: float | None) -> None:
    """Re-dub a shot within a cap; note what it took."""
    inputs = make_inputs(bench)
    with held_to(bench, cap_gb):
        parts = make_parts(bench, vae, plan_for(bench, cap_gb))
        forwards = Stopwatch(bench.device)
        hooks = [
            bench.model.register_forward_pre_hook(forwards.start),
            bench.model.register_forward_hook(forwards.stop),
        ]
        steps = bench.options.steps if cap_gb is None else bench.options.capped_steps or bench.options.steps
        sampling = sampling_for(TASK, steps=2 if bench.options.tiny else steps, seed=1)
        begun = time.perf_counter()
        frames = sum(made.frames_CFHW.shape[1] for made in redub(parts, inputs, sampling, RedubSettings()))
        took_s = time.perf_counter() - begun
        for hook in hooks:
            hook.remove()
        is_cuda = bench.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() / GB if is_cuda else 0.0
    share = forwards.total_s / took_s
    bench.note(
        f"re-dub of {frames} frames at {inputs.reference_CHW.shape[1]}, {sampling.steps} steps, {name}",
        f"{took_s:.1f} s, forwards {forwards.total_s:.1f} s ({share:.0%}), peak {peak:.1f} GB",
    )


class Stopwatch:
    """Adds up the time between its start and its stop, which a module's hooks call."""

    def __init__(self, device: torch.device) -> None:
        self.total_s = 0.0
        self._device, self._since = device, 0.0

    def start(self, *_: object) -> None:
        """Begin to count."""
        self._wait()
        self._since = time.perf_counter()

    def stop(self, *_: object) -> None:
        """Stop counting."""
        self._wait()
        self.total_s += time.perf_counter() - self._since

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def plan_for(bench: Bench, cap_gb: float | None) -> Plan | None:
    """Plan the memory as a job of this size would; None where everything may stay."""
    if cap_gb is None or bench.device.type == "cpu":
        return None
    side = bench.options.side
    tokens = job_tokens(TASK, (side, side), RedubSettings().chunk_frames)
    need = transformer_need(TASK.transformer, tokens=tokens, dtype=torch.bfloat16)
    budget = int(cap_gb * GB)
    return make_plan(need, vae=TASK.vae, size=(side, side), vae_dtype=torch.float32, budget_bytes=budget)


def make_parts(bench: Bench, vae: VideoCodec, plan: Plan | None) -> Parts:
    """Return the parts of a job: the bench's own networks, placed as planned."""

    def load(device: torch.device) -> SpeechTransformer:
        bench.model.to(device)
        return bench.model

    def load_vae(device: torch.device) -> VideoCodec:
        vae.tile = plan.tile if plan else None
        return vae.to(device)

    network: Lease[SpeechTransformer] = kept(load, bench.device)
    if plan is not None and plan.is_streamed:
        network = streamed(load, bench.device, plan.resident_bytes)
    task = replace(TASK, transformer=bench.model.spec)
    text = torch.zeros(1, bench.model.spec.text_dim)  # the inputs hold their own
    return Parts(
        task,
        (network,),
        parked(load_vae, bench.device),
        lambda prompt: text,
        device=bench.device,
        is_roomy=plan is None,
    )


def make_inputs(bench: Bench) -> RedubInputs:
    """Return random texts and features, and a moving shot with a mouth."""
    spec, is_tiny = bench.model.spec, bench.options.tiny
    side, count = (64, 12) if is_tiny else (bench.options.side, round(SECONDS * RATE))
    random = torch.Generator().manual_seed(0)
    still = torch.rand(3, 1, side // 8, side // 8, generator=random).repeat_interleave(8, 2)
    still = still.repeat_interleave(8, 3) * 1.2 - 0.6
    frames = 80 + count + 8
    light = 0.1 * torch.sin(torch.arange(frames) / 7)[:, None, None]
    masks = torch.zeros(count, side, side)
    masks[:, side // 2 : side * 7 // 8, side // 4 : side * 3 // 4] = 1
    return RedubInputs(
        prompt=torch.randn(100, spec.text_dim, generator=random).to(bench.device),
        negative=torch.randn(100, spec.text_dim, generator=random).to(bench.device),
        reference_CHW=still[:, 0],
        footage=HeldFootage(still + light, masks, 80),
        features_JTC=torch.randn(AUDIO_LAYERS, 50 * SECONDS, spec.audio_dim, generator=random),
        rate=RATE,
    )


@contextmanager
def held_to(bench: Bench, cap_gb: float | None) -> Iterator[None]:
    """Let the process have no more of the GPU than a cap, and count its peak from here."""
    if bench.device.type != "cuda":
        yield
        return
    bench.model.to("cpu")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    whole = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, (cap_gb or whole / GB) * GB / whole))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        bench.model.to("cpu")
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
