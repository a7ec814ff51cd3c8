"""Make a video from the command line, with the flags of the public Wan2.2 command.

    python -m wan_engine.generate --task s2v-14B --ckpt_dir models/Wan2.2-S2V-14B --image face.png --audio
    voice.wav \\
        --prompt "She talks to the camera." --save_file out.mp4

On several GPUs `torchrun --nproc_per_node 4 -m wan_engine.generate --ulysses_size 4 ...` shares each forward.
"""

import argparse
import logging
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from wan_engine.errors import SettingError, WanError
from wan_engine.kept import Keeper, kept
from wan_engine.kept_clips import Clips
from wan_engine.loading.assemble import Placement, default_placement
from wan_engine.media import VideoFile, read_picture, read_pose, read_sound
from wan_engine.pipeline import Pipeline, load
from wan_engine.processes import Processes, joined
from wan_engine.sampling.control import Control, Progress
from wan_engine.sampling.solver import SOLVERS
from wan_engine.shapes import parse_size
from wan_engine.specs import TASKS, TaskSpec, find_task
from wan_engine.text.extend import EXTENSION_METHODS, LANGUAGES, extend_from_settings

DEFAULT_PROMPT = (
    "Two anthropomorphic cats in comfy boxing gear and bright gloves fight intensely on a spotlighted stage."
)
NAME_LETTERS = 50  # of the prompt, in the name of a file nobody named


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(parse(arguments))
    except WanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


@dataclass(frozen=True)
class Written:
    """The video a job made."""

    path: Path
    frame_count: int  # 0 in a process that leaves the writing to the first one
    rate: int
    seed: int


def run(options: argparse.Namespace) -> Path:
    """Do what the options say; return the file written. Raises WanError."""
    with joined() as processes:
        written = make(options, processes, report=_print_progress)
    if processes.is_first:
        print(f"{written.path}: {written.frame_count} frames, seed {written.seed}")
    return written.path


def make(
    options: argparse.Namespace,
    processes: Processes,
    *,
    report: Callable[[Progress], None],
    is_cancelled: Callable[[], bool] | None = None,
    keeper: Keeper | None = None,
    pipeline: Pipeline | None = None,
) -> Written:
    """Do this process's part of what the options say; with a `keeper` go on after the clips it has.

    `pipeline` is one that `open_pipeline` gave for the like of these options; None: it is opened here.
    Raises WanError, and whatever `report` does to stop.
    """
    task = find_task(options.task)
    pipeline = pipeline or open_pipeline(options, processes)
    picture = read_picture(options.image) if options.image else None
    sound = read_sound(options.audio) if options.audio else None
    pose = read_pose(options.pose_video) if options.pose_video else None
    seed = processes.agree(options.base_seed if options.base_seed >= 0 else random.randrange(2**31))
    prompt = processes.agree(_kept_prompt(options, seed, keeper) if processes.is_first else "")
    size = options.size or task.sizes[0]
    path = options.save_file or _file_name(task, size, prompt)
    clips = Clips(keeper, task)
    video = pipeline(
        prompt,
        negative=options.negative_prompt,
        size=size,
        frame_count=options.frame_num,
        picture=picture,
        sound=sound,
        pose=pose,
        control=Control(report=report if processes.is_first else None, is_cancelled=is_cancelled),
        seed=seed,
        **_sampling(options, task),
        **clips.settings(),
    )
    if not processes.is_first:
        deque(video, maxlen=0)  # take part without keeping anything
        return Written(path, 0, task.rate, seed)
    with VideoFile(path, task.rate, sound=options.audio) as file:
        for pixels_FHWC in clips.follow(video):
            file.write_pixels(pixels_FHWC)
    return Written(path, file.frame_count, task.rate, seed)


def open_pipeline(options: argparse.Namespace, processes: Processes) -> Pipeline:
    """Return the pipeline that the options mean; nothing large is read yet. Raises WanError."""
    task = find_task(options.task)
    width, height = parse_size(options.size or task.sizes[0])
    return load(
        task.name,
        options.ckpt_dir,
        placement=_placement(options, processes),
        size=(height, width),
        frame_count=options.infer_frames if options.audio else options.frame_num,
    )


def _kept_prompt(options: argparse.Namespace, seed: int, keeper: Keeper | None) -> str:
    """Return the prompt, enriched once for all runs of a job: a chat model need not say the same twice."""
    if not options.use_prompt_extend:
        return _prompt(options, seed)
    letters = kept(
        keeper, "prompt", lambda: torch.tensor(list(_prompt(options, seed).encode()), dtype=torch.uint8)
    )
    return bytes(letters.tolist()).decode()


def _sampling(options: argparse.Namespace, task: TaskSpec) -> dict[str, Any]:
    """Return the settings of the sampling loop, without those left to the task."""
    named = {
        "steps": options.sample_steps,
        "shift": options.sample_shift,
        "guidance": options.sample_guide_scale,
        "solver": options.sample_solver,
        "expert_threshold": options.expert_threshold,
        "expert_blend": options.expert_blend,
    }
    if task.transformer.model_type == "s2v":
        named |= {
            "clip_frames": options.infer_frames,
            "most_clips": options.num_clip,
            "starts_from_picture": options.start_from_ref,
            "reference_compat": options.reference_compat,
        }
    return {key: value for key, value in named.items() if value is not None}


