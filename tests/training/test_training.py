"""The training: its forward is the engine's, it learns, and it can be stopped anywhere."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.codec import CHANNELS, LinearCodec, as_video
from tests.training.folder import keep, new_networks, parts_of, read_networks
from tests.training.loop import Course, train
from tests.training.speaker import Batch, flow_loss, new_transformer, small_spec, velocities
from wan_engine.shapes import MOTION_LATENTS

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


def test_the_codec_streams_and_gives_back_what_its_directions_hold() -> None:
    random = np.random.default_rng(0)
    looks = random.integers(0, 256, (4, 17, 4, 4, 3)).astype(np.uint8)  # blocks of one colour
    scenes = looks.repeat(16, axis=2).repeat(16, axis=3)
    codec = LinearCodec()
    codec.fit(scenes)
    video = as_video(scenes[:1])
    latent = codec.encode(video, latents_per_chunk=1)
    assert latent.shape == (1, CHANNELS, 5, 8, 8)
    torch.testing.assert_close(codec.encode(video, latents_per_chunk=3), latent)
    torch.testing.assert_close(codec.decode(latent), video, atol=1e-3, rtol=0)
    torch.testing.assert_close(codec.encode(video[:, :, :9]), latent[:, :, :3])  # it is causal


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
