"""`python -m daemon.self_test`: a second of real work with the libraries a take needs, a line of JSON a part.

Reads the bundled shot, finds its face, writes a few frames as a take is written, and, where PyTorch is
installed, computes attention on the device the engine would use. `dubwright doctor` runs it in a process of
its own, because a broken library may end a process.
"""

import io
import json
import sys
import time
from collections.abc import Callable

FRAMES = 5


def main() -> int:
    """Try every part; print what each found; return 1 when one failed."""
    failed = 0
    for name, part in PARTS.items():
        start = time.perf_counter()
        try:
            detail, is_well = part(), True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            detail, is_well = f"{type(error).__name__}: {error}", False
        failed += not is_well
        seconds = round(time.perf_counter() - start, 3)
        print(json.dumps({"part": name, "ok": is_well, "detail": detail, "seconds": seconds}), flush=True)
    return int(failed > 0)


def _face() -> str:
    from daemon.demo import SHOT
    from daemon.faces.mesh import FaceMesh
    from daemon.media.source import open_source

    with open_source(SHOT) as source:
        picture = source.frame(0).upright_rgb8(640)
    faces = FaceMesh().detect(picture)
    if len(faces) != 1:
        raise RuntimeError(f"{len(faces)} faces found in the bundled shot, which shows one")
    return "the bundled shot read, its face found"


def _encode() -> str:
    import av
    import numpy as np

    memory = io.BytesIO()
    with av.open(memory, "w", format="mov") as container:
        stream = container.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuva444p10le"
        for level in range(FRAMES):
            picture = np.full((64, 64, 4), 40 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r") as written:
        count = sum(1 for _ in written.decode(video=0))
    if count != FRAMES:
        raise RuntimeError(f"{count} frames came back of {FRAMES}")
    return "ProRes 4444 written and read"


def _torch() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return "PyTorch is not installed; the rewrite engine needs none"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 64, 32, generator=generator).to(device, dtype) for _ in range(3))
    found = torch.nn.functional.scaled_dot_product_attention(q, k, v).float().cpu()
    q, k, v = (part.float().cpu() for part in (q, k, v))
    expected = torch.softmax(q @ k.transpose(-1, -2) / 32**0.5, dim=-1) @ v
    error = float((found - expected).abs().max())
    if error > (0.05 if device == "cuda" else 1e-4):
        raise RuntimeError(f"attention on {device} is off by {error:.3g}")
    return f"PyTorch {torch.__version__} computes on {device}"


PARTS: dict[str, Callable[[], str]] = {"face": _face, "encoder": _encode, "torch": _torch}

if __name__ == "__main__":
    sys.exit(main())
