"""Shots of talking heads as the training reads them: crops and sound, drawn once and kept on disk."""

from dataclasses import dataclass
from pathlib import Path

import cv2
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
FRAMES = 125  # 32 latents: one frame and 31 times four
TRACKER_GROW, TRACKER_SHIFT = (
    (1.06, 1.18),
    (0.08, 0.22),
)  # how the daemon's tracker sees heads drawn like these
SILENT = 0.05  # share of the heads that say nothing
BLUR, GRAIN, EXPOSURE = (
    0.7,
    0.012,
    0.08,
)  # px; of white; of the picture: what a camera and a codec do, at most


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
    seed: int, *, frames: int = FRAMES, is_held_out: bool = False, is_known: bool = False
) -> Scene:
    """Return a scene; held-out ones have other voices, words and motion and, unless `is_known`, people."""
    random = np.random.default_rng([seed, int(is_held_out)])
    identity = draw_identity(np.random.default_rng([seed, 0]) if is_known else random)
    motion = draw_motion(random, frames, liveliness=random.uniform(0.3, 1))
    is_silent = not is_held_out and random.uniform() < SILENT
    said = say(random, frames, RATE, is_unheard=is_held_out, is_silent=is_silent)
    return Scene(identity, motion, said, tracked(motion, random))


def tracked(motion: Motion, random: np.random.Generator) -> np.ndarray:
    """Return a crop's path (F, 2, 3), off the head as a tracker's may be."""
    shift = np.array([random.uniform(-0.03, 0.03), random.uniform(*TRACKER_SHIFT)])
    return crop_matrices(motion, SIDE, shift=shift, grow=random.uniform(*TRACKER_GROW))


def as_filmed(crops: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return crops (F, SIDE, SIDE, 3) uint8 of pictures in 0..1: softened, exposed, with grain."""
    sigma, gain = random.uniform(0, BLUR), 1 + random.uniform(-EXPOSURE, EXPOSURE)
    soft = np.stack([cv2.GaussianBlur(crop, (5, 5), max(sigma, 1e-3)) for crop in crops])
    grain = random.uniform(0, GRAIN) * random.standard_normal(crops.shape, dtype=np.float32)
    return np.rint(255 * np.clip(soft * np.float32(gain) + grain, 0, 1)).astype(np.uint8)


def keep_scene(folder: Path, seed: int) -> Path:
    """Draw a training scene into a file, unless it is there."""
    path = folder / f"scene{seed:04}.npz"
    if not path.exists():
        scene = make_scene(seed)
        crops = as_filmed(scene.crops(), np.random.default_rng([seed, 6]))
        part = path.with_suffix(".part.npz")
        said = scene.said
        np.savez(part, crops=crops, samples=said.samples, classes=said.classes, shapes=said.shapes)
        part.rename(path)
    return path
