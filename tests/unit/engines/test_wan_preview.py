"""Previews: a linear map from latents, which any autoencoder close to linear is seen through."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

import torch
from torch import Tensor

from daemon.engines.wan_preview import Previewer
from daemon.protocol.events import PREVIEW_LIMIT
from daemon.redub.progress import Preview, SilentReporter
from wan_engine.pipelines.redub_footage import HeldFootage
from wan_engine.pipelines.redub_plan import Chunk

FRAMES, CHANNELS, CELLS = 24, 16, 64


class Screen(SilentReporter):
    """Keeps the last preview."""

    seen: Preview | None = None

    def preview(self, make: Callable[[], Preview]) -> None:
        """Keep it."""
        self.seen = make()


def latents_of(pictures_CFHW: Tensor, mixing: Tensor) -> Tensor:
    """Return latents that hold the colours, mixed into 16 channels."""
    small = torch.nn.functional.avg_pool2d(pictures_CFHW[:, 1::4].transpose(0, 1), 8)
    return torch.einsum("kc,fchw->kfhw", mixing, small)[None] + 0.3


def test_what_is_being_made_is_seen_where_it_is_made_and_events_can_hold_it() -> None:
    random = torch.Generator().manual_seed(0)
    mixing = torch.randn(CHANNELS, 3, generator=random)
    source = (
        torch.rand(3, FRAMES, CELLS, CELLS, generator=random).repeat_interleave(8, 2).repeat_interleave(8, 3)
    )
    footage = HeldFootage(source * 2 - 1, torch.zeros(FRAMES, CELLS * 8, CELLS * 8))
    screen = Screen()
    previewer = Previewer(footage, [Chunk(0, FRAMES, FRAMES)], 4, screen, lambda frame: 100 + frame)
    previewer.observe("chunk0_known", latents_of(source * 2 - 1, mixing))
    made = source * 2 - 1
    made[:, :, 296:400, 200:304] = torch.tensor([0.9, -0.8, -0.8])[:, None, None, None]
    previewer.observe("chunk0_clean_step0", latents_of(made, mixing))
    assert screen.seen is None  # not every step is worth a look
    previewer.observe("chunk0_clean_step1", latents_of(made, mixing))
    assert screen.seen is not None
    assert len(screen.seen.picture) <= PREVIEW_LIMIT
    assert screen.seen.frames == [101, 105, 109, 113, 117, 121]
    sheet = cv2.imdecode(np.frombuffer(screen.seen.picture, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    wanted = torch.nn.functional.avg_pool2d(made[:, 1::4].transpose(0, 1), 8)
    wanted = (torch.cat(list(wanted), dim=2).permute(1, 2, 0) + 1) * 127.5
    assert sheet.shape == wanted.shape
    red = sheet[37:50, 25:38].reshape(-1, 3).mean(0)
    assert np.abs(red - (243, 26, 26)).max() < 30
    assert np.corrcoef(sheet.ravel(), wanted.numpy().ravel())[0, 1] > 0.6  # noise, in a small JPEG
