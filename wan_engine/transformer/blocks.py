"""The transformer's layers: self attention, cross attention, feed-forward, the block they make, and the head.

    x = x + gate1 * SelfAttention(LN(x) * scale1 + shift1)
    x = x + CrossAttention(LN(x) * weight + bias, text)
    x = x + gate2 * FeedForward(LN(x) * scale2 + shift2)

The residual stream is float32 and is updated in place; matrix products run in the weights' dtype.
Keys and values of the text do not depend on the step, so they are made once (`CrossAttention.remember`).
Source: Wan2.1 technical report (2025), section 4.2; Peebles & Xie 2023 (DiT).
"""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.shapes import PATCH, Grid
from wan_engine.specs import TransformerSpec
from wan_engine.transformer.attention import attention
from wan_engine.transformer.fused import Bounds, add, add_gated, linear_gelu, norm_modulate, norm_rotate


class KeysValues(NamedTuple):
    """What cross attention looks at."""

    k_BSNK: Tensor
    v_BSNK: Tensor


class Shard(Protocol):
    """The tokens of one device among several; see `wan_engine/parallel.py`."""

    @property
    def start(self) -> int: ...

    @property
    def stop(self) -> int: ...

    def to_heads(self, x_BLNK: Tensor) -> Tensor:
        """Trade the other devices' heads for their tokens."""
        ...

    def to_tokens(self, x_BLD: Tensor) -> Tensor:
        """Trade back."""
        ...

    def gather(self, x_BLP: Tensor, stop: int) -> Tensor:
        """Return all devices' tokens up to `stop`."""
        ...


class Layout(NamedTuple):
    """What a forward knows of its tokens before it starts."""

    rotation_LP2: Tensor  # cosine and sine of each token's pairs, float32
    bounds: Bounds  # runs of tokens that share a timestep
    dtype: torch.dtype  # of the matrix products
    shard: "Shard | None" = None  # which of the tokens are here, where several devices share them


class WidthNorm(nn.Module):
    """The weight of an RMS norm over the whole width of queries or keys; `norm_rotate` applies it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))


class Attention(nn.Module):
    """The projections self and cross attention have in common."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads, self.eps = num_heads, eps
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = WidthNorm(dim)
        self.norm_k = WidthNorm(dim)

    def queries(self, u_BLD: Tensor, rotation_LP2: Tensor | None = None) -> Tensor:
        """[B, L, D] -> [B, L, N, K]."""
        return norm_rotate(
            self.q(u_BLD), self.norm_q.weight, rotation_LP2, heads=self.num_heads, eps=self.eps
        )

    def keys(self, u_BLD: Tensor, rotation_LP2: Tensor | None = None) -> Tensor:
        """[B, L, D] -> [B, L, N, K]."""
        return norm_rotate(
            self.k(u_BLD), self.norm_k.weight, rotation_LP2, heads=self.num_heads, eps=self.eps
        )

    def values(self, u_BLD: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, N, K]."""
        return self.v(u_BLD).unflatten(-1, (self.num_heads, -1))


class SelfAttention(Attention):
    """Every token looks at every token; queries and keys are turned by their positions."""

    def forward(self, u_BLD: Tensor, layout: Layout) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        q_BLNK, k_BLNK = self.queries(u_BLD, layout.rotation_LP2), self.keys(u_BLD, layout.rotation_LP2)
        v_BLNK, shard = self.values(u_BLD), layout.shard
        if shard is None:
            return self.o(attention(q_BLNK, k_BLNK, v_BLNK))
        heads = (shard.to_heads(part) for part in (q_BLNK, k_BLNK, v_BLNK))
        return self.o(shard.to_tokens(attention(*heads)))


class CrossAttention(Attention):
    """Tokens look at text or audio, without positions and without a mask."""

    def remember(self, context_BSD: Tensor) -> KeysValues:
        """Return the keys and values of a context, which no step changes."""
        return KeysValues(self.keys(context_BSD), self.values(context_BSD))

    def forward(self, u_BLD: Tensor, memory: KeysValues) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        return self.o(attention(self.queries(u_BLD), *memory))


class FeedForward(nn.ModuleDict):
    """Two products with a GELU (tanh form) between them."""

    def __init__(self, dim: int, ffn_dim: int) -> None:
        super().__init__({"0": nn.Linear(dim, ffn_dim), "2": nn.Linear(ffn_dim, dim)})

    def forward(self, u_BLD: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        first = self["0"]
        if isinstance(first, nn.Linear):
            return self["2"](linear_gelu(u_BLD, first.weight, first.bias))
        return self["2"](torch.ops.aten.gelu_(first(u_BLD), approximate="tanh"))  # 8-bit weights


class Block(nn.Module):
    """One layer of the transformer."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.eps = spec.eps
        self.modulation = nn.Parameter(torch.zeros(1, 6, spec.dim))
        self.self_attn = SelfAttention(spec.dim, spec.num_heads, spec.eps)
        self.norm3 = nn.LayerNorm(spec.dim, spec.eps)
        self.cross_attn = CrossAttention(spec.dim, spec.num_heads, spec.eps)
        self.ffn = FeedForward(spec.dim, spec.ffn_dim)

    def remember(self, context_BSD: Tensor) -> KeysValues:
        """Return the text's keys and values in this block."""
        return self.cross_attn.remember(context_BSD)

    def forward(self, x_BLD: Tensor, modulation_R6D: Tensor, layout: Layout, text: KeysValues) -> Tensor:
        """Return the residual stream [B, L, D] one block further; the one given is overwritten."""
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation_R6D.unbind(1)
        bounds, dtype, eps = layout.bounds, layout.dtype, self.eps

        u_BLD = norm_modulate(x_BLD, scale1, shift1, bounds, eps=eps, dtype=dtype)
        x_BLD = add_gated(x_BLD, self.self_attn(u_BLD, layout), gate1, bounds)

        weight_1D, bias_1D = self.norm3.weight[None], self.norm3.bias[None]
        u_BLD = norm_modulate(x_BLD, weight_1D, bias_1D, ((0, x_BLD.shape[1]),), eps=eps, dtype=dtype)
        x_BLD = add(x_BLD, self.cross_attn(u_BLD, text))

        u_BLD = norm_modulate(x_BLD, scale2, shift2, bounds, eps=eps, dtype=dtype)
        return add_gated(x_BLD, self.ffn(u_BLD), gate2, bounds)


