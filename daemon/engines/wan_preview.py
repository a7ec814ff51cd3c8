"""Roughly what a chunk will look like, from its latents: a linear map in place of the autoencoder.

The map is fitted on the chunk's own source, whose latents and pictures are both known, so it holds for any
autoencoder and any light.
"""

import re
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from daemon.protocol.events import PREVIEW_LIMIT
from daemon.redub.progress import Preview, Reporter
from wan_engine.pipelines.redub_footage import Footage
from wan_engine.pipelines.redub_plan import Chunk
from wan_engine.shapes import TEMPORAL_STRIDE

PICTURES = 6  # side by side in one preview
EVERY = 2  # steps
_QUALITIES = (85, 60, 30)  # of the JPEG, the first that is small enough
_FULL_COLOUR = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444  # a latent is a pixel here
_NAMES = re.compile(r"chunk(\d+)_(?:known|clean_step(\d+))")


class Previewer:
    """Watches a run's latents (`Control.observe`) and shows them to a reporter."""

    def __init__(
        self,
        footage: Footage,
        chunks: Sequence[Chunk],
        steps: int,
        reporter: Reporter,
        source_frame: Callable[[int], int],
    ) -> None:
        """Preview `chunks` of `footage`; `source_frame` gives a footage frame's number in the source."""
        self._footage, self._chunks, self._steps = footage, chunks, steps
        self._reporter, self._source_frame = reporter, source_frame
        self._known = torch.zeros(0)
        self._map: tuple[int, Tensor] | None = None  # of a chunk: [channels + 1, 3]

    def observe(self, name: str, tensor: Tensor) -> None:
        """Take in a tensor of the run."""
        found = _NAMES.fullmatch(name)
        if found is None:
            return
        chunk, step = int(found[1]), found[2]
        if step is None:
            self._known = tensor
        elif (int(step) + 1) % EVERY == 0:
            self._reporter.preview(lambda: self._paint(chunk, int(step) + 1, tensor))

    def _paint(self, index: int, step: int, latent_BCfhw: Tensor) -> Preview:
        chunk = self._chunks[index]
        wanted = self._latents(chunk)
        rows_fhwC = _with_one(latent_BCfhw[0, :, wanted].float().cpu())
        colours = rows_fhwC @ self._colours(index, chunk, wanted)
        sheet = torch.cat(list(colours), dim=1).clamp(-1, 1).add(1).mul(127.5)
        frames = [self._source_frame(chunk.start + latent * TEMPORAL_STRIDE + 1) for latent in wanted]
        picture = _jpeg(sheet.round().byte().numpy())
        return Preview(picture, frames, index + 1, len(self._chunks), step, self._steps)

    def _latents(self, chunk: Chunk) -> list[int]:
        """Return latents spread over what the chunk delivers."""
        count = -(-(chunk.stop - chunk.start) // TEMPORAL_STRIDE)
        return sorted({round(place) for place in np.linspace(0, count - 1, PICTURES)})

    def _colours(self, index: int, chunk: Chunk, wanted: list[int]) -> Tensor:
        """Return the linear map from latents to colours, fitted on the chunk's source."""
        if self._map is None or self._map[0] != index:
            last = self._footage.count + self._footage.after - 1
            frames = [min(chunk.start + latent * TEMPORAL_STRIDE + 1, last) for latent in wanted]
            pictures_fCHW = self._footage.pictures(frames).float().transpose(0, 1)
            known_fhwC = _with_one(self._known[0, :, wanted].float().cpu())
            small = torch.nn.functional.adaptive_avg_pool2d(
                pictures_fCHW, (known_fhwC.shape[1], known_fhwC.shape[2])
            )
            rows, colours = known_fhwC.flatten(0, 2), small.permute(0, 2, 3, 1).flatten(0, 2)
            self._map = index, torch.linalg.lstsq(rows, colours, driver="gelsd").solution
        return self._map[1]


def _with_one(latents_Cfhw: Tensor) -> Tensor:
    """Return [f, h, w, C + 1]: the channels last, and a 1 for what is added."""
    return torch.nn.functional.pad(latents_Cfhw.permute(1, 2, 3, 0), (0, 1), value=1.0)


def _jpeg(sheet_HWC: np.ndarray) -> bytes:
    """Return an RGB picture as a JPEG that an event can hold."""
    data = b""
    for quality in _QUALITIES:
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _FULL_COLOUR]
        _, encoded = cv2.imencode(".jpg", sheet_HWC[..., ::-1], settings)
        data = encoded.tobytes()
        if len(data) <= PREVIEW_LIMIT:
            break
    return data
