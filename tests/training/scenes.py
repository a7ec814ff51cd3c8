"""Shots of talking heads as the training reads them: crops and sound, drawn once and kept on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.training.heads import (
    RATE,
    Identity,
    Motion,
    crop_matrices,
    draw,
    draw_identity,
    draw_motion,
)
from tests.training.voices import Said, say

SIDE = 64
FRAMES = 197  # 50 latents: one frame and 49 times four
TRACKER_GROW, TRACKER_SHIFT = (
    (1.06, 1.18),
    (0.08, 0.22),
)  # how the daemon's tracker sees heads drawn like these
SILENT = 0.05  # share of the heads that say nothing


@dataclass(frozen=True)
class Scene:
    """A head that speaks."""

    identity: Identity
    motion: Motion
    said: Said
    to_shot: np.ndarray  # (F, 2, 3) from the pixels of the crop

    def part(self, span: slice) -> "Scene":
        """Return the head in some of the frames; what it said stays."""
        return Scene(self.identity, self.motion.part(span), self.said, self.to_shot[span])

    def crops(self, said: Said | None = None) -> np.ndarray:
        """Draw the crops (F, SIDE, SIDE, 3) float32, or those of the same head saying something else."""
        return draw(self.identity, self.motion, (said or self.said).curve, self.to_shot, SIDE)


def make_scene(
    seed: int, *, frames: int = FRAMES, is_held_out: bool = False, people: int | None = None
) -> Scene:
    """Return a scene; held-out ones have other voices, words and motion, and, but for a cast, other people.

    `people`: the size of the cast all scenes share; None: somebody else in every scene.
    """
    random = np.random.default_rng([seed, int(is_held_out)])
    person = random if people is None else np.random.default_rng([seed % people, 5])
    identity, motion = draw_identity(person), draw_motion(random, frames, liveliness=random.uniform(0.3, 1))
    is_silent = not is_held_out and random.uniform() < SILENT
    said = say(random, frames, RATE, is_unheard=is_held_out, is_silent=is_silent)
    return Scene(identity, motion, said, tracked(motion, person))


def tracked(motion: Motion, random: np.random.Generator) -> np.ndarray:
    """Return a crop's path (F, 2, 3), off the head as a tracker's may be."""
    shift = np.array([random.uniform(-0.03, 0.03), random.uniform(*TRACKER_SHIFT)])
    return crop_matrices(motion, SIDE, shift=shift, grow=random.uniform(*TRACKER_GROW))


def keep_scene(folder: Path, seed: int, *, people: int | None = None) -> Path:
    """Draw a training scene into a file, unless it is there."""
    path = folder / f"scene{seed:04}.npz"
    if not path.exists():
        scene = make_scene(seed, people=people)
        crops = np.rint(scene.crops() * 255).astype(np.uint8)
        part = path.with_suffix(".part.npz")
        said = scene.said
        np.savez(part, crops=crops, samples=said.samples, classes=said.classes, shapes=said.shapes)
        part.rename(path)
    return path
