"""Held-out heads through the product: files, `dubwright redub --engine wan --model`, the delivered take.

    python -m tests.training.through_daemon FOLDER [--heads 2]

FOLDER is a run of tests.training.train. Starts a daemon of its own, and gives it the trained networks as a
model folder of the released layout: all that happens between the files and the take is the product's.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soxr

from daemon.demo.making.shot import SAMPLE_RATE as SHOT_SAMPLE_RATE
from daemon.demo.making.shot import write_voice
from daemon.faces.mesh import models_folder
from tests.studio import command, open_studio
from tests.training.folder import read_networks, write_folder
from tests.training.heads import RATE, draw, measure_openings, openings, shot_matrix
from tests.training.report import SPAN, fit, held_out
from tests.training.scenes import SIDE, Scene
from tests.training.voices import SAMPLE_RATE, Said

SHOT_SIDE = 256  # px; the engine's crop is a little finer than the shot
CRF = "12"
CHUNK = 48  # frames, the longest clips of the training


def write_head(path: Path, scene: Scene, *, side: int = SHOT_SIDE) -> np.ndarray:
    """Write a head as a square shot with its sound; return its frames, (F, H, W, 3) uint8."""
    frames = draw(scene.identity, scene.motion, scene.said.curve, shot_matrix(side), side)
    pictures = np.rint(255 * frames).astype(np.uint8)
    sound = soxr.resample(scene.said.samples, SAMPLE_RATE, SHOT_SAMPLE_RATE)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": CRF, "preset": "medium"})
        video.width = video.height = side
        video.pix_fmt = "yuv444p"
        audio = container.add_stream("pcm_s16le", rate=SHOT_SAMPLE_RATE, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(
            np.rint(sound * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        block.sample_rate, block.time_base, block.pts = SHOT_SAMPLE_RATE, Fraction(1, SHOT_SAMPLE_RATE), 0
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return pictures


def read_pictures(path: str) -> np.ndarray:
    """Return a film's frames (F, H, W, 3) uint8."""
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def redub_file(
    shot: Path, voice: Said, folder: Path, model: Path, *, span: slice, flags: Sequence[str] = ()
) -> tuple[np.ndarray, dict]:
    """Have frames of a shot re-dubbed by the command line; return them, and the take."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = folder / "voice.wav"
    write_voice(sound, soxr.resample(voice.samples, SAMPLE_RATE, SHOT_SAMPLE_RATE))
    made = command(
        "redub", shot, "--in", span.start, "--out", span.stop, "--voice", sound, "--dest", folder,
        "--engine", "wan", "--model", model, "--quality", "draft", "--crop", SIDE, "--chunk", CHUNK,
        "--deliver", "baked", "--codec", "ffv1", *flags,
    )  # fmt: skip
    assert "takes" in made.document, made.document
    (take,) = made.document["takes"]
    return read_pictures(take["path"]), take


def opening_in_shot(pictures: np.ndarray, scene: Scene, span: slice) -> np.ndarray:
    """Measure the mouth's opening in frames of a shot."""
    motion = scene.motion.part(span)
    return measure_openings(pictures / 255, scene.identity, motion, shot_matrix(pictures.shape[1]))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, and write daemon.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="head to begin with")
    parser.add_argument(
        "--known", action="store_true", help="people of the training, in shots it has not seen"
    )
    parser.add_argument("--voices", nargs="+", default=["real", "silence", "wrong"])
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="of `dubwright redub`, last")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    model, found = write_folder(folder / "model", read_networks(folder)), []
    with open_studio(folder / "daemon", models_folder()) as studio:
        for seed in range(options.first, options.first + options.heads):
            scene, _, voices = held_out(seed, is_known=options.known)
            work = studio.folder / f"head{seed}"
            work.mkdir(parents=True, exist_ok=True)
            source = opening_in_shot(write_head(work / "shot.mkv", scene)[SPAN], scene, SPAN)
            for name in options.voices:
                said = voices[name]
                pictures, take = redub_file(
                    work / "shot.mkv", said, work / name, model, span=SPAN, flags=options.flags
                )
                read = opening_in_shot(pictures, scene, SPAN)
                asked = voices["real"] if name == "wrong" else said
                one = {
                    "head": seed,
                    "voice": name,
                    "to_voice": asdict(fit(read, openings(asked.curve))),
                    "to_source": asdict(fit(read, source)),
                    "opening": round(float(read.mean()), 4),
                    "checks": take["checks"],
                }
                print(json.dumps(one), flush=True)
                found.append(one)
    report = folder / ("daemon_known.json" if options.known else "daemon.json")
    report.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
