"""The trained networks as files, as the parts of a pipeline, and as a model folder."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.training.codec import CHANNELS, new_codec
from tests.training.listener import WIDTH, Listener, write_listener
from tests.training.speaker import TASK, new_transformer, small_spec
from wan_engine.audio.wav2vec2 import Wav2Vec2
from wan_engine.loading.assemble import load_parts
from wan_engine.loading.folder import SHARD_STEM, SPEECH_FOLDER, VAE_FILES
from wan_engine.pipelines.parts import Parts
from wan_engine.sampling.experts import held
from wan_engine.tiny import write_tiny
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.wan21 import Wan21Vae


@dataclass(frozen=True)
class Networks:
    """What is trained."""

    speaker: SpeechTransformer
    codec: Wan21Vae
    listener: Wav2Vec2

    def named(self) -> dict[str, nn.Module]:
        """Return them by the names of their files."""
        return {"speaker": self.speaker, "codec": self.codec, "listener": self.listener}


def new_networks(seed: int = 0) -> Networks:
    """Return untrained networks."""
    torch.manual_seed(seed)
    return Networks(new_transformer(small_spec(WIDTH, CHANNELS), seed), new_codec(), Listener().encoder)


def keep(network: nn.Module, path: Path) -> None:
    """Write a network's weights in 16 bits; tensors of zeros are left out."""
    state = network.state_dict().items()
    save_file({key: value.half().contiguous() for key, value in state if value.any()}, path)


def read_into(network: nn.Module, path: Path) -> None:
    """Give a network the weights that `keep` wrote, in float32, for good."""
    kept = load_file(path)
    assert kept.keys() <= network.state_dict().keys(), path
    state = {key: kept.get(key, torch.zeros_like(value)) for key, value in network.state_dict().items()}
    network.load_state_dict({key: value.float() for key, value in state.items()})
    network.requires_grad_(False).eval()


def read_networks(folder: Path) -> Networks:
    """Read all networks."""
    networks = new_networks()
    for name, network in networks.named().items():
        read_into(network, folder / f"{name}.safetensors")
    return networks


def parts_of(networks: Networks, text_folder: Path) -> Parts:
    """Return the parts of the engine's pipelines."""

    def encode_speech(samples_T: Tensor) -> Tensor:
        with torch.no_grad():
            return networks.listener(samples_T)

    return Parts(
        task=TASK,
        transformers=(held(networks.speaker),),
        vae=held(networks.codec),
        encode_text=text_encoder(text_folder),
        encode_speech=encode_speech,
    )


def text_encoder(folder: Path) -> Callable[[str], Tensor]:
    """Return a small text encoder of random weights, the same for everybody; writes it into `folder`."""
    write_tiny(folder, TASK)
    return load_parts(TASK.name, folder).encode_text


def write_folder(folder: Path, networks: Networks) -> Path:
    """Write a folder with the released layout, for `dubwright redub --engine wan --model FOLDER`."""
    write_tiny(folder, TASK)
    for path in folder.glob(f"{SHARD_STEM}*"):
        path.unlink()
    state = {key: value.detach().contiguous() for key, value in networks.speaker.state_dict().items()}
    save_file(state, folder / f"{SHARD_STEM}.safetensors", metadata={"format": "pt"})
    config = {"_class_name": "WanModel_S2V", **asdict(networks.speaker.spec)}
    for never_saved in ("patch_size", "motion_frames"):
        del config[never_saved]
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    torch.save(networks.codec.state_dict(), folder / VAE_FILES[TASK.vae])
    write_listener(networks.listener, folder / SPEECH_FOLDER)
    return folder
