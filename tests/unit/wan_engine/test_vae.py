"""Both autoencoders: streamed, tiled and whole are one computation; layouts, refusals, cost."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from wan_engine.errors import WanError
from wan_engine.vae.causal import ChannelNorm
from wan_engine.vae.codec import VideoCodec, chunk_bounds
from wan_engine.vae.flops import codec_flops
from wan_engine.vae.resample import convolve_doubled
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae
from wan_engine.vae.wan22 import Wan22Config, Wan22Vae, average_down, shuffle, unshuffle

REFERENCE_JOB_TFLOP = 483  # of the public pipeline's autoencoder, one clip at 512x512: measured on it
SAME = {"rtol": 1e-4, "atol": 1e-5}  # one computation in another order of sums


def randomised(vae: VideoCodec, seed: int = 0) -> VideoCodec:
    random = torch.Generator().manual_seed(seed)
    for name, parameter in vae.named_parameters():
        noise = torch.randn(parameter.shape, generator=random)
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        parameter.data = 1 + 0.1 * noise if name.endswith("gamma") else noise / fan_in**0.5
    return vae.eval()


@pytest.fixture(params=["wan21", "wan22"])
def vae(request: pytest.FixtureRequest) -> VideoCodec:
    return randomised(Wan21Vae(Wan21Config(8)) if request.param == "wan21" else Wan22Vae(Wan22Config(8, 8)))


@pytest.fixture
def video(vae: VideoCodec) -> Tensor:
    return torch.rand(1, 3, 13, 3 * vae.spatial_stride, 4 * vae.spatial_stride) * 2 - 1


def test_encoding_in_chunks_equals_encoding_at_once(vae: VideoCodec, video: Tensor) -> None:
    whole = vae.encode(video, latents_per_chunk=100)
    assert whole.shape[2] == 4
    for size in (1, 2, 3):
        torch.testing.assert_close(vae.encode(video, latents_per_chunk=size), whole, **SAME)


def test_decoding_in_chunks_equals_decoding_at_once(vae: VideoCodec, video: Tensor) -> None:
    latent = vae.encode(video)
    whole = vae.decode(latent, latents_per_chunk=100)
    assert whole.shape == video.shape
    for size in (1, 2, 3):
        torch.testing.assert_close(vae.decode(latent, latents_per_chunk=size), whole, **SAME)


@pytest.mark.parametrize("tile", [16, 32])
def test_tiles_change_nothing(vae: VideoCodec, video: Tensor, tile: int) -> None:
    latent = vae.encode(video)
    torch.testing.assert_close(vae.encode(video, tile=tile), latent, **SAME)
    torch.testing.assert_close(vae.decode(latent, tile=tile), vae.decode(latent), **SAME)


@pytest.mark.parametrize("settings", [{"tile": 16}, {"latents_per_chunk": 4}])
def test_the_end_of_a_video_is_what_decoding_all_of_it_gives(
    vae: VideoCodec, settings: dict[str, int]
) -> None:
    latent = torch.randn(1, len(vae.statistics.mean), 20, 1, 3, generator=torch.Generator().manual_seed(1))
    whole, passed = vae.decode(latent), []
    vae.decoder.head.register_forward_hook(lambda *_: passed.append(1))
    for skip in (1, 18):
        passed.clear()
        end = torch.cat(list(vae.decode_chunks(latent, skip=skip, **settings)), dim=2)
        assert end.shape[2] == 4 * (20 - skip)
        torch.testing.assert_close(end, whole[:, :, -end.shape[2] :], rtol=0, atol=5e-6)
    assert len(passed) <= 9  # the last two latents and the one before, in no more than three tiles


def test_later_frames_do_not_change_earlier_ones(vae: VideoCodec, video: Tensor) -> None:
    latent = vae.encode(video)
    changed = latent.clone()
    changed[:, :, 2:] += 1
    before, after = vae.decode(latent), vae.decode(changed)
    torch.testing.assert_close(after[:, :, :5], before[:, :, :5], **SAME)
    assert not torch.allclose(after[:, :, 5:], before[:, :, 5:])


def test_every_frame_reaches_the_latents(vae: VideoCodec, video: Tensor) -> None:
    latent = vae.encode(video)
    for frame in (0, 1, 4, 12):
        changed = video.clone()
        changed[:, :, frame] = -changed[:, :, frame]
        assert not torch.allclose(vae.encode(changed), latent)


def test_a_batch_is_encoded_as_its_videos_are(vae: VideoCodec, video: Tensor) -> None:
    other = video.flip(-1)
    both = vae.encode(torch.cat([video, other]))
    torch.testing.assert_close(both, torch.cat([vae.encode(video), vae.encode(other)]), **SAME)


def test_frames_beyond_the_last_latent_are_left_out(vae: VideoCodec, video: Tensor) -> None:
    torch.testing.assert_close(vae.encode(video[:, :, :12]), vae.encode(video[:, :, :9]), **SAME)


def test_decoded_pixels_are_clamped_unless_asked_not_to(vae: VideoCodec, video: Tensor) -> None:
    latent = 20 * vae.encode(video[:, :, :5])
    raw = vae.decode(latent, clamp=False)
    assert raw.abs().max() > 1
    torch.testing.assert_close(vae.decode(latent), raw.clamp(-1, 1))


@pytest.mark.parametrize("shape", [(3, 5, 64, 64), (1, 4, 5, 64, 64), (1, 3, 0, 64, 64), (1, 3, 5, 60, 64)])
def test_what_is_no_video_of_the_right_size_is_refused(vae: VideoCodec, shape: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, WanError)):
        vae.encode(torch.zeros(shape))


def test_an_empty_latent_is_refused(vae: VideoCodec) -> None:
    with pytest.raises(ValueError, match="at least one latent frame"):
        vae.decode(torch.zeros(1, len(vae.statistics.mean), 0, 4, 4))


def test_chunks_begin_with_the_first_latent_alone() -> None:
    assert chunk_bounds(6, 2) == [(0, 1), (1, 3), (3, 5), (5, 6)]
    with pytest.raises(ValueError, match="at least 1"):
        chunk_bounds(6, 0)


def test_convolving_a_doubled_picture_without_doubling_it() -> None:
    x, weight, bias = torch.randn(2, 5, 6, 7), torch.randn(4, 5, 3, 3), torch.randn(4)
    doubled = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest-exact")
    plain = torch.nn.functional.conv2d(doubled, weight, bias, padding=1)
    torch.testing.assert_close(convolve_doubled(x, weight, bias), plain, rtol=1e-4, atol=1e-4)


def test_unshuffling_puts_columns_before_rows_and_shuffling_undoes_it() -> None:
    video = torch.arange(2 * 2.0).view(1, 1, 1, 2, 2)  # pixels 0 1 / 2 3
    assert unshuffle(video).flatten().tolist() == [0, 2, 1, 3]
    picture = torch.randn(1, 3, 2, 4, 6)
    assert torch.equal(shuffle(unshuffle(picture)), picture)


def test_the_zero_frame_before_the_first_counts_in_the_mean() -> None:
    first = torch.ones(1, 4, 1, 2, 2)
    assert average_down(first, 4, 2, 2).unique().tolist() == [0.5]


def test_a_norm_of_nothing_is_nothing() -> None:
    assert torch.equal(ChannelNorm(4)(torch.zeros(1, 4, 1, 2, 2)), torch.zeros(1, 4, 1, 2, 2))


def tflop(vae: VideoCodec, latents: int, size: int = 512) -> float:
    """Count decoding on the meta device. From the third latent on, each costs the same."""
    counted = min(latents, 4)
    costs = []
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        for _ in vae.decode_chunks(torch.empty(1, 16, counted, size // 8, size // 8)):
            costs.append(counter.get_total_flops() / 1e12)
    return costs[-1] + (latents - counted) * (costs[-1] - costs[-2] if len(costs) > 1 else 0)


def test_a_one_clip_job_costs_at_most_two_fifths_of_the_reference() -> None:
    with torch.device("meta"):
        vae = Wan21Vae()
        with FlopCounterMode(display=False) as counter:
            vae.encode(torch.empty(1, 3, 1, 512, 512))
    job = counter.get_total_flops() / 1e12 + tflop(vae, 21)
    assert job <= 0.40 * REFERENCE_JOB_TFLOP


def test_the_formula_of_estimates_is_what_is_counted() -> None:
    formula = [codec_flops(48, 32**2, encoded=encoded, decoded=1 - encoded) for encoded in (1, 0)]
    with torch.device("meta"):
        vae = Wan21Vae(Wan21Config(48))
        coding = (
            vae.encode_chunks(torch.empty(1, 3, 13, 256, 256)),
            vae.decode_chunks(torch.empty(1, 16, 4, 32, 32)),
        )
        for pieces, expected in zip(coding, formula, strict=True):
            with FlopCounterMode(display=False) as counter:
                costs = [counter.get_total_flops() for _ in pieces]
            assert costs[-1] - costs[-2] == pytest.approx(expected, rel=0.05)


def test_the_fourth_latent_costs_what_every_later_one_does() -> None:
    with torch.device("meta"):
        vae = Wan21Vae(Wan21Config(8))
    assert tflop(vae, 4, 64) - tflop(vae, 3, 64) == pytest.approx(tflop(vae, 7, 64) - tflop(vae, 6, 64))


def test_tiles_cost_little_more() -> None:
    with torch.device("meta"):
        vae = Wan21Vae()
    whole = tflop(vae, 2)
    vae.tile = 256
    assert whole < tflop(vae, 2) < 1.5 * whole


def test_half_precision_stays_close(vae: VideoCodec, video: Tensor) -> None:
    exact = vae.encode(video)
    rough = vae.to(torch.bfloat16).encode(video).float()
    assert (rough - exact).norm() / exact.norm() < 0.05
