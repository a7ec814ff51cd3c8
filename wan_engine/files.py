"""Say which files the engine would read from a model folder, whatever program put them there.

    python -m wan_engine.files FOLDER [--task TASK]

Prints `{"models": [{"task", "base", "files"}]}`, one for each task the folder serves; paths start from
`base`. Loads no torch.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from wan_engine.errors import CheckpointError, WanError
from wan_engine.loading.folder import NetworkFiles, find_files, model_root
from wan_engine.specs import TASKS, TaskSpec, find_task


def files_of(task: TaskSpec, folder: Path) -> list[str]:
    """Return the paths, inside the model's root, of all files a task needs. Raises CheckpointError."""
    found = find_files(task, folder)
    root = model_root(folder)
    _check_kind(task, found.transformers[0])
    paths = [found.text, found.vae, *(path for path in found.tokenizer.rglob("*") if path.is_file())]
    for network in (*found.transformers, *([found.speech] if found.speech else [])):
        paths += _network_paths(network)
    paths += [path for path in (root / "model_index.json",) if path.exists()]
    return sorted({path.relative_to(root).as_posix() for path in paths})


def _network_paths(network: NetworkFiles) -> Iterator[Path]:
    yield network.weights
    if (network.weights.parent / "config.json").exists():
        yield from network.weights.parent.glob("*.json")
    if network.weights.name.endswith(".index.json"):
        names = json.loads(network.weights.read_text(encoding="utf-8"))["weight_map"].values()
        for name in set(names):
            path = network.weights.parent / name
            if not path.exists():
                raise CheckpointError(f"{path} does not exist.", hint="Finish the download.")
            yield path


def _check_kind(task: TaskSpec, network: NetworkFiles) -> None:
    """Tell text from picture to video, whose folders look the same, by the network's own config."""
    path = network.config or network.weights.parent / "config.json"
    if not path.exists():
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    kind = config.get("model_type") or {36: "i2v", 48: "ti2v"}.get(config.get("in_channels"))
    kind = kind or ("t2v" if "in_channels" in config else None)
    if kind not in (None, task.transformer.model_type):
        raise CheckpointError(f"{path.parent} holds a {kind} model, which is not for {task.name}.")


def main(arguments: list[str] | None = None) -> int:
    """Print the models of a folder; return 1 when it serves no task."""
    parser = argparse.ArgumentParser(prog="python -m wan_engine.files", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", choices=list(TASKS))
    options = parser.parse_args(arguments)
    models, reasons = [], []
    for task in [find_task(options.task)] if options.task else TASKS.values():
        try:
            files = files_of(task, options.folder)
        except (WanError, OSError, ValueError, KeyError) as error:
            reasons.append(f"{task.name}: {error}")
            continue
        models.append({"task": task.name, "base": str(model_root(options.folder)), "files": files})
    if not models:
        print(f"{options.folder} serves no task ({'; '.join(reasons)})", file=sys.stderr)
        return 1
    print(json.dumps({"models": models}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
