"""The small speech-to-video transformer: the engine's own module at small widths, and its training's forward.

The engine's forward takes one sample, writes in place and has operators without gradients; `velocities` is
the same computation on the same module, for a batch in which each sample has its own noise level, with
gradients. A test holds the two together.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.pipelines.video import CLEAN_TIMESTEP
from wan_engine.sampling.schedule import TRAIN_TIMESTEPS, shifted
from wan_engine.shapes import MOTION_LATENTS
from wan_engine.specs import SpeechTransformerSpec, find_task
from wan_engine.tiny import TEXT_DIM
from wan_engine.transformer.audio_injector import ADAPTIVE_EPS
from wan_engine.transformer.blocks import Attention, unpatch
from wan_engine.transformer.model import Clip
from wan_engine.transformer.modulation import sinusoid
from wan_engine.transformer.rope import axis_widths, rotate
from wan_engine.transformer.s2v import SpeechTransformer

TASK = find_task("s2v-14B")
FACE_WEIGHT, LIP_WEIGHT = 4.0, 12.0  # of the loss on the lower face and on the lips, over elsewhere
PLACED_BLOCKS, PLACED_WEIGHT = 3, 4.0  # which begin with heads for their own place, and how sharp


def small_spec(audio_dim: int, channels: int) -> SpeechTransformerSpec:
    """Return the widths, for hidden states and latents of so many channels."""
    return SpeechTransformerSpec(
        model_type="s2v", dim=96, ffn_dim=384, num_heads=4, num_layers=5, in_dim=channels, out_dim=channels,
        freq_dim=64, text_dim=TEXT_DIM, text_len=64, audio_dim=audio_dim, audio_inject_layers=(0, 1, 2, 3),
    )  # fmt: skip


def new_transformer(spec: SpeechTransformerSpec, seed: int) -> SpeechTransformer:
    """Return an untrained transformer, whose head gives nothing yet."""
    torch.manual_seed(seed)
    model = SpeechTransformer(spec)
    for name, parameter in model.named_parameters():
        if name.endswith(("norm_q.weight", "norm_k.weight", "norm3.weight")):
            nn.init.ones_(parameter)
        elif parameter.ndim < 2 or name.startswith("head.head"):
            nn.init.zeros_(parameter)
        elif name.endswith("modulation"):
            nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        elif name == "casual_audio_encoder.weights":
            nn.init.constant_(parameter, 0.01)
        elif name.endswith("padding_tokens") or name.startswith("trainable_cond_mask"):
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    for block in list(model.blocks)[:PLACED_BLOCKS]:
        _look_at_own_place(block.self_attn, spec)
    return model.requires_grad_(True)


def _look_at_own_place(attention: Attention, spec: SpeechTransformerSpec) -> None:
    """Let half the heads begin with looking at their own row and column in all frames.

    With few channels only the fastest rotation tells neighbours apart, and finding that out takes most of a
    short training. A constant in that pair of queries and keys gives scores that fall with the distance.
    """
    frame_pairs, row_pairs, _ = axis_widths(spec.head_dim)
    for head in range(spec.num_heads // 2):
        first = head * spec.head_dim
        for pair in (frame_pairs, frame_pairs + row_pairs):
            fastest = slice(first + 2 * pair, first + 2 * pair + 2)
            for linear, norm in ((attention.q, attention.norm_q), (attention.k, attention.norm_k)):
                nn.init.zeros_(linear.weight[fastest])
                nn.init.ones_(linear.bias[fastest])
                nn.init.constant_(norm.weight[fastest], PLACED_WEIGHT)


@dataclass(frozen=True)
class Batch:
    """What a step of the training sees; all of one length."""

    latent_BCfhw: Tensor
    reference_BCfhw: Tensor
    motion_BCfhw: Tensor | None
    features_BJCT: Tensor  # zeros: without the voice
    text: Tensor  # a prompt's features [l, text_dim]


def flow_loss(
    model: SpeechTransformer, batch: Batch, random: np.random.Generator, weight_hw: Tensor
) -> Tensor:
    """Return the error of the velocity from noise to the latents, at levels as the sampler visits them."""
    clean, count = batch.latent_BCfhw, len(batch.latent_BCfhw)
    levels = (np.arange(count) + random.uniform(size=count)) / count  # one in each equal share
    sigmas_B = torch.from_numpy(shifted(levels, TASK.shift)).to(clean)
    noise = torch.randn(clean.shape, device="cpu").to(clean)
    sigma = sigmas_B.view(-1, 1, 1, 1, 1)
    wanted = noise - clean
    made = velocities(model, torch.lerp(clean, noise, sigma), sigmas_B * TRAIN_TIMESTEPS, batch)
    return ((made - wanted).square() * weight_hw).mean() / weight_hw.mean()


def velocities(model: SpeechTransformer, noisy_BCfhw: Tensor, timesteps_B: Tensor, batch: Batch) -> Tensor:
    """Return the velocities [B, C, f, h, w]."""
    clip = model.speech_clip(tuple(noisy_BCfhw.shape), batch.reference_BCfhw, motion_BCfhw=batch.motion_BCfhw)
    assert clip.tail_BLD is not None
    assert clip.added_BLD is not None
    video = clip.grid.tokens
    x = torch.cat([model.patch_embedding(noisy_BCfhw) + clip.added_BLD, clip.tail_BLD], dim=1)
    embedding_BD, rows_B6D = _times(model, timesteps_B)
    _, clean_16D = _times(model, torch.full((1,), CLEAN_TIMESTEP, device=x.device))
    text = model.embed_text([batch.text])
    local, style = model.audio_tokens(
        batch.features_BJCT, 4 * MOTION_LATENTS - 3, MOTION_LATENTS
    )  # [B, f, S, D], [B, f, 1, D]
    for index, block in enumerate(model.blocks):

        def modulated(u: Tensor, shift: int, block=block) -> Tensor:
            parts = (rows_B6D + block.modulation, (clean_16D + block.modulation).expand_as(rows_B6D))
            u = F.layer_norm(u, u.shape[-1:], eps=block.eps)
            runs = zip(parts, (u[:, :video], u[:, video:]), strict=True)
            return torch.cat(
                [run * (1 + rows[:, None, shift + 1]) + rows[:, None, shift] for rows, run in runs], 1
            )

        def gated(y: Tensor, row: int, block=block) -> Tensor:
            parts = (rows_B6D + block.modulation, (clean_16D + block.modulation).expand_as(rows_B6D))
            runs = zip(parts, (y[:, :video], y[:, video:]), strict=True)
            return torch.cat([run * rows[:, None, row] for rows, run in runs], 1)

        u = modulated(x, 0)
        x = x + gated(_attend(block.self_attn, u, u, clip.layout.rotation_LP2), 2)
        u = F.layer_norm(x, x.shape[-1:], block.norm3.weight, block.norm3.bias, block.eps)
        x = x + _attend(block.cross_attn, u, text.expand(len(u), -1, -1))
        first, second = block.ffn["0"], block.ffn["2"]
        x = x + gated(second(F.gelu(first(modulated(x, 3)), approximate="tanh")), 5)
        if (order := model.audio_injector.order.get(index)) is not None:
            heard = _hear(model, order, x[:, :video], clip, local, style)
            x = torch.cat([x[:, :video] + heard, x[:, video:]], dim=1)
    head_B2D = embedding_BD[:, None] + model.head.modulation
    y = F.layer_norm(x[:, :video], x.shape[-1:], eps=model.head.eps)
    return unpatch(model.head.head(y * (1 + head_B2D[:, 1:]) + head_B2D[:, :1]), clip.grid)


def _times(model: SpeechTransformer, timesteps_B: Tensor) -> tuple[Tensor, Tensor]:
    embedding = model.time_embedding(sinusoid(timesteps_B, model.spec.freq_dim).float())
    return embedding, model.time_projection(embedding).unflatten(1, (6, -1))


def _attend(attention: Attention, u_BLD: Tensor, context_BSD: Tensor, turn: Tensor | None = None) -> Tensor:
    def heads(x: Tensor, weight: Tensor) -> Tensor:
        x = F.rms_norm(x, x.shape[-1:], weight, attention.eps).unflatten(-1, (attention.num_heads, -1))
        return (x if turn is None else rotate(x, turn)).transpose(1, 2)

    q, k = (
        heads(attention.q(u_BLD), attention.norm_q.weight),
        heads(attention.k(context_BSD), attention.norm_k.weight),
    )
    v = attention.values(context_BSD).transpose(1, 2)
    return attention.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _hear(
    model: SpeechTransformer, order: int, video_BLD: Tensor, clip: Clip, local: Tensor, style: Tensor
) -> Tensor:
    """Return what each frame's tokens hear of that frame's audio tokens."""
    frames = clip.grid.frames
    linear = model.audio_injector.injector_adain_layers[order].linear
    shift, scale = linear(F.silu(style)).chunk(2, dim=-1)
    u = F.layer_norm(video_BLD, video_BLD.shape[-1:], eps=ADAPTIVE_EPS).unflatten(1, (frames, -1))
    u = (u * (1 + scale) + shift).flatten(0, 1)
    heard = _attend(model.audio_injector.injector[order], u, local.flatten(0, 1))
    return heard.unflatten(0, (-1, frames)).flatten(1, 2)
