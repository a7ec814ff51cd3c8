"""The base transformer: text-, image- and text-and-image-to-video.

What a step does not change is made before the first one, by three calls:

    times  = model.time_table(timesteps)      the modulations of every step
    clip   = model.clip(latent_shape, ...)    positions, runs of timesteps, the condition's tokens
    memory = model.memory(text)               keys and values of the prompt in every block (one per guidance
    branch) velocity = model(latent, times.at(rows), clip, memory)

Source: Wan2.1 technical report (2025), section 4; the flow's velocity as in Lipman et al. 2023.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_engine.errors import SettingError
from wan_engine.shapes import Grid, token_grid
from wan_engine.specs import TransformerSpec
from wan_engine.transformer.blocks import Block, Head, KeysValues, Layout, PatchEmbedding, unpatch
from wan_engine.transformer.fused import Bounds
from wan_engine.transformer.modulation import SCALES, Modulation, TimeTable, cut_bounds, sinusoid
from wan_engine.transformer.rope import angles, grid_positions, rotation

_FLOAT32_PARTS = ("time_embedding.", "time_projection.", "head.", "casual_audio_encoder.")
_FLOAT32_ENDS = (".modulation", ".norm3.weight", ".norm3.bias")


def keeps_float32(key: str) -> bool:
    """Tell whether a weight stays float32 when the model runs in a smaller dtype, as it was released to."""
    return key.startswith(_FLOAT32_PARTS) or key.endswith(_FLOAT32_ENDS)


@dataclass(frozen=True)
class Clip:
    """What one clip adds to the forward of every step; both guidance branches share it."""

    grid: Grid  # of the video's own tokens, which come first
    layout: Layout
    added_BLD: Tensor | None = None  # condition tokens, summed with the video's
    tail_BLD: Tensor | None = None  # tokens after the video's: reference and motion


@dataclass(frozen=True)
class Memory:
    """What one guidance branch looks at: keys and values of its text, one for each block."""

    text: list[KeysValues]


def _go_on() -> None:
    pass


class Transformer(nn.Module):
    """Predicts the velocity of a noisy latent.

    Weights keep the names and shapes of the released checkpoints. `check` is called before every block; what
    it raises ends the forward.
    """

    check: Callable[[], None] = staticmethod(_go_on)

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.spec = spec
        dim = spec.dim
        self.patch_embedding = PatchEmbedding(spec.in_dim, dim)
        self.text_embedding = nn.Sequential(
            nn.Linear(spec.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(spec.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim * 6))
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.num_layers))
        self.head = Head(spec)
        self.requires_grad_(False)

    @property
    def dtype(self) -> torch.dtype:
        """Return the dtype of the matrix products."""
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Return where the embeddings live; blocks may be elsewhere until they are needed."""
        return self.patch_embedding.weight.device

    def set_dtype(self, dtype: torch.dtype) -> "Transformer":
        """Cast the weights, except those that stay float32."""
        for key, parameter in self.named_parameters():
            parameter.data = parameter.data.to(torch.float32 if keeps_float32(key) else dtype)
        return self

    def compile_blocks(self) -> "Transformer":
        """Let `torch.compile` fuse each block's elementwise work; all blocks share what is compiled.

        The first forward of a new shape takes up to minutes. Results agree with uncompiled ones to rounding.
        """
        for block in self._blocks():
            block.forward = torch.compile(block.forward, fullgraph=True)
        return self

    def time_table(self, timesteps: Sequence[float] | Tensor) -> TimeTable:
        """Return the modulations of the timesteps (0 .. 1000, may be fractional), one row for each."""
        values_T = torch.as_tensor(timesteps, device=self.device)
        embedding_TD = self.time_embedding(sinusoid(values_T, self.spec.freq_dim).float())
        projection_T6D = self.time_projection(embedding_TD).unflatten(1, (6, -1))
        blocks_I6D = torch.cat([block.modulation for block in self._blocks()]).clone()
        blocks_I6D[:, SCALES] += 1
        head_2D = self.head.modulation[0].clone()
        head_2D[1] += 1
        return TimeTable(embedding_TD, projection_T6D, blocks_I6D, head_2D)

    def clip(
        self,
        latent_shape: tuple[int, ...],
        *,
        condition_BCfhw: Tensor | None = None,
        bounds: Bounds | None = None,
    ) -> Clip:
        """Prepare a clip of latents [.., f, h, w]; `condition` are the channels that follow the noisy ones.

        `bounds` are the runs of tokens that share a timestep; one run when not given.
        """
        grid = token_grid(latent_shape)
        added = None
        if condition_BCfhw is not None:
            added = self.patch_embedding(
                condition_BCfhw, first_channel=self.spec.in_dim - condition_BCfhw.shape[1], has_bias=False
            )
        layout = self._layout(grid_positions(grid), bounds or ((0, grid.tokens),))
        return Clip(grid, layout, added)

    def embed_text(self, text: Sequence[Tensor]) -> Tensor:
        """Return the text's rows [B, S, D]; features [l, text_dim] are filled up with zero rows, which count.

        Raises SettingError when a text is longer than the model's `text_len`.
        """
        longest = max(len(features) for features in text)
        if longest > self.spec.text_len:
            raise SettingError(f"The text has {longest} tokens; the model reads {self.spec.text_len}.")
        padded = [F.pad(features, (0, 0, 0, self.spec.text_len - len(features))) for features in text]
        return self.text_embedding(torch.stack(padded).to(self.device, self.dtype))

    def memory(self, text: Sequence[Tensor]) -> Memory:
        """Return what every block remembers of the prompts, one feature [l, text_dim] a sample."""
        context_BSD = self.embed_text(text)
        return Memory([block.remember(context_BSD) for block in self._blocks()])

    def forward(self, latent_BCfhw: Tensor, modulation: Modulation, clip: Clip, memory: Memory) -> Tensor:
        """Return the velocity [B, C, f, h, w], float32, of a noisy latent."""
        x_BLD = self._embed(latent_BCfhw, clip)
        for index, (block, text) in enumerate(zip(self._blocks(), memory.text, strict=True)):
            self.check()
            x_BLD = block(x_BLD, modulation.blocks_RI6D[:, index], clip.layout, text)
            x_BLD = self.after_block(index, x_BLD, clip, memory)
        video_BLD, shard = self._video(x_BLD, clip), clip.layout.shard
        bounds = cut_bounds(clip.layout.bounds, video_BLD.shape[1])
        y_BLP = self.head(video_BLD, modulation.head_R2D, bounds)
        return unpatch(y_BLP if shard is None else shard.gather(y_BLP, clip.grid.tokens), clip.grid)

    def after_block(self, index: int, x_BLD: Tensor, clip: Clip, memory: Memory) -> Tensor:
        """Do what stands between two blocks; nothing here, audio where speech drives the model."""
        return x_BLD

    def _embed(self, latent_BCfhw: Tensor, clip: Clip) -> Tensor:
        """Return the residual stream's start [B, L, D], float32."""
        tokens_BLD = self.patch_embedding(latent_BCfhw)
        tail = 0 if clip.tail_BLD is None else clip.tail_BLD.shape[1]
        shape = (len(tokens_BLD), clip.grid.tokens + tail, self.spec.dim)
        x_BLD = torch.empty(shape, dtype=torch.float32, device=tokens_BLD.device)
        video_BLD = x_BLD[:, : clip.grid.tokens]
        video_BLD.copy_(tokens_BLD)
        if clip.added_BLD is not None:
            video_BLD.add_(clip.added_BLD)
        if clip.tail_BLD is not None:
            x_BLD[:, clip.grid.tokens :] = clip.tail_BLD
        shard = clip.layout.shard
        return x_BLD if shard is None else x_BLD[:, shard.start : shard.stop].clone()

    def _video(self, x_BLD: Tensor, clip: Clip) -> Tensor:
        """Return those of the video's own tokens that are here."""
        first = clip.layout.shard.start if clip.layout.shard else 0
        return x_BLD[:, : max(0, clip.grid.tokens - first)]

    def _layout(self, positions_L3: Tensor, bounds: Bounds) -> Layout:
        table_LP2 = rotation(angles(positions_L3, self.spec.head_dim)).float().to(self.device)
        return Layout(table_LP2, bounds, self.dtype)

    def _blocks(self) -> Iterator[Block]:
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block
