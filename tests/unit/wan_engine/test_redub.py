"""The masked re-dub: what is known stays, what is heard moves the mouth when it is heard, runs resume."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.unit.wan_engine.redub_shot import (
    RATE,
    SIDE,
    SPEC,
    Notebook,
    make_inputs,
    make_shot,
    sampling,
    stand_in_parts,
    tiny_parts,
)
from wan_engine.audio.buckets import sample_features
from wan_engine.errors import Cancelled, SettingError
from wan_engine.loading.placement import nested
from wan_engine.pipelines.pictures import reference_video
from wan_engine.pipelines.redub import Made, RedubInputs, RedubSettings, redub
from wan_engine.pipelines.redub_footage import HeldFootage, motion_before
from wan_engine.pipelines.speech_to_video import SpeechInputs, speech_to_video
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.experts import Lease
from wan_engine.sampling.solver import SOLVERS
from wan_engine.vae.codec import VideoCodec

PARTS = tiny_parts()
SHORT = RedubSettings(chunk_frames=16)


def run(inputs: RedubInputs, settings: RedubSettings = SHORT, **changes: Any) -> list[Made]:
    return list(redub(PARTS, inputs, sampling(**changes), settings))


def whole(chunks: list[Made]) -> Tensor:
    return torch.cat([chunk.frames_CFHW for chunk in chunks], dim=1)


def source_of(footage: HeldFootage) -> Tensor:
    return footage.pictures_CFHW[:, footage.before : footage.before + footage.count]


class Spy:
    """Keeps the tensors a run shows."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}
        self.control = Control(observe=lambda name, tensor: self.seen.update({name: tensor.clone()}))


def test_a_closed_mask_gives_the_round_trip_and_then_the_source() -> None:
    parts = tiny_parts(has_real_vae=True)
    footage = make_shot(before=80, count=10, after=8, mask="none")
    spy = Spy()
    (made,) = redub(parts, make_inputs(footage), sampling(), SHORT, control=spy.control)
    video = torch.cat([motion_before(footage, 73), footage.pictures_CFHW[:, 80:96]], dim=1)
    with parts.vae() as codec:
        assert torch.equal(spy.seen["chunk0_decode_input"], codec.encode(video[None]))
    assert torch.equal(made.frames_CFHW, source_of(footage))


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_known_latents_are_exact_at_the_end(solver: str) -> None:
    footage = make_shot(before=20, count=16, after=0)
    spy = Spy()
    list(redub(PARTS, make_inputs(footage), sampling(solver=solver), SHORT, control=spy.control))
    made = spy.seen["chunk0_decode_input"][:, :, 19:]
    known, mask = spy.seen["chunk0_known"], spy.seen["chunk0_mask"].expand_as(made)
    assert (mask == 0).any()
    assert torch.equal(made[mask == 0], known[mask == 0])
    assert not torch.allclose(made[mask == 1], known[mask == 1], atol=0.1)


def test_an_open_mask_without_context_is_speech_to_video() -> None:
    footage = make_shot(before=0, count=20, after=0, mask="all")
    picture = torch.randint(0, 256, (SIDE, SIDE, 3), dtype=torch.uint8)
    reference = reference_video(picture, SIDE, SIDE)[0, :, 0]
    rate = Fraction(PARTS.task.rate)
    inputs = make_inputs(footage, seconds=1.25, reference_CHW=reference, rate=rate)
    settings = RedubSettings(chunk_frames=16, has_context=False, is_anchored=False)
    plain = SpeechInputs(
        prompt=inputs.prompt,
        negative=inputs.negative,
        picture_HWC=picture,
        features_JTC=inputs.features_JTC,
        area=SIDE * SIDE,
        seconds=Fraction(5, 4),
        clip_frames=16,
    )
    expected = torch.cat(list(speech_to_video(PARTS, plain, sampling())), dim=1)
    assert torch.equal(whole(run(inputs, settings)), expected)


def test_outside_the_mask_the_source_is_untouched_and_a_seed_changes_only_the_mouth() -> None:
    footage = make_shot(before=20, count=20, after=8)
    inputs = make_inputs(footage)
    one, other = whole(run(inputs)), whole(run(inputs, seed=99))
    outside = (footage.masks_FHW == 0).expand_as(one)
    assert torch.equal(one[outside], source_of(footage)[outside])
    assert torch.equal(other[outside], source_of(footage)[outside])
    assert (one - other).abs()[~outside].mean() > 0.01


