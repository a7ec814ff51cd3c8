"""What a trained model does with shots it has not seen, through the whole re-dub.

    python -m tests.training.report FOLDER [--heads 6]

FOLDER is a run of tests.training.train. Every head speaks with the voice it is given, with silence in its
place, and with a voice that says something else; the mouth's opening is measured in the pixels and compared
with the mouth that belongs to the voice. Writes report.json, and sheet.png: source, re-dub and truth.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from daemon.engines.wan_settings import PROMPT
from tests.training.folder import parts_of, read_networks
from tests.training.heads import RATE, measure_openings, openings
from tests.training.scenes import SIDE, Scene, make_scene
from tests.training.voices import Said, say
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.redub import RedubInputs, RedubSettings, redub
from wan_engine.pipelines.redub_footage import HeldFootage
from wan_engine.pipelines.settings import Sampling, sampling_for
from wan_engine.specs import find_task
from wan_engine.text.prompt import negative_prompt

TASK = find_task("s2v-14B")
BEFORE, COUNT, AFTER = 76, 76, 8  # frames of a held-out shot: before the range, in it, after it
SPAN = slice(BEFORE, BEFORE + COUNT)
MOST_LAG = 5  # frames
SHOWN = 8  # frames of a head on the sheet


@dataclass(frozen=True)
class Fit:
    """How well a mouth fits a voice."""

    correlation: float  # of the opening, frame by frame
    lag: int  # frames by which the mouth comes late, where it fits best
    error: float  # mean difference of the openings, in eye distances
    by_lag: tuple[float, ...]  # correlations from MOST_LAG frames early to as many late


@dataclass(frozen=True)
class Redubbed:
    """One head with one voice."""

    voice: str
    to_voice: Fit  # to the voice that was asked for (in silence: to a shut mouth, error alone)
    to_source: Fit  # to what the head said in the source
    opening: float  # mean of the opening
    seam: float  # mean difference in the mask's soft edge, in 8-bit steps
    outside: float  # largest difference outside the mask, in 8-bit steps


def fit(made: np.ndarray, truth: np.ndarray) -> Fit:
    """Compare two openings over time."""
    by_lag = {lag: correlation(*shifted(made, truth, lag)) for lag in range(-MOST_LAG, MOST_LAG + 1)}
    lag = max(by_lag, key=lambda lag: by_lag[lag])
    error = round(float(np.abs(made - truth).mean()), 4)
    return Fit(round(by_lag[0], 3), lag, error, tuple(round(value, 3) for value in by_lag.values()))


def shifted(made: np.ndarray, truth: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames that meet when the mouth is `lag` frames late."""
    return made[max(0, lag) : len(made) + min(0, lag)], truth[max(0, -lag) : len(truth) - max(0, lag)]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's; 0 where one of them stands still."""
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def soft_mask(scene: Scene) -> np.ndarray:
    """Return (F, SIDE, SIDE): 1 at the mouth and the jaw, 0 outside the lower face, soft between."""
    identity, frames = scene.identity, len(scene.to_shot)
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    scale, (left, top) = scene.to_shot[:, 0, 0].mean(), scene.to_shot[:, :, 2].mean(0)
    x, y = (across * scale + left) / 0.68, (down * scale + top - identity.mouth - 0.12) / 0.56
    away = np.clip((1 - np.sqrt(x**2 + y**2)) / 0.3, 0, 1)
    mask = (away * away * (3 - 2 * away)).astype(np.float32)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    return np.broadcast_to(mask, (frames, SIDE, SIDE))


def as_tensor(crops: np.ndarray) -> Tensor:
    """(F, H, W, 3) in 0..1 -> (3, F, H, W) in -1..1."""
    return torch.from_numpy(crops * 2 - 1).permute(3, 0, 1, 2).contiguous()


class Studio:
    """Re-dubs held-out heads with one model."""

    def __init__(self, parts: Parts, sampling: Sampling, *, chunk_frames: int = 80) -> None:
        self.parts, self.sampling = parts, sampling
        self.settings = RedubSettings(chunk_frames=chunk_frames)
        self.prompt, self.negative = parts.encode_text(PROMPT), parts.encode_text(negative_prompt(TASK.name))

    def redub(
        self, scene: Scene, crops: np.ndarray, samples: np.ndarray, *, span: slice = SPAN
    ) -> np.ndarray:
        """Return the range's crops (n, SIDE, SIDE, 3) with another voice, 16 kHz from its first frame on."""
        assert self.parts.encode_speech is not None
        pictures, masks = as_tensor(crops), torch.from_numpy(soft_mask(scene)[span].copy())
        inputs = RedubInputs(
            prompt=self.prompt,
            negative=self.negative,
            reference_CHW=pictures[:, span.start],
            footage=HeldFootage(pictures, masks, before=span.start),
            features_JTC=self.parts.encode_speech(torch.from_numpy(samples)),
            rate=Fraction(RATE),
        )
        made = [part.frames_CFHW for part in redub(self.parts, inputs, self.sampling, self.settings)]
        return ((torch.cat(made, dim=1).permute(1, 2, 3, 0) + 1) / 2).numpy()


