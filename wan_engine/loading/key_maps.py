"""What other programs call our tensors: Diffusers' and transformers' names, and prefixes of single files.

The released files need none of this. Sources: huggingface/diffusers, scripts/convert_wan_to_diffusers.py, and
transformers' UMT5; names only.
"""

import re
from collections.abc import Callable, Iterable

from wan_engine.loading.tensors import Weights

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "model.")
Rules = tuple[tuple[str, str], ...]

TRANSFORMER_RULES: Rules = (
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^proj_out\.", "head.head."),
    (r"^(blocks\.\d+\.)scale_shift_table$", r"\1modulation"),
    (r"^(blocks\.\d+\.)norm2\.", r"\1norm3."),
    (r"^(blocks\.\d+\.)ffn\.net\.0\.proj\.", r"\1ffn.0."),
    (r"^(blocks\.\d+\.)ffn\.net\.2\.", r"\1ffn.2."),
    (r"^(blocks\.\d+\.)attn1\.", r"\1self_attn."),
    (r"^(blocks\.\d+\.)attn2\.", r"\1cross_attn."),
    (r"^(blocks\.\d+\.(?:self|cross)_attn\.)to_([qkv])\.", r"\1\2."),
    (r"^(blocks\.\d+\.(?:self|cross)_attn\.)to_out\.0\.", r"\1o."),
)

_BLOCK = r"^encoder\.block\.(\d+)\.layer\."
TEXT_RULES: Rules = (
    (r"^(?:shared|encoder\.embed_tokens)\.weight$", "token_embedding.weight"),
    (r"^encoder\.final_layer_norm\.", "norm."),
    (_BLOCK + r"0\.SelfAttention\.relative_attention_bias\.", r"blocks.\1.pos_embedding.embedding."),
    (_BLOCK + r"0\.SelfAttention\.", r"blocks.\1.attn."),
    (_BLOCK + r"0\.layer_norm\.", r"blocks.\1.norm1."),
    (_BLOCK + r"1\.layer_norm\.", r"blocks.\1.norm2."),
    (_BLOCK + r"1\.DenseReluDense\.wi_0\.", r"blocks.\1.ffn.gate.0."),
    (_BLOCK + r"1\.DenseReluDense\.wi_1\.", r"blocks.\1.ffn.fc1."),
    (_BLOCK + r"1\.DenseReluDense\.wo\.", r"blocks.\1.ffn.fc2."),
)

_RESIDUAL_RULES: Rules = (
    (r"\.norm1\.gamma$", ".residual.0.gamma"),
    (r"\.conv1\.(weight|bias)$", r".residual.2.\1"),
    (r"\.norm2\.gamma$", ".residual.3.gamma"),
    (r"\.conv2\.(weight|bias)$", r".residual.6.\1"),
    (r"\.conv_shortcut\.", ".shortcut."),
)
_VAE_RULES: Rules = (
    (r"^quant_conv\.", "conv1."),
    (r"^post_quant_conv\.", "conv2."),
    (r"^(encoder|decoder)\.conv_in\.", r"\1.conv1."),
    (r"^(encoder|decoder)\.conv_out\.", r"\1.head.2."),
    (r"^(encoder|decoder)\.norm_out\.", r"\1.head.0."),
    (r"^(encoder|decoder)\.mid_block\.attentions\.0\.", r"\1.middle.1."),
    (r"^(encoder|decoder)\.mid_block\.resnets\.0\.", r"\1.middle.0."),
    (r"^(encoder|decoder)\.mid_block\.resnets\.1\.", r"\1.middle.2."),
)


def from_diffusers_transformer(weights: Weights) -> Weights:
    """Rename Diffusers' `WanTransformer3DModel`."""
    return rename(weights, lambda key: apply_rules(key, TRANSFORMER_RULES))


def from_transformers_text(weights: Weights) -> Weights:
    """Rename transformers' `UMT5EncoderModel`; the table of words is stored there once or twice."""
    return rename(weights, lambda key: apply_rules(key, TEXT_RULES))


def from_diffusers_vae21(weights: Weights) -> Weights:
    """Rename Diffusers' `AutoencoderKLWan` of Wan2.1: its encoder is flat as ours, its decoder has levels."""
    return rename(weights, _vae21_key)


def from_diffusers_vae22(weights: Weights) -> Weights:
    """Rename Diffusers' `AutoencoderKLWan` of Wan2.2, which has levels on both sides."""
    last = {side: _resnets_per_level(weights, side) for side in ("down", "up")}
    return rename(weights, lambda key: _vae22_key(key, last))


def _vae21_key(key: str) -> str:
    key = _vae_key(key)
    key = re.sub(r"^encoder\.down_blocks\.", "encoder.downsamples.", key)
    blocks = 3  # residual blocks of a decoder level; with its upsampler a level has four layers
    if match := re.match(r"^decoder\.up_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", key):
        return f"decoder.upsamples.{int(match[1]) * (blocks + 1) + int(match[2])}.{match[3]}"
    if match := re.match(r"^decoder\.up_blocks\.(\d+)\.upsamplers\.0\.(.*)", key):
        return f"decoder.upsamples.{int(match[1]) * (blocks + 1) + blocks}.{match[2]}"
    return key


def _vae22_key(key: str, last: dict[str, int]) -> str:
    key = _vae_key(key)
    side = {"encoder": "down", "decoder": "up"}.get(key.partition(".")[0], "")
    parts = f"{side}samples"
    key = re.sub(rf"^(\w+)\.{side}_blocks\.(\d+)\.resnets\.(\d+)\.", rf"\1.{parts}.\2.{parts}.\3.", key)
    return re.sub(
        rf"^(\w+)\.{side}_blocks\.(\d+)\.{side}sampler\.", rf"\1.{parts}.\2.{parts}.{last.get(side, 0)}.", key
    )


def _vae_key(key: str) -> str:
    key = apply_rules(key, _VAE_RULES)
    return apply_rules(key, _RESIDUAL_RULES) if re.search(r"_blocks?\.|\.middle\.[02]\.", key) else key


def _resnets_per_level(weights: Weights, side: str) -> int:
    numbers = [
        int(match[1]) for key in weights if (match := re.search(rf"{side}_blocks\.0\.resnets\.(\d+)\.", key))
    ]
    return max(numbers, default=-1) + 1


def apply_rules(key: str, rules: Rules) -> str:
    """Apply every rule in order."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def rename(weights: Weights, new_name: Callable[[str], str]) -> Weights:
    """Give every tensor its new name."""
    return {new_name(key): stored for key, stored in weights.items()}


def without_prefix(weights: Weights) -> Weights:
    """Take off the prefix single files put before a transformer's names, if all have it."""
    for prefix in PREFIXES:
        if weights and all(key.startswith(prefix) for key in weights):
            return rename(weights, lambda key, prefix=prefix: key.removeprefix(prefix))
    return weights


def recognise(weights: Weights) -> Weights:
    """Bring any file we know to the released names."""
    weights = without_prefix(weights)
    names = weights.keys()
    if _any_starts(names, "condition_embedder."):
        return from_diffusers_transformer(weights)
    if _any_starts(names, "encoder.block.0.layer."):
        weights = {key: stored for key, stored in weights.items() if key != "spiece_model"}
        return from_transformers_text(weights)
    if _any_starts(names, "encoder.down_blocks.0.resnets."):
        return from_diffusers_vae22(weights)
    if _any_starts(names, "encoder.down_blocks."):
        return from_diffusers_vae21(weights)
    return weights


def _any_starts(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
