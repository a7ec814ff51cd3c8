"""Train a small speech-to-video model on drawn heads, from nothing.

    python -m tests.training.train --out FOLDER --minutes 10 [--device cuda]

Stops after the minutes given; the same command goes on, and a run in pieces gives the same weights as one in
a piece. What is trained is kept in FOLDER as safetensors. The voices need espeak-ng (Debian and Ubuntu: sudo
apt install espeak-ng).
"""

import argparse
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from daemon.engines.wan_settings import PROMPT
from tests.training.codec import CHANNELS, STRIDE, fit_encoder, latents_of, new_codec
from tests.training.decoder import fit_decoder
from tests.training.folder import keep, read_into, text_encoder
from tests.training.heads import RATE
from tests.training.listener import WIDTH, Listener, listener_loss
from tests.training.loop import Course, train
from tests.training.scenes import FRAMES, SIDE, keep_scene
from tests.training.speaker import (
    FACE_WEIGHT,
    LIP_WEIGHT,
    TASK,
    Batch,
    flow_loss,
    new_transformer,
    small_spec,
)
from tests.training.voices import say
from wan_engine.audio.buckets import sample_features
from wan_engine.shapes import MOTION_LATENTS, TEMPORAL_STRIDE
from wan_engine.text.prompt import negative_prompt
from wan_engine.vae.wan21 import Wan21Vae

FITTED = 60  # scenes that the autoencoder is fitted to
REFERENCES = 4  # frames of a scene that may be the reference
LENGTHS = {4: 0.45, 6: 0.3, 8: 0.15, 12: 0.1}  # latents of a clip, and how often
WITHOUT_MOTION, WITHOUT_VOICE, NEGATIVE = 0.05, 0.08, 0.06  # shares of batches, of samples, of batches
FACE_CELLS = (slice(2, 7), slice(1, 7))  # latent rows and columns of the lower face
LIP_CELLS = (slice(2, 6), slice(2, 6))

KINDS = ("latents", "states")  # what is kept of a scene
Made = Callable[[nn.Module, Mapping[str, np.ndarray]], dict[str, Tensor]]


