"""The engine on real footage: whole, in any order, after a crash, with another seed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from daemon.engines.engine import Material, Shot
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.engines.rewrite.shape import measure
from daemon.faces.region import build_region, crop_size
from daemon.media.activity import speech_activity
from daemon.media.colour import coding_of
from daemon.media.segment import FrameRange
from daemon.media.source import open_source
from daemon.media.voice import open_voice
from daemon.redub.crop import sample_crop
from daemon.redub.progress import SilentReporter
from daemon.redub.survey import survey

pytestmark = pytest.mark.slow


def read_shot(clip: Path, voice: Path, frames: FrameRange, surveyed: FrameRange, work: Path) -> Shot:
    """Return the shot as the pipeline would."""
    with open_source(clip) as source:
        info = source.info
        found = survey(source, surveyed, work=work, reporter=SilentReporter(), keep_patches=True)
        track = found.tracks[0]
        size = crop_size(track, frames)
        region = build_region(track, frames, size, rate=info.rate)
        coding = coding_of(info.pixels, info.colour, info.height)
        crops = {
            frame.index: sample_crop(
                frame.planes, frame.pixels, coding, region.matrices[frame.index - frames.start], size
            )
            for frame in source.frames(frames)
        }
        sound = source.sound(surveyed) if info.sound else None
    material = Material(
        surveyed,
        track,
        lambda frame: found.patch(track, frame),
        sound,
        lambda frame: found.patch_matrix(track, frame),
    )
    said = open_voice(voice).conform(frames, info.rate, frames.start, "silence").mono16k
    speech = speech_activity(said, info.rate, frames)
    editable = np.ones(len(frames), bool)
    return Shot(
        info.rate, frames, region, lambda frame: crops[frame], material, said, speech, editable, 0, work
    )


@dataclass(frozen=True)
class Made:
    """A shot and what the engine makes of it."""

    shot: Shot
    chunks: list[FrameRange]
    crops: np.ndarray


def make(shot: Shot) -> tuple[RewriteEngine, Made]:
    engine = RewriteEngine()
    chunks = engine.prepare(shot, SilentReporter())
    crops = np.stack([crop for chunk in chunks for crop in engine.render(chunk, SilentReporter())])
    return engine, Made(shot, chunks, crops)


@pytest.fixture(scope="module")
def made(media: Path, face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    shot = read_shot(
        media / "latentsync_demo1.mp4",
        media / "latentsync_demo2_voice.wav",
        FrameRange(60, 100),
        FrameRange(0, 250),
        tmp_path_factory.mktemp("talking"),
    )
    return make(shot)[1]


def source_crops(shot: Shot) -> np.ndarray:
    return np.stack([shot.crop(frame) for frame in shot.frames])


def test_chunks_tile_the_range(made: Made):
    assert made.chunks[0].start == made.shot.frames.start
    assert made.chunks[-1].stop == made.shot.frames.stop
    assert all(a.stop == b.start for a, b in zip(made.chunks, made.chunks[1:], strict=False))
    assert made.crops.shape == source_crops(made.shot).shape
    assert made.crops.dtype == np.float32


def test_the_mouth_changes_and_the_rest_does_not(made: Made):
    change = np.abs(made.crops - source_crops(made.shot)).max(axis=(0, 3))
    size = made.shot.region.size
    assert change[size // 3 : size // 2, size // 3 : -size // 3].max() > 0.1
    outside = np.max([made.shot.region.mask(frame) for frame in made.shot.frames], axis=0) == 0
    assert change[outside].max() == 0


def test_the_ends_join_the_source(made: Made):
    change = np.abs(made.crops - source_crops(made.shot)).mean(axis=(1, 2, 3))
    assert change[0] < 0.35 * change[4:-4].max()
    assert change[-1] < 0.35 * change[4:-4].max()


def test_a_later_chunk_comes_out_the_same_in_a_new_process(made: Made):
    engine = RewriteEngine()
    chunks = engine.prepare(made.shot, SilentReporter())
    last = np.stack(list(engine.render(chunks[-1], SilentReporter())))
    assert np.array_equal(last, made.crops[-len(chunks[-1]) :])


def test_another_seed_is_another_take(made: Made):
    engine = RewriteEngine()
    engine.prepare(replace(made.shot, seed=7), SilentReporter())
    first = RewriteEngine()
    first.prepare(made.shot, SilentReporter())
    assert not np.array_equal(engine.plan.units, first.plan.units)


def test_frames_left_alone_stay_as_they_are(made: Made):
    editable = np.ones(len(made.shot.frames), bool)
    editable[12:18] = False
    _, again = make(replace(made.shot, editable=editable))
    assert np.array_equal(again.crops[12:18], source_crops(made.shot)[12:18])
    assert not np.array_equal(again.crops[25], source_crops(made.shot)[25])


def test_a_silent_voice_closes_the_mouth_and_keeps_it_still(made: Made):
    count = len(made.shot.frames)
    silent = replace(made.shot, voice=np.zeros_like(made.shot.voice), speech=np.zeros(count, np.float32))
    engine = RewriteEngine()
    engine.prepare(silent, SilentReporter())
    aperture = measure(engine.plan.shapes)[5:-5, 0]
    assert aperture.max() < 0.06
    assert np.abs(np.diff(aperture)).max() < 0.01
    assert engine.notes == [], "the footage is not to blame"


def test_a_portrait_without_sound_is_warped_and_says_so(media: Path, face_models: Path, tmp_path: Path):
    frames = FrameRange(20, 45)
    shot = read_shot(
        media / "musetalk_sun.mp4", media / "musetalk_sun_voice.wav", frames, FrameRange(10, 60), tmp_path
    )
    engine, portrait = make(shot)
    assert engine.notes
    assert np.abs(portrait.crops - source_crops(shot)).max() > 0.1
