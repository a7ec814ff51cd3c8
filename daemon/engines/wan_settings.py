"""What the wan engine does for each quality, and the size it works at. Loads nothing."""

from dataclasses import dataclass

from daemon.protocol.jobs import Quality, RedubSpec

SIDES = (384, 512, 640, 768)  # px, of the squares the model works in
PROMPT = "A person speaks to the camera, with natural and precise lip movements."


@dataclass(frozen=True)
class QualitySettings:
    """How a quality is sampled. `guidance` None: the model's own."""

    steps: int
    guidance: float | None
    solver: str = "unipc"


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


def describe_quality(spec: RedubSpec, settings: QualitySettings, side: int) -> str:
    """Return the sentence about it in the take."""
    guidance = "no guidance" if settings.guidance == 1 else "guidance"
    return f"{spec.quality.capitalize()}: {settings.steps} steps, {guidance}, made at {side}x{side} pixels."