def test_another_take_of_a_source_encodes_nothing_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, encoded = tiny_parts(has_real_vae=True), [0]
    encode = VideoCodec.encode_pieces

    def counted(self: VideoCodec, pieces: Iterable[Tensor], **settings: Any) -> Iterator[Tensor]:
        for latent in encode(self, pieces, **settings):
            encoded[0] += latent.shape[2]
            yield latent

    monkeypatch.setattr(VideoCodec, "encode_pieces", counted)
    footage, latents = make_shot(before=80, count=24, after=8), []
    inputs = make_inputs(footage, keeper=Notebook())
    settings = replace(SHORT, chunk_frames=16)
    for seed in (1, 2):
        encoded[0] = 0
        chunks = list(redub(parts, inputs, sampling(seed=seed), settings))
        latents.append(encoded[0])
    motion, borders = 19, len(chunks) - 1  # what was composited before a border is new in each take
    assert borders == 1
    assert latents == [1 + motion + (chunks[0].stop + 16) // 4 + borders * motion, borders * motion]
    alone = list(redub(parts, make_inputs(footage), sampling(seed=2), settings))
    assert torch.equal(whole(chunks), whole(alone))


@pytest.mark.parametrize("overlap", [0, 4])
def test_a_run_resumed_after_any_chunk_gives_the_same_bytes(overlap: int) -> None:
    inputs = make_inputs(make_shot(before=30, count=40, after=8))
    settings = replace(SHORT, overlap=overlap)
    chunks = run(inputs, settings)
    assert len(chunks) > 2
    assert [chunk.start for chunk in chunks[1:]] == [chunk.stop for chunk in chunks[:-1]]
    assert whole(chunks).shape[1] == 40
    for number, chunk in enumerate(chunks[:-1], start=1):
        rest = list(redub(PARTS, inputs, sampling(), settings, resume=chunk.carried))
        assert torch.equal(whole(rest), whole(chunks[number:]))


def test_a_cancelled_run_ends_at_once_and_gives_every_network_back() -> None:
    asked: list[Progress] = []
    control = Control(report=asked.append, is_cancelled=lambda: len(asked) > 3)
    held = 0

    def watched(lease: Lease[Any]) -> Lease[Any]:
        @contextmanager
        def lend() -> Iterator[Any]:
            nonlocal held
            held += 1
            try:
                with lease() as network:
                    yield network
            finally:
                held -= 1

        return lend

    parts = replace(PARTS, transformers=tuple(map(watched, PARTS.transformers)), vae=watched(PARTS.vae))
    run = redub(
        parts, make_inputs(make_shot(before=0, count=16, after=0)), sampling(), SHORT, control=control
    )
    with pytest.raises(Cancelled):
        list(run)
    assert len(asked) == 4
    assert held == 0


@pytest.mark.parametrize("is_roomy", [False, True])
def test_networks_stay_for_a_whole_run_where_there_is_room(is_roomy: bool) -> None:
    taken = Counter[str]()

    def watched(name: str, lease: Lease[Any]) -> Lease[Any]:
        @contextmanager
        def lend() -> Iterator[Any]:
            taken[name] += 1
            with lease() as network:
                yield network

        return nested(lend)

    parts = replace(
        PARTS,
        transformers=(watched("transformer", PARTS.transformers[0]),),
        vae=watched("vae", PARTS.vae),
        is_roomy=is_roomy,
    )
    inputs = make_inputs(make_shot(before=0, count=24, after=0))
    run = redub(parts, inputs, sampling(steps=1), SHORT)
    made = list(run)
    assert whole(made).shape[1] == 24
    if is_roomy:
        assert taken == {"transformer": 1, "vae": 1}
    else:
        assert taken["transformer"] == len(made)
        assert taken["vae"] > len(made)


def test_a_run_can_be_cancelled_in_the_middle_of_a_step() -> None:
    steps: list[Progress] = []
    checks = [0]

    def is_cancelled() -> bool:
        checks[0] += bool(steps) and steps[-1].stage == "denoise"
        return checks[0] > 1  # the first block has been checked, the second is next

    control = Control(report=steps.append, is_cancelled=is_cancelled)
    inputs = make_inputs(make_shot(before=0, count=16, after=0))
    with pytest.raises(Cancelled):
        list(redub(PARTS, inputs, sampling(), SHORT, control=control))
    assert (steps[-1].stage, steps[-1].done) == ("denoise", 0)


def listen(footage: HeldFootage, frame: int, **settings: Any) -> Tensor:
    """Return how bright the middle of the mouth is in each frame when the voice is an impulse in one."""
    steps = torch.arange(200) / 50 * float(RATE)  # in frames
    impulse = (1 - (steps - frame).abs()).clamp(0, 1)
    features = impulse[None, :, None].expand(25, -1, SPEC.audio_dim)
    parts = stand_in_parts(5, (1, 16, 4, SIDE // 8, SIDE // 8))
    inputs = make_inputs(footage, features_JTC=features)
    given = RedubSettings(chunk_frames=16, audio_guidance=1.0, is_anchored=False, **settings)
    return whole(list(redub(parts, inputs, sampling(solver="euler"), given)))[0, :, 44, 32]


@pytest.mark.parametrize("frame", [0, 3, 4, 6, 9])
def test_an_impulse_in_the_voice_moves_the_mouth_at_its_own_frame(frame: int) -> None:
    brightness = listen(make_shot(before=40, count=12, after=8), frame)
    assert int(brightness.argmax()) == frame
    far = [abs(k - frame) > 1 for k in range(12)]
    assert brightness[far].abs().max() < 0.02


def test_the_end_meets_the_source_that_follows() -> None:
    footage = make_shot(before=40, count=10, after=12)
    spy = Spy()
    list(redub(PARTS, make_inputs(footage), sampling(), SHORT, control=spy.control))
    assert spy.seen["chunk0_mask"].amax((0, 1, 3, 4)).tolist() == [1, 1, 1, 0]  # frames 12 to 15 are known


def test_both_ends_join_the_source_without_a_jump() -> None:
    """A mouth that moves in the middle only: at both ends the take goes on from the shot, and into it."""
    moving = make_shot(before=40, count=12, after=8)
    still = HeldFootage(torch.full_like(moving.pictures_CFHW, 0.0), moving.masks_FHW, 40)
    brightness = listen(still, 6)
    assert brightness.max() > 0.5
    for end in (0, -1):  # the source there is black
        assert abs(brightness[end]) < 0.02
    steps = brightness.diff().abs()
    assert max(steps[0], steps[-1]) < 0.02 < steps.max()


def test_the_voice_of_a_frame_reaches_its_own_latent_and_its_neighbours_only() -> None:
    rest = torch.randn(25, 100, SPEC.audio_dim, generator=torch.Generator().manual_seed(0))
    with PARTS.experts() as experts:
        model: Any = experts.use(0)
        for frame in (12, 13, 15):
            heard = []
            for shift in (0.0, 1.0):
                features = sample_features(rest, RATE, 40)
                features[..., frame] += shift
                heard.append(model.audio_tokens(features, 73, 19)[0][0])
            moved = (heard[0] - heard[1]).abs().sum((1, 2)).nonzero().flatten().tolist()
            assert moved[0] == frame // 4
            assert moved[-1] <= (frame + 5) // 4 + 1


def test_less_strength_stays_nearer_to_the_source() -> None:
    footage = make_shot(before=20, count=16, after=0)
    inputs, source = make_inputs(footage), source_of(footage)
    near = whole(run(inputs, replace(SHORT, strength=0.34), steps=6))
    far = whole(run(inputs, SHORT, steps=6))
    assert (near - source).abs().mean() < (far - source).abs().mean()


def test_separate_guidance_with_equal_scales_is_the_released_one() -> None:
    inputs = make_inputs(make_shot(before=20, count=16, after=0))
    both = whole(run(inputs, replace(SHORT, audio_guidance=3.0, text_guidance=3.0)))
    assert torch.equal(both, whole(run(inputs, replace(SHORT, audio_guidance=3.0))))
    apart = whole(run(inputs, replace(SHORT, audio_guidance=3.0, text_guidance=1.0)))
    assert not torch.allclose(apart, both, atol=1e-3)


def test_guidance_can_be_cut_after_a_noise_level() -> None:
    inputs = make_inputs(make_shot(before=20, count=16, after=0))
    never = whole(run(inputs, replace(SHORT, guidance_until=2.0)))
    assert torch.equal(never, whole(run(inputs, replace(SHORT, audio_guidance=1.0))))
    assert not torch.equal(never, whole(run(inputs)))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"chunk_frames": 18}, "multiple of 4"),
        ({"chunk_frames": 8}, "16 or more"),
        ({"overlap": 3}, "overlap"),
        ({"strength": 0.0}, "strength"),
        ({"mask_grow": -1}, "grow"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], word: str) -> None:
    inputs = make_inputs(make_shot(before=0, count=16, after=0))
    with pytest.raises(SettingError, match=word):
        run(inputs, replace(SHORT, **settings))
