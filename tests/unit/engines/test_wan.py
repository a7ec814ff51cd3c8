"""The wan engine on a shot of its own making: chunks that resume, whatever was lost on the way."""

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

import torch

from daemon.engines.engine import Material, Shot
from daemon.engines.wan import WanEngine, open_wan
from daemon.engines.wan_settings import model_side
from daemon.engines.wan_speed import in_words
from daemon.faces.region import Region
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MachineError
from daemon.protocol.jobs import RedubSpec, Timing
from daemon.redub.progress import SilentReporter
from wan_engine.specs import find_task
from wan_engine.tiny import write_tiny

torch.set_num_threads(1)  # tiny networks: more threads only wait for each other

SIDE, FIRST = 64, 30
SPEC = RedubSpec("shot.mov", "voice.wav", FIRST, FIRST + 18, engine="wan", quality="draft", crop=SIDE)


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None:
    """Keep what the engine caches out of the user's folders."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tiny(folder, find_task("s2v-14B"))
    return folder


def make_shot(work: Path, count: int) -> Shot:
    """Return a shot of coloured squares in a light that changes, with a round mask."""
    random = np.random.default_rng(1)
    frames, around = FrameRange(FIRST, FIRST + count), FrameRange(FIRST - 10, FIRST + count + 4)
    still = random.random((SIDE // 8, SIDE // 8, 3), np.float32).repeat(8, 0).repeat(8, 1)
    light = 0.9 + 0.1 * np.cos(np.arange(len(around), dtype=np.float32) / 5)
    pictures = still * light[:, None, None, None]
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.stack([0.5 + 0.2 * np.cos(angle), 0.65 + 0.2 * np.sin(angle)], axis=1)
    matrices = np.tile(np.eye(2, 3), (count, 1, 1))
    points = random.random((count, 468, 3)).astype(np.float32)
    ones = np.ones(count, np.float32)
    outlines = np.tile(outline, (count, 1, 1)).astype(np.float32)
    region = Region(SIDE, frames, matrices, ones > 0, points[..., :2], ones, outlines)
    track = FaceTrack(1, np.arange(frames.start, frames.stop), points, ones, (1,))
    material = Material(frames, track, lambda frame: None, None, lambda frame: None)
    voice = random.standard_normal(count * 640).astype(np.float32) * 0.1
    return Shot(
        Fraction(25), frames, region, lambda frame: pictures[frame - around.start], material, voice, ones,
        ones > 0, 7, work, around,
    )  # fmt: skip


@pytest.mark.parametrize(("timing", "count"), [("native", 18), ("model", 30)])
def test_a_chunk_made_anew_has_the_same_bytes_with_or_without_what_was_kept(
    model: Path, tmp_path: Path, timing: Timing, count: int
) -> None:
    spec = msgspec.structs.replace(SPEC, timing=timing, chunk=16)
    shot, reporter = make_shot(tmp_path, count), SilentReporter()
    engine = WanEngine(spec, model)
    first, last = engine.prepare(shot, reporter)
    made = [engine.render(first, reporter), engine.render(last, reporter)]
    if not torch.cuda.is_available():
        assert any("no GPU" in sentence for sentence in reporter.sentences)
    outside = shot.region.mask(FIRST) == 0
    assert np.abs(made[0][0] - shot.crop(FIRST))[outside].max() < 1e-6
    assert np.abs(made[0][0] - shot.crop(FIRST))[~outside].mean() > 0.01
    for is_lost in (False, True):
        again = WanEngine(spec, model)
        again.prepare(shot, reporter)
        if is_lost:
            for kept in tmp_path.glob("carried*/*.chunk"):
                kept.write_bytes(b"broken")
        assert np.array_equal(again.render(last, reporter), made[1])


def test_without_a_folder_of_weights_the_engine_is_unavailable(home: Path) -> None:
    with pytest.raises(MachineError, match=r"Wan2.2-S2V-14B.*--engine rewrite") as caught:
        open_wan(SPEC)
    assert caught.value.code == "engine.unavailable"


@pytest.mark.parametrize(("native", "side"), [(96, 384), (384, 384), (400, 512), (768, 768), (2000, 768)])
def test_the_square_is_the_least_that_loses_no_detail(native: int, side: int) -> None:
    assert model_side(native, None) == side


def test_a_square_that_was_asked_for_is_used() -> None:
    assert model_side(500, 256) == 256


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "less than a minute"),
        (90, "some minutes"),
        (1200, "about 20 minutes"),
        (90_000, "about 25 hours"),
    ],
)
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