class PatchEmbedding(nn.Module):
    """A convolution whose kernel is its stride: it reads a latent patch by patch, as one matrix product."""

    def __init__(self, channels: int, dim: int, kernel: tuple[int, int, int] = (1, PATCH, PATCH)) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.zeros(dim, channels, *kernel))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, latent_BCfhw: Tensor, *, first_channel: int = 0, has_bias: bool = True) -> Tensor:
        """[B, C, f, h, w] -> [B, L, D], patches in (f, h, w) order; what fills no patch is left out.

        With `first_channel` only the kernel's channels from there on are used, one for each of the latent's.
        """
        (kt, kh, kw), (batch, channels, f, h, w) = self.kernel, latent_BCfhw.shape
        f, h, w = f // kt, h // kh, w // kw
        latent = latent_BCfhw[:, :, : f * kt, : h * kh, : w * kw].to(self.weight.dtype)
        patches = latent.reshape(batch, channels, f, kt, h, kh, w, kw).permute(0, 2, 4, 6, 1, 3, 5, 7)
        weight = self.weight[:, first_channel : first_channel + channels].flatten(1)
        bias = self.bias if has_bias else None
        return F.linear(patches.reshape(batch, f * h * w, channels * kt * kh * kw), weight, bias)


class Head(nn.Module):
    """The last norm and product: a token becomes the velocities of its patch. Runs in float32."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.eps, self.channels = spec.eps, spec.out_dim
        self.modulation = nn.Parameter(torch.zeros(1, 2, spec.dim))
        self.head = nn.Linear(spec.dim, spec.out_dim * PATCH * PATCH)

    def forward(self, x_BLD: Tensor, modulation_R2D: Tensor, bounds: Bounds) -> Tensor:
        """[B, L, D] -> [B, L, 4 C], the patch's rows, columns, then channels."""
        shift_RD, scale_RD = modulation_R2D[: len(bounds)].unbind(1)
        return self.head(norm_modulate(x_BLD, scale_RD, shift_RD, bounds, eps=self.eps, dtype=torch.float32))


def unpatch(y_BLP: Tensor, grid: Grid) -> Tensor:
    """Put the head's patches [B, L, 4 C] together to a latent [B, C, f, h, w]."""
    batch = y_BLP.shape[0]
    y = y_BLP.reshape(batch, *grid, PATCH, PATCH, -1).permute(0, 6, 1, 2, 4, 3, 5)
    return y.reshape(batch, y.shape[1], grid.frames, grid.rows * PATCH, grid.columns * PATCH)
