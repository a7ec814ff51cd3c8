"""A vocabulary of looks the Wan models were captioned with, and how it composes a prompt.

Each control is a choice of one word from a short list; chosen words are put behind the prompt in the order of
the table. The models know other words too; these are those whose effect is dependable. Source: the public
Wan2.2 prompt guide's categories (light, composition, lens, camera, colour, style).
"""

import difflib
from collections.abc import Mapping

from wan_engine.errors import SettingError

VOCABULARY: dict[str, tuple[str, ...]] = {
    "style": (
        "photorealistic", "cinematic film", "documentary", "anime", "3D cartoon", "pixel art", "claymation",
        "puppet animation", "oil painting", "watercolor", "felt style", "black and white film",
    ),
    "time_of_day": ("dawn time", "sunrise time", "day time", "dusk time", "sunset time", "night time"),
    "light_source": (
        "sunny lighting", "overcast lighting", "moonlighting", "artificial lighting", "practical lighting",
        "firelighting", "fluorescent lighting", "mixed lighting",
    ),
    "light_quality": (
        "soft lighting", "hard lighting", "high contrast lighting", "low contrast lighting",
        "silhouette lighting",
    ),
    "light_angle": (
        "front lighting", "side lighting", "top lighting", "underlighting", "edge lighting", "backlighting",
    ),
    "colour_tone": ("warm colors", "cool colors", "mixed colors", "saturated colors", "desaturated colors"),
    "shot_size": (
        "extreme close-up shot", "close-up shot", "medium close-up shot", "medium shot", "medium wide shot",
        "wide shot", "extreme wide shot", "establishing shot",
    ),
    "composition": (
        "center composition", "balanced composition", "left-weighted composition",
        "right-weighted composition", "symmetrical composition", "short-side composition",
    ),
    "lens": ("medium lens", "wide lens", "long-focus lens", "telephoto lens", "fisheye lens"),
    "camera_angle": (
        "eye-level shot", "low angle shot", "high angle shot", "dutch angle shot", "over-the-shoulder shot",
        "aerial shot", "top-down shot",
    ),
    "camera_movement": (
        "static camera", "camera pushes in", "camera pulls back", "camera pans left", "camera pans right",
        "camera tilts up", "camera tilts down", "tracking shot", "arc shot", "handheld camera",
    ),
}  # fmt: skip


def compose(prompt: str, choices: Mapping[str, str]) -> str:
    """Return the prompt with the chosen looks behind it, in the vocabulary's order. Raises SettingError."""
    for control, word in choices.items():
        _check(control, word)
    words = [choices[control] for control in VOCABULARY if control in choices]
    prompt = prompt.strip()
    if not words:
        return prompt
    looks = ", ".join(words)
    if not prompt:
        return looks[0].upper() + looks[1:] + "."
    end = "" if prompt[-1] in ".!?。！？" else "."  # noqa: RUF001 - full-width marks end Chinese prompts
    return f"{prompt}{end} {looks[0].upper()}{looks[1:]}."


def _check(control: str, word: str) -> None:
    if control not in VOCABULARY:
        raise SettingError(
            f"There is no control {control!r}.", hint=f"Controls: {_nearest(control, VOCABULARY)}."
        )
    if word not in VOCABULARY[control]:
        hint = f"Nearest: {_nearest(word, VOCABULARY[control])}."
        raise SettingError(f"{word!r} is no choice for {control}.", hint=hint)


def _nearest(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    return ", ".join(difflib.get_close_matches(word, list(known), n=3, cutoff=0.3) or list(known))
