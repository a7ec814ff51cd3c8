"""Crops of a range: what another reader has kept is not decoded again, and is the same as if it were."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon import demo
from daemon.faces.region import Region
from daemon.media.reader import Reader
from daemon.media.segment import FrameRange
from daemon.media.source import Source, open_source
from daemon.redub.crop_reader import CropReader

SIZE, COUNT = 96, 24


@pytest.fixture
def source() -> Iterator[Source]:
    with open_source(Path(demo.SHOT)) as source:
        yield source


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames decoded so far, in order."""
    numbers: list[int] = []
    read = Reader.read

    def counted(self: Reader, ordinal: int, *rest: object) -> object:
        numbers.append(ordinal)
        return read(self, ordinal, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", counted)
    return numbers


def still_region() -> Region:
    """A crop that stays where it is."""
    matrix = np.array([[1.0, 0.0, 20.0], [0.0, 1.0, 30.0]])
    whole = np.ones(COUNT)
    return Region(
        SIZE,
        FrameRange(0, COUNT),
        np.repeat(matrix[None], COUNT, axis=0),
        whole.astype(bool),
        np.zeros((COUNT, 468, 2), np.float32),
        whole.astype(np.float32),
        np.zeros((COUNT, 4, 2), np.float32),
    )


def test_what_the_reader_ahead_has_kept_is_not_decoded_again(source: Source, decoded: list[int]) -> None:
    first = CropReader(source, still_region(), still=lambda: None)
    crops = [first.crop(frame) for frame in range(COUNT)]
    assert decoded == list(range(COUNT))
    second = CropReader(source, still_region(), still=lambda: None, ahead=first)
    assert all(np.array_equal(second.crop(frame), crop) for frame, crop in enumerate(crops))
    assert decoded == list(range(COUNT))


def test_what_it_has_not_kept_is_read_and_is_the_same(source: Source) -> None:
    first = CropReader(source, still_region(), still=lambda: None)
    crops = [first.crop(frame) for frame in range(COUNT)]
    empty = CropReader(source, still_region(), still=lambda: None)
    second = CropReader(source, still_region(), still=lambda: None, ahead=empty)
    assert all(np.array_equal(second.crop(frame), crop) for frame, crop in enumerate(crops))


def test_crops_that_were_forgotten_are_read_again_and_are_the_same(
    source: Source, decoded: list[int]
) -> None:
    reader = CropReader(source, still_region(), still=lambda: None)
    crops = [reader.crop(frame) for frame in range(COUNT)]
    reader.forget()
    assert all(np.array_equal(reader.crop(frame), crop) for frame, crop in enumerate(crops))
    assert decoded == 2 * list(range(COUNT))


def test_a_reader_that_is_let_go_in_the_middle_ends_its_thread(source: Source) -> None:
    def reading() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]

    reader = CropReader(source, still_region(), still=lambda: None)
    reader.crop(0)
    assert reading()
    del reader
    assert not reading()
