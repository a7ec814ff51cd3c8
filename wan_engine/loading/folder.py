"""Where a model's files are: official folders, Diffusers', ComfyUI's and Hugging Face's, found in place."""

from dataclasses import dataclass
from pathlib import Path

from wan_engine.errors import CheckpointError
from wan_engine.specs import TASKS, TaskSpec

TEXT_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
VAE_FILES = {"wan21": "Wan2.1_VAE.pth", "wan22": "Wan2.2_VAE.pth"}
TOKENIZER_FOLDER = "google/umt5-xxl"
SPEECH_FOLDER = "wav2vec2-large-xlsr-53-english"
EXPERT_FOLDERS = ("low_noise_model", "high_noise_model")
SHARD_STEM = "diffusion_pytorch_model"
_COMFY_VAES = {"wan21": "wan_2.1_vae", "wan22": "wan2.2_vae"}


@dataclass(frozen=True)
class NetworkFiles:
    """One network: its weights and, where there is one, its config."""

    weights: Path
    config: Path | None = None


@dataclass(frozen=True)
class ModelFiles:
    """Everything a task needs. `transformers` is one network, or the low-noise and the high-noise expert."""

    transformers: tuple[NetworkFiles, ...]
    text: Path
    tokenizer: Path
    vae: Path
    speech: NetworkFiles | None = None


def find_files(task: TaskSpec, folder: Path) -> ModelFiles:
    """Find a task's files in `folder`, whatever program put them there.

    Raises CheckpointError, naming what is missing and, for the wrong folder, the task it is for.
    """
    folder = model_root(folder)
    if (folder / "model_index.json").exists():
        return _diffusers_files(task, folder)
    if (folder / "diffusion_models").is_dir():
        return _comfy_files(task, folder)
    return _official_files(task, folder)


def model_root(folder: Path) -> Path:
    """Return the folder that a model's paths start from. Raises CheckpointError."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder.", hint="Give the folder the model was downloaded to.")
    folder = _snapshot(folder)
    if (folder / "models" / "diffusion_models").is_dir():
        return folder / "models"
    return folder


def _snapshot(folder: Path) -> Path:
    """Follow a Hugging Face cache folder (models--owner--name) to the files of its main revision."""
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return folder
    main = folder / "refs" / "main"
    if main.exists() and (found := snapshots / main.read_text().strip()).is_dir():
        return found
    newest = sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime)
    if not newest:
        raise CheckpointError(f"{folder} holds no downloaded revision.", hint="Download the model again.")
    return newest[-1]


def _official_files(task: TaskSpec, folder: Path) -> ModelFiles:
    places = [folder / name for name in EXPERT_FOLDERS] if task.is_mixture else [folder]
    _check_kind(task, folder)
    speech = folder / SPEECH_FOLDER
    return ModelFiles(
        transformers=tuple(_network(place, SHARD_STEM) for place in places),
        text=_needed(folder / TEXT_FILE),
        tokenizer=_needed(folder / TOKENIZER_FOLDER),
        vae=_needed(folder / VAE_FILES[task.vae]),
        speech=_network(speech, "model") if task.transformer.model_type == "s2v" else None,
    )


def _check_kind(task: TaskSpec, folder: Path) -> None:
    """Refuse the folder of another task before its files are called missing."""
    kinds = {
        "two experts": (folder / EXPERT_FOLDERS[0]).is_dir(),
        "a speech model": (folder / SPEECH_FOLDER).is_dir(),
        "one network": (folder / "config.json").exists(),
    }
    wanted = "two experts" if task.is_mixture else "one network"
    fitting = {wanted, "a speech model"} if task.transformer.model_type == "s2v" else {wanted}
    found = [kind for kind, is_there in kinds.items() if is_there]
    if found and not fitting.intersection(found):
        fits = ", ".join(
            name for name, other in TASKS.items() if other.is_mixture == ("two experts" in found)
        )
        raise CheckpointError(
            f"{folder} holds {found[0]}; {task.name} needs {wanted}.", hint=f"Tasks: {fits}."
        )


def _diffusers_files(task: TaskSpec, folder: Path) -> ModelFiles:
    if task.transformer.model_type == "s2v":
        raise CheckpointError(
            f"{folder} is a Diffusers folder; there is none of {task.name}.", hint="Use the official folder."
        )
    names = ("transformer_2", "transformer") if task.is_mixture else ("transformer",)
    return ModelFiles(
        transformers=tuple(NetworkFiles(_network(folder / name, SHARD_STEM).weights) for name in names),
        text=_network(folder / "text_encoder", "model").weights,
        tokenizer=_needed(folder / "tokenizer"),
        vae=_network(folder / "vae", SHARD_STEM).weights,
    )


def _comfy_files(task: TaskSpec, folder: Path) -> ModelFiles:
    kind = task.transformer.model_type
    wanted = [f"*{kind}*low_noise*", f"*{kind}*high_noise*"] if task.is_mixture else [f"*wan2*{kind}*"]
    is_speech = kind == "s2v"
    return ModelFiles(
        transformers=tuple(NetworkFiles(_best(folder / "diffusion_models", pattern)) for pattern in wanted),
        text=_best(folder / "text_encoders", "*umt5*xxl*"),
        tokenizer=_needed(folder / "text_encoders" / "umt5-xxl"),
        vae=_best(folder / "vae", f"*{_COMFY_VAES[task.vae]}*"),
        speech=NetworkFiles(_best(folder / "audio_encoders", "*wav2vec2*")) if is_speech else None,
    )


def _best(folder: Path, pattern: str) -> Path:
    """Return the file of that name pattern, the largest where there are several (16 bit before 8 bit)."""
    found = [
        path
        for path in (folder.glob(pattern) if folder.is_dir() else ())
        if path.suffix in (".safetensors", ".gguf")
    ]
    if not found:
        raise CheckpointError(
            f"{folder} has no file {pattern}.", hint="Download it, or use the official folder."
        )
    return max(found, key=lambda path: path.stat().st_size)


def _network(folder: Path, stem: str) -> NetworkFiles:
    """Return a network's weights in `folder`: an index of shards, one file, or a PyTorch file."""
    config = folder / "config.json"
    candidates = [
        f"{stem}.safetensors.index.json",
        f"{stem}.safetensors",
        "model.safetensors",
        "pytorch_model.bin",
    ]
    for name in candidates:
        if (folder / name).exists():
            return NetworkFiles(folder / name, config if config.exists() else None)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} does not exist.", hint="Check the model folder and the task.")
    raise CheckpointError(f"{folder} has no {candidates[0]}.", hint="Finish the download; check the task.")


def _needed(path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(f"{path} does not exist.", hint="Finish the download; check the task.")
    return path
