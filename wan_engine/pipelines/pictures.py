"""Pictures and pose frames on their way to the autoencoder: each task's own resize and crop.

A picture is uint8 [H, W, 3]; what comes out is float32 in [-1, 1], [1, 3, F, H, W]. Source: Wan2.2 (its four
pipelines), whose resize kernels these are.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from wan_engine.errors import MediaError


def check_picture(picture_HWC: Tensor) -> None:
    """Refuse what is no picture. Raises MediaError."""
    if picture_HWC.dtype != torch.uint8 or picture_HWC.ndim != 3 or picture_HWC.shape[2] != 3:
        raise MediaError(
            f"A picture must be uint8 [rows, columns, 3], not {picture_HWC.dtype} {tuple(picture_HWC.shape)}."
        )
    if 0 in picture_HWC.shape:
        raise MediaError("The picture is empty.")


def reference_video(picture_HWC: Tensor, height: int, width: int) -> Tensor:
    """Return a speech-to-video reference as one frame: shorter side fitted, then cut or padded black."""
    check_picture(picture_HWC)
    rows, columns = _shorter_side_to(picture_HWC.shape[0], picture_HWC.shape[1], min(height, width))
    resized = _resize(picture_HWC, rows, columns, Image.Resampling.BILINEAR)
    cut_HWC = _centre(resized.movedim(2, 0), height, width).movedim(0, 2)
    return _as_video(cut_HWC.float() / 255 * 2 - 1)


def first_frame_video(picture_HWC: Tensor, height: int, width: int, frame_count: int) -> Tensor:
    """Return an image-to-video condition: the picture at exactly that size, then mid grey frames."""
    check_picture(picture_HWC)
    frame_BCHW = (picture_HWC.permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    frame_BCHW = F.interpolate(frame_BCHW, size=(height, width), mode="bicubic")
    return F.pad(frame_BCHW[:, :, None], (0, 0, 0, 0, 0, frame_count - 1))


def filling_video(picture_HWC: Tensor, height: int, width: int) -> Tensor:
    """Return a text-image-to-video picture as one frame: scaled to cover the size, the middle cut out."""
    check_picture(picture_HWC)
    rows, columns = picture_HWC.shape[:2]
    scale = max(width / columns, height / rows)
    resized = _resize(picture_HWC, round(rows * scale), round(columns * scale), Image.Resampling.LANCZOS)
    top, left = (resized.shape[0] - height) // 2, (resized.shape[1] - width) // 2
    cut_HWC = resized[top : top + height, left : left + width]
    return _as_video((cut_HWC.float() / 255 - 0.5) / 0.5)


def pose_video(frames_FHWC: Tensor, height: int, width: int) -> Tensor:
    """Return pose frames [1, 3, F, height, width]: shorter side to the size's, then cut or padded grey."""
    rows, columns = _shorter_side_to(frames_FHWC.shape[1], frames_FHWC.shape[2], min(height, width))
    frames_FCHW = frames_FHWC.permute(0, 3, 1, 2).float() / 255 * 2 - 1
    if (rows, columns) != tuple(frames_FCHW.shape[2:]):
        frames_FCHW = F.interpolate(frames_FCHW, size=(rows, columns), mode="bilinear", antialias=True)
    return _centre(frames_FCHW, height, width).transpose(0, 1)[None]


def _shorter_side_to(rows: int, columns: int, side: int) -> tuple[int, int]:
    """Return the size with that shorter side and the same aspect, the longer side rounded down."""
    if rows <= columns:
        return side, int(side * columns / rows)
    return int(side * rows / columns), side


def _resize(picture_HWC: Tensor, rows: int, columns: int, kernel: Image.Resampling) -> Tensor:
    if (rows, columns) == tuple(picture_HWC.shape[:2]):
        return picture_HWC
    resized = Image.fromarray(picture_HWC.cpu().numpy()).resize((columns, rows), kernel)
    return torch.from_numpy(np.array(resized))


def _centre(picture: Tensor, height: int, width: int) -> Tensor:
    """Cut the middle [.., height, width] out; where the picture is smaller, zeros surround it."""
    rows, columns = picture.shape[-2:]
    missing = (max(width - columns, 0), max(height - rows, 0))
    left, top = missing[0] // 2, missing[1] // 2
    picture = F.pad(picture, (left, missing[0] - left, top, missing[1] - top))
    top, left = round((picture.shape[-2] - height) / 2), round((picture.shape[-1] - width) / 2)
    return picture[..., top : top + height, left : left + width]


def _as_video(picture_HWC: Tensor) -> Tensor:
    return picture_HWC.permute(2, 0, 1)[None, :, None].contiguous()
