"""A shot to re-dub, small networks to do it with, and a stand-in whose answer is known."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from tests.unit.wan_engine.conftest import randomise
from wan_engine.pipelines.parts import Parts, draw_noise
from wan_engine.pipelines.redub import RedubInputs
from wan_engine.pipelines.redub_footage import HeldFootage
from wan_engine.pipelines.settings import Sampling, sampling_for
from wan_engine.sampling.experts import held
from wan_engine.specs import SpeechTransformerSpec, find_task
from wan_engine.tiny import tiny_spec
from wan_engine.transformer.audio_encoder import AUDIO_LAYERS
from wan_engine.transformer.model import Memory
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae

SIDE = 64
RATE = Fraction(25)
TASK = find_task("s2v-14B")
SPEC = tiny_spec(TASK)
assert isinstance(SPEC, SpeechTransformerSpec)


def make_shot(*, before: int, count: int, after: int, mask: str = "mouth") -> HeldFootage:
    """Return a moving picture with detail, and the mask of a mouth, of everything or of nothing."""
    random = torch.Generator().manual_seed(3)
    frames = before + count + after
    still = torch.rand(3, 1, SIDE // 4, SIDE // 4, generator=random).repeat_interleave(4, 2)
    still = still.repeat_interleave(4, 3) * 1.2 - 0.6
    light = 0.1 * torch.sin(torch.arange(frames) / 7)[:, None, None]
    masks = torch.zeros(count, SIDE, SIDE)
    if mask == "mouth":
        masks[:, 32:56, 16:48] = 1
        masks[:, 30:32, 16:48] = masks[:, 56:58, 16:48] = 0.5
    elif mask == "all":
        masks += 1
    return HeldFootage((still + light).expand(3, frames, SIDE, SIDE), masks, before)


def make_inputs(footage: HeldFootage, *, seconds: float = 2.0, **fields: Any) -> RedubInputs:
    """Return inputs with seeded random texts and features."""
    random = torch.Generator().manual_seed(4)
    given = {
        "prompt": torch.randn(5, SPEC.text_dim, generator=random),
        "negative": torch.randn(4, SPEC.text_dim, generator=random),
        "reference_CHW": footage.pictures_CFHW[:, footage.before],
        "footage": footage,
        "features_JTC": torch.randn(AUDIO_LAYERS, round(50 * seconds), SPEC.audio_dim, generator=random),
        "rate": RATE,
    }
    return RedubInputs(**{**given, **fields})


def sampling(**changes: Any) -> Sampling:
    """Return quick settings."""
    return sampling_for(TASK, **{"steps": 3, "seed": 5, **changes})


def tiny_parts(*, has_real_vae: bool = False) -> Parts:
    """Return a real transformer at a fraction of its widths, with the real autoencoder or a quick one."""
    model = SpeechTransformer(SPEC)
    randomise(model, 1)
    if not has_real_vae:
        return _parts(model, ReadableCodec())
    vae = Wan21Vae(Wan21Config(width=4))
    randomise(vae, 2)
    return _parts(model, vae)


def stand_in_parts(seed: int, shape: tuple[int, ...]) -> Parts:
    """Return a network that answers with what it hears, and an autoencoder whose latents can be read."""
    return _parts(Listener(draw_noise(shape, seed, "cpu")), ReadableCodec())


def _parts(model: Any, vae: Any) -> Parts:
    return Parts(replace(TASK, transformer=SPEC), (held(model),), held(vae), lambda text: torch.zeros(1, 1))


@dataclass(frozen=True)
class Heard(Memory):
    """The features of a chunk, [frames]."""

    features_F: Tensor


class Listener(SpeechTransformer):
    """A stand-in: channel j of latent i becomes the first feature of frame 4 i + j, wherever it may.

    Its noise is known, so the velocity to that picture is, too: noise - picture, at every noise level.
    """

    def __init__(self, noise_BCfhw: Tensor) -> None:
        super().__init__(SPEC)
        self.noise_BCfhw = noise_BCfhw

    def speech_memory(self, text: Memory, features_BJCT: Tensor, **_: int) -> Any:
        """Keep the features as they came."""
        return Heard(text.text, features_BJCT[0, 0, 0])

    def forward(self, latent_BCfhw: Tensor, modulation: Any, clip: Any, memory: Any) -> Tensor:
        """Return the velocity to the picture heard."""
        picture_BCfhw = torch.zeros_like(latent_BCfhw)
        picture_BCfhw[0, :4] = memory.features_F.unflatten(0, (-1, 4)).T[:, :, None, None]
        return self.noise_BCfhw - picture_BCfhw


@dataclass
class Notebook:
    """A Keeper in memory (wan_engine.kept)."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def load(self, name: str) -> Tensor | None:
        """Return what was kept."""
        return self.tensors.get(name)

    def save(self, name: str, value: Tensor) -> None:
        """Keep it."""
        self.tensors[name] = value


class ReadableCodec:
    """A stand-in: a latent's first four channels are its four frames in grey, eight pixels to one."""

    def encode(self, video_BCFHW: Tensor) -> Tensor:
        """Return latents [1, 16, f, h, w]."""
        grey_BFHW = torch.nn.functional.avg_pool2d(video_BCFHW.mean(1), 8)
        grey_BFHW = torch.cat([grey_BFHW[:, :1].expand(-1, 3, -1, -1), grey_BFHW], dim=1)
        latent_BCfhw = grey_BFHW.unflatten(1, (-1, 4)).transpose(1, 2)
        return torch.nn.functional.pad(latent_BCfhw, (0, 0, 0, 0, 0, 0, 0, 12))

    def encode_pieces(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the latents of a video in pieces."""
        for index, piece_BCFHW in enumerate(pieces):
            whole_BCfhw = self.encode(piece_BCFHW if index == 0 else piece_BCFHW[:, :, [0, *range(4)]])
            yield whole_BCfhw[:, :, -1:]

    def decode_chunks(self, latent_BCfhw: Tensor, *, skip: int = 0) -> Iterator[Tensor]:
        """Yield the first frame alone, then four a latent."""
        for index in range(skip, latent_BCfhw.shape[2]):
            grey_BFHW = latent_BCfhw[:, :4, index][:, -1 if index == 0 else 0 :]
            large_BFHW = grey_BFHW.repeat_interleave(8, 2).repeat_interleave(8, 3)
            yield large_BFHW[:, None].expand(-1, 3, -1, -1, -1)
