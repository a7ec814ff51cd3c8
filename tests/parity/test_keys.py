"""The full-size transformers have exactly the tensors of the released checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from wan_engine.loading.models import build_transformer
from wan_engine.specs import TASKS, transformer_spec

KEYS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "keys"


@pytest.mark.parametrize("task", TASKS)
def test_keys_and_shapes_are_the_released_ones(task: str) -> None:
    path = KEYS / f"{task}.json"
    if not path.exists():
        pytest.skip(f"the reference's key lists are not here ({KEYS})")
    listed = json.loads(path.read_text())
    model = build_transformer(transformer_spec(listed["config"]))
    ours = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert ours == listed["state_dict"]
    assert sum(parameter.numel() for parameter in model.parameters()) == listed["num_params"]
    assert {parameter.device for parameter in model.parameters()} == {torch.device("meta")}


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_tasks_agrees_with_the_released_config(task: str) -> None:
    path = KEYS / f"{task}.json"
    if not path.exists():
        pytest.skip(f"the reference's key lists are not here ({KEYS})")
    assert transformer_spec(json.loads(path.read_text())["config"]) == TASKS[task].transformer
