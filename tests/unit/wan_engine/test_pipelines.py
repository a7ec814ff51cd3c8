"""The four pipelines on tiny networks: what comes out, what is told on the way, and how they stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from wan_engine.errors import Cancelled, MediaError, NumericError, SettingError
from wan_engine.pipelines.image_to_video import image_to_video
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.pictures import filling_video, first_frame_video, pose_video, reference_video
from wan_engine.pipelines.settings import sampling_for
from wan_engine.pipelines.speech_to_video import PoseVideo, SpeechInputs, speech_to_video
from wan_engine.pipelines.text_image_to_video import text_image_to_video
from wan_engine.pipelines.text_to_video import text_to_video
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.experts import Lease, held
from wan_engine.specs import TASKS, TransformerSpec
from wan_engine.transformer.model import Transformer
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae
from wan_engine.vae.wan22 import Wan22Config, Wan22Vae

Make = Callable[[TransformerSpec], Transformer]
TEXT, OTHER = torch.full((3, 24), 0.5), torch.full((2, 24), -0.5)


def refuse(prompt: str) -> Tensor:
    """Stand for a text encoder that must not be asked: these pipelines take encoded texts."""
    raise AssertionError(prompt)


def parts_of(task: str, spec: TransformerSpec, make: Make) -> Parts:
    """Put tiny networks together for a task."""
    torch.manual_seed(0)
    is_small = task == "ti2v-5B"
    vae = Wan22Vae(Wan22Config(width=4, decoder_width=4)) if is_small else Wan21Vae(Wan21Config(width=4))
    networks = 2 if TASKS[task].is_mixture else 1
    models = tuple(held(make(spec)) for _ in range(networks))
    return Parts(
        replace(TASKS[task], transformer=spec), models, held(vae.eval().requires_grad_(False)), refuse
    )


@pytest.fixture
def text_parts(base_spec: TransformerSpec, make_model: Make) -> Parts:
    """Return a text-to-video task."""
    return parts_of("t2v-A14B", base_spec, make_model)


@pytest.fixture
def speech_parts(speech_spec: TransformerSpec, make_model: Make) -> Parts:
    """Return a speech-to-video task."""
    return parts_of("s2v-14B", speech_spec, make_model)


@pytest.fixture
def speech() -> SpeechInputs:
    """Return a second and a half of speech over a small picture."""
    generator = torch.Generator().manual_seed(3)
    return SpeechInputs(
        prompt=TEXT, negative=OTHER, area=64 * 64, clip_frames=16, seconds=Fraction(3, 2),
        picture_HWC=torch.randint(0, 255, (64, 64, 3), dtype=torch.uint8, generator=generator),
        features_JTC=torch.randn(25, 74, 10, generator=generator),
    )  # fmt: skip


def make_film(parts: Parts, control: Control | None = None, **settings: Any) -> Tensor:
    """Make a tiny film of five frames from a text."""
    sampling = sampling_for(parts.task, steps=settings.pop("steps", 2), **settings)
    return text_to_video(
        parts, TEXT, OTHER, width=32, height=32, frame_count=5, sampling=sampling, control=control
    )


def test_a_seed_is_a_film(text_parts: Parts) -> None:
    first, again, other = make_film(text_parts), make_film(text_parts), make_film(text_parts, seed=1)
    assert first.shape == (3, 5, 32, 32)
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_guidance_of_one_is_the_prompt_alone(text_parts: Parts) -> None:
    seen: list[str] = []
    control = Control(observe=lambda name, tensor: seen.append(name))
    alone = make_film(text_parts, control, guidance=1.0)
    assert not [name for name in seen if "uncond" in name]
    nearly = make_film(text_parts, guidance=1.000001)
    torch.testing.assert_close(alone, nearly, atol=1e-4, rtol=1e-4)


def test_the_velocity_that_guidance_of_one_leaves_out_can_be_seen(text_parts: Parts) -> None:
    seen: dict[str, Tensor] = {}
    both = make_film(text_parts, Control(observe=seen.__setitem__, shows_unused=True), guidance=1.0)
    assert not torch.equal(seen["velocity_uncond_step1"], seen["velocity_cond_step1"])
    torch.testing.assert_close(both, make_film(text_parts, guidance=1.0), atol=1e-4, rtol=1e-4)


def test_a_blend_of_equal_experts_changes_nothing(text_parts: Parts) -> None:
    plain = make_film(text_parts, steps=4, guidance=3.0)
    blended = make_film(text_parts, steps=4, guidance=3.0, expert_threshold=0.0, expert_blend=50.0)
    torch.testing.assert_close(blended, plain, atol=1e-4, rtol=1e-4)


def test_progress_is_told_in_order(text_parts: Parts) -> None:
    told: list[Progress] = []
    make_film(text_parts, Control(report=told.append), steps=3)
    assert [(p.done, p.total) for p in told if p.stage == "denoise"] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [p.done for p in told if p.stage == "decode"] == [1, 5]


def test_a_job_stops_between_steps(text_parts: Parts) -> None:
    steps: list[int] = []
    control = Control(
        observe=lambda name, _: steps.append(1) if name.startswith("model_input") else None,
        is_cancelled=lambda: len(steps) >= 2,
    )
    with pytest.raises(Cancelled):
        make_film(text_parts, control, steps=10)
    assert len(steps) == 2


@pytest.mark.parametrize("after", [1, 8])
def test_a_cancelled_job_gives_every_network_back(text_parts: Parts, after: int) -> None:
    lent: list[int] = []
    parts = replace(
        text_parts,
        transformers=tuple(counted(lease, lent) for lease in text_parts.transformers),
        vae=counted(text_parts.vae, lent),
    )
    told: list[Progress] = []
    control = Control(report=told.append, is_cancelled=lambda: len(told) >= after)
    with pytest.raises(Cancelled):
        make_film(parts, control, steps=6)
    assert told[-1].stage == ("denoise" if after == 1 else "decode")
    assert lent
    assert sum(lent) == 0


def counted(lease: Lease[Any], lent: list[int]) -> Lease[Any]:
    """Return the lease, noting 1 when it begins and -1 when it ends."""

    @contextmanager
    def count() -> Iterator[Any]:
        with lease() as network:
            lent.append(1)
            try:
                yield network
            finally:
                lent.append(-1)

    return count


def test_values_that_are_no_numbers_stop_the_job_and_name_the_step(base_spec: Any, make_model: Make) -> None:
    model = make_model(base_spec)
    model.head.head.weight.data[0, 0] = float("nan")
    parts = parts_of("t2v-A14B", base_spec, lambda _: model)
    with pytest.raises(NumericError, match="step 1 of 6"):
        make_film(parts, steps=6)


def test_a_frame_count_that_is_not_4n_plus_1_is_refused(text_parts: Parts) -> None:
    sampling = sampling_for(text_parts.task, steps=1)
    with pytest.raises(SettingError, match="6 frames"):
        text_to_video(text_parts, TEXT, OTHER, width=32, height=32, frame_count=6, sampling=sampling)


def test_an_image_becomes_a_film_of_its_aspect(base_spec: Any, make_model: Make) -> None:
    parts = parts_of("i2v-A14B", replace(base_spec, model_type="i2v", in_dim=36), make_model)
    picture = torch.zeros(40, 80, 3, dtype=torch.uint8)
    sampling = sampling_for(parts.task, steps=2)
    film = image_to_video(parts, TEXT, OTHER, picture, area=32 * 64, frame_count=5, sampling=sampling)
    assert film.shape == (3, 5, 32, 32 * 2 - 16 * ((32 * 2) % 16 > 0))


def test_a_given_first_frame_stays_in_the_latent(base_spec: Any, make_model: Make) -> None:
    parts = parts_of("ti2v-5B", replace(base_spec, model_type="ti2v", in_dim=48, out_dim=48), make_model)
    seen: dict[str, Tensor] = {}
    control = Control(observe=lambda name, tensor: seen.update({name: tensor.clone()}))
    picture = torch.randint(0, 255, (64, 96, 3), dtype=torch.uint8)
    sampling = sampling_for(parts.task, steps=3)
    film = text_image_to_video(
        parts, TEXT, OTHER, picture, width=96, height=64, frame_count=5, sampling=sampling, control=control
    )
    assert film.shape == (3, 5, 64, 96)
    assert torch.equal(seen["final_latents"][:, :, :1], seen["vae_encode_output"])


def test_without_a_picture_the_small_model_makes_the_size_asked_for(base_spec: Any, make_model: Make) -> None:
    parts = parts_of("ti2v-5B", replace(base_spec, model_type="ti2v", in_dim=48, out_dim=48), make_model)
    sampling = sampling_for(parts.task, steps=1)
    film = text_image_to_video(
        parts, TEXT, OTHER, None, width=96, height=32, frame_count=5, sampling=sampling
    )
    assert film.shape == (3, 5, 32, 96)


def test_speech_makes_as_many_frames_as_the_sound_covers(speech_parts: Parts, speech: SpeechInputs) -> None:
    sampling = sampling_for(speech_parts.task, steps=1)
    clips = list(speech_to_video(speech_parts, speech, sampling))
    assert [clip.shape for clip in clips] == [(3, 16, 64, 64), (3, 8, 64, 64)]


def test_the_released_clock_is_three_frames_short_and_fills_the_last_clip(
    speech_parts: Parts, speech: SpeechInputs
) -> None:
    sampling = sampling_for(speech_parts.task, steps=1)
    clips = list(speech_to_video(speech_parts, speech, sampling, reference_compat=True))
    assert [clip.shape[1] for clip in clips] == [13, 16]


def test_speech_encodes_nothing_that_is_thrown_away(speech_parts: Parts, speech: SpeechInputs) -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []
    control = Control(observe=lambda name, tensor: seen.append((name, tuple(tensor.shape))))
    sampling = sampling_for(speech_parts.task, steps=1)
    list(speech_to_video(speech_parts, speech, sampling, control=control))
    encoded = [(name, shape[2]) for name, shape in seen if name.endswith("vae_encode_input")]
    assert encoded == [("vae_encode_input", 1), ("clip1_vae_encode_input", 73)]
    decoded = [shape[2] for name, shape in seen if name.endswith("decode_input")]
    assert decoded == [1 + 4, 19 + 4]


def test_the_next_clip_starts_where_the_last_ended(speech_parts: Parts, speech: SpeechInputs) -> None:
    seen: dict[str, Tensor] = {}
    control = Control(observe=lambda name, tensor: seen.update({name: tensor.clone()}))
    clips = speech_to_video(speech_parts, speech, sampling_for(speech_parts.task, steps=1), control=control)
    first = next(clips)
    next(clips)
    motion = seen["clip1_vae_encode_input"][0]
    assert torch.equal(motion[:, -16:], first)
    assert not motion[:, :-16].any()


def test_a_video_can_start_from_its_picture(speech_parts: Parts, speech: SpeechInputs) -> None:
    seen: dict[str, Tensor] = {}
    control = Control(observe=lambda name, tensor: seen.update({name: tensor.clone()}))
    inputs = replace(speech, starts_from_picture=True, most_clips=1)
    next(speech_to_video(speech_parts, inputs, sampling_for(speech_parts.task, steps=1), control=control))
    motion = seen["clip0_vae_encode_input"]
    assert torch.equal(motion[:, :, -6:], seen["vae_encode_input"].expand(-1, -1, 6, -1, -1))
    assert not motion[:, :, :-6].any()


def test_a_pose_video_moves_the_result(speech_parts: Parts, speech: SpeechInputs) -> None:
    sampling = sampling_for(speech_parts.task, steps=1)
    frames = torch.randint(0, 255, (24, 64, 64, 3), dtype=torch.uint8)
    posed = replace(speech, pose=PoseVideo(frames, Fraction(24)), most_clips=1)
    plain = next(speech_to_video(speech_parts, replace(speech, most_clips=1), sampling))
    assert not torch.equal(plain, next(speech_to_video(speech_parts, posed, sampling)))


def test_speech_without_sound_or_with_a_bad_picture_is_refused(
    speech_parts: Parts, speech: SpeechInputs
) -> None:
    sampling = sampling_for(speech_parts.task, steps=1)
    with pytest.raises(SettingError, match="no speech"):
        speech_to_video(speech_parts, replace(speech, features_JTC=torch.zeros(25, 0, 10)), sampling)
    with pytest.raises(MediaError, match="uint8"):
        speech_to_video(speech_parts, replace(speech, picture_HWC=torch.zeros(64, 64, 3)), sampling)


def test_a_reference_picture_keeps_its_aspect_and_is_padded_black() -> None:
    picture = torch.full((32, 128, 3), 255, dtype=torch.uint8)
    video = reference_video(picture, 128, 64)
    assert video.shape == (1, 3, 1, 128, 64)
    assert (video[:, :, :, :32] == -1).all()
    assert (video[:, :, :, 32:96] == 1).all()
    assert (video[:, :, :, 96:] == -1).all()


def test_a_filling_picture_covers_the_frame() -> None:
    picture = torch.full((50, 200, 3), 255, dtype=torch.uint8)
    assert (filling_video(picture, 64, 64) == 1).all()


def test_a_first_frame_is_followed_by_grey() -> None:
    video = first_frame_video(torch.full((10, 20, 3), 255, dtype=torch.uint8), 16, 32, 5)
    assert video.shape == (1, 3, 5, 16, 32)
    torch.testing.assert_close(video[:, :, 0], torch.ones(1, 3, 16, 32))
    assert not video[:, :, 1:].any()


def test_poses_are_padded_grey() -> None:
    video = pose_video(torch.full((2, 32, 64, 3), 255, dtype=torch.uint8), 64, 32)
    assert video.shape == (1, 3, 2, 64, 32)
    torch.testing.assert_close(video[:, :, :, 16:48], torch.ones(1, 3, 2, 32, 32))
    assert not video[:, :, :, :16].any()
