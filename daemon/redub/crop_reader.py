"""The source's stabilised crops of a range, read in order and kept for as long as a chunk needs them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from daemon.faces.region import Region
from daemon.media.colour import Coding, coding_of
from daemon.media.segment import FrameRange
from daemon.media.source import Frame, Source
from daemon.redub.crop import from_16_bits, sample_crop, to_16_bits

_KEPT_BYTES = 250_000_000  # what a chunk of an engine needs again


class CropReader:
    """Gives the crop of any frame of the region. Reading forwards decodes each frame once.

    Crops are kept with 16 bits a sample, so that a crop is the same whether it was kept or read again.
    """

    def __init__(
        self,
        source: Source,
        region: Region,
        *,
        still: Callable[[], None],
        ahead: "CropReader | None" = None,
    ) -> None:
        """`ahead`: a reader of the same crops in another thread. What it has kept is read no second time,
        and this one keeps next to nothing.
        """
        self._source, self.region, self._still, self._ahead = source, region, still, ahead
        coding = coding_of(source.info.pixels, source.info.colour, source.info.height)
        self._cut = partial(_cut, region, coding)  # no method: its thread must not keep us alive
        self._capacity = max(8, (_KEPT_BYTES if ahead is None else 0) // (6 * region.size**2))
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._next = region.frames.start
        self._crops: Iterator[tuple[int, np.ndarray]] | None = None

    def crop(self, frame: int) -> np.ndarray:
        """Return the source's crop of `frame`, (S, S, 3) float32 in 0..1. Raises as `Source.frames`."""
        crop = None if self._ahead is None else self._ahead._kept.get(frame)
        if crop is None:
            while frame not in self._kept:
                self._read_on(frame)
            crop = self._kept[frame]
        return from_16_bits(crop)

    def forget(self) -> None:
        """Let go of all crops and of the running decode; one that is asked for later is read again."""
        self._kept.clear()
        self._crops = None

    def _read_on(self, frame: int) -> None:
        """Keep one more crop: the next one, or `frame` itself where that is behind or far ahead."""
        stop = self.region.frames.stop
        if self._crops is None or frame < self._next or frame > self._next + self._capacity:
            self._crops = self._source.map(FrameRange(frame, stop), self._cut, still=self._still)
        read, crop = next(self._crops)
        self._kept[read], self._next = crop, read + 1
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


def _cut(region: Region, coding: Coding, frame: Frame) -> tuple[int, np.ndarray]:
    matrix = frame.info.squeeze(region.matrices[frame.index - region.frames.start])
    rgb = sample_crop(frame.planes, frame.pixels, coding, matrix, region.size)
    return frame.index, to_16_bits(rgb)
