"""Time a forward of a mid-size speech transformer against the same mathematics written plainly.

    python tests/benchmarks/wan_forward.py [--dim 768] [--layers 4] [--steps 3]

The plain form is what a step of the released pipeline does: everything made anew in each step, a modulation
for each token, positions in complex128, norms and gates as chains of tensor operations. Both run in float32
on the same weights, each in a process of its own, in turn; the table has seconds a step, the ratio, the
largest difference and each one's peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_engine.specs import SpeechTransformerSpec
from wan_engine.transformer.audio_injector import AdaptiveNorm
from wan_engine.transformer.blocks import Attention, Block, CrossAttention, unpatch
from wan_engine.transformer.modulation import sinusoid
from wan_engine.transformer.rope import angles, motion_positions, speech_positions
from wan_engine.transformer.s2v import SpeechTransformer

LATENT = (1, 16, 8, 32, 32)
TIMESTEP = 700.0


def make(options: argparse.Namespace) -> tuple[SpeechTransformer, dict[str, Tensor]]:
    """Build the model and its inputs from a seed."""
    spec = SpeechTransformerSpec(
        model_type="s2v", dim=options.dim, ffn_dim=int(options.dim * 2.7), num_heads=options.dim // 128,
        num_layers=options.layers, in_dim=16, out_dim=16, text_dim=512, audio_dim=128,
        audio_inject_layers=tuple(range(0, options.layers, 2)),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    model = SpeechTransformer(spec)
    for parameter in model.parameters():
        parameter.data = draw(*parameter.shape) * 0.02
    inputs = {
        "latent": draw(*LATENT), "reference": draw(1, 16, 1, 32, 32), "motion": draw(1, 16, 19, 32, 32),
        "text": draw(40, 512), "audio": draw(1, 25, 128, 32),
    }  # fmt: skip
    return model, inputs


def ours(model: SpeechTransformer, inputs: dict[str, Tensor], steps: int) -> tuple[Tensor, list[float]]:
    """Prepare once and run the steps; the preparation counts as a part of the first."""
    seconds, velocity = [], torch.empty(0)
    start = time.perf_counter()
    times = model.time_table([TIMESTEP, 0.0])
    clip = model.speech_clip(LATENT, inputs["reference"], motion_BCfhw=inputs["motion"])
    text = model.memory([inputs["text"]])
    memory = model.speech_memory(text, inputs["audio"], motion_frames=73, motion_latents=19)
    for _ in range(steps):
        velocity = model(inputs["latent"], times.at((0, 1)), clip, memory)
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
    return velocity, seconds


def plain(model: SpeechTransformer, inputs: dict[str, Tensor], steps: int) -> tuple[Tensor, list[float]]:
    """Make everything anew in each step."""
    seconds, velocity = [], torch.empty(0)
    for _ in range(steps):
        start = time.perf_counter()
        velocity = _plain_forward(model, inputs)
        seconds.append(time.perf_counter() - start)
    return velocity, seconds


def _plain_forward(model: SpeechTransformer, inputs: dict[str, Tensor]) -> Tensor:
    spec, mask = model.spec, model.trainable_cond_mask.weight
    video = model.patch_embedding(inputs["latent"]) + model.cond_encoder(torch.zeros(LATENT)) + mask[0]
    reference = model.patch_embedding(inputs["reference"]) + mask[1]
    motion = model.frame_packer(inputs["motion"])[0] + mask[2]
    x, count = torch.cat([video, reference, motion], dim=1), video.shape[1]
    positions = speech_positions(LATENT, motion_positions(LATENT))
    turn = torch.polar(torch.ones(1, dtype=torch.float64), angles(positions, spec.head_dim))
    turn = turn[:, None].expand(-1, spec.num_heads, -1).contiguous()
    e = model.time_embedding(sinusoid(torch.tensor([TIMESTEP, 0.0]), spec.freq_dim).float())
    e0 = model.time_projection(e).unflatten(1, (6, -1))
    context = model.embed_text([inputs["text"]])
    local, style = model.audio_tokens(inputs["audio"], 73, 19)
    for index, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        x = _plain_block(block, x, block.modulation + e0, count, turn, context)
        if index in model.audio_injector.order:
            x = _plain_injection(model, model.audio_injector.order[index], x, count, local[0], style[0, :, 0])
    shift, scale = (model.head.modulation[0] + e[:1]).unbind(0)
    y = model.head.head(F.layer_norm(x[:, :count], (spec.dim,), eps=1e-6) * (1 + scale) + shift)
    return unpatch(y, model.speech_clip(LATENT, inputs["reference"]).grid)


def _plain_block(block: Block, x: Tensor, e: Tensor, count: int, turn: Tensor, context: Tensor) -> Tensor:
    def modulate(y: Tensor, scale: int, shift: int) -> Tensor:
        y = F.layer_norm(y, y.shape[-1:], eps=1e-6)
        parts = [
            part * (1 + e[r, scale]) + e[r, shift] for r, part in enumerate((y[:, :count], y[:, count:]))
        ]
        return torch.cat(parts, dim=1)

    def gated(x: Tensor, y: Tensor, gate: int) -> Tensor:
        return x + torch.cat([y[:, :count] * e[0, gate], y[:, count:] * e[1, gate]], dim=1)

    u = modulate(x, 1, 0)
    x = gated(x, _plain_attention(block.self_attn, u, u, turn), 2)
    x = x + _plain_attention(block.cross_attn, block.norm3(x), context, None)
    return gated(x, block.ffn["2"](F.gelu(block.ffn["0"](modulate(x, 4, 3)), approximate="tanh")), 5)


def _plain_attention(layer: Attention, u: Tensor, context: Tensor, turn: Tensor | None) -> Tensor:
    def norm(y: Tensor, weight: Tensor) -> Tensor:
        return (y.float() * torch.rsqrt(y.float().pow(2).mean(-1, keepdim=True) + 1e-6)).type_as(y) * weight

    def rotate(y: Tensor, turn: Tensor) -> Tensor:
        pairs = torch.view_as_complex(y.double().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turn).flatten(3).float()

    q, k = norm(layer.q(u), layer.norm_q.weight), norm(layer.k(context), layer.norm_k.weight)
    q, k, v = (y.unflatten(-1, (layer.num_heads, -1)) for y in (q, k, layer.v(context)))
    if turn is not None:
        q, k = rotate(q, turn), rotate(k, turn)
    merged = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return layer.o(merged.transpose(1, 2).flatten(2))


def _plain_injection(
    model: SpeechTransformer, index: int, x: Tensor, count: int, local: Tensor, style: Tensor
) -> Tensor:
    norm, attention = model.audio_injector.injector_adain_layers[index], model.audio_injector.injector[index]
    assert isinstance(norm, AdaptiveNorm)
    assert isinstance(attention, CrossAttention)
    shift, scale = norm.linear(F.silu(style))[:, None].chunk(2, dim=-1)
    video = x[:, :count].reshape(len(local), -1, x.shape[2])
    u = F.layer_norm(video, video.shape[-1:], eps=1e-5) * (1 + scale) + shift
    heard = _plain_attention(attention, u, local, None)
    return torch.cat([x[:, :count] + heard.reshape(1, count, -1), x[:, count:]], dim=1)


def run_one(options: argparse.Namespace) -> None:
    """Run one form and print its numbers for the parent."""
    torch.set_num_threads(options.threads)
    model, inputs = make(options)
    with torch.inference_mode():
        velocity, seconds = {"ours": ours, "plain": plain}[options.only](model, inputs, options.steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    torch.save(velocity, options.out)
    print(json.dumps({"first": seconds[0], "step": min(seconds[1:]), "peak_mib": peak}))


def main() -> None:
    """Compare both forms in turn, three times."""
    parser = argparse.ArgumentParser(
        description=str(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("dim", 768), ("layers", 4), ("steps", 3), ("threads", 2), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--out", default="/dev/null", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        run_one(options)
        return
    folder = tempfile.mkdtemp()
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for name in ("plain", "ours"):
            command = [sys.executable, *sys.argv, "--only", name, "--out", f"{folder}/{name}.pt"]
            found: dict[str, float] = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            best[name] = {
                key: min(found[key], best[name][key]) if name in best else found[key] for key in found
            }
    first, second = (torch.load(f"{folder}/{name}.pt", weights_only=True) for name in ("plain", "ours"))
    for name, numbers in best.items():
        print(f"{name:6} first step {numbers['first']:7.3f} s   step {numbers['step']:7.3f} s   "
              f"peak {numbers['peak_mib']:6.0f} MiB")  # fmt: skip
    print(f"ratio {best['plain']['step'] / best['ours']['step']:.2f}   "
          f"largest difference {float((first - second).abs().max()):.2e}")  # fmt: skip


if __name__ == "__main__":
    main()
