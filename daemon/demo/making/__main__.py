"""Makes shot.mov, voice.wav and facts.json: `python -m daemon.demo.making [FOLDER]`."""

import argparse
import json
import math
from pathlib import Path

import cv2
import numpy as np
from skimage import data  # pyright: ignore[reportMissingImports] - in the extra `demo` alone

from daemon.demo.making.puppet import Mouth, Puppet
from daemon.demo.making.shot import (
    ENLARGED,
    RATE,
    SAMPLE_RATE,
    SIDE,
    TIMECODE,
    draw_frames,
    place_sound,
    write_shot,
    write_voice,
)
from daemon.demo.making.speech import Phoneme, Speech, speak
from daemon.demo.making.visemes import MouthCurve, mouth_curve
from daemon.faces.mesh import FaceMesh

SHOT_TEXT = (
    "From up here, the ocean looks like polished blue marble. We move above a map of warm clouds, "
    "and before every evening, a beam of bright morning fills our view."
)
VOICE_TEXT = "Maybe my brother will find a better boat for us by Monday, before the storm."
LEAD_IN_S = 0.5
TAIL_S = 0.5
IN_FRAME = 96
PORTRAIT_CROP = (slice(0, 320), slice(60, 380))


def main() -> None:
    """Make the three files in the folder given, or beside this package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    shot = _delayed(speak(SHOT_TEXT, voice="en-us+f3", words_per_minute=158, pitch=55), LEAD_IN_S)
    voice = speak(VOICE_TEXT, voice="en-us+f2", words_per_minute=172, pitch=48)
    speech_end_s = LEAD_IN_S + len(shot.samples) / shot.sample_rate
    count = math.ceil((speech_end_s + TAIL_S) * RATE)
    curve = mouth_curve(shot.phonemes, end_s=speech_end_s, frames=count, rate=RATE)
    portrait, points = _portrait()
    sound = place_sound(shot, start_s=LEAD_IN_S, length_s=count / RATE)
    write_shot(folder / "shot.mov", draw_frames(portrait, points, curve), sound)
    voice_s = len(voice.samples) / voice.sample_rate
    write_voice(folder / "voice.wav", place_sound(voice, start_s=0.0, length_s=voice_s))
    facts = _facts(shot, voice, curve, Puppet(portrait, points))
    facts["demo"] = {"in": IN_FRAME, "out": IN_FRAME + math.ceil(voice_s * RATE)}
    (folder / "facts.json").write_text(
        json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _portrait() -> tuple[np.ndarray, np.ndarray]:
    """Return the enlarged portrait, float32 RGB, and its mesh points.

    Source: NASA's public-domain portrait of Eileen Collins, as scikit-image carries it.
    """
    crop = data.astronaut()[PORTRAIT_CROP]
    found = FaceMesh().detect(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))[0]
    scale = ENLARGED / SIDE
    points = (found.points + 0.5) * scale - 0.5
    return cv2.resize(crop, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC).astype(np.float32), points


def _delayed(speech: Speech, delay_s: float) -> Speech:
    moved = [Phoneme(phoneme.symbol, phoneme.start_s + delay_s) for phoneme in speech.phonemes]
    return Speech(speech.samples, speech.sample_rate, moved)


def _facts(shot: Speech, voice: Speech, curve: MouthCurve, puppet: Puppet) -> dict:
    """Return what is known of the shot: words, phoneme times, and the mouth in every frame."""
    shapes = [
        puppet.shape(Mouth(float(gap), float(width), float(tuck)))
        for gap, width, tuck in zip(curve.gap, curve.width, curve.tuck, strict=True)
    ]
    return {
        "text": SHOT_TEXT,
        "voice_text": VOICE_TEXT,
        "rate": [RATE, 1],
        "frames": len(shapes),
        "timecode": TIMECODE,
        "sample_rate": SAMPLE_RATE,
        "aperture": [round(opening, 4) for opening, _ in shapes],
        "width": [round(width, 4) for _, width in shapes],
        "phonemes": _timed(shot),
        "voice_phonemes": _timed(voice),
    }


def _timed(speech: Speech) -> list[list]:
    return [[phoneme.symbol, round(phoneme.start_s, 3)] for phoneme in speech.phonemes]


if __name__ == "__main__":
    main()