class Studio:
    """The stages of the training, each of which can be stopped and gone on with."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.out: Path = options.out
        self.options = options
        self.deadline = time.monotonic() + 60 * options.minutes
        self.device = torch.device(options.device)
        self.scenes = [self.out / "scenes" / f"scene{seed:04}.npz" for seed in range(options.scenes)]
        (self.out / "scenes").mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Do what there is time for."""
        stages = (self.draw, self.listen, self.code, self.encode, self.hear, self.speak)
        if not all(stage() for stage in stages):
            print("The time is over; the same command goes on from here.")
            return
        print(f"All is trained: python -m tests.training.report {self.out}")

    def draw(self) -> bool:
        """Draw the scenes, but those of which all is kept that is made of them."""
        for seed, path in enumerate(self.scenes):
            if time.monotonic() >= self.deadline:
                return False
            if all(self._is_kept(name) for name in ("codec", "listener")) and all(
                _kept_path(path, kind).exists() for kind in KINDS
            ):
                continue
            keep_scene(self.out / "scenes", seed)
        return True

    def listen(self) -> bool:
        """Train the speech model."""
        if self._is_kept("listener"):
            return True
        torch.manual_seed(self.options.seed)
        listener = Listener().to(self.device)
        randoms = (np.random.default_rng([seed, 3]) for seed in range(self.options.voices))
        voices = [say(random, FRAMES, RATE) for random in randoms]
        spoken = [(voice.samples, voice.classes, voice.shapes) for voice in voices]

        def loss(random: np.random.Generator) -> Tensor:
            pair = [spoken[random.integers(len(spoken))] for _ in range(2)]
            return torch.stack([listener_loss(listener, *voice, random) for voice in pair]).mean()

        return self._train(
            Course("listener", listener, loss, self.options.listener_steps, 3e-3), listener.encoder
        )

    def code(self) -> bool:
        """Fit the autoencoder."""
        if not self._is_kept("codec"):
            codec = new_codec()
            fit_decoder(codec, *fit_encoder(codec, [np.load(path)["crops"] for path in self.scenes[:FITTED]]))
            keep(codec, self.out / "codec.safetensors")
        return True

    def encode(self) -> bool:
        """Keep every scene's latents."""

        def latents(codec: nn.Module, scene: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
            assert isinstance(codec, Wan21Vae)
            crops = scene["crops"]
            chosen = np.linspace(0, len(crops) - 1, REFERENCES).astype(int)
            references = torch.cat([latents_of(codec, crops[[frame]]) for frame in chosen], dim=1)
            return {"latents": latents_of(codec, crops), "references": references}

        return self._keep_each("latents", new_codec(), "codec", latents)

    def hear(self) -> bool:
        """Keep what the speech model hears in every scene."""

        def states(listener: nn.Module, scene: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
            with torch.no_grad():
                return {"states": listener(torch.from_numpy(scene["samples"]))}

        return self._keep_each("states", Listener().encoder, "listener", states)

    def _keep_each(self, kind: str, network: nn.Module, name: str, make: Made) -> bool:
        """Keep what a trained network makes of every scene."""
        missing = [path for path in self.scenes if not _kept_path(path, kind).exists()]
        if missing:
            read_into(network, self.out / f"{name}.safetensors")
            network.to(self.device)
        for scene in missing:
            if time.monotonic() >= self.deadline:
                return False
            path = _kept_path(scene, kind)
            part = path.with_suffix(".part.npz")
            kept = make(network, np.load(scene))
            np.savez_compressed(
                part, **{name: value.cpu().numpy().astype(np.float16) for name, value in kept.items()}
            )
            part.rename(path)
        return True

    def speak(self) -> bool:
        """Train the transformer."""
        if self._is_kept("speaker"):
            return True
        model = new_transformer(small_spec(WIDTH, CHANNELS), self.options.seed).to(self.device)
        material = Material(self.scenes, self.out / "text", self.device)
        weight_hw = torch.ones(SIDE // STRIDE, SIDE // STRIDE, device=self.device)
        weight_hw[FACE_CELLS], weight_hw[LIP_CELLS] = FACE_WEIGHT, LIP_WEIGHT

        def loss(random: np.random.Generator) -> Tensor:
            batch = material.batch(random, self.options.batch)
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                return flow_loss(model, batch, random, weight_hw)

        return self._train(Course("speaker", model, loss, self.options.steps, self.options.rate), model)

    def _train(self, course: Course, kept: nn.Module) -> bool:
        is_over = train(course, self.out, seed=self.options.seed, deadline=self.deadline, say=_say)
        if is_over:
            keep(kept, self.out / f"{course.name}.safetensors")
        return is_over

    def _is_kept(self, name: str) -> bool:
        return (self.out / f"{name}.safetensors").exists()


class Material:
    """What the transformer is trained on: latents, references and hidden states, in memory."""

    def __init__(self, scenes: list[Path], text_folder: Path, device: torch.device) -> None:
        seen = [np.load(_kept_path(path, "latents")) for path in scenes]
        self.latents = [torch.from_numpy(scene["latents"]) for scene in seen]
        self.references = [torch.from_numpy(scene["references"]) for scene in seen]
        self.states = [torch.from_numpy(np.load(_kept_path(path, "states"))["states"]) for path in scenes]
        self.device = device
        encode_text = text_encoder(text_folder)
        self.prompt = encode_text(PROMPT).float().to(device)
        self.negative = encode_text(negative_prompt(TASK.name)).float().to(device)

    def batch(self, random: np.random.Generator, latents: int) -> Batch:
        """Return clips of one length, about so many latents in all."""
        frames = int(random.choice(list(LENGTHS), p=list(LENGTHS.values())))
        is_negative, has_motion = random.uniform() < NEGATIVE, random.uniform() >= WITHOUT_MOTION
        samples = [self._sample(random, frames) for _ in range(max(1, latents // frames))]
        clean, reference, motion, features = (
            torch.stack(part).to(self.device, torch.float32) for part in zip(*samples, strict=True)
        )
        is_heard = torch.from_numpy(random.uniform(size=len(samples)) >= WITHOUT_VOICE) & (not is_negative)
        return Batch(
            clean,
            reference,
            motion if has_motion else None,
            features * is_heard.to(features).view(-1, 1, 1, 1),
            self.negative if is_negative else self.prompt,
        )

    def _sample(self, random: np.random.Generator, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cut a clip, its reference, the latents before it and the features at its frames' times."""
        number = random.integers(len(self.latents))
        latents, references = self.latents[number], self.references[number]
        start = int(random.integers(MOTION_LATENTS, latents.shape[1] - frames + 1))
        first = TEMPORAL_STRIDE * start - TEMPORAL_STRIDE + 1  # video frame at which latent `start` begins
        count = TEMPORAL_STRIDE * frames
        features = sample_features(self.states[number].float(), RATE, count, start_s=Fraction(first, RATE))
        chosen = int(random.integers(references.shape[1]))
        return (
            latents[:, start : start + frames],
            references[:, chosen : chosen + 1],
            latents[:, start - MOTION_LATENTS : start],
            features[0],
        )


def _kept_path(scene: Path, kind: str) -> Path:
    return scene.with_name(scene.name.replace("scene", kind))


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=10.0, help="when to stop, if it is not over before")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=300, help="heads to draw")
    parser.add_argument("--voices", type=int, default=900, help="voices the speech model learns from")
    parser.add_argument("--listener-steps", type=int, default=1400)
    parser.add_argument("--steps", type=int, default=2400, help="of the transformer")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate of the transformer")
    parser.add_argument("--batch", type=int, default=48, help="latent frames in a step of the transformer")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    Studio(options).run()


if __name__ == "__main__":
    main()
