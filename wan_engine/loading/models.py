"""Build each network from its files: sizes from its config or, without one, from its tensors' shapes."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, adapt_keys
from wan_engine.errors import CheckpointError, SettingError
from wan_engine.loading.checkpoint import fill
from wan_engine.loading.folder import NetworkFiles
from wan_engine.loading.key_maps import recognise
from wan_engine.loading.lora import merged, read_lora
from wan_engine.loading.quantise import Kind, can_be_dynamic, quantising
from wan_engine.loading.scaled import unscale
from wan_engine.loading.stored import open_weights, read_json, stored
from wan_engine.loading.tensors import Weights
from wan_engine.specs import SpeechTransformerSpec, TaskSpec, TransformerSpec, VaeName, transformer_spec
from wan_engine.text.umt5 import UmT5Config, UmT5Encoder
from wan_engine.transformer.model import Transformer, keeps_float32
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.codec import VideoCodec
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae
from wan_engine.vae.wan22 import Wan22Config, Wan22Vae

Device = torch.device | str
_VAE_WIDTH = "encoder.conv1.weight"  # the tensor whose length is an autoencoder's width


def read_weights(path: Path) -> Weights:
    """List a file's tensors under the released names, 8-bit ones with their scales multiplied in."""
    return unscale(recognise(open_weights(path)))


def weights_bytes(path: Path, dtype: torch.dtype) -> int:
    """Return what a file's tensors take in memory as `dtype`."""
    return sum(math.prod(tensor.shape) for tensor in read_weights(path).values()) * dtype.itemsize


def load_transformer(
    task: TaskSpec,
    files: NetworkFiles,
    *,
    dtype: torch.dtype,
    device: Device = "cpu",
    loras: Sequence[tuple[Path, float]] = (),
    quantise: Kind | None = None,
) -> Transformer:
    """Load one transformer, LoRAs merged in, each times its factor; what must stay in float32 does.

    Raises CheckpointError, LoraError.
    """
    model = build_transformer(read_spec(task, files))
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = merged(
        read_weights(files.weights), [(read_lora(path, shapes), factor) for path, factor in loras]
    )
    dtypes = float32_where_needed(dtype)
    prepare = None
    if quantise is not None:
        prepare = quantising(
            model,
            quantise,
            block_count=model.spec.num_layers,
            dtype=dtypes,
            device=device,
            is_dynamic=can_be_dynamic(quantise, device),
        )
    fill(model, weights, dtype=dtypes, device=device, prepare=prepare)
    return model.eval()


def read_spec(task: TaskSpec, files: NetworkFiles) -> TransformerSpec:
    """Return a transformer's widths: its config's, or the released ones for a file without."""
    if files.config is None:
        return task.transformer
    try:
        spec = transformer_spec(read_json(files.config))
    except SettingError as error:
        raise CheckpointError(f"{files.config}: {error.message}", hint=error.hint) from error
    if spec.model_type != task.transformer.model_type:
        raise CheckpointError(
            f"{files.config.parent} holds a {spec.model_type} model, which is not for {task.name}.",
            hint="Choose the task the folder is for.",
        )
    return spec


def build_transformer(spec: TransformerSpec) -> Transformer:
    """Build a transformer without memory for its weights."""
    with torch.device("meta"):
        return SpeechTransformer(spec) if isinstance(spec, SpeechTransformerSpec) else Transformer(spec)


def float32_where_needed(dtype: torch.dtype) -> Callable[[str], torch.dtype]:
    """Return the dtype of each tensor of a transformer that runs in `dtype`."""
    return lambda key: torch.float32 if keeps_float32(key) else dtype


def vae_width(path: Path) -> int:
    """Return how wide a video autoencoder is, read off its tensors."""
    return _length({key: tensor.shape for key, tensor in read_weights(path).items()}, _VAE_WIDTH, path)


def load_vae(
    name: VaeName, path: Path, *, dtype: torch.dtype = torch.float32, device: Device = "cpu"
) -> VideoCodec:
    """Load a video autoencoder; its widths are read off its tensors."""
    weights = read_weights(path)
    shapes = {key: tensor.shape for key, tensor in weights.items()}
    width, channels = _length(shapes, _VAE_WIDTH, path), _length(shapes, "conv2.weight", path)
    with torch.device("meta"):
        if name == "wan21":
            vae: VideoCodec = Wan21Vae(Wan21Config(width, channels))
        else:
            decoder_width = _length(shapes, "decoder.head.0.gamma", path)
            vae = Wan22Vae(Wan22Config(width, decoder_width, channels))
    if channels != len(vae.statistics.mean):
        raise CheckpointError(
            f"{path.name} has {channels} latent channels; this task needs {len(vae.statistics.mean)}.",
            hint="Use Wan2.1_VAE for the 14B models and Wan2.2_VAE for ti2v-5B.",
        )
    fill(vae, weights, dtype=dtype, device=device)
    return vae.eval()


def load_text_encoder(
    path: Path, *, dtype: torch.dtype = torch.bfloat16, device: Device = "cpu"
) -> UmT5Encoder:
    """Load umT5; its widths are read off its tensors."""
    weights = read_weights(path)
    shapes = {key: tensor.shape for key, tensor in weights.items()}
    blocks = {match[1] for key in shapes if (match := re.match(r"blocks\.(\d+)\.", key))}
    vocabulary = _length(shapes, "token_embedding.weight", path)
    first = "blocks.0.pos_embedding.embedding.weight"
    config = UmT5Config(
        vocabulary=vocabulary,
        dim=shapes["token_embedding.weight"][1],
        attention_dim=_length(shapes, "blocks.0.attn.q.weight", path),
        ffn_dim=_length(shapes, "blocks.0.ffn.fc1.weight", path),
        buckets=_length(shapes, first, path),
        heads=shapes[first][1],
        layers=len(blocks),
    )
    with torch.device("meta"):
        encoder = UmT5Encoder(config)
    fill(encoder, weights, dtype=dtype, device=device)
    return encoder.eval()


def load_speech_encoder(
    files: NetworkFiles, *, dtype: torch.dtype = torch.float32, device: Device = "cpu"
) -> Wav2Vec2:
    """Load wav2vec2 from its own folder; the released config where there is only a file."""
    config = Wav2Vec2Config.read(read_json(files.config)) if files.config else Wav2Vec2Config()
    released = open_weights(files.weights)
    tensors = adapt_keys({key: value.read() for key, value in released.items()})
    with torch.device("meta"):
        model = Wav2Vec2(config)
    fill(
        model,
        {key: stored(files.weights, tensor) for key, tensor in tensors.items()},
        dtype=dtype,
        device=device,
    )
    return model.eval()


def _length(shapes: dict[str, tuple[int, ...]], key: str, path: Path) -> int:
    """Return a tensor's first axis. Raises CheckpointError when the file lacks the tensor."""
    if key not in shapes or not shapes[key]:
        raise CheckpointError(f"{path} has no tensor {key}.", hint="It is another kind of model.")
    return shapes[key][0]
