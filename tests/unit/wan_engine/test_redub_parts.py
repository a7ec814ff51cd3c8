"""What the masked re-dub is made of: chunks, footage, masks in latents, colours held to the ring."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wan_engine.redub_shot import SIDE, make_shot
from wan_engine.pipelines.redub_blend import blend, latent_mask
from wan_engine.pipelines.redub_footage import (
    choose_reference,
    chunk_masks,
    chunk_pictures,
    motion_before,
    reflected,
)
from wan_engine.pipelines.redub_match import compare_looks, match_look, on_ring, ring_of
from wan_engine.pipelines.redub_plan import plan_chunks


@given(
    frames=st.integers(1, 400),
    chunk=st.sampled_from([16, 48, 80]),
    is_pinned=st.booleans(),
    overlap=st.sampled_from([0, 4, 8]),
)
def test_chunks_tile_the_range_and_none_is_longer_than_it_may_be(
    frames: int, chunk: int, is_pinned: bool, overlap: int
) -> None:
    chunks = plan_chunks(frames, chunk, is_pinned=is_pinned, overlap=overlap)
    assert [chunk.start for chunk in chunks] == [0, *(chunk.stop for chunk in chunks[:-1])]
    assert chunks[-1].stop == frames
    assert all(part.made <= chunk and part.made % 4 == 0 for part in chunks)
    assert all(part.made == part.stop - part.start + overlap for part in chunks[:-1])
    assert chunks[-1].made >= chunks[-1].stop - chunks[-1].start + (4 if is_pinned else 0)


def test_the_last_chunk_is_as_short_as_it_may_be() -> None:
    assert [chunk.made for chunk in plan_chunks(50, 80)] == [52]
    assert [chunk.made for chunk in plan_chunks(50, 80, is_pinned=True)] == [56]
    assert [chunk.made for chunk in plan_chunks(81, 80)] == [80, 16]


def test_a_border_moves_into_a_silence_that_is_near() -> None:
    speech = [1.0] * 120
    speech[67:70] = [0.0] * 3
    assert plan_chunks(120, 80, speech=speech)[0].stop == 68
    assert plan_chunks(120, 80)[0].stop == 80


def test_before_the_clip_begins_its_frames_are_reflected() -> None:
    assert [reflected(frame, -2, 3) for frame in range(-6, 5)] == [2, 1, 0, -1, -2, -1, 0, 1, 2, 1, 0]
    assert [reflected(frame, 0, 1) for frame in range(-3, 1)] == [0, 0, 0, 0]
    footage = make_shot(before=2, count=6, after=0)
    motion = motion_before(footage, 4)
    assert torch.equal(motion, footage.pictures_CFHW[:, [2, 1, 0, 1]])


def test_after_the_range_the_source_is_kept_and_after_the_clip_its_last_frame_is_held() -> None:
    footage = make_shot(before=0, count=6, after=1)
    assert chunk_masks(footage, 4, 4).amax((1, 2)).tolist() == [1, 1, 0, 0]
    assert torch.equal(chunk_pictures(footage, 4, 4), footage.pictures_CFHW[:, [4, 5, 6, 6]])
    footage = make_shot(before=0, count=6, after=0)
    assert chunk_masks(footage, 4, 4).amax((1, 2)).tolist() == [1, 1, 1, 1]


def test_a_latent_may_change_where_any_of_its_frames_may_and_edges_stay_soft() -> None:
    masks = torch.zeros(8, SIDE, SIDE)
    masks[5, 16:28, 16:32] = 1
    small = latent_mask(masks, 8)[0, 0]
    assert small.shape == (2, 8, 8)
    assert small[0].max() == 0
    assert small[1, 2, 2] == 1
    assert small[1, 3, 2] == 0.5
    assert latent_mask(masks, 8, grow=4)[0, 0, 1, 3, 2] == 1
    assert torch.equal(latent_mask(torch.ones(4, SIDE, SIDE), 8), torch.ones(1, 1, 1, 8, 8))


def test_a_blend_is_exact_at_both_ends() -> None:
    known, made = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(blend(known, made, torch.zeros(1, 1)), known)
    assert torch.equal(blend(known, made, torch.ones(1, 1)), made)


def test_a_cast_over_the_whole_chunk_is_taken_out_around_the_mask() -> None:
    footage = make_shot(before=0, count=8, after=0)
    source, masks = footage.pictures_CFHW, footage.masks_FHW
    cast = (source * 0.9 + torch.tensor([0.1, 0.0, -0.05])[:, None, None, None]).clamp(-1, 1)
    matched = match_look(cast.clone(), source, masks)
    assert torch.allclose(blend(source, matched, masks), source, atol=2e-3)
    for ringless in (torch.zeros_like(masks), torch.ones_like(masks)):
        assert torch.equal(match_look(cast.clone(), source, ringless), cast)


def test_a_look_is_found_in_the_frames_that_change_wherever_they_are() -> None:
    footage = make_shot(before=0, count=8, after=0)
    source, masks = footage.pictures_CFHW, footage.masks_FHW.clone()
    masks[[0, 2, 3, 4, 6, 7]] = 0
    matched = match_look(source * 0.9 + 0.05, source, masks)
    assert torch.allclose(blend(source, matched, masks), source, atol=2e-3)


@pytest.mark.parametrize("place", [(20, 30), (0, 0), (SIDE - 9, SIDE - 5)])
def test_a_look_is_matched_around_the_mask_alone_with_what_the_whole_picture_gives(
    place: tuple[int, int],
) -> None:
    random = torch.Generator().manual_seed(1)
    source = torch.rand(3, 1, SIDE, SIDE, generator=random) - 0.5
    made, masks = 0.8 * source + 0.1, torch.zeros(1, SIDE, SIDE)
    masks[0, place[0] : place[0] + 9, place[1] : place[1] + 12] = 0.5
    ring = ring_of(masks[0] > 0, SIDE // 16)
    whole = compare_looks(*on_ring(made[:, 0], source[:, 0], ring)).give(made[:, 0])[:, None]
    matched = match_look(made.clone(), source, masks)
    assert torch.equal(blend(source, matched, masks), blend(source, whole, masks))
    assert not torch.equal(blend(source, whole, masks), blend(source, made, masks))


def test_the_ring_is_what_lies_within_reach_of_the_mask() -> None:
    is_open, near = torch.zeros(2, 48, 32, dtype=torch.bool)
    is_open[10, 0] = is_open[46:, 20:22] = True
    near[8:13, :3] = near[44:, 18:24] = True
    assert torch.equal(ring_of(is_open, 2), near & ~is_open)


def test_detail_that_was_lost_or_added_is_matched_to_the_source_and_grain_is_no_detail() -> None:
    random = torch.Generator().manual_seed(0)
    clean = torch.rand(3, 4, SIDE, SIDE, generator=random) * 0.5
    grain = 0.02 * torch.randn(clean.shape, generator=random)
    masks = torch.zeros(4, SIDE, SIDE)
    masks[:, 20:40, 20:40] = 1
    detail = clean - torch.nn.functional.avg_pool2d(clean, 3, 1, 1)
    for strength in (0.6, 1.5):
        made = clean + (strength - 1) * detail
        matched = match_look(made.clone(), clean + grain, masks)
        left, was = ((video - clean)[..., 20:40, 20:40].abs().mean() for video in (matched, made))
        assert left < 0.3 * was
    unlike = torch.rand(clean.shape, generator=random)
    ring = ring_of(masks[0] > 0, 4)
    look = compare_looks(*on_ring(unlike[:, 0], clean[:, 0], ring))
    assert torch.equal(look.detail_C, look.contrast_C)


@pytest.mark.parametrize(("frontality", "best"), [([1, 1, 1], 1), ([1, 0.2, 0.9], 2)])
def test_the_reference_is_the_sharpest_frame_that_looks_into_the_lens(
    frontality: list[float], best: int
) -> None:
    detail = torch.rand(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    pictures = torch.cat([detail * 0.4, detail, detail * 0.8], dim=1)
    assert choose_reference(pictures, frontality) == best
