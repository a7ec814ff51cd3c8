"""The training: its forward is the engine's, it learns, and it can be stopped anywhere."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.codec import CHANNELS, as_video, fit_encoder, latents_of, new_codec
from tests.training.decoder import fit_decoder
from tests.training.folder import keep, new_networks, parts_of, read_networks
from tests.training.loop import Course, train
from tests.training.speaker import Batch, flow_loss, new_transformer, small_spec, velocities
from wan_engine.shapes import MOTION_LATENTS
from wan_engine.vae.wan21 import Wan21Vae

AUDIO_DIM = 8


def random_batch(samples: int, frames: int, *, has_motion: bool = True) -> Batch:
    random = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    return Batch(
        noise(samples, CHANNELS, frames, 8, 8),
        noise(samples, CHANNELS, 1, 8, 8),
        noise(samples, CHANNELS, MOTION_LATENTS, 8, 8) if has_motion else None,
        noise(samples, 25, AUDIO_DIM, 4 * frames),
        noise(5, 32),
    )


@pytest.mark.parametrize("has_motion", [True, False])
def test_the_trainings_forward_is_the_engines(has_motion: bool) -> None:
    model = new_transformer(small_spec(AUDIO_DIM, CHANNELS), 0)
    nn.init.normal_(model.head.head.weight, std=0.05)  # which starts as nothing
    batch = random_batch(1, 5, has_motion=has_motion)
    with torch.no_grad():
        ours = velocities(model, batch.latent_BCfhw, torch.tensor([437.0]), batch)
        clip = model.speech_clip(
            tuple(batch.latent_BCfhw.shape), batch.reference_BCfhw, motion_BCfhw=batch.motion_BCfhw
        )
        memory = model.speech_memory(
            model.memory([batch.text]), batch.features_BJCT, motion_frames=73, motion_latents=MOTION_LATENTS
        )
        times = model.time_table([437.0, 0.0]).at(model.timestep_rows(0, 1))
        engine = model(batch.latent_BCfhw, times, clip, memory)
    torch.testing.assert_close(ours, engine, atol=1e-5, rtol=1e-4)


def test_training_lowers_the_loss_of_a_batch(tmp_path: Path) -> None:
    model, batch = new_transformer(small_spec(AUDIO_DIM, CHANNELS), 0), random_batch(2, 4)
    batch.latent_BCfhw.copy_(
        torch.linspace(-2, 2, CHANNELS).view(1, -1, 1, 1, 1).expand_as(batch.latent_BCfhw)
    )

    def loss(random: np.random.Generator) -> Tensor:
        return flow_loss(model, batch, np.random.default_rng(0), torch.ones(8, 8))

    said: list[str] = []
    course = Course("speaker", model, loss, steps=16, rate=4e-3)
    assert train(course, tmp_path, seed=0, deadline=time.monotonic() + 1000, say=said.append)
    losses = torch.load(tmp_path / "speaker.pt", weights_only=True)["losses"]
    assert losses[-1] < 0.8 * losses[0]
    assert said


@pytest.fixture(scope="module")
def codec() -> Wan21Vae:
    """Fit an autoencoder to soft pictures that change."""
    codec = new_codec()
    fit_decoder(codec, *fit_encoder(codec, [soft_crops(21, seed) for seed in range(4)]))
    return codec


def soft_crops(frames: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    ends = [cv2.resize(random.random((4, 4, 3)), (64, 64), interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    share = (0.5 - 0.5 * np.cos(np.arange(frames) / 3))[:, None, None, None]
    return np.rint(255 * np.clip(ends[0] + share * (ends[1] - ends[0]), 0, 1)).astype(np.uint8)


def crops_of(frames: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (frames, 64, 64, 3)).astype(np.uint8)


def test_the_encoder_is_linear_although_its_architecture_is_not(codec: Wan21Vae) -> None:
    one, other = as_video(crops_of(9))[None], as_video(crops_of(9)[::-1].copy())[None]
    mean = codec.encode((one + other) / 2)
    torch.testing.assert_close(mean, (codec.encode(one) + codec.encode(other)) / 2, atol=1e-3, rtol=1e-3)
    assert (codec.encode(one) - mean).abs().mean() > 0.1


def test_the_trainings_way_through_the_encoder_is_the_engines(codec: Wan21Vae) -> None:
    crops = crops_of(13)
    torch.testing.assert_close(
        latents_of(codec, crops), codec.encode(as_video(crops)[None])[0], atol=1e-4, rtol=1e-4
    )


def test_what_was_encoded_comes_back(codec: Wan21Vae) -> None:
    video = as_video(soft_crops(13, 9))[None]
    made = codec.decode(codec.encode(video))
    off = (made - video)[:, :, 1:, 20:54, 14:50]  # where the fit counts most
    assert off.square().mean() < 0.05 * video.var()


def test_a_run_that_was_stopped_gives_the_same_weights(tmp_path: Path) -> None:
    def weights_after(folder: Path, stop_at: int | None) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(4, 4)
        done = 0

        def loss(random: np.random.Generator) -> Tensor:
            nonlocal done
            if done == stop_at:
                raise KeyboardInterrupt  # Ctrl-C
            done += 1
            x = torch.from_numpy(random.standard_normal((8, 4))).float() + torch.randn(8, 4)
            return (model(x) - x.flip(1)).square().mean()

        course = Course("linear", model, loss, steps=20, rate=1e-2)
        train(course, folder, seed=3, deadline=time.monotonic() + 1000, say=lambda line: None)
        return model.state_dict()

    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    whole.mkdir()
    pieces.mkdir()
    expected = weights_after(whole, None)
    with pytest.raises(KeyboardInterrupt):
        weights_after(pieces, 7)
    found = weights_after(pieces, None)
    for key, value in expected.items():
        assert torch.equal(found[key], value)


def test_kept_networks_are_the_parts_of_a_pipeline(tmp_path: Path) -> None:
    networks = new_networks(seed=5)
    for name, network in networks.named().items():
        keep(network, tmp_path / f"{name}.safetensors")
    parts = parts_of(read_networks(tmp_path), tmp_path / "text")
    with parts.transformers[0]() as model:
        kept = model.state_dict()
        for key, value in networks.speaker.state_dict().items():
            torch.testing.assert_close(value, kept[key], atol=1e-3, rtol=1e-3)
    assert parts.encode_speech is not None
    assert parts.encode_speech(torch.zeros(16000)).shape[0] == 25
