"""What a job is: the specs a caller writes, the states a job goes through, and the takes it leaves.

The same structs are the wire format, the job file (`dubwright submit JOB.json`) and the sidecar's `request`.
A spec is strict: a key we do not know is an error, because ignoring it would make a different take.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from daemon.protocol.errors import ErrorInfo

Position = int | str
"""A place in the source: a frame number counted from 0, or a timecode in the source's own timecode."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the upright picture."""

DurationMode = Literal["cut_off", "silence", "loop", "bounce", "remap"]
Quality = Literal["draft", "standard", "final"]
Timing = Literal["native", "model"]
Codec = Literal["prores4444", "prores422hq", "dnxhr_hqx", "h264", "ffv1", "ffv1_8bit", "exr"]


GenerateTask = Literal["s2v-14B", "t2v-A14B", "i2v-A14B", "ti2v-5B"]
Solver = Literal["unipc", "dpm++", "euler"]
Weights = Literal["int8", "fp8"]
PromptMethod = Literal["local_qwen", "dashscope", "openai"]
PromptLanguage = Literal["zh", "en"]

LIMITS: dict[str, tuple[float, float, int]] = {
    "takes": (1, 64, 1),
    "seed": (0, 2**63 - 1, 1),
    "handles": (0, 100_000, 1),
    "crop": (64, 768, 64),
    "steps": (1, 100, 1),
    "chunk": (16, 120, 4),  # beyond 120 frames the model's positions meet that of its reference
    "overlap": (0, 112, 4),
    "strength": (0, 1, 1),
    "audio_guidance": (0, 20, 1),
    "text_guidance": (0, 20, 1),
    "guidance_until": (0, 1, 1),
}
"""Least and most that a field may be, and what it must be a multiple of."""

PROMPT_LIMIT = 2000  # characters
ConsentText = Annotated[str, msgspec.Meta(max_length=500)]
VIDEO_ENDINGS = (".mp4", ".mov", ".mkv")  # of `save_file`


class PaintOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"in_": "in"}):
    """A polygon in which nothing may change: a hand, a microphone."""

    points: list[
        tuple[float, float]
    ]  # x, y in pixels of the upright picture; even-odd where it crosses itself
    in_: Position | None = None  # from this frame on; None: from the range's first
    out: Position | None = None  # up to but not including this frame; None: to the range's end


class MaskSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the matte differs from the one that is found. Lengths are in widths of the face."""

    grow: float = 0.0  # its outline further out; below 0: further in
    feather: float = 0.0  # a softer edge
    shift: tuple[float, float] = (0.0, 0.0)  # to the right and down, as the upright face has them
    paint_out: list[PaintOut] = []


MASK_LIMITS: dict[str, tuple[float, float]] = {
    "grow": (-0.2, 0.2),
    "feather": (0.0, 0.2),
    "shift": (-0.2, 0.2),
}
"""The least and the most of each, in widths of the face."""

PAINT_LIMITS = {"polygons": 256, "points": 2000}  # polygons of a mask, points of each


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may be re-dubbed, and by whose permission; kept with the takes."""

    who: ConsentText
    by: ConsentText
    note: ConsentText = ""  # such as the number of the contract


class RedubSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="redub",
    rename={"in_": "in"},
):
    """Re-dub `[in, out)` of `source` with `voice`, `takes` times."""

    source: str
    voice: str
    in_: Position
    out: Position
    voice_at: Position | None = None  # where the voice's first sample lies; None: at `in`
    rate: str | None = None  # timeline rate "24000/1001" to conform to; None: the source's own
    engine: Literal["auto", "rewrite", "wan"] = "auto"
    quality: Quality = "standard"  # this and the next ones up to `draft` are the wan engine's
    model: str | None = None  # folder of the weights; None: as the settings say
    prompt: str = ""  # what is seen and how it is said; empty: a general one
    crop: int | None = None  # px, side of the square the model works in; None: after the face's size
    smaller_crop: bool = False  # whether it may be made smaller when memory runs out
    timing: Timing = "native"  # `model`: 16 frames a second are made, and the source's found between them
    steps: int | None = None  # of sampling; None: as many as the quality has
    chunk: int = 80  # frames made at a time, a multiple of 4
    overlap: int = 0  # frames that two chunks both make, faded from one to the other; a multiple of 4
    strength: float = 1.0  # below 1 the mouth is made from the source's own, with that much noise
    audio_guidance: float | None = None  # how strongly the voice drives the mouth; None: the model's own
    text_guidance: float | None = None  # how strongly the prompt does; None: as the voice
    guidance_until: float = 0.0  # noise level, 0 to 1, below which nothing is guided
    draft: str | None = None  # id of the draft take that this is the final of
    takes: int = 1
    seed: int = 0
    handles: int = 0  # frames delivered untouched before `in` and after `out`
    face: str = "auto"  # "auto", a track id, or "X,Y" in the picture at `in`
    boxes: list[Box | None] | None = None  # one a frame of [in, out); null leaves the frame alone
    leave_alone: list[tuple[Position, Position]] = []
    mask: MaskSpec | None = None  # None: as it is found
    duration_mode: DurationMode = "silence"
    deliver: Literal["overlay", "baked"] = "overlay"
    codec: Codec | None = None  # None: prores4444 for an overlay, prores422hq for a baked clip
    matte: bool = False  # also write the matte as a clip of its own
    dest: str | None = None  # None: the takes folder of the data directory
    consent: Consent | None = None


class SpeakSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="speak"):
    """Make a new shot of the person in `picture` speaking with `voice`, as Wan2.2-S2V was released to."""

    picture: str
    voice: str
    prompt: str = ""  # what is seen and how it is said; empty: a general one
    model: str | None = None  # folder of the weights; None: as the settings say
    quality: Quality = "standard"
    size: str | None = None  # "width*height", whose area is kept; the picture gives the aspect
    pose: str | None = None  # a video of poses to follow
    from_picture: bool = False  # begin with the picture itself
    chunk: int = 80  # frames made at a time, a multiple of 4
    takes: int = 1
    seed: int = 0
    dest: str | None = None  # None: the takes folder of the data directory
    consent: Consent | None = None


class FacesSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="faces",
    rename={"in_": "in"},
):
    """Find the people in `[in, out)` of `source`: their ids, where they are seen, a thumbnail of each."""

    source: str
    in_: Position
    out: Position
    rate: str | None = None


class AlignSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="align",
    rename={"in_": "in"},
):
    """Find where `voice` lies under `[in, out)` of `source`, going by the source's own sound."""

    source: str
    voice: str
    in_: Position
    out: Position
    rate: str | None = None


class ProbeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="probe"):
    """Check a redub request against its files without making anything: what `--dry-run` prints."""

    redub: RedubSpec


class CheckSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="check"):
    """Measure a take anew, as its file is now: what `dubwright checks --again` prints."""

    take: str  # path of the take's media or of its sidecar


class GenerateSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="generate"):
    """Make a video as `python -m wan_engine.generate` does; the fields are that command's flags.

    None leaves a setting to the task. Flags for several processes are left out: a job runs in one.
    """

    ckpt_dir: str
    task: GenerateTask = "t2v-A14B"
    size: str | None = None  # "width*height"
    frame_num: int | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    image: str | None = None
    audio: str | None = None
    pose_video: str | None = None
    num_clip: int | None = None
    infer_frames: int = 80
    start_from_ref: bool = False
    reference_compat: bool = False
    save_file: str | None = None  # None: a name of our own in the takes folder
    sample_solver: Solver = "unipc"
    sample_steps: int | None = None
    sample_shift: float | None = None
    sample_guide_scale: float | None = None
    base_seed: int = -1  # -1: one of the job's own
    expert_threshold: float | None = None
    expert_blend: float | None = None
    offload_model: bool | None = None
    convert_model_dtype: bool = False
    t5_cpu: bool = False
    vram_budget_gb: float | None = None  # None: `wan.memory_gb` of the settings
    quantise: Weights | None = None
    lora: list[str] = []  # "FILE" or "FILE:WEIGHT"
    prompt_cache: str | None = None
    compile: bool = False
    use_prompt_extend: bool = False
    prompt_extend_method: PromptMethod = "local_qwen"
    prompt_extend_model: str | None = None
    prompt_extend_url: str | None = None
    prompt_extend_target_lang: PromptLanguage = "zh"


GENERATE_PATHS = ("ckpt_dir", "image", "audio", "pose_video", "save_file", "prompt_cache")
"""Those of its fields that are paths; `lora` is a list of them."""

JobSpec = RedubSpec | FacesSpec | AlignSpec | ProbeSpec | CheckSpec | GenerateSpec | SpeakSpec


class JobState(StrEnum):
    """Where a job stands. `docs/protocol.md` draws the transitions."""

    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.HELD, JobState.PAUSED, JobState.CANCELLED}),
    JobState.HELD: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.DONE,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.PAUSED,
            JobState.HELD,
            JobState.QUEUED,
        }
    ),  # QUEUED: its worker or server died, or it gave way; HELD: it was to, or its window closed
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
"""The one transition table: `to in TRANSITIONS[from_]`."""

FINAL_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """One finished result on disk, as every client sees it."""

    take_id: str  # "<job id>-<number>", number from 1
    path: str
    sidecar: str
    frames: int  # handles included
    rate: tuple[int, int]
    seed: int
    engine: str
    badge: Literal["pass", "look", "fail"]
    checks: dict[str, Any]  # as in the sidecar; daemon/redub/checks.py names the figures
    matte: str | None = None
    quality: Quality | None = None  # of the wan engine's: a draft may be made again as a final
    verdict: Literal["none", "accepted", "rejected"] = "none"
    notes: list[str] = []  # sentences: how it was made, where that is not the usual way


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a running job is."""

    stage: str  # one of daemon.redub.progress.STAGES
    done: int  # frames of this stage
    total: int
    fraction: float  # of the whole job, 0 to 1
    eta_s: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as every client sees it."""

    job_id: str
    spec: JobSpec
    state: JobState
    priority: int
    submitted_at: float  # seconds since the epoch
    submitted_by: str  # "cli", "app", "plugin" or a client's own word
    attempts: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    progress: Progress | None = None
    error: ErrorInfo | None = None
    takes: list[Take] = []
    result: dict[str, Any] | None = None  # of every job but a redub
    tonight: bool = False  # it waits for the windows of the schedule
    deadline: float | None = None  # seconds since the epoch
