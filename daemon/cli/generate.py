"""The command that makes a video with the flags of the public Wan2.2 command: `dubwright generate`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli.moments import DeadlineOption, TonightOption, deadline_from
from daemon.cli.output import JsonOption
from daemon.cli.redub import run_spec
from daemon.cli.specs import build_spec
from daemon.protocol.jobs import GenerateTask, PromptLanguage, PromptMethod, Solver, Weights


def _flag(name: str, help_text: str = "", metavar: str | None = None) -> Any:
    """Declare an option under its name in the public command, underscores and all."""
    return typer.Option(f"--{name}", help=help_text, metavar=metavar)


def generate(
    context: typer.Context,
    ckpt_dir: Annotated[str, _flag("ckpt_dir", "The model's folder.", "DIR")],
    task: Annotated[GenerateTask, _flag("task", "What to make it from.")] = "t2v-A14B",
    size: Annotated[
        str | None, _flag("size", "The size, or the area where a picture gives the aspect.", "W*H")
    ] = None,
    frame_num: Annotated[int | None, _flag("frame_num", "Frames, 4n+1; not for speech.")] = None,
    prompt: Annotated[str | None, _flag("prompt", "What the video shows.")] = None,
    negative_prompt: Annotated[
        str | None, _flag("negative_prompt", "What it must not show; otherwise the released text.")
    ] = None,
    image: Annotated[str | None, _flag("image", "First frame, or the person who speaks.", "FILE")] = None,
    audio: Annotated[str | None, _flag("audio", "The voice.", "FILE")] = None,
    pose_video: Annotated[str | None, _flag("pose_video", "Poses to follow.", "FILE")] = None,
    num_clip: Annotated[int | None, _flag("num_clip", "Most clips of speech; otherwise all of it.")] = None,
    infer_frames: Annotated[int, _flag("infer_frames", "Frames a clip of speech, a multiple of 4.")] = 80,
    start_from_ref: Annotated[bool, _flag("start_from_ref", "Begin with the picture itself.")] = False,
    reference_compat: Annotated[
        bool, _flag("reference_compat", "Keep the public command's clock and first-clip cut.")
    ] = False,
    save_file: Annotated[
        str | None, _flag("save_file", "The .mp4 to write; otherwise one in the takes folder.", "FILE")
    ] = None,
    sample_solver: Annotated[Solver, _flag("sample_solver", "How steps are taken.")] = "unipc",
    sample_steps: Annotated[int | None, _flag("sample_steps", "How many; otherwise the task's own.")] = None,
    sample_shift: Annotated[float | None, _flag("sample_shift", "Of the noise schedule.")] = None,
    sample_guide_scale: Annotated[float | None, _flag("sample_guide_scale", "Guidance.")] = None,
    base_seed: Annotated[int, _flag("base_seed", "-1 draws one.")] = -1,
    expert_threshold: Annotated[
        float | None, _flag("expert_threshold", "Half-log-SNR at which the experts change.")
    ] = None,
    expert_blend: Annotated[
        float | None, _flag("expert_blend", "Half-log-SNR over which both are mixed.")
    ] = None,
    offload_model: Annotated[
        str | None, _flag("offload_model", "Networks leave the device while they wait.", "True|False")
    ] = None,
    convert_model_dtype: Annotated[
        bool, _flag("convert_model_dtype", "Run in bfloat16 also where float32 is the default.")
    ] = False,
    t5_cpu: Annotated[bool, _flag("t5_cpu", "Encode prompts on the processor.")] = False,
    vram_budget_gb: Annotated[
        float | None, _flag("vram_budget_gb", "Device memory to keep within; otherwise as the settings say.")
    ] = None,
    quantise: Annotated[Weights | None, _flag("quantise", "8-bit weights.")] = None,
    lora: Annotated[
        list[str] | None, _flag("lora", "A LoRA; may be given several times.", "FILE[:WEIGHT]")
    ] = None,
    prompt_cache: Annotated[str | None, _flag("prompt_cache", "Folder for encoded prompts.", "DIR")] = None,
    compile_: Annotated[bool, _flag("compile", "Let torch.compile fuse the blocks.")] = False,
    use_prompt_extend: Annotated[
        bool, _flag("use_prompt_extend", "Let a chat model enrich the prompt.")
    ] = False,
    prompt_extend_method: Annotated[
        PromptMethod, _flag("prompt_extend_method", "Where that model runs.")
    ] = "local_qwen",
    prompt_extend_model: Annotated[
        str | None, _flag("prompt_extend_model", "A name, a local folder or an id.")
    ] = None,
    prompt_extend_url: Annotated[
        str | None, _flag("prompt_extend_url", "An OpenAI-compatible endpoint.")
    ] = None,
    prompt_extend_target_lang: Annotated[
        PromptLanguage, _flag("prompt_extend_target_lang", "The language it writes.")
    ] = "zh",
    tonight: TonightOption = False,
    deadline: DeadlineOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return as soon as the job is queued.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Make a video with a Wan2.2 model; the flags are those of the public command."""
    fields = {name: value for name, value in context.params.items() if name not in NOT_THE_JOBS}
    fields["compile"] = fields.pop("compile_")
    fields["offload_model"] = yes_or_no("offload_model", offload_model)
    if prompt_extend_model is not None and Path(prompt_extend_model).is_dir():
        fields["prompt_extend_model"] = os.path.abspath(prompt_extend_model)
    return run_spec(
        build_spec("generate", fields), wait=not no_wait, as_json=as_json, tonight=tonight,
        deadline=deadline_from(deadline),
    )  # fmt: skip


def yes_or_no(name: str, text: str | None) -> bool | None:
    """Read the public command's way to say yes or no."""
    if text is None:
        return None
    words = {"yes": True, "true": True, "t": True, "y": True, "1": True}
    words |= {"no": False, "false": False, "f": False, "n": False, "0": False}
    if text.lower() not in words:
        raise typer.BadParameter(f"{text!r} is neither yes nor no.", param_hint=f"--{name}")
    return words[text.lower()]


NOT_THE_JOBS = ("no_wait", "as_json", "tonight", "deadline")
"""Options that are not about the video."""

COMMANDS = {"generate": generate}
