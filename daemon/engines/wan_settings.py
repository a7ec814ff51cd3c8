"""What the wan engine does for each quality, and the size it works at. Loads nothing."""

from dataclasses import dataclass, replace

from daemon.protocol.jobs import LIMITS, Quality, RedubSpec, Solver, SpeakSpec

SIDES = (384, 512, 640, 768)  # px, of the squares the model works in
PROMPT = "A person speaks to the camera, with natural and precise lip movements."


@dataclass(frozen=True)
class QualitySettings:
    """How a quality is sampled. `guidance` None: the model's own."""

    steps: int
    guidance: float | None
    solver: Solver = "unipc"


QUALITIES: dict[Quality, QualitySettings] = {
    "draft": QualitySettings(8, 1.0),
    "standard": QualitySettings(20, None),
    "final": QualitySettings(40, None),
}
DISTILLED = QualitySettings(4, 1.0, "euler")
"""A draft where a step-distilled LoRA is installed."""


def model_side(native: int, wanted: int | None) -> int:
    """Return the side of the model's crop: the one asked for, or the least that loses no detail of the face.

    `native` is the crop's side at the source's own resolution.
    """
    return wanted or next((side for side in SIDES if side >= native), SIDES[-1])


def smaller_side(side: int) -> int | None:
    """Return the side to try when memory does not hold this one; None where there is none."""
    for smaller in reversed(SIDES):
        if smaller < side:
            return smaller
    smaller = max(LIMITS["crop"][0], side * 3 // 4 // 64 * 64)
    return int(smaller) if smaller < side else None


def quality_for(spec: RedubSpec | SpeakSpec, *, is_distilled: bool) -> QualitySettings:
    """Return how a job is sampled; `is_distilled`: with a LoRA that needs few steps."""
    settings = DISTILLED if is_distilled else QUALITIES[spec.quality]
    steps = spec.steps if isinstance(spec, RedubSpec) else None
    return settings if steps is None else replace(settings, steps=steps)


def describe_quality(spec: RedubSpec, settings: QualitySettings, side: int) -> str:
    """Return the sentence about it in the take."""
    is_plain = settings.guidance == 1 and spec.audio_guidance in (None, 1) and spec.text_guidance in (None, 1)
    guidance = "no guidance" if is_plain else "guidance"
    return f"{spec.quality.capitalize()}: {settings.steps} steps, {guidance}, made at {side}x{side} pixels."
