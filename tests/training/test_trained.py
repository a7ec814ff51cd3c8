"""A trained model in the re-dub: in a shot it has not seen the head says what the voice says, the rest stays.

The weights are those of the run that docs/training.md reports (`tests.training.fixture`).
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from daemon.demo.making.visemes import MouthCurve
from daemon.faces.mesh import models_folder
from tests.studio import open_studio
from tests.training.fixture import COUNT, VOICES, WEIGHTS, read_voice
from tests.training.folder import parts_of, read_networks, write_folder
from tests.training.heads import RATE, draw_identity, draw_motion, openings
from tests.training.report import BEFORE, TASK, Studio, correlation, read_openings, soft_mask
from tests.training.scenes import Scene, tracked
from tests.training.through_daemon import opening_in_shot, redub_file, write_head
from tests.training.voices import SAMPLE_RATE
from wan_engine.pipelines.settings import sampling_for

MARGIN = 0.15  # by which a mouth fits its own voice better than another
SPAN = slice(BEFORE, BEFORE + COUNT)
SHOT_SIDE = 128  # px, of the shot on disk


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Load the trained model as the engine loads any."""
    torch.set_num_threads(1)
    parts = parts_of(read_networks(WEIGHTS), tmp_path_factory.mktemp("text"))
    return Studio(parts, sampling_for(TASK, steps=8, guidance=1.0))


def shot_of(person_number: int) -> Scene:
    """Return somebody the training has not seen; the mouth says the second voice's words."""
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


def test_the_product_loads_it_and_the_delivered_mouth_follows_the_voice(tmp_path: Path) -> None:
    """From files to the take, with nothing in the place of a part of the product."""
    faces = Path(os.environ.get("DUBWRIGHT_FACE_MODELS", models_folder()))
    if not faces.is_dir():
        pytest.skip("the face models are not installed (python3 installer install)")
    model, scene = write_folder(tmp_path / "model", read_networks(WEIGHTS)), shot_of(0)
    shot = tmp_path / "shot.mkv"
    write_head(shot, scene, side=SHOT_SIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with open_studio(tmp_path / "studio", faces) as product:
            pictures, take = redub_file(shot, read_voice("first"), product.folder, model, span=SPAN)
    read = opening_in_shot(pictures, scene, SPAN)
    own, other = (correlation(read, openings(read_voice(name).curve)) for name in VOICES)
    assert own > other + MARGIN
    assert take["checks"]["outside_max_difference"] == 0


def test_the_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(WEIGHTS).iterdir()) < 8e6
