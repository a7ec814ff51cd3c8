"""`python -m daemon.redub.morning REPORT.json PAGE.html`: a report as a page, with a picture of each take.

A process of its own, because it looks into media files, which the server never does. The page is one file:
the pictures are in it, and nothing in it loads anything or runs.
"""

import base64
import html
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np

from daemon.media.colour import coding_of
from daemon.media.source import Frame, open_source
from daemon.protocol.errors import DubwrightError
from daemon.protocol.jobs import Take
from daemon.protocol.night import NightReport, ReportJob
from daemon.redub.playback import Shown

SIDE = 320  # px, the longest of a picture
PICTURES = 200  # takes that get one: looking into more would outlast the patience of whoever waits

STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.takes { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.take img { width: 100%; border-radius: 6px; display: block; }
.badge { font-weight: 600; padding: 0 .5em; border-radius: 4px; }
.pass { background: #1b7f4b; color: #fff; } .look { background: #b7791f; color: #fff; }
.fail { background: #b3261e; color: #fff; }
.path { overflow-wrap: anywhere; opacity: .7; font-size: .85rem; }
"""


def page(report: NightReport) -> str:
    """Return the report as HTML."""
    figures = [
        f"{_clock(report.opened_at)} to {_clock(report.closed_at)}",
        f"{sum(report.badges.values())} takes",
        f"{report.gpu_hours:.1f} GPU hours, {report.busy_hours:.1f} hours of work in all",
    ]
    pictures = iter(range(PICTURES))  # that may still be made
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>Dubwright, night of {html.escape(report.night)}</title><style>{STYLE}</style>",
        f"<h1>Night of {html.escape(report.night)}</h1><p>{'; '.join(figures)}.</p>",
        _section("Done", report.done, pictures),
        _section("Failed", report.failed, pictures),
        _section("Cancelled", report.cancelled, pictures),
        _section("Left for another night", report.left, pictures),
    ]
    if report.given_way:
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in report.given_way)
        parts.append(f"<h2>Why work rested</h2><ul>{reasons}</ul>")
    return "\n".join(parts)


def picture(take: Take) -> bytes | None:
    """Return the take's middle frame as a JPEG, an overlay laid over its source; None if it is unreadable."""
    try:
        sidecar = json.loads(Path(take.sidecar).read_text(encoding="utf-8"))
        rgb = _middle(take, sidecar)
    except (DubwrightError, OSError, ValueError, KeyError, TypeError):
        return None
    is_made, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return data.tobytes() if is_made else None


def _middle(take: Take, sidecar: dict) -> np.ndarray:
    rate, middle = Fraction(*take.rate), take.frames // 2
    path = Path(take.path)
    plan = sidecar.get("plan", {"deliver": "baked"})  # a spoken or generated video has none
    if plan["deliver"] != "overlay" and not path.is_dir():
        with open_source(path, rate) as clip:
            return clip.frame(middle).upright_rgb8(SIDE)
    first = plan["range"][0] - plan["handles"][0]
    with open_source(Path(sidecar["source"]["path"]), rate) as source:
        under = source.frame(first + middle)
        rgb = under.upright_rgb8(SIDE)
        if path.is_dir():
            return rgb
        with open_source(path, rate) as clip:
            return _laid_over(rgb, under, clip.frame(middle))


def _laid_over(rgb: np.ndarray, source: Frame, overlay: Frame) -> np.ndarray:
    """Lay an overlay, stored as its source is, over the source's small upright picture."""
    info = overlay.info
    shown = Shown(
        overlay.planes[:3], info.pixels, coding_of(info.pixels, info.colour, info.height), overlay.planes[3],
        is_exact=False,
    )  # fmt: skip
    height, width = rgb.shape[:2]
    square = np.zeros((SIDE, SIDE, 3), np.float32)
    square[:height, :width] = rgb / 255.0
    laid, _ = shown.crop(source.info.upright_to_stored(SIDE), SIDE, square)
    return np.rint(np.clip(laid, 0, 1) * 255).astype(np.uint8)[:height, :width]


def _section(title: str, jobs: list[ReportJob], pictures: Iterator[int]) -> str:
    if not jobs:
        return ""
    return f"<h2>{title} ({len(jobs)})</h2>" + "".join(_job(job, pictures) for job in jobs)


def _job(job: ReportJob, pictures: Iterator[int]) -> str:
    late = " <strong>after its deadline</strong>" if job.missed else ""
    lines = [f"<h3>{html.escape(job.name)}</h3><p>{html.escape(job.kind)}, {job.hours:.2f} hours{late}</p>"]
    if job.error is not None:
        lines.append(f"<p>{html.escape(job.error.message)} {html.escape(job.error.hint)}</p>")
    takes = "".join(_take(take, pictures) for take in job.takes)
    return "".join(lines) + (f"<div class='takes'>{takes}</div>" if takes else "")


def _take(take: Take, pictures: Iterator[int]) -> str:
    data = None if next(pictures, None) is None else picture(take)
    image = (
        "" if data is None else f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(data).decode()}'>"
    )
    reasons = " ".join(str(reason) for reason in take.checks.get("reasons", []))
    return (
        f"<div class='take'>{image}<p><span class='badge {take.badge}'>{take.badge}</span> "
        f"{html.escape(reasons)}</p><p class='path'>{html.escape(take.path)}</p></div>"
    )


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def main() -> None:
    """Write the page beside its place, then bring it there."""
    report, final = Path(sys.argv[1]), Path(sys.argv[2])
    text = page(msgspec.json.decode(report.read_bytes(), type=NightReport))
    part = final.with_name(f"{final.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, final)


if __name__ == "__main__":
    main()
