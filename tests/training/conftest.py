"""The training's tests need torch, and one thread is enough for them."""

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="the training needs torch (pip install dubwright[engine])")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks are slower on several threads, and much slower on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