def held_out(seed: int, *, is_known: bool) -> tuple[Scene, np.ndarray, dict[str, Said]]:
    """Return a held-out head (or a known one in a held-out shot), its crops, and the voices it is given."""
    scene = make_scene(seed, frames=BEFORE + COUNT + AFTER, is_held_out=True, is_known=is_known)
    random = np.random.default_rng([seed, 2])
    real, wrong = (say(random, COUNT, RATE, is_unheard=True) for _ in range(2))
    return (
        scene,
        scene.crops(),
        {"real": real, "silence": say(random, COUNT, RATE, is_silent=True), "wrong": wrong},
    )


def read_openings(made: np.ndarray, scene: Scene, span: slice) -> np.ndarray:
    """Measure the mouth's opening in the crops made for a part of a scene."""
    return measure_openings(made, scene.identity, scene.motion.part(span), scene.to_shot[span])


def measure(scene: Scene, crops: np.ndarray, made: np.ndarray, voice: str, truth: Said) -> Redubbed:
    """Measure one re-dub. `truth` is the mouth it is compared with."""
    read = read_openings(made, scene, SPAN)
    mask, change = soft_mask(scene)[SPAN], 255 * np.abs(made - crops[SPAN]).mean(-1)
    return Redubbed(
        voice=voice,
        to_voice=fit(read, openings(truth.curve)),
        to_source=fit(read, openings(scene.said.curve)[SPAN]),
        opening=round(float(read.mean()), 4),
        seam=round(float(change[(mask > 0) & (mask < 0.5)].mean()), 3),
        outside=round(float(change[mask <= 0].max()), 3),
    )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument(
        "--known", action="store_true", help="people of the training, in shots it has not seen"
    )
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=0, help="head to begin with")
    parser.add_argument("--chunk", type=int, default=48, help="frames")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    sampling = sampling_for(TASK, steps=options.steps, guidance=options.guidance)
    studio = Studio(
        parts_of(read_networks(options.folder), options.folder / "text"), sampling, chunk_frames=options.chunk
    )
    found: list[Redubbed] = []
    rows = []
    for seed in range(options.first, options.first + options.heads):
        scene, crops, voices = held_out(seed, is_known=options.known)
        for name, said in voices.items():
            made = studio.redub(scene, crops, said.samples)
            found.append(measure(scene, crops, made, name, voices["real"] if name == "wrong" else said))
            print(seed, found[-1], flush=True)
            if name == "real":
                rows.append(sheet_rows(scene, crops, made, said))
    summary = summarise(found)
    print(json.dumps(summary, indent=1))
    report = {"options": {key: str(value) for key, value in vars(options).items()}, "summary": summary}
    report["heads"] = [asdict(one) for one in found]
    (options.folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    cv2.imwrite(str(options.folder / "sheet.png"), np.vstack(rows)[..., ::-1])


def summarise(found: list[Redubbed]) -> dict[str, dict[str, float]]:
    """Return the means over the heads, for each voice."""
    summary = {}
    for voice in dict.fromkeys(one.voice for one in found):
        these = [one for one in found if one.voice == voice]
        summary[voice] = {
            "heads": len(these),
            "correlation": round(float(np.mean([one.to_voice.correlation for one in these])), 3),
            "least": min(one.to_voice.correlation for one in these),
            "lag": int(np.mean([one.to_voice.by_lag for one in these], axis=0).argmax()) - MOST_LAG,
            "error": round(float(np.mean([one.to_voice.error for one in these])), 4),
            "opening": round(float(np.mean([one.opening for one in these])), 4),
            "correlation_to_source": round(float(np.mean([one.to_source.correlation for one in these])), 3),
            "seam": round(float(np.mean([one.seam for one in these])), 3),
            "outside": max(one.outside for one in these),
        }
    return summary


def sheet_rows(scene: Scene, crops: np.ndarray, made: np.ndarray, said: Said) -> np.ndarray:
    """Return three rows of pictures, uint8: source, re-dub, and the head drawn with the voice's mouth."""
    truth = scene.part(SPAN).crops(said)
    frames = np.linspace(4, COUNT - 5, SHOWN).astype(int)
    rows = [np.hstack(list(pictures[frames])) for pictures in (crops[SPAN], made, truth)]
    return np.rint(255 * np.clip(np.vstack(rows), 0, 1)).astype(np.uint8)


if __name__ == "__main__":
    main()
