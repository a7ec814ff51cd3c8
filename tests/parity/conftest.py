"""One thread for the whole folder: for models this small a second one only waits."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread."""
    torch.set_num_threads(1)
