"""From a folder to the parts of a pipeline: everything found, checked and planned; nothing large read yet."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from wan_engine.audio.wav2vec2 import Wav2Vec2
from wan_engine.errors import SettingError
from wan_engine.loading.folder import ModelFiles, NetworkFiles, find_files
from wan_engine.loading.models import (
    load_speech_encoder,
    load_text_encoder,
    load_transformer,
    load_vae,
    read_spec,
    weights_bytes,
)
from wan_engine.loading.placement import Lease, borrowed, kept, parked, streamed
from wan_engine.loading.plan import GB, Plan, make_plan, transformer_need
from wan_engine.loading.quantise import Kind
from wan_engine.loading.sharding import sharded
from wan_engine.pipelines.parts import Parts
from wan_engine.shapes import TEMPORAL_STRIDE, latent_frames, parse_size, speech_tokens, token_grid
from wan_engine.specs import SpeechTransformerSpec, TaskSpec, TransformerSpec, find_task
from wan_engine.text.encoder import PromptEncoder
from wan_engine.text.tokenizer import Tokenizer
from wan_engine.text.umt5 import UmT5Encoder
from wan_engine.transformer.model import Transformer
from wan_engine.vae.codec import VideoCodec

log = logging.getLogger(__name__)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Placement:
    """How a task is brought to a device."""

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32  # of the matrix products
    vae_dtype: torch.dtype = torch.float32
    is_offloaded: bool = True  # networks wait in host memory, or on disk, while others work
    is_text_on_cpu: bool = False
    budget_gb: float | None = None  # of device memory; None: all of it
    quantise: Kind | None = None
    loras: Sequence[tuple[Path, float]] = ()  # for every transformer
    prompt_cache: Path | None = None  # folder for encoded prompts
    is_compiled: bool = False  # let `torch.compile` fuse the blocks; the first forward waits for it
    is_sharded: bool = False  # all processes share every transformer's blocks
    is_text_sharded: bool = False  # and the text encoder's
    tokens: ProcessGroup | None = None  # processes that share every forward's tokens
    branches: ProcessGroup | None = None  # two processes that share the guidance's two forwards

    @property
    def has_company(self) -> bool:
        """Tell whether other processes take part, which have to do as this one does."""
        return bool(self.is_sharded or self.is_text_sharded or self.tokens or self.branches)

    def check(self) -> None:
        """Refuse what does not go together. Raises SettingError."""
        if self.is_sharded and (self.is_compiled or self.quantise or self.budget_gb is not None):
            raise SettingError(
                "Shared weights are neither compiled, nor in 8 bits, nor streamed.",
                hint="Leave out --dit_fsdp, or --compile, --quantise and --vram_budget_gb.",
            )
        if self.is_text_sharded and (self.is_text_on_cpu or self.prompt_cache is not None):
            raise SettingError(
                "A shared text encoder is on the devices, and encodes every prompt.",
                hint="Leave out --t5_fsdp, or --t5_cpu and --prompt_cache.",
            )


def default_placement() -> Placement:
    """Return bfloat16 on the first GPU, or float32 on the processor."""
    if torch.cuda.is_available():
        return Placement(torch.device("cuda"), torch.bfloat16)
    return Placement()


def load_parts(
    task_name: str,
    folder: Path,
    *,
    placement: Placement | None = None,
    size: tuple[int, int] | None = None,
    frame_count: int | None = None,
) -> Parts:
    """Find a task's files, plan their places for jobs of `size` (rows, columns), and return the parts.

    Raises CheckpointError, SettingError, MemoryShortage.
    """
    placement = placement or default_placement()
    placement.check()
    task = find_task(task_name)
    files = find_files(task, Path(folder))
    spec = read_spec(task, files.transformers[0])
    plan = None if placement.is_sharded else _plan(spec, task, files, placement, size, frame_count)
    if plan is not None:
        log.info("%s", plan.describe())

    def vae(device: torch.device) -> VideoCodec:
        codec = load_vae(task.vae, files.vae, dtype=placement.vae_dtype, device=device)
        codec.tile = plan.tile if plan else None
        return codec

    place = parked if placement.is_offloaded else kept
    text_device = torch.device("cpu") if placement.is_text_on_cpu else placement.device
    text_dtype = torch.bfloat16 if placement.dtype == torch.bfloat16 else torch.float32

    def text_encoder(device: torch.device) -> UmT5Encoder:
        return load_text_encoder(files.text, dtype=text_dtype, device=device)

    text = (
        sharded(text_encoder, text_device, is_kept=False)
        if placement.is_text_sharded
        else borrowed(text_encoder, text_device)
    )
    return Parts(
        task=task,
        transformers=tuple(
            _transformer_lease(task, network, placement, plan) for network in files.transformers
        ),
        vae=place(vae, placement.device),
        encode_text=PromptEncoder(
            text, Tokenizer(files.tokenizer), spec.text_len, cache=placement.prompt_cache, model=files.text
        ),
        encode_speech=_speech(files.speech, placement) if files.speech else None,
        device=placement.device,
        tokens=placement.tokens,
        branches=placement.branches,
        is_roomy=plan is not None and plan.is_roomy,
    )


def _transformer_lease(
    task: TaskSpec, files: NetworkFiles, placement: Placement, plan: Plan | None
) -> Lease[Transformer]:
    def load(device: torch.device) -> Transformer:
        model = load_transformer(
            task,
            files,
            dtype=placement.dtype,
            device=device,
            loras=placement.loras,
            quantise=placement.quantise,
        )
        return model.compile_blocks() if placement.is_compiled else model

    if placement.is_sharded:
        return sharded(load, placement.device)
    if plan is not None and plan.is_streamed:
        return streamed(load, placement.device, plan.resident_bytes)
    return parked(load, placement.device) if placement.is_offloaded else kept(load, placement.device)


def _speech(files: NetworkFiles, placement: Placement) -> Callable[[Tensor], Tensor]:
    """Return a function from 16 kHz samples to hidden states; wav2vec2 is there only meanwhile."""

    def load(device: torch.device) -> Wav2Vec2:
        return load_speech_encoder(files, device=device)

    lease = borrowed(load, placement.device)

    def encode(samples_T: Tensor) -> Tensor:
        with lease() as encoder, torch.no_grad():
            return encoder(samples_T).cpu()

    return encode


def _plan(
    spec: TransformerSpec,
    task: TaskSpec,
    files: ModelFiles,
    placement: Placement,
    size: tuple[int, int] | None,
    frame_count: int | None,
) -> Plan | None:
    """Plan for the largest job wanted; None on a processor without a budget."""
    if placement.budget_gb is not None:
        if placement.budget_gb <= 0:
            raise SettingError(
                f"A budget of {placement.budget_gb} GB holds nothing.", hint="Give it in GB, above 0."
            )
        budget = int(placement.budget_gb * GB)
    elif placement.device.type == "cuda":
        budget = torch.cuda.mem_get_info(placement.device)[0]
    else:
        return None
    if size is None:
        width, height = max((parse_size(name) for name in task.sizes), key=lambda pair: pair[0] * pair[1])
        size = height, width
    tokens = job_tokens(task, size, frame_count or task.frame_count)
    need = transformer_need(spec, tokens=tokens, dtype=placement.dtype, quantise=placement.quantise)
    others = (len(files.transformers) - 1) * (need.whole - need.activations)
    return make_plan(
        need,
        vae=task.vae,
        size=size,
        vae_dtype=placement.vae_dtype,
        budget_bytes=budget,
        beside_bytes=weights_bytes(files.vae, placement.vae_dtype) + others,
    )


def job_tokens(task: TaskSpec, size: tuple[int, int], frame_count: int) -> int:
    """Return the tokens of one forward of a job of `size` (rows, columns)."""
    _, rows, columns = task.vae_stride
    h, w = size[0] // rows, size[1] // columns
    if isinstance(task.transformer, SpeechTransformerSpec):
        return speech_tokens((frame_count // TEMPORAL_STRIDE, h, w), has_motion=True)
    return token_grid((latent_frames(frame_count), h, w)).tokens
