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
from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, normalise_sound, step_count

WIDTH = 48
NOISE = 0.02  # of the loudest the sound can be, at most
SPEED = (0.86, 1.16)  # by which a voice is played slower or faster, and so lower or higher
TILT = (-0.5, 0.7)  # of the spectrum: a one-tap filter
SHAPE_WEIGHT = 20.0
TAUGHT_LAYERS = 2  # of the transformer's; those above hand on what they are given


class Listener(nn.Module):
    """The speech model and, for its training alone, what its last state is read by."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Wav2Vec2(listener_config())
        self.classes = nn.Linear(WIDTH, CLASSES)
        self.shapes = nn.Linear(WIDTH, 3)
        for number, layer in enumerate(self.encoder.encoder.layers):
            for last in (layer.attention.out_proj, layer.feed_forward.output_dense):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
            if number >= TAUGHT_LAYERS:
                layer.requires_grad_(False)
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def hear(self, samples_T: Tensor) -> Tensor:
        """Return the last hidden state (steps, WIDTH), without going through the layers that do nothing."""
        encoder = self.encoder.encoder
        x_TC = self.encoder.feature_projection(self.encoder.feature_extractor(normalise_sound(samples_T)))
        x_TC = x_TC + encoder.pos_conv_embed(x_TC)
        for layer in encoder.layers[:TAUGHT_LAYERS]:
            x_TC = layer(x_TC)
        return encoder.layer_norm(x_TC)


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
    speed = random.uniform(*SPEED)
    samples = as_recorded(samples, speed, random)
    device = listener.classes.weight.device
    heard_TC = listener.hear(torch.from_numpy(samples).to(device))
    said = np.minimum(np.rint(np.arange(step_count(len(samples))) * speed).astype(int), len(classes) - 1)
    kinds = F.cross_entropy(listener.classes(heard_TC), torch.from_numpy(classes[said]).long().to(device))
    mouths = F.mse_loss(listener.shapes(heard_TC), torch.from_numpy(shapes[said]).to(device))
    return kinds + SHAPE_WEIGHT * mouths


def as_recorded(samples: np.ndarray, speed: float, random: np.random.Generator) -> np.ndarray:
    """Return a voice at another speed, loudness and timbre, with some noise."""
    times = np.arange(0, len(samples) - 1, speed)
    changed = np.interp(times, np.arange(len(samples)), samples)
    changed[1:] -= random.uniform(*TILT) * changed[:-1]
    changed *= random.uniform(0.3, 1) / max(1.0, np.abs(changed).max())
    noise = random.uniform(0, NOISE) ** 2 * random.standard_normal(len(changed))
    return (changed + noise).astype(np.float32)


def write_listener(encoder: Wav2Vec2, folder: Path) -> None:
    """Write the speech model as its released folder has it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"wav2vec2.{key}": value.contiguous() for key, value in encoder.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = asdict(listener_config()) | {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2", **config}, indent=1))
