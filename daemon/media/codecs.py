"""The codecs a take can be delivered in: encoder, container, and the pixel formats each keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from daemon.media.fields import Field
from daemon.media.pixels import PixelFormat, pixel_format
from daemon.protocol.errors import RequestError


@dataclass(frozen=True)
class DeliveryCodec:
    """One row of the table."""

    name: str
    encoder: str  # FFmpeg's name
    container: str | None  # FFmpeg's name; None: a folder of single frames
    suffix: str
    keeps_range: bool  # whether the file can say that its values are full range
    options: Mapping[str, str] = field(default_factory=dict)
    keeps_fields: bool = True  # whether it can say that its pictures are interlaced
    keeps_aspect: bool = True  # whether it can say that its pixels are not square
    threads: int = 4  # the same on every machine, because some encoders' bytes depend on it
    thread_type: Literal["SLICE", "AUTO"] = "SLICE"  # AUTO: of whole frames, where the encoder lets them


CODECS: dict[str, DeliveryCodec] = {
    codec.name: codec
    for codec in (
        # prores_aw shares out whole frames only; each thread holds two, 66 MB each at 3840 x 2160.
        DeliveryCodec(
            "prores4444", "prores_aw", "mov", ".mov", False,
            {"profile": "4", "vendor": "apl0"}, threads=2, thread_type="AUTO",
        ),
        DeliveryCodec(
            "prores422hq", "prores_aw", "mov", ".mov", False,
            {"profile": "3", "vendor": "apl0"}, threads=2, thread_type="AUTO",
        ),
        DeliveryCodec(
            "dnxhr_hqx", "dnxhd", "mov", ".mov", False,
            {"profile": "dnxhr_hqx"}, keeps_fields=False,
        ),
        # One thread: with several, x264 makes other bytes of the same pictures once in a thousand takes.
        DeliveryCodec("h264", "libx264", "mov", ".mov", True, {"crf": "14", "preset": "fast"}, threads=1),
        # FFmpeg's Matroska says nothing of the pixels' shape, which PyAV cannot tell it.
        DeliveryCodec(
            "ffv1", "ffv1", "matroska", ".mkv", True,
            {"level": "3", "slicecrc": "1", "g": "1"}, keeps_aspect=False,
        ),
        # For Blender, which from 4.5 on takes the alpha of movies with more than 8 bits for premultiplied.
        DeliveryCodec(
            "ffv1_8bit", "ffv1", "matroska", ".mkv", True,
            {"level": "3", "slicecrc": "1", "g": "1"}, keeps_aspect=False,
        ),
        DeliveryCodec("exr", "exr", None, "", True, {"compression": "zip16"}, keeps_fields=False),
    )
}  # fmt: skip

_REPACKED = {"gbrp": "bgr0", "gbrap": "bgra"}  # the only 8-bit R'G'B' that FFV1 codes; without loss


def suffix_of(codec: str) -> str:
    """Return the ending of a take's name in `codec`, with its dot; "" for a folder."""
    return find_codec(codec).suffix


def find_codec(name: str) -> DeliveryCodec:
    """Return a codec by name. Raises RequestError `job.invalid`."""
    if name not in CODECS:
        raise RequestError(
            "job.invalid", f"There is no codec {name}.", hint=f"Choose one of {', '.join(CODECS)}."
        )
    return CODECS[name]


def coded_format(codec: DeliveryCodec, pixels: PixelFormat, *, alpha: bool) -> str:
    """Return FFmpeg's pixel format in which `codec` keeps most of `pixels`, with an alpha plane if asked for.

    Raises RequestError `job.invalid` when the codec cannot hold it.
    """
    match codec.name:
        case "prores4444":
            return "yuva444p10le" if alpha or pixels.has_alpha else "yuv444p10le"
        case "prores422hq" | "dnxhr_hqx" if not alpha:
            return "yuv422p10le"
        case "h264" if not alpha:
            return _h264_format(pixels)
        case "ffv1":
            return _REPACKED.get(pixels.name, pixels.name)
        case "ffv1_8bit" if alpha:
            return "yuva444p"
        case "exr":
            return "gbrapf32le" if alpha or pixels.has_alpha else "gbrpf32le"
    delivery = "an overlay" if alpha else "a baked clip"
    raise RequestError("job.invalid", f"{codec.name} cannot hold {delivery}.",
                       hint="Use prores4444 or exr for an overlay, ffv1 for a baked clip.")  # fmt: skip


def keeps_alpha(codec: DeliveryCodec, pixels: PixelFormat) -> bool:
    """Return whether a baked clip of `pixels` has its alpha, if it has one, in `codec`."""
    coded = plane_format(coded_format(codec, pixels, alpha=False))
    return coded is None or coded.has_alpha or not pixels.has_alpha


def _h264_format(pixels: PixelFormat) -> str:
    if pixels.is_gray:
        return "yuv420p"
    if pixels.is_rgb:
        return "yuv444p10le"
    sampling = {(1, 1): "yuv420p", (1, 0): "yuv422p", (2, 0): "yuv422p", (2, 2): "yuv420p"}
    name = sampling.get((pixels.log2_w, pixels.log2_h), "yuv444p")
    return name if pixels.depth == 8 else f"{name}10le"


def plane_format(coded: str) -> PixelFormat | None:
    """Return the planar format to hand over for a coded one; None for floating point."""
    if "f32" in coded:
        return None
    return pixel_format({packed: planar for planar, packed in _REPACKED.items()}.get(coded, coded))


def encoder_of(
    codec: DeliveryCodec, coded: str, width: int, first_field: Field | None = None
) -> tuple[str, dict[str, str]]:
    """Return the encoder and its options for a picture width, of one picture a frame or of two fields.

    prores_aw is three times as fast as prores_ks but refuses odd widths. It codes full alpha as 1023/1024,
    which moves no 10-bit value by more than one. Of fields, prores_aw says that the top one is shown first,
    prores_ks the bottom one, whatever they are told.
    """
    options = dict(codec.options)
    if codec.encoder == "prores_aw" and (width % 2 or first_field == "bottom"):
        return "prores_ks", {**options, **({"alpha_bits": "16"} if "a" in coded[3:4] else {})}
    if codec.encoder == "libx264" and first_field is not None:
        options["x264-params"] = "tff=1" if first_field == "top" else "bff=1"
    return codec.encoder, options


def check_size(codec: DeliveryCodec, coded: str, width: int, height: int) -> None:
    """Refuse picture sizes the codec has no way to code. Raises RequestError `job.invalid`."""
    reason = None
    if codec.name == "h264":
        target = pixel_format(coded)
        if width % (1 << target.log2_w) or height % (1 << target.log2_h):
            reason = f"its {coded} pictures must have even sides"
    if codec.name == "dnxhr_hqx" and (width < 256 or height < 120):
        reason = "its pictures are at least 256 x 120"
    if reason:
        raise RequestError("job.invalid", f"{codec.name} cannot hold {width} x {height}: {reason}.",
                           hint="Use prores422hq or ffv1, which hold any size.")  # fmt: skip
