"""Folders other programs made are used in place; loading needs hardly more memory than the model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wan_engine.errors import CheckpointError
from wan_engine.loading.folder import find_files
from wan_engine.specs import find_task

COMFY = (
    "diffusion_models/wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
    "diffusion_models/wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
    "diffusion_models/wan2.2_s2v_14B_bf16.safetensors",
    "diffusion_models/wan2.2_ti2v_5B_fp16.safetensors",
    "vae/wan_2.1_vae.safetensors",
    "vae/wan2.2_vae.safetensors",
    "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
    "text_encoders/umt5-xxl/tokenizer.json",
    "audio_encoders/wav2vec2_large_english_fp16.safetensors",
)
DIFFUSERS = (
    "model_index.json",
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "transformer_2/diffusion_pytorch_model.safetensors.index.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors.index.json",
    "tokenizer/tokenizer.json",
)


def touch(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * len(name))
    return folder


@pytest.mark.parametrize("inner", ["", "models"])
def test_a_comfyui_folder_is_used_in_place(inner: str, tmp_path: Path) -> None:
    touch(tmp_path / inner, COMFY)
    low, high = find_files(find_task("t2v-A14B"), tmp_path).transformers
    assert ("low_noise" in low.weights.name, "high_noise" in high.weights.name) == (True, True)
    speech = find_files(find_task("s2v-14B"), tmp_path)
    assert "s2v" in speech.transformers[0].weights.name
    assert speech.speech is not None
    text_image = find_files(find_task("ti2v-5B"), tmp_path)
    assert "ti2v" in text_image.transformers[0].weights.name
    assert text_image.vae.name == "wan2.2_vae.safetensors"


def test_the_largest_of_several_files_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, COMFY)
    larger = tmp_path / "diffusion_models" / "wan2.2_s2v_14B_fp32.safetensors"
    larger.write_bytes(b"x" * 1000)
    assert find_files(find_task("s2v-14B"), tmp_path).transformers[0].weights == larger


def test_a_diffusers_folder_is_used_in_place(tmp_path: Path) -> None:
    touch(tmp_path, DIFFUSERS)
    low, high = find_files(find_task("t2v-A14B"), tmp_path).transformers
    assert (low.weights.parent.name, high.weights.parent.name) == ("transformer_2", "transformer")


@pytest.mark.parametrize(("names", "task"), [(COMFY, "i2v-A14B"), (DIFFUSERS, "s2v-14B")])
def test_what_such_a_folder_lacks_is_named(names: tuple[str, ...], task: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"i2v|s2v"):
        find_files(find_task(task), touch(tmp_path, names))


MEASURE = """
import resource, sys, torch
from pathlib import Path
from wan_engine.loading.checkpoint import fill
from wan_engine.loading.stored import open_weights
with torch.device("meta"):
    model = torch.nn.Sequential(*(torch.nn.Linear(1024, 1024, bias=False) for _ in range(64)))
weights = open_weights(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fill(model, weights, dtype=torch.bfloat16)
own = sum(parameter.nbytes for parameter in model.parameters())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / own)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS counts memory in bytes, and mapped files apart")
def test_loading_peaks_below_a_tenth_more_than_the_model(tmp_path: Path) -> None:
    weights = {f"{i}.weight": torch.full((1024, 1024), float(i)) for i in range(64)}
    save_file(weights, tmp_path / "a.safetensors")  # float32, twice the model's bytes
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "a.safetensors")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 1.1
