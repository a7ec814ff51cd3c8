"""wav2vec2 as a feature extractor: every hidden state, at 50 steps a second.

Source: Baevski et al. 2020, "wav2vec 2.0" (arXiv 2006.11477), in the pre-norm form of the large models;
layers and names as in transformers' `Wav2Vec2ForCTC`, whose head is not used here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wan_engine.errors import CheckpointError, MediaError

SAMPLE_RATE = 16_000
HOP = 320  # samples from one step to the next: the product of the strides
WINDOW = 400  # samples one step sees
STEPS_AT_ONCE = 3_000  # steps of the convolutions computed at a time: a minute, to bound their memory


@dataclass(frozen=True)
class Wav2Vec2Config:
    """The fields of the model's `config.json` that shape it; the released file has the defaults."""

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    layer_norm_eps: float = 1e-5
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = True
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Take our fields from a `config.json`. Raises CheckpointError for another kind of wav2vec2."""
        for key, expected in (("do_stable_layer_norm", True), ("feat_extract_norm", "layer")):
            if config.get(key, expected) != expected:
                raise CheckpointError(
                    f"This wav2vec2 has {key} = {config[key]!r}; the speech model needs {expected!r}.",
                    hint="Use wav2vec2-large-xlsr-53-english.",
                )
        known = {field.name for field in fields(cls)}
        ours: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in config.items()
            if key in known
        }
        return cls(**ours)


class Wav2Vec2(nn.Module):
    """Sound in, all hidden states out."""

    def __init__(self, config: Wav2Vec2Config | None = None) -> None:
        super().__init__()
        config = config or Wav2Vec2Config()
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.encoder = Encoder(config)

    def forward(self, samples_T: Tensor) -> Tensor:
        """Return hidden states (layers + 1, steps, width) of 16 kHz mono sound, normalised first.

        Entry 0 is what the first layer is given; the last entry has the encoder's final LayerNorm applied.
        """
        weight = self.feature_projection.projection.weight
        x_TC = self.feature_extractor(normalise_sound(samples_T.to(weight.device)).to(weight.dtype))
        return self.encoder(self.feature_projection(x_TC))


class FeatureExtractor(nn.Module):
    """Seven strided convolutions from samples to steps."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        ins = (1, *config.conv_dim[:-1])
        shapes = zip(ins, config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
        self.conv_layers = nn.ModuleList(ConvLayer(*shape, bias=config.conv_bias) for shape in shapes)

    def forward(self, samples_T: Tensor) -> Tensor:
        """(samples) -> (steps, C), in overlapping pieces: the same numbers as in one go."""
        steps = step_count(len(samples_T))
        if steps < 1:
            raise MediaError(
                f"The sound has {len(samples_T)} samples; wav2vec2 needs at least {WINDOW}.",
                hint="Give it at least 25 ms of sound.",
            )
        pieces = []
        for start in range(0, steps, STEPS_AT_ONCE):
            stop = min(start + STEPS_AT_ONCE, steps)
            x_BCT = samples_T[start * HOP : (stop - 1) * HOP + WINDOW].view(1, 1, -1)
            for layer in self.conv_layers:
                x_BCT = layer(x_BCT)
            pieces.append(x_BCT[0].T)
        return torch.cat(pieces)


class ConvLayer(nn.Module):
    """Convolution, LayerNorm over channels, GELU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, stride=stride, bias=bias)
        self.layer_norm = nn.LayerNorm(out_channels)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T')."""
        return F.gelu(self.layer_norm(self.conv(x_BCT).transpose(1, 2)).transpose(1, 2))


class FeatureProjection(nn.Module):
    """LayerNorm and a linear map to the encoder's width."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)

    def forward(self, x_TC: Tensor) -> Tensor:
        """(T, C) -> (T, D)."""
        return self.projection(self.layer_norm(x_TC))


class Encoder(nn.Module):
    """Convolutional positions, pre-norm layers, a final norm."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.pos_conv_embed = PositionalConv(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (layers + 1, T, D)."""
        x_TD = x_TD + self.pos_conv_embed(x_TD)
        states = [x_TD]
        for layer in self.layers:
            states.append(x_TD := layer(x_TD))
        states[-1] = self.layer_norm(x_TD)
        return torch.stack(states)


class PositionalConv(nn.Module):
    """A wide grouped convolution that tells each step where it stands; loading folds its weight norm."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        kernel, groups = config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups
        width = config.hidden_size
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=groups)

    def forward(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (T, D); an even kernel gives one step too many."""
        return F.gelu(self.conv(x_TD.T[None])[0].T[: len(x_TD)])


class Layer(nn.Module):
    """Attention and feed-forward, each on the normalised input and added to it."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = Attention(width, config.num_attention_heads)
        self.layer_norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, config.intermediate_size)
        self.final_layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (T, D)."""
        x_TD = x_TD + self.attention(self.layer_norm(x_TD))
        return x_TD + self.feed_forward(self.final_layer_norm(x_TD))


class Attention(nn.Module):
    """Plain self-attention with biases; every step sees the whole sound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (T, D)."""
        q, k, v = (
            rearrange(project(x_TD), "t (n k) -> 1 n t k", n=self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(rearrange(F.scaled_dot_product_attention(q, k, v), "1 n t k -> t (n k)"))


class FeedForward(nn.Module):
    """Two linear maps with GELU between."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(width, inner)
        self.output_dense = nn.Linear(inner, width)

    def forward(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (T, D)."""
        return self.output_dense(F.gelu(self.intermediate_dense(x_TD)))


def step_count(samples: int) -> int:
    """Return how many steps wav2vec2 makes of so many samples."""
    return max(0, (samples - WINDOW) // HOP + 1)


def normalise_sound(samples_T: Tensor) -> Tensor:
    """Bring sound to zero mean and unit variance over its whole length, as the model was trained."""
    samples_T = samples_T.float()
    variance, mean = torch.var_mean(samples_T, correction=0)
    return (samples_T - mean) / torch.sqrt(variance + 1e-7)


def adapt_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a released `Wav2Vec2ForCTC` state dict: no prefix, no head, the weight norm multiplied out.

    w = g * v / |v| over all but the kernel axis, stored as weight_g / weight_v or as torch's newer
    parametrisation.
    """
    ours = {
        key.removeprefix("wav2vec2."): value
        for key, value in tensors.items()
        if not key.startswith("lm_head.") and not key.endswith("masked_spec_embed")
    }
    conv = "encoder.pos_conv_embed.conv."
    for g_name, v_name in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        if conv + g_name in ours and conv + v_name in ours:
            g, v = ours.pop(conv + g_name), ours.pop(conv + v_name)
            length = torch.linalg.vector_norm(v.float(), dim=(0, 1), keepdim=True)
            ours[conv + "weight"] = (g.float() * v.float() / length).to(v.dtype)
    return ours
