"""How much arithmetic a forward is: the closed formula behind plans and benchmarks.

A product of [m, k] and [k, n] counts 2 m k n. Elementwise work and what is done once a clip is left out.
"""

from wan_engine.shapes import PATCH, Grid
from wan_engine.specs import SpeechTransformerSpec, TransformerSpec


def forward_flops(spec: TransformerSpec, grid: Grid, *, tokens: int) -> int:
    """Return the operations of one step's forward: `grid` are the video's tokens, `tokens` all."""
    dim, video = spec.dim, grid.tokens
    block = _attention(tokens, tokens, dim, products=4)
    block += _attention(tokens, spec.text_len, dim, products=2)
    block += _product(tokens, dim, spec.ffn_dim) * 2
    total = block * spec.num_layers
    if isinstance(spec, SpeechTransformerSpec):
        heard = _attention(video, spec.num_audio_token + 1, dim, products=2)
        total += heard * len(spec.audio_inject_layers)
    patch = PATCH * PATCH
    embedded = spec.out_dim * patch  # the condition's channels are embedded once a clip
    return total + _product(video, embedded, dim) + _product(video, dim, spec.out_dim * patch)


def _attention(queries: int, keys: int, dim: int, *, products: int) -> int:
    """Return an attention's scores and sums, and so many square products of its queries."""
    return 4 * queries * keys * dim + products * _product(queries, dim, dim)


def _product(rows: int, inner: int, columns: int) -> int:
    return 2 * rows * inner * columns
