"""A trained model in the re-dub: in a shot it has not seen the head says what the voice says, the rest stays.

The weights are those of the run that docs/training.md reports (`tests.training.fixture`).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from daemon.demo.making.visemes import MouthCurve
from tests.training.fixture import COUNT, VOICES, WEIGHTS, read_voice
from tests.training.folder import parts_of, read_networks
from tests.training.heads import RATE, draw_identity, draw_motion, openings
from tests.training.report import BEFORE, TASK, Studio, correlation, read_openings, soft_mask
from tests.training.scenes import Scene, tracked
from tests.training.voices import SAMPLE_RATE
from wan_engine.pipelines.settings import sampling_for

MARGIN = 0.15  # by which a mouth fits its own voice better than another
SPAN = slice(BEFORE, BEFORE + COUNT)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Load the trained model as the engine loads any."""
    torch.set_num_threads(1)
    parts = parts_of(read_networks(WEIGHTS), tmp_path_factory.mktemp("text"))
    return Studio(parts, sampling_for(TASK, steps=8, guidance=1.0))


def shot_of(person_number: int) -> Scene:
    """Return one of the cast in a shot the training has not seen; the mouth says the second voice's words."""
    person = np.random.default_rng([person_number, 5])
    identity = draw_identity(person)
    motion = draw_motion(np.random.default_rng(77 + person_number), BEFORE + COUNT, liveliness=0.6)
    voice = read_voice("second")
    rows = (np.resize(row, BEFORE + COUNT) for row in (voice.curve.gap, voice.curve.width, voice.curve.tuck))
    said = replace(voice, curve=MouthCurve(*rows))
    return Scene(identity, motion, said, tracked(motion, person))


def test_the_mouth_follows_the_voice_and_the_rest_stays(studio: Studio) -> None:
    curves = {name: openings(read_voice(name).curve) for name in VOICES}
    own, others = [], []
    for scene in (shot_of(0), shot_of(1)):
        crops = scene.crops()
        for name, other in (VOICES, VOICES[::-1]):
            made = studio.redub(scene, crops, read_voice(name).samples, span=SPAN)
            read = read_openings(made, scene, SPAN)
            own.append(correlation(read, curves[name]))
            others.append(correlation(read, curves[other]))
            assert np.abs(made - crops[SPAN])[soft_mask(scene)[SPAN] <= 0].max() < 1e-6
    assert np.mean(own) > np.mean(others) + MARGIN


def test_in_silence_the_mouth_is_nearly_shut(studio: Studio) -> None:
    scene = shot_of(1)
    silence = np.zeros(COUNT * SAMPLE_RATE // RATE, np.float32)
    made = studio.redub(scene, scene.crops(), silence, span=SPAN)
    assert read_openings(made, scene, SPAN).mean() < 0.6 * openings(scene.said.curve)[SPAN].mean()


def test_the_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(WEIGHTS).iterdir()) < 8e6
