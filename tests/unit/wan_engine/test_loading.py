"""Reading weights: every layout loads, everything wrong says what is wrong with which file."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wan_engine.errors import CheckpointError, KeyMismatch, UnsafeFile
from wan_engine.loading.checkpoint import fill
from wan_engine.loading.folder import find_files
from wan_engine.loading.key_maps import TEXT_RULES, apply_rules, recognise
from wan_engine.loading.models import (
    load_speech_encoder,
    load_text_encoder,
    load_transformer,
    load_vae,
    read_weights,
)
from wan_engine.loading.stored import open_weights
from wan_engine.loading.tensors import StoredTensor
from wan_engine.specs import find_task
from wan_engine.tiny import write_tiny

TASKS = ("s2v-14B", "t2v-A14B", "ti2v-5B")


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a tiny model folder for each of some tasks."""
    root = tmp_path_factory.mktemp("models")
    for task in TASKS:
        write_tiny(root / task, find_task(task))
    return {task: root / task for task in TASKS}


@pytest.fixture
def copy_of(tiny_folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a tiny model folder, to be damaged."""
    return lambda task: Path(shutil.copytree(tiny_folders[task], tmp_path / task))


def load_first(task: str, folder: Path) -> nn.Module:
    return load_transformer(
        find_task(task), find_files(find_task(task), folder).transformers[0], dtype=torch.float32
    )


def stored_weights(folder: Path) -> dict[str, Tensor]:
    shards = sorted(folder.glob("diffusion_pytorch_model-*.safetensors"))
    return {key: tensor for shard in shards for key, tensor in load_file(shard).items()}


@pytest.mark.parametrize("task", TASKS)
def test_every_part_of_an_official_folder_loads(task: str, tiny_folders: dict[str, Path]) -> None:
    spec, folder = find_task(task), tiny_folders[task]
    files = find_files(spec, folder)
    assert len(files.transformers) == (2 if spec.is_mixture else 1)
    for network in files.transformers:
        model = load_transformer(spec, network, dtype=torch.bfloat16)
        assert model.dtype == torch.bfloat16
        assert model.head.head.weight.dtype == torch.float32
    assert load_vae(spec.vae, files.vae).spatial_stride == spec.vae_stride[1]
    assert load_text_encoder(files.text).token_embedding.weight.dtype == torch.bfloat16
    assert (files.speech is not None) == (task == "s2v-14B")
    if files.speech:
        assert load_speech_encoder(files.speech)(torch.randn(800)).shape == (25, 2, 16)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 30_000_000


def test_loaded_values_are_the_stored_ones(tiny_folders: dict[str, Path]) -> None:
    state = load_first("s2v-14B", tiny_folders["s2v-14B"]).state_dict()
    for key, tensor in stored_weights(tiny_folders["s2v-14B"]).items():
        assert torch.equal(state[key], tensor.float()), key


def test_the_same_seed_writes_the_same_folder(tmp_path: Path) -> None:
    task = find_task("ti2v-5B")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_tiny(tmp_path / name, task, seed=seed)
    a, b, c = (stored_weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["head.head.weight"], c["head.head.weight"])


def test_a_half_downloaded_shard_is_named(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("ti2v-5B")
    shard = folder / "diffusion_pytorch_model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"00002-of-00002.*incomplete"):
        load_first("ti2v-5B", folder)


def test_a_missing_shard_is_named(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("ti2v-5B")
    (folder / "diffusion_pytorch_model-00001-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="lacks 1 of its 2 shards: diffusion_pytorch_model-00001"):
        load_first("ti2v-5B", folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_a_broken_index_is_named(text: str, copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("ti2v-5B")
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json"):
        load_first("ti2v-5B", folder)


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must not run",)


@pytest.mark.parametrize("is_zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused(
    is_zipped: bool, copy_of: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of("ti2v-5B")
    path = folder / "Wan2.2_VAE.pth"
    if is_zipped:
        torch.save({"conv1.weight": _Code()}, path)
    else:
        path.write_bytes(pickle.dumps(_Code(), protocol=2))
    with pytest.raises((UnsafeFile, CheckpointError)) as caught:
        load_vae("wan22", path)
    assert "must not run" not in capsys.readouterr().out
    if is_zipped:
        assert isinstance(caught.value, UnsafeFile)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"<html>not found</html>"])
def test_what_is_no_torch_file_is_called_broken(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "Wan2.1_VAE.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="broken"):
        open_weights(path)


def test_a_torch_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="something else"):
        open_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["missing.safetensors", "model.ckpt"])
def test_files_that_are_missing_or_unknown_are_refused(name: str, tmp_path: Path) -> None:
    if name.endswith(".ckpt"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError):
        open_weights(tmp_path / name)


def as_stored(tensors: dict[str, Tensor]) -> dict[str, StoredTensor]:
    return {key: StoredTensor(Path("a.file"), tuple(t.shape), lambda t=t: t) for key, t in tensors.items()}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": torch.zeros(3, 2)}, ["missing: bias", "download is not complete", "a.file"]),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "extra": torch.zeros(1)},
         ["unexpected: extra"]),
        ({"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}, ["weight is 3x4, not 3x2", "another size"]),
        ({"w": torch.zeros(3, 2)}, ["missing: weight, bias", "another kind of model"]),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3),
          "casual_audio_encoder.weights": torch.zeros(1)}, ["s2v-14B"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_likely_cause(
    tensors: dict[str, Tensor], words: list[str]
) -> None:
    with torch.device("meta"):
        layer = nn.Linear(2, 3)
    with pytest.raises(KeyMismatch) as caught:
        fill(layer, as_stored(tensors), dtype=torch.float32)
    for word in words:
        assert word in str(caught.value)
    assert "weight" not in caught.value.message.replace("weights", ""), "tensors are named in the detail"
    assert layer.weight.is_meta, "nothing is read before everything is checked"


@pytest.mark.parametrize(
    ("folder_of", "task", "words"),
    [("t2v-A14B", "ti2v-5B", "two experts"), ("ti2v-5B", "i2v-A14B", "one network"),
     ("ti2v-5B", "s2v-14B", "Wan2.1_VAE.pth"), ("s2v-14B", "ti2v-5B", "Wan2.2_VAE.pth")],
)  # fmt: skip
def test_the_folder_of_another_task_is_refused(
    folder_of: str, task: str, words: str, tiny_folders: dict[str, Path]
) -> None:
    with pytest.raises(CheckpointError, match=words):
        find_files(find_task(task), tiny_folders[folder_of])


def test_the_config_of_another_model_is_refused(tiny_folders: dict[str, Path]) -> None:
    files = find_files(find_task("t2v-A14B"), tiny_folders["t2v-A14B"])
    with pytest.raises(CheckpointError, match="t2v model"):
        load_transformer(find_task("i2v-A14B"), files.transformers[0], dtype=torch.float32)


def test_the_autoencoder_of_another_task_is_refused(tiny_folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError):
        load_vae("wan21", tiny_folders["ti2v-5B"] / "Wan2.2_VAE.pth")


def test_a_speech_folder_without_its_config_is_taken_for_what_it_is(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("s2v-14B")
    (folder / "config.json").unlink()
    assert find_files(find_task("s2v-14B"), folder).transformers[0].config is None


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no folder"):
        find_files(find_task("s2v-14B"), tmp_path / "nowhere")


def test_a_hugging_face_cache_is_used_in_place(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    cache = tmp_path / "models--Wan-AI--Wan2.2-TI2V-5B"
    shutil.copytree(tiny_folders["ti2v-5B"], cache / "snapshots" / "abc")
    (cache / "snapshots" / "older").mkdir()
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc\n")
    assert "abc" in str(find_files(find_task("ti2v-5B"), cache).vae)


DIFFUSERS_NAMES = {
    "time_embedding.0.": "condition_embedder.time_embedder.linear_1.",
    "time_embedding.2.": "condition_embedder.time_embedder.linear_2.",
    "time_projection.1.": "condition_embedder.time_proj.",
    "text_embedding.0.": "condition_embedder.text_embedder.linear_1.",
    "text_embedding.2.": "condition_embedder.text_embedder.linear_2.",
    "head.modulation": "scale_shift_table",
    "head.head.": "proj_out.",
    ".modulation": ".scale_shift_table",
    ".norm3.": ".norm2.",
    ".ffn.0.": ".ffn.net.0.proj.",
    ".ffn.2.": ".ffn.net.2.",
    ".self_attn.norm": ".attn1.norm",
    ".cross_attn.norm": ".attn2.norm",
    **{f".self_attn.{p}.": f".attn1.to_{p}." for p in "qkv"},
    **{f".cross_attn.{p}.": f".attn2.to_{p}." for p in "qkv"},
    ".self_attn.o.": ".attn1.to_out.0.",
    ".cross_attn.o.": ".attn2.to_out.0.",
}


def to_diffusers(key: str) -> str:
    for ours, theirs in DIFFUSERS_NAMES.items():
        key = key.replace(ours, theirs)
    return key


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model."])
def test_single_files_load_with_and_without_prefix(
    prefix: str, tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    tensors = stored_weights(tiny_folders["ti2v-5B"])
    save_file({prefix + key: tensor for key, tensor in tensors.items()}, tmp_path / "one.safetensors")
    assert read_weights(tmp_path / "one.safetensors").keys() == tensors.keys()


def test_diffusers_names_load(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    tensors = stored_weights(tiny_folders["ti2v-5B"])
    save_file({to_diffusers(key): tensor for key, tensor in tensors.items()}, tmp_path / "d.safetensors")
    weights = read_weights(tmp_path / "d.safetensors")
    assert weights.keys() == tensors.keys()
    assert all(torch.equal(weights[key].read(), tensors[key]) for key in tensors)


def test_transformers_names_of_the_text_encoder_load() -> None:
    block = "encoder.block.3.layer"
    for theirs, ours in {
        "shared.weight": "token_embedding.weight",
        "encoder.final_layer_norm.weight": "norm.weight",
        f"{block}.0.SelfAttention.q.weight": "blocks.3.attn.q.weight",
        f"{block}.0.SelfAttention.relative_attention_bias.weight": "blocks.3.pos_embedding.embedding.weight",
        f"{block}.0.layer_norm.weight": "blocks.3.norm1.weight",
        f"{block}.1.DenseReluDense.wi_0.weight": "blocks.3.ffn.gate.0.weight",
        f"{block}.1.DenseReluDense.wi_1.weight": "blocks.3.ffn.fc1.weight",
        f"{block}.1.DenseReluDense.wo.weight": "blocks.3.ffn.fc2.weight",
        f"{block}.1.layer_norm.weight": "blocks.3.norm2.weight",
    }.items():
        assert apply_rules(theirs, TEXT_RULES) == ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("quant_conv.weight", "conv1.weight"),
        ("encoder.down_blocks.5.time_conv.bias", "encoder.downsamples.5.time_conv.bias"),
        ("encoder.down_blocks.0.norm1.gamma", "encoder.downsamples.0.residual.0.gamma"),
        ("decoder.up_blocks.1.resnets.0.conv_shortcut.bias", "decoder.upsamples.4.shortcut.bias"),
        ("decoder.up_blocks.2.upsamplers.0.resample.1.bias", "decoder.upsamples.11.resample.1.bias"),
        ("decoder.mid_block.attentions.0.to_qkv.bias", "decoder.middle.1.to_qkv.bias"),
        ("decoder.mid_block.resnets.1.conv2.weight", "decoder.middle.2.residual.6.weight"),
        ("decoder.norm_out.gamma", "decoder.head.0.gamma"),
    ],
)
def test_diffusers_names_of_the_autoencoder(theirs: str, ours: str) -> None:
    names = as_stored({"encoder.down_blocks.0.conv1.weight": torch.zeros(1), theirs: torch.zeros(1)})
    assert ours in recognise(names)


@pytest.mark.parametrize("end", [".scale_weight", ".weight_scale"])
def test_scaled_float8_files_come_back_at_full_range(end: str, tmp_path: Path) -> None:
    weight = 30 * torch.randn(16, 8)
    scale = weight.abs().amax() / 448
    name = "model.diffusion_model.blocks.0.ffn.0"
    tensors = {
        f"{name}.weight": (weight / scale).to(torch.float8_e4m3fn),
        name + end: scale,
        f"{name}.scale_input": torch.ones(()),
        "model.diffusion_model.scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn),
    }
    save_file(tensors, tmp_path / "scaled.safetensors")
    weights = read_weights(tmp_path / "scaled.safetensors")
    assert list(weights) == ["blocks.0.ffn.0.weight"]
    read = weights["blocks.0.ffn.0.weight"].read()
    assert (read - weight).norm() / weight.norm() < 0.04


def test_gguf_files_load_quantised_and_not(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    plain, blocks = np.random.rand(4, 32).astype(np.float32), np.random.rand(8, 64).astype(np.float32)
    writer = gguf.GGUFWriter(path, "wan")
    writer.add_tensor("head.head.weight", plain)
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("blocks.0.ffn.0.weight", gguf.quantize(blocks, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = open_weights(path)
    assert weights["blocks.0.ffn.0.weight"].shape == (8, 64)
    assert torch.equal(weights["head.head.weight"].read(), torch.from_numpy(plain))
    error = weights["blocks.0.ffn.0.weight"].read().numpy() - blocks
    assert np.abs(error).max() < 0.005


def test_a_broken_gguf_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF but not really, only some bytes that are no header at all")
    with pytest.raises(CheckpointError, match=r"a\.gguf"):
        open_weights(tmp_path / "a.gguf")


def test_broken_json_beside_the_weights_is_named(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("ti2v-5B")
    (folder / "config.json").write_text(json.dumps([1]))
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_first("ti2v-5B", folder)


def test_a_config_with_an_unknown_field_is_a_fault_of_the_folder(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("ti2v-5B")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_layer": 3}))
    with pytest.raises(CheckpointError, match=r"config\.json.*num_layer.*num_layers"):
        load_first("ti2v-5B", folder)
