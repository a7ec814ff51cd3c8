"""The re-dub at the model's rate: every source frame comes back, at its own time, and runs resume."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.unit.wan_engine.redub_shot import RATE, SIDE, make_inputs, make_shot, sampling, tiny_parts
from wan_engine.pipelines.redub import RedubSettings
from wan_engine.pipelines.redub_flow import between
from wan_engine.pipelines.redub_timing import ModelFootage, redub_at_model_rate, timed_chunks

SETTINGS = RedubSettings(chunk_frames=16)
STEP = RATE / 16


def blob(x: float) -> Tensor:
    """Return a soft spot [3, SIDE, SIDE] at a column."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    distance = (rows - 32) ** 2 + (columns - x) ** 2
    return torch.exp(-distance / 60).expand(3, -1, -1)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_spot_is_found_on_its_way(share: float) -> None:
    found, wanted = between(blob(28), blob(36), share), blob(28 + 8 * share)
    mixed = torch.lerp(blob(28), blob(36), share)
    assert (found - wanted).abs().mean() < 0.35 * (mixed - wanted).abs().mean()


def test_two_equal_pictures_have_nothing_between_them() -> None:
    assert torch.allclose(between(blob(30), blob(30), 0.4), blob(30), atol=1e-5)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(12)])
@pytest.mark.parametrize("count", [1, 7, 40, 61])
def test_chunks_at_the_models_rate_tile_the_source(rate: Fraction, count: int) -> None:
    footage = make_shot(before=10, count=count, after=9)
    chunks = timed_chunks(footage, rate / 16, SETTINGS, None)
    assert chunks[0][0] == 0
    assert chunks[-1][1] == count
    assert all(one[1] == other[0] and one[0] < one[1] for one, other in pairwise(chunks))


def test_the_model_sees_the_source_frame_of_each_moment() -> None:
    footage = make_shot(before=25, count=26, after=25)
    slow = ModelFootage(footage, STEP)
    assert (slow.before, slow.count, slow.after) == (16, 17, 16)
    assert torch.equal(slow.pictures([0, 1, 16]), footage.pictures([0, 2, 25]))
    assert torch.equal(slow.pictures([-16]), footage.pictures([-25]))


@pytest.mark.parametrize("overlap", [0, 4])
def test_all_source_frames_come_back_untouched_outside_the_mask_and_a_run_resumes(overlap: int) -> None:
    parts, footage = tiny_parts(), make_shot(before=30, count=40, after=8)
    inputs, settings = make_inputs(footage), replace(SETTINGS, overlap=overlap)
    chunks = list(redub_at_model_rate(parts, inputs, sampling(), settings))
    assert [(chunk.start, chunk.stop) for chunk in chunks] == timed_chunks(footage, STEP, settings, None)
    made = torch.cat([chunk.frames_CFHW for chunk in chunks], dim=1)
    outside = (footage.masks_FHW == 0).expand_as(made)
    source = footage.pictures(range(40))
    assert torch.equal(made[outside], source[outside])
    assert (made - source).abs()[~outside].mean() > 0.01
    for number, chunk in enumerate(chunks[:-1], start=1):
        rest = list(redub_at_model_rate(parts, inputs, sampling(), settings, resume=chunk.carried))
        assert torch.equal(rest[0].frames_CFHW, chunks[number].frames_CFHW)
