"""The small speech model: wav2vec2's layers at a fraction of their widths, trained to tell sounds and mouths.

The released one was trained to write down English; this one learns which of the mouth's kinds of sound is
spoken in each step, and the mouth's shape there. Its layers start as nothing, so that all 25 hidden states
are features of the sound from the beginning.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.training.voices import CLASSES
from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, step_count

WIDTH = 32
NOISE = 0.02  # of the loudest the sound can be, at most
SHAPE_WEIGHT = 20.0


class Listener(nn.Module):
    """The speech model and, for its training alone, what its last state is read by."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Wav2Vec2(listener_config())
        self.classes = nn.Linear(WIDTH, CLASSES)
        self.shapes = nn.Linear(WIDTH, 3)
        for layer in self.encoder.encoder.layers:
            for last in (layer.attention.out_proj, layer.feed_forward.output_dense):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)


def listener_config() -> Wav2Vec2Config:
    """Return the small model's widths."""
    return Wav2Vec2Config(
        hidden_size=WIDTH, num_attention_heads=2, intermediate_size=2 * WIDTH, conv_dim=(WIDTH,) * 7,
        num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=1,
    )  # fmt: skip


def listener_loss(
    listener: Listener,
    samples: np.ndarray,
    classes: np.ndarray,
    shapes: np.ndarray,
    random: np.random.Generator,
) -> Tensor:
    """Return the error on one voice."""
    noise = random.uniform(0, NOISE) ** 2 * random.standard_normal(len(samples)).astype(np.float32)
    states_JTC = listener.encoder(torch.from_numpy(samples * np.float32(random.uniform(0.3, 1)) + noise))
    steps = step_count(len(samples))
    heard_TC = states_JTC[-1]
    kinds = F.cross_entropy(
        listener.classes(heard_TC), torch.from_numpy(classes[:steps]).long().to(heard_TC.device)
    )
    mouths = F.mse_loss(listener.shapes(heard_TC), torch.from_numpy(shapes[:steps]).to(heard_TC.device))
    return kinds + SHAPE_WEIGHT * mouths


def write_listener(encoder: Wav2Vec2, folder: Path) -> None:
    """Write the speech model as its released folder has it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"wav2vec2.{key}": value.contiguous() for key, value in encoder.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = asdict(listener_config()) | {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2", **config}, indent=1))
