"""Every size: the legend of shape letters, and the arithmetic between pixels, latents and tokens.

Letters in tensor names; capitals are pixels and tokens, small letters latents:

    B  batch                 C  channels
    F  frames                H  rows               W  columns          of pixels
    f  frames                h  rows               w  columns          of latents
    L  video (and reference, motion) tokens        S  text or audio tokens
    D  width                 N  heads              K  width of a head
    T  time steps of audio features                R  runs of tokens that share a timestep

`video_BCFHW -> latent_BCfhw -> x_BLD -> q_BLNK`.
"""

import math
from typing import NamedTuple

from wan_engine.errors import SettingError

MOST_LATENTS = 1024  # frames in a clip: positions the released models were made with
TEMPORAL_STRIDE = 4  # pixel frames to a latent frame, in both VAEs
PATCH = 2  # latent rows and columns to a token
SPEECH_DIVISOR = 64  # pixels: VAE 8, patch 2, and the packer's coarsest kernel 4 tokens wide
TI2V_DIVISOR = 32  # pixels: VAE 16, patch 2

# Buckets of the frame packer, newest first: latent frames held, and each one's kernel (f, h, w).
MOTION_BUCKETS = (1, 2, 16)
MOTION_KERNELS = ((1, 2, 2), (2, 4, 4), (4, 8, 8))
MOTION_LATENTS = sum(MOTION_BUCKETS)


class Grid(NamedTuple):
    """Tokens in frames, rows and columns; flattened row-major."""

    frames: int
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        """Return how many tokens the grid has."""
        return self.frames * self.rows * self.columns


def latent_frames(pixel_frames: int) -> int:
    """Return the latent frames of a video: the first frame alone, then one for every four."""
    return (pixel_frames - 1) // TEMPORAL_STRIDE + 1


def pixel_frames(latents: int) -> int:
    """Return the frames that so many latent frames decode to."""
    return 1 + TEMPORAL_STRIDE * (latents - 1)


def check_frame_count(frame_count: int) -> None:
    """Refuse a frame count the VAE would cut. Raises SettingError."""
    if frame_count < 1 or (frame_count - 1) % TEMPORAL_STRIDE:
        below = max(1, pixel_frames(latent_frames(max(frame_count, 1))))
        raise SettingError(f"{frame_count} frames cannot be made: the count must be 4n + 1.",
                           hint=f"Use {below} or {below + TEMPORAL_STRIDE}.")  # fmt: skip
    check_clip_length(latent_frames(frame_count))


def check_clip_length(latents: int) -> None:
    """Refuse a clip with more latent frames than the models have positions. Raises SettingError."""
    if latents > MOST_LATENTS:
        raise SettingError(f"{pixel_frames(latents)} frames in one clip are too many.",
                           hint=f"Use {pixel_frames(MOST_LATENTS)} or fewer.")  # fmt: skip


def token_grid(latent_shape: tuple[int, ...]) -> Grid:
    """Return the token grid of a latent [..., f, h, w]."""
    f, h, w = latent_shape[-3:]
    return Grid(f, h // PATCH, w // PATCH)


def motion_grids(h: int, w: int) -> tuple[Grid, Grid, Grid]:
    """Return the token grids of the packed motion frames, newest bucket first, for latents of h x w."""
    one, two, four = (
        Grid(frames // kt, h // kh, w // kw)
        for frames, (kt, kh, kw) in zip(MOTION_BUCKETS, MOTION_KERNELS, strict=True)
    )
    return one, two, four


def speech_tokens(latent_shape: tuple[int, ...], *, has_motion: bool) -> int:
    """Return the tokens of one speech-to-video forward: video, reference and packed motion."""
    grid = token_grid(latent_shape)
    motion = sum(part.tokens for part in motion_grids(*latent_shape[-2:])) if has_motion else 0
    return grid.tokens + grid.rows * grid.columns + motion


def speech_size(height: int, width: int, area: int) -> tuple[int, int]:
    """Return the rows and columns speech-to-video makes from a picture: its aspect, at most `area` pixels.

    Scales down in hundredths of the allowed range, rounds both sides up to the divisor and takes the first
    that fits. Source: Wan2.2 (`get_size_less_than_area`), with its discriminant of 2 in place of 4.
    """
    pixels, slack = height * width, SPEECH_DIVISOR - 1
    low, high = 0.1, 1.0
    if pixels > area:
        beta, gamma = slack * (height + width), slack**2 - area
        low = (-beta + math.sqrt(beta**2 - 2 * pixels * gamma)) / (2 * pixels)
        high = math.sqrt(area / pixels)
    for step in range(100):
        scale = high - (high - low) * step / 100
        rows, columns = (_round_up(int(side * scale), SPEECH_DIVISOR) for side in (height, width))
        if rows * columns <= area:
            return rows, columns
    aspect = width / height
    columns = _round_down(int(math.sqrt(area * aspect)), SPEECH_DIVISOR)
    rows = _round_down(int(math.sqrt(area / aspect)), SPEECH_DIVISOR)
    if columns >= width or rows >= height:
        return _round_down(height, SPEECH_DIVISOR), _round_down(width, SPEECH_DIVISOR)
    return rows, columns


def text_image_size(height: int, width: int, area: int) -> tuple[int, int]:
    """Return the rows and columns text-image-to-video makes from a picture.

    Source: Wan2.2 (`best_output_size`).
    """
    ratio = width / height
    columns = math.sqrt(area * ratio)
    first_w = _round_down(int(columns), TI2V_DIVISOR)
    second_h = _round_down(int(area / columns), TI2V_DIVISOR)
    if not first_w or not second_h:
        raise SettingError(f"An area of {area} pixels is too small.", hint="Choose one of the task's sizes.")
    first_h = _round_down(int(area / first_w), TI2V_DIVISOR)
    second_w = _round_down(int(area / second_h), TI2V_DIVISOR)
    if not first_h or _aspect_error(first_w / first_h, ratio) >= _aspect_error(second_w / second_h, ratio):
        return second_h, second_w
    return first_h, first_w


def image_latent_size(height: int, width: int, area: int) -> tuple[int, int]:
    """Return the latent rows and columns image-to-video makes from a picture.

    Source: Wan2.2 (`WanI2V.generate`).
    """
    aspect = height / width
    h = int(math.sqrt(area * aspect)) // 8 // PATCH * PATCH
    w = int(math.sqrt(area / aspect)) // 8 // PATCH * PATCH
    return h, w


def parse_size(text: str) -> tuple[int, int]:
    """Read "width*height" as (width, height). Raises SettingError."""
    parts = text.lower().replace("x", "*").split("*")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise SettingError(f"{text!r} is not a size.", hint='Write "width*height", as in "832*480".')
    return int(parts[0]), int(parts[1])


def _aspect_error(ratio: float, wanted: float) -> float:
    return max(ratio / wanted, wanted / ratio)


def _round_up(value: int, divisor: int) -> int:
    return -(-value // divisor) * divisor


def _round_down(value: int, divisor: int) -> int:
    return value // divisor * divisor
