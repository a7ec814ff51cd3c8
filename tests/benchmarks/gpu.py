"""Measure the engine on a GPU with random weights: one command, under eight minutes on a large card.

    python tests/benchmarks/gpu.py [--peak 780] [--out table.md]

Prints a table for docs/performance.md: seconds a forward of the 14B speech model (80 frames, reference and
motion tokens) at three sizes, compiled and not, with the share of the card's peak and the peak memory;
attention back ends; streaming under a 24 GB cap; 8-bit weights; the autoencoder. All variants share one set
of weights. A part that fails says so in its row and the next one runs. `--tiny` runs every part on any
machine with tiny networks.
"""

import argparse
import datetime
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wan_engine.loading.models import build_transformer
from wan_engine.loading.quantise import QuantLinear, is_quantised, quantise_rows
from wan_engine.loading.streaming import BlockStream
from wan_engine.shapes import token_grid
from wan_engine.specs import TASKS, SpeechTransformerSpec
from wan_engine.transformer.attention import attention, installed_backends, use_backend
from wan_engine.transformer.flops import forward_flops
from wan_engine.transformer.model import Clip, Memory, keeps_float32
from wan_engine.transformer.modulation import Modulation
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae

SIZES = ((512, 512), (480, 832), (704, 1280))
CAP_BYTES = 24 * 10**9
TINY = SpeechTransformerSpec(
    model_type="s2v", dim=256, ffn_dim=512, num_heads=2, num_layers=4, in_dim=16, out_dim=16, text_dim=64,
    audio_dim=32, audio_inject_layers=(0, 2),
)  # fmt: skip


@dataclass
class Bench:
    """The machine, the model, and the rows found so far."""

    device: torch.device
    model: SpeechTransformer
    options: argparse.Namespace
    rows: list[tuple[str, str]]
    start: float

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Return the pixel sizes measured."""
        return ((64, 64),) if self.options.tiny else SIZES

    def note(self, name: str, value: str) -> None:
        """Keep and print a row."""
        self.rows.append((name, value))
        print(f"{time.perf_counter() - self.start:6.0f} s  {name:52} {value}", flush=True)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Run a part; what stops it is a row of its own, so that the others still run."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever stops it, the others run
            self.note(name, f"failed: {type(error).__name__}: {str(error)[:200]}")


def main() -> None:
    """Run every part and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peak", type=float, default=780.0, help="bf16 TFLOP/s of large products on this card"
    )
    parser.add_argument("--out", type=Path, help="file for the table")
    parser.add_argument("--seconds", type=float, default=440.0, help="after which no further part is begun")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, on any machine")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.tiny:
        parser.error("there is no GPU here; --tiny shows that the script runs")
    bench = Bench(device, make_model(options, device), options, [], time.perf_counter())
    parts: tuple[Callable[[Bench], None], ...] = (
        check_rounding, measure_forwards, measure_attention, measure_compiled, measure_autoencoder,
        measure_streaming, measure_quantised,
    )  # fmt: skip
    with torch.no_grad():
        for part in parts:
            if time.perf_counter() - bench.start > options.seconds:
                bench.note(part.__name__, "left out: the time is up")
                continue
            with bench.part(part.__name__):
                part(bench)
    if options.out:
        options.out.write_text(table(bench), encoding="utf-8")


def table(bench: Bench) -> str:
    """Return the rows as Markdown, with the date and the device."""
    name = torch.cuda.get_device_name() if bench.device.type == "cuda" else "processor"
    lines = [
        f"{datetime.datetime.now(datetime.UTC).date()}, {name}, torch {torch.__version__}",
        "",
        "| what | measured |",
        "|---|---|",
    ]
    return "\n".join(lines + [f"| {row} | {value} |" for row, value in bench.rows]) + "\n"


def make_model(options: argparse.Namespace, device: torch.device) -> SpeechTransformer:
    """Build the speech model with small random weights, zero-initialised ones included."""
    spec = TINY if options.tiny else TASKS["s2v-14B"].transformer
    model = build_transformer(spec)
    assert isinstance(model, SpeechTransformer)
    torch.manual_seed(0)
    for key, parameter in model.named_parameters():
        dtype = torch.float32 if keeps_float32(key) else torch.bfloat16
        owner = model.get_submodule(key.rpartition(".")[0]) if "." in key else model
        value = torch.randn(parameter.shape, device=device, dtype=dtype) * 0.02
        setattr(owner, key.rpartition(".")[2], nn.Parameter(value, requires_grad=False))
    return model


