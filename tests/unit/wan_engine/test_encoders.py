"""umT5 and wav2vec2: padding, pieces and configs; and the audio clock."""

from fractions import Fraction

import pytest
import torch

from wan_engine.audio import wav2vec2
from wan_engine.audio.buckets import released_buckets, released_embedding, released_indices, sample_features
from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, adapt_keys, normalise_sound, step_count
from wan_engine.errors import CheckpointError, MediaError, SettingError
from wan_engine.text.umt5 import UmT5Config, UmT5Encoder, relative_bucket

TEXT = UmT5Config(vocabulary=50, dim=16, attention_dim=24, ffn_dim=32, heads=4, layers=2)
SPEECH = Wav2Vec2Config(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
    num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
)  # fmt: skip


@pytest.fixture
def text_encoder() -> UmT5Encoder:
    torch.manual_seed(0)
    return UmT5Encoder(TEXT).requires_grad_(False).eval()


@pytest.fixture
def speech_encoder() -> Wav2Vec2:
    torch.manual_seed(0)
    return Wav2Vec2(SPEECH).requires_grad_(False).eval()


def test_a_prompt_has_the_same_features_alone_and_in_a_padded_batch(text_encoder: UmT5Encoder) -> None:
    ids = torch.randint(0, 50, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 4:] = 0
    first, second = text_encoder.encode(ids, mask)
    assert (len(first), len(second)) == (9, 4)
    torch.testing.assert_close(first, text_encoder(ids[:1])[0])
    torch.testing.assert_close(second, text_encoder(ids[1:, :4])[0], rtol=1e-5, atol=1e-5)


def test_padding_to_the_full_length_changes_nothing(text_encoder: UmT5Encoder) -> None:
    ids = torch.randint(1, 50, (1, 7))
    padded = torch.nn.functional.pad(ids, (0, 25))
    mask = (torch.arange(32) < 7).long()[None]
    full = text_encoder(padded, mask)[0, :7]
    torch.testing.assert_close(text_encoder.encode(padded, mask)[0], full, rtol=1e-5, atol=1e-5)


def test_a_token_outside_the_vocabulary_is_refused(text_encoder: UmT5Encoder) -> None:
    with pytest.raises(SettingError, match="Token 50"):
        text_encoder(torch.tensor([[3, 50]]))


def test_distance_buckets_tell_before_from_after_and_end_at_the_largest_distance() -> None:
    distances = torch.tensor([-1000, -128, -8, -7, -1, 0, 1, 7, 8, 128, 1000])
    assert relative_bucket(distances).tolist() == [15, 15, 8, 7, 1, 0, 17, 23, 24, 31, 31]


def test_sound_in_pieces_has_the_features_of_the_whole(
    speech_encoder: Wav2Vec2, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = torch.randn(16_000)
    whole = speech_encoder(samples)
    assert whole.shape == (3, 49, 16)
    monkeypatch.setattr(wav2vec2, "STEPS_AT_ONCE", 10)
    torch.testing.assert_close(speech_encoder(samples), whole, rtol=1e-4, atol=1e-5)


def test_the_last_hidden_state_is_normalised(speech_encoder: Wav2Vec2) -> None:
    last = speech_encoder(torch.randn(4_000))[-1]
    torch.testing.assert_close(last.mean(dim=-1), torch.zeros(len(last)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("samples", "steps"), [(0, 0), (399, 0), (400, 1), (16_000, 49), (80_000, 249)])
def test_steps_of_a_sound(samples: int, steps: int) -> None:
    assert step_count(samples) == steps


def test_a_sound_shorter_than_one_step_is_refused(speech_encoder: Wav2Vec2) -> None:
    with pytest.raises(MediaError, match="399 samples"):
        speech_encoder(torch.randn(399))


def test_silence_normalises_to_silence() -> None:
    assert torch.equal(normalise_sound(torch.full((100,), 0.5)), torch.zeros(100))


@pytest.mark.parametrize(
    "names",
    [
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ],
)
def test_both_spellings_of_the_weight_norm_are_multiplied_out(names: tuple[str, str]) -> None:
    prefix = "wav2vec2.encoder.pos_conv_embed.conv."
    direction, length = torch.randn(4, 2, 3), torch.rand(1, 1, 3) + 0.5
    ours = adapt_keys(
        {prefix + names[0]: length, prefix + names[1]: direction, "lm_head.bias": torch.zeros(2)}
    )
    weight = ours.pop("encoder.pos_conv_embed.conv.weight")
    assert not ours
    torch.testing.assert_close(torch.linalg.vector_norm(weight, dim=(0, 1), keepdim=True), length)


def test_another_kind_of_wav2vec2_is_refused() -> None:
    with pytest.raises(CheckpointError, match="do_stable_layer_norm"):
        Wav2Vec2Config.read({"do_stable_layer_norm": False})


def ramp(steps: int) -> torch.Tensor:
    return torch.arange(steps, dtype=torch.float32).view(1, steps, 1)


@pytest.mark.parametrize(
    "rate", [Fraction(16), Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(60)]
)
def test_each_frame_hears_its_own_moment(rate: Fraction) -> None:
    sampled = sample_features(ramp(100), rate, 20)[0, 0, 0]
    expected = torch.tensor([float(50 * i / rate) for i in range(20)])
    torch.testing.assert_close(sampled, expected)


def test_a_clip_that_starts_later_hears_what_follows() -> None:
    whole = sample_features(ramp(200), 25, 40)
    later = sample_features(ramp(200), 25, 20, start_s=Fraction(20, 25))
    torch.testing.assert_close(later, whole[..., 20:])


def test_before_and_after_the_sound_there_is_silence() -> None:
    sampled = sample_features(ramp(10) + 1, 50, 20, start_s=Fraction(-5, 50))[0, 0, 0]
    assert sampled.tolist() == [0.0] * 5 + [float(i) for i in range(1, 11)] + [0.0] * 5


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        sample_features(ramp(10), 0, 4)


def test_a_sound_that_fills_its_clips_exactly_gets_one_more_as_released() -> None:
    buckets, clips = released_buckets(ramp(150), 80)  # 150 steps of 30 Hz are the 5 s of 80 frames
    assert clips == 2
    assert not buckets[80:].any()


def test_released_steps_are_rounded_half_to_even() -> None:
    assert released_indices(16)[[4, 12]].tolist() == [8, 22]


def test_neighbours_past_the_ends_repeat_them() -> None:
    buckets, _ = released_buckets(ramp(20), 4, neighbours=1)
    assert buckets[0, 0].tolist() == [0, 0, 1]


def test_the_released_embedding_covers_whole_clips() -> None:
    embedding, clips = released_embedding(ramp(420), 80)
    assert embedding.shape == (1, 1, 1, 80 * clips)