def _placement(options: argparse.Namespace, processes: Processes) -> Placement:
    if processes.count == 1 and (options.dit_fsdp or options.t5_fsdp):
        raise SettingError(
            "One process has nobody to share weights with.",
            hint="Leave --dit_fsdp and --t5_fsdp out, or start several with torchrun.",
        )
    placement = default_placement()
    tokens, branches = processes.groups(options.ulysses_size, options.cfg_size)
    return replace(
        placement,
        dtype=torch.bfloat16 if options.convert_model_dtype else placement.dtype,
        device=processes.device or placement.device,
        is_offloaded=processes.count == 1 if options.offload_model is None else options.offload_model,
        is_text_on_cpu=options.t5_cpu,
        budget_gb=options.vram_budget_gb,
        quantise=options.quantise,
        loras=[_lora(text) for text in options.lora],
        prompt_cache=options.prompt_cache,
        is_compiled=options.compile,
        is_sharded=options.dit_fsdp,
        is_text_sharded=options.t5_fsdp,
        tokens=tokens,
        branches=branches,
    )


def _lora(text: str) -> tuple[Path, float]:
    """Read "FILE" or "FILE:WEIGHT"."""
    path, colon, weight = text.rpartition(":")
    try:
        return (Path(path), float(weight)) if colon else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0  # a colon in the name itself


def _prompt(options: argparse.Namespace, seed: int) -> str:
    prompt = DEFAULT_PROMPT if options.prompt is None else options.prompt
    if not options.use_prompt_extend:
        return prompt
    extended = extend_from_settings(
        prompt,
        options.task,
        method=options.prompt_extend_method,
        model=options.prompt_extend_model,
        url=options.prompt_extend_url,
        language=options.prompt_extend_target_lang,
        picture=options.image,
        seed=seed,
    )
    print(f"prompt: {extended}")
    return extended


def _file_name(task: TaskSpec, size: str, prompt: str) -> Path:
    start = prompt.replace(" ", "_").replace("/", "_")[:NAME_LETTERS]
    return Path(f"{task.name}_{size.replace('*', 'x')}_1_{start}_{time.strftime('%Y%m%d_%H%M%S')}.mp4")


def _print_progress(progress: Progress) -> None:
    end = "\n" if progress.done == progress.total else ""
    clip = f"clip {progress.clip + 1}/{progress.clips} " if progress.clips > 1 else ""
    print(f"\r{clip}{progress.stage} {progress.done}/{progress.total}", end=end, file=sys.stderr, flush=True)


def _yes_or_no(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("yes", "true", "t", "y", "1"):
        return True
    if lowered in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m wan_engine.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_job_flags(parser)
    _add_sampling_flags(parser)
    _add_placement_flags(parser)
    _add_prompt_flags(parser)
    return parser.parse_args(arguments)


def _add_job_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what to make").add_argument
    add("--task", default="t2v-A14B", choices=list(TASKS))
    add("--size", help='"width*height": the size, or the area where a picture gives the aspect')
    add("--frame_num", type=int, help="frames, 4n+1; not for speech")
    add("--prompt", help="what the video shows")
    add("--negative_prompt", help="what it must not show; the released text when left out")
    add("--image", type=Path, help="first frame, or the person who speaks")
    add("--audio", type=Path, help="the voice")
    add("--pose_video", type=Path, help="poses to follow")
    add("--num_clip", type=int, help="most clips of speech; all the sound when left out")
    add("--infer_frames", type=int, default=80, help="frames a clip, a multiple of 4")
    add("--start_from_ref", action="store_true", help="begin with the picture itself")
    add("--reference_compat", action="store_true", help="keep the public command's clock and first-clip cut")
    add("--save_file", type=Path, help="the .mp4 to write")


def _add_sampling_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how to sample; the task's own settings when left out").add_argument
    add("--sample_solver", choices=SOLVERS, default="unipc")
    add("--sample_steps", type=int)
    add("--sample_shift", type=float)
    add("--sample_guide_scale", type=float)
    add("--base_seed", type=int, default=-1, help="-1 draws one")
    add("--expert_threshold", type=float, help="half-log-SNR at which the experts change")
    add("--expert_blend", type=float, help="half-log-SNR over which both are mixed")


def _add_placement_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the model and its place").add_argument
    add("--ckpt_dir", type=Path, required=True, help="the model's folder")
    add("--offload_model", type=_yes_or_no, help="networks leave the device while they wait (default yes)")
    add(
        "--convert_model_dtype", action="store_true", help="run in bfloat16 also where float32 is the default"
    )
    add("--t5_cpu", action="store_true", help="encode prompts on the processor")
    add("--vram_budget_gb", type=float, help="device memory to keep within; blocks are streamed to fit")
    add("--quantise", choices=("int8", "fp8"), help="8-bit weights")
    add("--lora", action="append", default=[], metavar="FILE[:WEIGHT]", help="may be given several times")
    add("--prompt_cache", type=Path, help="folder for encoded prompts")
    add(
        "--compile",
        action="store_true",
        help="let torch.compile fuse the blocks; the first step waits for it",
    )
    add("--ulysses_size", type=int, default=1, help="processes that share every forward's tokens")
    add("--cfg_size", type=int, default=1, help="2: the guidance's two forwards run side by side")
    add("--dit_fsdp", action="store_true", help="processes share the transformer's weights")
    add("--t5_fsdp", action="store_true", help="processes share the text encoder's weights")


def _add_prompt_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("prompt extension").add_argument
    add("--use_prompt_extend", action="store_true", help="let a chat model enrich the prompt")
    add("--prompt_extend_method", choices=EXTENSION_METHODS, default="local_qwen")
    add("--prompt_extend_model", help="a name, a local folder or an id")
    add("--prompt_extend_url", help="an OpenAI-compatible endpoint, for the methods openai and dashscope")
    add("--prompt_extend_target_lang", choices=LANGUAGES, default="zh")


if __name__ == "__main__":
    sys.exit(main())