def seconds(bench: Bench, run: Callable[[], Any], repeats: int = 3) -> float:
    """Return the median time of a call, after one that does not count."""
    run()
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = []
    for _ in range(repeats):
        _wait(bench.device)
        start = time.perf_counter()
        run()
        _wait(bench.device)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def prepare(bench: Bench, size: tuple[int, int]) -> tuple[Tensor, Modulation, Clip, Memory]:
    """Prepare a clip of 80 frames of that size."""
    model, device = bench.model, bench.device
    frames = 16 if bench.options.tiny else 80
    shape = (1, 16, frames // 4, size[0] // 8, size[1] // 8)

    def draw(*dims: int) -> Tensor:
        return torch.randn(dims, device=device)

    clip = model.speech_clip(shape, draw(1, 16, 1, *shape[3:]), motion_BCfhw=draw(1, 16, 19, *shape[3:]))
    features = draw(1, 25, model.spec.audio_dim, frames)
    text = model.memory([draw(100, model.spec.text_dim)])
    memory = model.speech_memory(text, features, motion_frames=73, motion_latents=19)
    return draw(*shape), model.time_table([700.0, 0.0]).at((0, 1)), clip, memory


def describe(bench: Bench, name: str, size: tuple[int, int], took_s: float, clip: Clip) -> None:
    """Note a forward's time, its share of the peak, and the memory it took."""
    flops = forward_flops(bench.model.spec, clip.grid, tokens=len(clip.layout.rotation_LP2))
    rate = flops / took_s / 1e12
    peak = torch.cuda.max_memory_allocated() / 2**30 if bench.device.type == "cuda" else 0.0
    bench.note(
        f"forward {size[0]}x{size[1]}, {name}",
        f"{took_s:.3f} s, {rate:.0f} TFLOP/s ({rate / bench.options.peak:.0%} of the peak), {peak:.1f} GiB",
    )


def measure_forwards(bench: Bench) -> None:
    """Time the plain forward at every size."""
    for size in bench.sizes:
        inputs = prepare(bench, size)
        describe(bench, "plain", size, seconds(bench, lambda i=inputs: bench.model(*i), 2), inputs[2])


def measure_compiled(bench: Bench) -> None:
    """Time the compiled forward at every size, and compare it with the plain one; then undo it."""
    inputs = prepare(bench, bench.sizes[0])
    plain = bench.model(*inputs)
    bench.model.compile_blocks()
    try:
        error = float((bench.model(*inputs) - plain).norm() / plain.norm())
        bench.note("compiled against plain, relative L2", f"{error:.2e}")
        for size in bench.sizes:
            inputs = prepare(bench, size)
            describe(bench, "compiled", size, seconds(bench, lambda i=inputs: bench.model(*i), 2), inputs[2])
    finally:
        for block in bench.model.blocks:
            del block.forward


def check_rounding(bench: Bench) -> None:
    """Compare a small model on the device in bfloat16 with float32 on the processor."""
    tiny = argparse.Namespace(tiny=True)
    on_device = Bench(bench.device, make_model(tiny, bench.device), tiny, [], bench.start)
    latent, modulation, clip, memory = prepare(on_device, (64, 64))
    rounded = on_device.model(latent, modulation, clip, memory).cpu()
    exact = Bench(torch.device("cpu"), make_model(tiny, torch.device("cpu")), tiny, [], bench.start)
    weights = {key: value.cpu().float() for key, value in on_device.model.state_dict().items()}
    exact.model.set_dtype(torch.float32).load_state_dict(weights)
    moved = _moved(clip, memory, modulation)
    expected = exact.model(latent.cpu(), *moved)
    bench.note(
        "small model against float32, relative L2",
        f"{float((rounded - expected).norm() / expected.norm()):.2e}",
    )


def _moved(clip: Clip, memory: Memory, modulation: Modulation) -> tuple[Modulation, Clip, Memory]:
    """Return the same preparation in float32 on the processor."""

    def move(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.cpu().float()
        if isinstance(value, torch.dtype):
            return torch.float32
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(move(part) for part in value))
        if isinstance(value, list):
            return [move(part) for part in value]
        if isinstance(value, Clip | Memory):
            return type(value)(**{key: move(part) for key, part in vars(value).items()})
        return value

    return move(modulation), move(clip), move(memory)


def measure_attention(bench: Bench) -> None:
    """Time self attention alone with every back end, at the sizes' lengths."""
    heads = bench.model.spec.num_heads
    for size in bench.sizes[:2]:
        tokens = token_grid((20, size[0] // 8, size[1] // 8)).tokens
        q, k, v = (
            torch.randn(1, tokens, heads, 128, device=bench.device, dtype=torch.bfloat16) for _ in range(3)
        )
        for name in installed_backends():
            if name == "math" and tokens > 4096:
                continue  # it would need the whole score matrix
            with bench.part(f"attention {name}, {tokens} tokens"):
                use_backend(name)
                took_s = seconds(bench, lambda q=q, k=k, v=v: attention(q, k, v))
                rate = 4 * tokens**2 * heads * 128 / took_s / 1e12
                bench.note(f"attention {name}, {tokens} tokens", f"{took_s * 1e3:.1f} ms, {rate:.0f} TFLOP/s")
    use_backend("auto")


def measure_autoencoder(bench: Bench) -> None:
    """Time decoding a first clip and encoding motion at 512x512, in bfloat16."""
    side = 64 if bench.options.tiny else 512
    with torch.device(bench.device):
        vae = (
            Wan21Vae(Wan21Config(width=4) if bench.options.tiny else Wan21Config()).to(torch.bfloat16).eval()
        )
        latent, video = torch.randn(1, 16, 21, side // 8, side // 8), torch.rand(1, 3, 73, side, side) * 2 - 1
    decoded_s = seconds(bench, lambda: vae.decode(latent), 1)
    encoded_s = seconds(bench, lambda: vae.encode(video), 1)
    bench.note(f"decode {side}x{side}", f"{81 / decoded_s:.1f} frames/s")
    bench.note(f"encode {side}x{side}", f"{73 / encoded_s:.1f} frames/s")


def measure_streaming(bench: Bench) -> None:
    """Time a forward whose blocks pass through the device under the cap, against the resident one."""
    inputs = prepare(bench, bench.sizes[0])
    resident_s = seconds(bench, lambda: bench.model(*inputs), 2)
    stream = BlockStream(
        bench.model.to("cpu"), bench.device, resident_bytes=0 if bench.options.tiny else CAP_BYTES // 2
    )
    stream.enter()
    try:
        streamed_s = seconds(bench, lambda: bench.model(*inputs), 2)
    finally:
        stream.leave()
        bench.model.to(bench.device)
    name = f"streamed {bench.sizes[0][0]}x{bench.sizes[0][1]}, {stream.resident_count} blocks resident"
    bench.note(name, f"{streamed_s:.3f} s, {streamed_s / resident_s - 1:+.1%}")


def measure_quantised(bench: Bench) -> None:
    """Round the blocks' weights to 8 bits, each kind from the same weights, and time the forward."""
    inputs = prepare(bench, bench.sizes[0])
    plain = bench.model(*inputs)
    kept = {name: layer for name, layer in bench.model.named_modules() if isinstance(layer, nn.Linear)}
    wanted = [name for name in kept if is_quantised(f"{name}.weight", bench.model.spec.num_layers)]
    is_dynamic = bench.device.type == "cuda"
    for kind, dtype in (("int8", torch.int8), ("fp8", torch.float8_e4m3fn)):
        with bench.part(f"{kind} forward"):
            for name in wanted:
                layer = QuantLinear(
                    *quantise_rows(kept[name].weight, dtype), kept[name].bias, is_dynamic=is_dynamic
                )
                bench.model.set_submodule(name, layer)
            error = float((bench.model(*inputs) - plain).norm() / plain.norm())
            took_s = seconds(bench, lambda: bench.model(*inputs), 2)
            describe(bench, f"{kind}, relative L2 {error:.1e}", bench.sizes[0], took_s, inputs[2])
    for name in wanted:
        bench.model.set_submodule(name, kept[name])


if __name__ == "__main__":
    main()
