"""The wan engine on a shot of its own making: chunks that resume, whatever was lost on the way."""

import dataclasses
import gc
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

import torch
from torch import Tensor

from daemon.engines.engine import Material, Shot
from daemon.engines.wan import WanEngine, open_wan
from daemon.engines.wan_kept import DiskKeeper, shelf
from daemon.engines.wan_settings import model_side, smaller_side
from daemon.engines.wan_speed import in_words
from daemon.engines.wan_weights import SHELF, Wanted
from daemon.faces.region import Region
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange
from daemon.protocol.errors import MachineError, MediaError, RequestError
from daemon.protocol.events import PREVIEW_LIMIT
from daemon.protocol.jobs import RedubSpec, Timing
from daemon.redub.progress import Cancelled, Preview, SilentReporter
from daemon.worker.failure import error_info
from wan_engine.audio.wav2vec2 import Wav2Vec2
from wan_engine.specs import find_task
from wan_engine.tiny import write_tiny
from wan_engine.transformer.s2v import SpeechTransformer
from wan_engine.vae.codec import VideoCodec

SIDE, FIRST = 64, 30
SPEC = RedubSpec("shot.mov", "voice.wav", FIRST, FIRST + 18, engine="wan", quality="draft", crop=SIDE)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread: for networks this small a second one only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    made = [list(engine.render(chunk, reporter)) for chunk in (first, last)]
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
        assert np.array_equal(list(again.render(last, reporter)), made[1])


class Shown(SilentReporter):
    """Keeps every preview; cancels in the step wanted."""

    def __init__(self, *, cancels: bool = False) -> None:
        super().__init__()
        self.previews: list[Preview] = []
        self._cancels = cancels

    def preview(self, make: Callable[[], Preview]) -> None:
        """Keep it."""
        self.previews.append(make())
        if self._cancels:
            raise Cancelled


