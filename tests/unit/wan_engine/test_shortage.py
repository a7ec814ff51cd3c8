"""Memory that runs out in the middle of a job: one more try with less, then an error that helps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wan_engine import pipeline as pipeline_module
from wan_engine.errors import MemoryShortage
from wan_engine.loading.assemble import Placement
from wan_engine.pipeline import Pipeline, load
from wan_engine.shortage import made_despite_shortage, next_smaller
from wan_engine.specs import TASKS
from wan_engine.tiny import write_tiny


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Return a tiny task within 16 GB."""
    write_tiny(tmp_path, TASKS["ti2v-5B"])
    return load("ti2v-5B", tmp_path, placement=Placement(budget_gb=16), frame_count=1)


def fail(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Let the task run out of memory so often; return a list with an entry for each try."""
    tries: list[int] = []

    def make(parts: Any, *_: Any, **__: Any) -> Tensor:
        tries.append(1)
        if len(tries) <= times:
            raise torch.OutOfMemoryError("no memory")
        return torch.zeros(3, 1, 4, 4)

    monkeypatch.setattr(pipeline_module, "text_image_to_video", make)
    return tries


def test_a_job_that_runs_out_of_memory_is_tried_once_with_less(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, tries = pipeline.parts, fail(monkeypatch, 1)
    assert [piece.shape for piece in pipeline("a boat", frame_count=1)] == [(3, 1, 4, 4)]
    assert len(tries) == 2
    assert pipeline.placement.budget_gb == 12
    assert pipeline.parts is not before


def test_a_second_shortage_names_the_budget_and_the_next_smaller_one(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = fail(monkeypatch, 2)
    with pytest.raises(MemoryShortage, match=r"budget of 12\.0 GB.*--vram_budget_gb 9\.0"):
        next(pipeline("a boat", frame_count=1))
    assert len(tries) == 2


def test_pieces_already_given_are_not_given_again() -> None:
    tries: list[int] = []

    def start() -> Iterator[Tensor]:
        tries.append(1)
        for index in range(3):
            if index == 2 and len(tries) == 1:
                raise torch.OutOfMemoryError
            yield torch.tensor(index)

    pieces = made_despite_shortage(start, lambda: next_smaller(8), 8)
    assert [int(piece) for piece in pieces] == [0, 1, 2]


def test_without_a_second_try_the_shortage_is_told_at_once() -> None:
    def start() -> Iterator[Tensor]:
        yield torch.zeros(1)
        raise torch.OutOfMemoryError

    with pytest.raises(MemoryShortage, match="smaller size"):
        list(made_despite_shortage(start, None, None))
