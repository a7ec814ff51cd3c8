"""A trained model in the re-dub: a head it has not seen says what the voice says, and nothing else changes.

The weights are those of the run that docs/training.md reports (`tests.training.fixture`).
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.fixture import COUNT, VOICES, WEIGHTS, read_voice
from tests.training.folder import parts_of, read_networks
from tests.training.heads import draw_identity, draw_motion, openings
from tests.training.report import TASK, Studio, correlation, read_openings, soft_mask
from tests.training.scenes import Scene, tracked
from wan_engine.pipelines.settings import sampling_for

MARGIN = 0.25  # by which a mouth fits its own voice better than another


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Load the trained model as the engine loads any."""
    torch.set_num_threads(1)
    parts = parts_of(read_networks(WEIGHTS), tmp_path_factory.mktemp("text"))
    return Studio(parts, sampling_for(TASK, steps=8, guidance=1.0))


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Return a head the training has not seen; its mouth says the second voice's words."""
    random = np.random.default_rng([77, 1])
    identity, motion = draw_identity(random), draw_motion(random, COUNT, liveliness=0.6)
    return Scene(identity, motion, read_voice("second"), tracked(motion, random))


def test_the_mouth_follows_the_voice_and_the_rest_stays(studio: Studio, scene: Scene) -> None:
    crops = scene.crops()
    curves = {name: openings(read_voice(name).curve) for name in VOICES}
    for name, other in (VOICES, VOICES[::-1]):
        made = studio.redub(scene, crops, read_voice(name).samples, span=slice(0, COUNT))
        read = read_openings(made, scene, slice(0, COUNT))
        assert correlation(read, curves[name]) > correlation(read, curves[other]) + MARGIN
        assert correlation(read, curves[name]) > 0.4
        outside = soft_mask(scene) <= 0
        assert np.abs(made - crops)[outside].max() < 1e-6


def test_in_silence_the_mouth_is_shut(studio: Studio, scene: Scene) -> None:
    made = studio.redub(scene, scene.crops(), np.zeros(COUNT * 640, np.float32), span=slice(0, COUNT))
    read = read_openings(made, scene, slice(0, COUNT))
    assert read.mean() < 0.5 * openings(scene.said.curve).mean()


def test_the_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(WEIGHTS).iterdir()) < 8e6