@dataclass
class Counts:
    """What the networks did."""

    encoded: int = 0
    listened: int = 0
    forwards: int = 0
    fails: int = 0  # forwards that are to run out of memory


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Count what the real networks do, and let memory run out when told."""
    counts = Counts()
    encode, listen, forward = VideoCodec.encode_pieces, Wav2Vec2.forward, SpeechTransformer.forward

    def encode_pieces(self: VideoCodec, *given: Any, **settings: Any) -> Iterator[Tensor]:
        for latent in encode(self, *given, **settings):
            counts.encoded += 1
            yield latent

    def hear(self: Wav2Vec2, samples: Tensor) -> Tensor:
        counts.listened += 1
        return listen(self, samples)

    def predict(self: SpeechTransformer, *given: Any) -> Tensor:
        counts.forwards += 1
        if counts.fails:
            counts.fails -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, *given)

    monkeypatch.setattr(VideoCodec, "encode_pieces", encode_pieces)
    monkeypatch.setattr(Wav2Vec2, "forward", hear)
    monkeypatch.setattr(SpeechTransformer, "forward", predict)
    return counts


QUICK = msgspec.structs.replace(SPEC, steps=2)


def paint(engine: WanEngine, shot: Shot, reporter: SilentReporter | None = None) -> np.ndarray:
    """Have an engine paint a shot of one chunk."""
    (chunk,) = engine.prepare(shot, reporter or SilentReporter())
    return np.stack(list(engine.render(chunk, reporter or SilentReporter())))


def test_another_take_and_another_job_encode_nothing_of_the_shot_again(
    model: Path, tmp_path: Path, counts: Counts
) -> None:
    shot = make_shot(tmp_path / "job", 12)
    first = paint(WanEngine(QUICK, model), shot)
    assert counts.encoded > 0
    assert counts.listened == 1
    seen = dataclasses.replace(counts)
    second = paint(WanEngine(QUICK, model), dataclasses.replace(shot, seed=8))
    final = msgspec.structs.replace(QUICK, quality="final", steps=3)
    paint(WanEngine(final, model), dataclasses.replace(shot, work=tmp_path / "other"))
    assert (counts.encoded, counts.listened) == (seen.encoded, seen.listened)
    assert counts.forwards > seen.forwards
    outside = shot.region.mask(FIRST) == 0
    assert np.array_equal(first[:, outside], second[:, outside])
    assert not np.array_equal(first, second)


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(home: Path) -> None:
    value = torch.zeros(1000)
    for age, name in enumerate(("old", "newer", "newest")):
        DiskKeeper(name, limit_bytes=10_000).save("thing", value)
        folder = max(shelf().iterdir(), key=lambda one: one.stat().st_mtime)
        os.utime(folder, (age, age))
    assert [DiskKeeper(name).load("thing") is None for name in ("old", "newer", "newest")] == [
        True,
        False,
        False,
    ]


def test_when_memory_runs_out_the_engine_goes_on_with_less_and_the_same_bytes(
    model: Path, tmp_path: Path, counts: Counts
) -> None:
    shot, reporter = make_shot(tmp_path, 12), SilentReporter()
    whole = paint(WanEngine(QUICK, model), shot)
    counts.fails = 1
    engine = WanEngine(QUICK, model, budget_gb=16)
    try:
        assert np.array_equal(paint(engine, shot, reporter), whole)
        assert any("within 12.0 GB" in sentence for sentence in reporter.sentences)
        assert any("within 12.0 GB" in note for note in engine.notes)
        assert SHELF.budget_gb(Wanted(model, budget_gb=16)) == 12  # of later takes, too
    finally:
        SHELF.forget()


def test_a_second_shortage_is_one_clear_error(model: Path, tmp_path: Path, counts: Counts) -> None:
    counts.fails = 2
    try:
        with pytest.raises(MachineError, match="memory is full") as caught:
            paint(WanEngine(QUICK, model, budget_gb=16), make_shot(tmp_path, 12))
    finally:
        SHELF.forget()
    assert caught.value.code == "memory.full"
    assert "--crop" in caught.value.hint


@pytest.mark.parametrize(("side", "smaller"), [(768, 640), (512, 384), (384, 256), (192, 128), (64, None)])
def test_there_is_a_smaller_square_down_to_the_smallest(side: int, smaller: int | None) -> None:
    assert smaller_side(side) == smaller


def test_weights_stay_for_the_next_job_and_go_when_another_model_is_wanted(
    model: Path, tmp_path: Path
) -> None:
    small, large = Wanted(model, side=64), Wanted(model, side=128)
    first = SHELF.take(large)
    assert SHELF.take(small) is first  # what has room for more serves less
    with first.experts() as experts:
        network = weakref.ref(experts.use(0))
    other = shutil.copytree(model, tmp_path / "other")
    del first, experts
    assert network() is not None
    SHELF.take(Wanted(other, side=64))
    gc.collect()
    assert network() is None
    SHELF.clear()


def test_previews_show_the_shot_roughly_and_are_small(model: Path, tmp_path: Path) -> None:
    shot, reporter = make_shot(tmp_path, 12), Shown()
    paint(WanEngine(msgspec.structs.replace(SPEC, steps=4), model), shot, reporter)
    assert [(one.step, one.steps, one.chunk, one.chunks) for one in reporter.previews] == [
        (2, 4, 1, 1), (4, 4, 1, 1)
    ]  # fmt: skip
    preview = reporter.previews[-1]
    assert len(preview.picture) <= PREVIEW_LIMIT
    assert all(frame in shot.frames for frame in preview.frames)
    sheet = cv2.imdecode(np.frombuffer(preview.picture, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (SIDE // 8, SIDE // 8 * len(preview.frames), 3)


def test_a_job_stopped_between_two_steps_goes_on_with_the_same_bytes(model: Path, tmp_path: Path) -> None:
    shot, spec = make_shot(tmp_path / "whole", 12), msgspec.structs.replace(SPEC, steps=4)
    whole = paint(WanEngine(spec, model), shot)
    stopped = dataclasses.replace(shot, work=tmp_path / "stopped")
    with pytest.raises(Cancelled):
        paint(WanEngine(spec, model), stopped, Shown(cancels=True))
    assert np.array_equal(paint(WanEngine(spec, model), stopped), whole)


def test_an_engine_closed_between_two_chunks_gives_its_networks_back(model: Path, tmp_path: Path) -> None:
    shot, held = make_shot(tmp_path, 18), 0
    engine = WanEngine(msgspec.structs.replace(QUICK, chunk=16), model)
    first, _ = engine.prepare(shot, SilentReporter())
    lease = engine._parts.vae

    @contextmanager
    def watched() -> Iterator[VideoCodec]:
        nonlocal held
        held += 1
        try:
            with lease() as codec:
                yield codec
        finally:
            held -= 1

    engine._parts = dataclasses.replace(engine._parts, vae=watched, is_roomy=True)
    engine.render(first, SilentReporter())
    assert held == 1
    engine.close()
    assert held == 0


def test_a_full_disk_in_the_middle_is_one_clear_error(model: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    shot, spec = make_shot(tmp_path, 18), msgspec.structs.replace(QUICK, chunk=16)
    engine = WanEngine(spec, model)
    first, _ = engine.prepare(shot, SilentReporter())
    (tmp_path / "carried7" / "00002.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        engine.render(first, SilentReporter())
    assert error_info(caught.value).code == "disk.full"


@pytest.mark.parametrize("timing", ["native", "model"])
def test_without_a_gpu_a_person_hears_beforehand_how_long_it_takes(model: Path, timing: Timing) -> None:
    spec = msgspec.structs.replace(SPEC, crop=None, timing=timing)
    warnings = WanEngine(spec, model).foretell(125, Fraction(25))
    if torch.cuda.is_available():
        assert warnings == []
    else:
        (sentence,) = warnings
        assert sentence.startswith("There is no GPU: at 512x512 pixels a take will keep this ")


def test_a_face_of_a_few_pixels_is_refused(model: Path, tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 12)
    region = dataclasses.replace(shot.region, matrices=shot.region.matrices / 2)
    with pytest.raises(MediaError, match="has 32 pixels") as caught:
        WanEngine(QUICK, model).prepare(dataclasses.replace(shot, region=region), SilentReporter())
    assert caught.value.code == "face.too_small"


def test_a_mask_that_covers_everything_is_refused(model: Path, tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 12)
    outlines = (shot.region.outlines - 0.5) * 20 + 0.5
    region = dataclasses.replace(shot.region, outlines=outlines)
    with pytest.raises(RequestError, match=f"covers everything .* frame {FIRST}") as caught:
        WanEngine(QUICK, model).prepare(dataclasses.replace(shot, region=region), SilentReporter())
    assert caught.value.code == "job.invalid"


def test_a_cut_inside_the_range_is_refused_before_the_model_is_loaded(
    model: Path, tmp_path: Path, counts: Counts
) -> None:
    shot = make_shot(tmp_path, 12)

    def crop(frame: int) -> np.ndarray:
        return shot.crop(frame) if frame < FIRST + 5 else 1 - shot.crop(frame)[::-1]

    with pytest.raises(MediaError, match=f"cuts at frame {FIRST + 5}"):
        WanEngine(QUICK, model).prepare(dataclasses.replace(shot, crop=crop), SilentReporter())
    assert counts.forwards == counts.encoded == 0


@pytest.mark.parametrize(
    "name", ["diffusion_pytorch_model-00001-of-00002.safetensors", "Wan2.1_VAE.pth", "models_t5*.pth"]
)
def test_a_broken_file_of_weights_is_one_clear_error_that_names_it(
    model: Path, tmp_path: Path, name: str
) -> None:
    broken = shutil.copytree(model, tmp_path / "broken")
    (path,) = broken.glob(name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    shot = make_shot(tmp_path / "work", 12)
    engine = WanEngine(QUICK, broken)
    with pytest.raises(MachineError, match=path.name) as caught:
        engine.render(engine.prepare(shot, SilentReporter())[0], SilentReporter())
    assert caught.value.code == "engine.unavailable"
    assert "(" not in caught.value.message, "what the library says goes to the log"
    assert "dubwright models get" in caught.value.hint


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
