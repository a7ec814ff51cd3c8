"""The umT5-XXL encoder: prompts' tokens to the features the transformers attend to.

T5's encoder (Raffel et al. 2020, arXiv 1910.10683) with gated GELU, and with umT5's own table of relative
positions in every layer (Chung et al. 2023, arXiv 2304.09151). There is no scaling by the root of the head
width.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wan_engine.errors import SettingError


@dataclass(frozen=True)
class UmT5Config:
    """Widths; the released file has the defaults."""

    vocabulary: int = 256384
    dim: int = 4096
    attention_dim: int = 4096
    ffn_dim: int = 10240
    heads: int = 64
    layers: int = 24
    buckets: int = 32
    max_distance: int = 128
    eps: float = 1e-6


class UmT5Encoder(nn.Module):
    """`models_t5_umt5-xxl-enc-bf16.pth`."""

    def __init__(self, config: UmT5Config | None = None) -> None:
        super().__init__()
        self.config = config = config or UmT5Config()
        self.token_embedding = nn.Embedding(config.vocabulary, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RmsNorm(config.dim, config.eps)

    def forward(self, ids_BS: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """(B, S) token ids -> (B, S, D). Tokens whose mask is 0 are not attended to."""
        if ids_BS.max() >= self.config.vocabulary:
            raise SettingError(
                f"Token {int(ids_BS.max())} is outside the text encoder's {self.config.vocabulary}.",
                hint="Use the tokenizer that came with the model.",
            )
        x_BSD = self.token_embedding(ids_BS)
        position = torch.arange(ids_BS.shape[1], device=ids_BS.device)
        bucket_SS = relative_bucket(
            position[None, :] - position[:, None], self.config.buckets, self.config.max_distance
        )
        for block in self.blocks:
            x_BSD = block(x_BSD, bucket_SS, mask_BS)
        return self.norm(x_BSD)

    def encode(self, ids_BS: Tensor, mask_BS: Tensor) -> list[Tensor]:
        """Return each prompt's features (length, D), padding cut off.

        Padding is never attended to, so only as many positions are computed as the longest prompt has.
        """
        lengths = mask_BS.sum(dim=1).tolist()
        longest = max(lengths)
        is_padded = min(lengths) < longest
        hidden = self(ids_BS[:, :longest], mask_BS[:, :longest] if is_padded else None)
        return [row[:length] for row, length in zip(hidden, lengths, strict=True)]


class RmsNorm(nn.Module):
    """x / rms(x) * weight, the mean square taken in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        scale = torch.rsqrt(x.float().square().mean(dim=-1, keepdim=True) + self.eps)
        return (x * scale).to(self.weight.dtype) * self.weight


class Block(nn.Module):
    """Attention, then gated feed-forward, each on the normalised input and added to it."""

    def __init__(self, config: UmT5Config) -> None:
        super().__init__()
        self.norm1 = RmsNorm(config.dim, config.eps)
        self.attn = Attention(config)
        self.norm2 = RmsNorm(config.dim, config.eps)
        self.ffn = FeedForward(config.dim, config.ffn_dim)
        self.pos_embedding = RelativePositions(config)

    def forward(self, x_BSD: Tensor, bucket_SS: Tensor, mask_BS: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        bias_BNSS = self.pos_embedding(bucket_SS)
        if mask_BS is not None:
            hidden = mask_BS[:, None, None, :] == 0
            bias_BNSS = bias_BNSS.masked_fill(hidden, torch.finfo(bias_BNSS.dtype).min)
        x_BSD = x_BSD + self.attn(self.norm1(x_BSD), bias_BNSS)
        return x_BSD + self.ffn(self.norm2(x_BSD))


class Attention(nn.Module):
    """Self-attention without biases or scaling, plus a bias for the distance."""

    def __init__(self, config: UmT5Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.dim, config.attention_dim, bias=False)
        self.k = nn.Linear(config.dim, config.attention_dim, bias=False)
        self.v = nn.Linear(config.dim, config.attention_dim, bias=False)
        self.o = nn.Linear(config.attention_dim, config.dim, bias=False)

    def forward(self, x_BSD: Tensor, bias_BNSS: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        q, k, v = (
            rearrange(project(x_BSD), "b s (n k) -> b n s k", n=self.heads)
            for project in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_BNSS, scale=1.0)
        return self.o(rearrange(y, "b n s k -> b s (n k)"))


class FeedForward(nn.Module):
    """fc2( fc1(x) * gelu(gate(x)) )."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.ModuleList([nn.Linear(dim, inner, bias=False)])  # `gate.0` in the checkpoint
        self.fc1 = nn.Linear(dim, inner, bias=False)
        self.fc2 = nn.Linear(inner, dim, bias=False)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        return self.fc2(self.fc1(x_BSD) * F.gelu(self.gate[0](x_BSD), approximate="tanh"))


class RelativePositions(nn.Module):
    """A learned number for each head and each bucket of distances."""

    def __init__(self, config: UmT5Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.buckets, config.heads)

    def forward(self, bucket_SS: Tensor) -> Tensor:
        """(S, S) -> (1, N, S, S)."""
        return rearrange(self.embedding(bucket_SS), "q k n -> 1 n q k")


def relative_bucket(distance: Tensor, buckets: int = 32, max_distance: int = 128) -> Tensor:
    """Return the bucket of key position minus query position.

    Half of the buckets are for keys behind the query, half for keys ahead. In each half, the first half
    counts single steps and the rest is spaced logarithmically up to `max_distance`. Source: T5, section 2.1.
    """
    half, exact = buckets // 2, buckets // 4
    side = (distance > 0).long() * half
    away = distance.abs()
    ratio = torch.log(away.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
    return side + torch.where(away < exact, away, far)
