"""Write a complete model folder of tiny random networks, to run the whole real path in seconds.

    python -m wan_engine.tiny FOLDER --task s2v-14B

The layout, file names, key names and dtypes are the released ones; only the sizes are not.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor, nn

from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config
from wan_engine.loading.folder import (
    EXPERT_FOLDERS,
    SHARD_STEM,
    SPEECH_FOLDER,
    TEXT_FILE,
    TOKENIZER_FOLDER,
    VAE_FILES,
)
from wan_engine.specs import TASKS, SpeechTransformerSpec, TaskSpec, TransformerSpec, find_task
from wan_engine.text.umt5 import UmT5Config, UmT5Encoder
from wan_engine.transformer.model import Transformer
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae
from wan_engine.vae.wan22 import Wan22Config, Wan22Vae

TEXT_DIM = 32
AUDIO_DIM = 16
SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>")
VOCABULARY = len(SPECIAL_TOKENS) + 256  # one token for each byte


def write_tiny(folder: Path, task: TaskSpec, *, seed: int = 0) -> None:
    """Write the folder of one task; what lies there already is written over."""
    random = torch.Generator().manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / name for name in EXPERT_FOLDERS] if task.is_mixture else [folder]
    dtype = torch.bfloat16 if task.name.startswith("s2v") else torch.float32
    for place in places:
        _write_transformer(place, tiny_spec(task), random, dtype)
    torch.save(_random_state(UmT5Encoder(tiny_text_config()), random, torch.bfloat16), folder / TEXT_FILE)
    vae = Wan21Vae(Wan21Config(width=4)) if task.vae == "wan21" else Wan22Vae(Wan22Config(4, 4))
    torch.save(_random_state(vae, random, torch.float32), folder / VAE_FILES[task.vae])
    _write_tokenizer(folder / TOKENIZER_FOLDER)
    if isinstance(task.transformer, SpeechTransformerSpec):
        _write_speech_encoder(folder / SPEECH_FOLDER, random)


def tiny_spec(task: TaskSpec) -> TransformerSpec:
    """Return a task's transformer at a fraction of its widths."""
    widths: dict[str, Any] = {
        "dim": 48, "ffn_dim": 96, "num_heads": 2, "num_layers": 2, "freq_dim": 32, "text_dim": TEXT_DIM,
        "text_len": 64,
    }  # fmt: skip
    if isinstance(task.transformer, SpeechTransformerSpec):
        widths |= {"audio_dim": AUDIO_DIM, "audio_inject_layers": (0, 1)}
    return replace(task.transformer, **widths)


def tiny_text_config() -> UmT5Config:
    """Return a text encoder for the byte vocabulary."""
    return UmT5Config(
        vocabulary=VOCABULARY, dim=TEXT_DIM, attention_dim=TEXT_DIM, ffn_dim=2 * TEXT_DIM, heads=2, layers=2
    )


def _write_transformer(
    folder: Path, spec: TransformerSpec, random: torch.Generator, dtype: torch.dtype
) -> None:
    """Write config and weights, in two shards with an index."""
    folder.mkdir(exist_ok=True)
    is_speech = isinstance(spec, SpeechTransformerSpec)
    model = SpeechTransformer(spec) if is_speech else Transformer(spec)
    state = _random_state(model, random, dtype)
    config = {"_class_name": "WanModel_S2V" if is_speech else "WanModel", **asdict(spec)}
    del config["patch_size"]  # never saved in a released config
    config.pop("motion_frames", None)
    _write_json(folder / "config.json", config)
    keys, places = list(state), {}
    half = len(keys) // 2
    for number, part in enumerate((keys[:half], keys[half:]), start=1):
        name = f"{SHARD_STEM}-{number:05}-of-00002.safetensors"
        save_file({key: state[key] for key in part}, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    size = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    _write_json(folder / f"{SHARD_STEM}.safetensors.index.json", index)


def _write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single bytes that ends every text as umT5's does."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL_TOKENS, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    _write_json(folder / "special_tokens_map.json", names)
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "T5TokenizerFast", **names})


def _write_speech_encoder(folder: Path, random: torch.Generator) -> None:
    """Write wav2vec2 as transformers does: prefix, unused head, and the weight norm taken apart."""
    config = Wav2Vec2Config(
        hidden_size=AUDIO_DIM, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    state = _random_state(Wav2Vec2(config), random, torch.float32)
    weight = state.pop("encoder.pos_conv_embed.conv.weight")
    state["encoder.pos_conv_embed.conv.weight_g"] = torch.linalg.vector_norm(weight, dim=(0, 1), keepdim=True)
    state["encoder.pos_conv_embed.conv.weight_v"] = weight
    state["masked_spec_embed"] = torch.zeros(AUDIO_DIM)
    released = {f"wav2vec2.{key}": tensor for key, tensor in state.items()}
    released |= {"lm_head.weight": torch.zeros(33, AUDIO_DIM), "lm_head.bias": torch.zeros(33)}
    folder.mkdir(exist_ok=True)
    save_file(released, folder / "model.safetensors", metadata={"format": "pt"})
    fixed = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "hidden_act": "gelu"}
    _write_json(folder / "config.json", {"model_type": "wav2vec2", **fixed, **asdict(config)})
    _write_json(
        folder / "preprocessor_config.json",
        {"do_normalize": True, "feature_size": 1, "padding_value": 0.0, "sampling_rate": 16000},
    )


def _random_state(module: nn.Module, random: torch.Generator, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return a state dict of seeded random weights under which signals keep their size; none is zero."""
    state = {}
    for key, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random)
        if key.endswith(("bias", "modulation", "padding_tokens")):
            value = 0.1 * noise
        elif tensor.ndim < 2 or key.endswith(("gamma", ".weights")):
            value = 1 + 0.1 * noise
        else:
            value = noise / tensor[0].numel() ** 0.5
        state[key] = value.to(dtype)
    return state


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(prog="python -m wan_engine.tiny", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--task", default="s2v-14B", choices=list(TASKS), help="which model to imitate")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    options = parser.parse_args(arguments)
    write_tiny(options.folder, find_task(options.task), seed=options.seed)


if __name__ == "__main__":
    main()
