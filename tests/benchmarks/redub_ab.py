"""Takes of one shot under different settings of the wan engine, side by side on a page with their checks.

    python -m tests.benchmarks.redub_ab SHOT VOICE --in 100 --out 150 --model FOLDER --page PAGE.html

Makes one take for each timing and quality, from the same seed, and shows what was measured on each.
"""

import argparse
import html
import os
from itertools import product
from pathlib import Path
from typing import Any, get_args

from daemon.client import Client
from daemon.protocol.jobs import Job, Quality, Timing

FIGURES = (
    "av_offset_ms",
    "av_confidence",
    "seam_delta_e",
    "colour_shift_delta_e",
    "likeness",
    "chunk_jump",
    "silence_leak",
)
STYLE = "body{font:14px sans-serif} table{border-collapse:collapse} td,th{padding:4px 10px;text-align:left}"


def run(client: Client, spec: dict[str, Any]) -> Job:
    """Have one take made; return the job as it ended."""
    job = client.submit(spec)
    for _ in client.watch(job.job_id):
        pass
    return client.job(job.job_id)


def row(name: str, job: Job, folder: Path) -> str:
    """Return a take as a row of the page."""
    if not job.takes:
        why = job.error.message if job.error else str(job.state)
        return f"<tr><td>{name}</td><td colspan='9'>{html.escape(why)}</td></tr>"
    (take,) = job.takes
    took = (job.finished_at or 0) - (job.started_at or 0)
    film = html.escape(os.path.relpath(take.path, folder))
    figures = "".join(f"<td>{take.checks.get(figure)}</td>" for figure in FIGURES)
    return (
        f"<tr><td>{name}<br>{take.badge}<br>{took:.0f} s</td>"
        f"<td><video src='{film}' controls loop width='480'></video></td>{figures}</tr>"
    )


def main() -> None:
    """Make the takes, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shot", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("--in", dest="first", type=int, required=True, help="first frame")
    parser.add_argument("--out", type=int, required=True, help="the frame after the last")
    parser.add_argument("--model", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--page", type=Path, default=Path("redub_ab.html"), help="what to write")
    parser.add_argument("--qualities", nargs="+", default=get_args(Quality), choices=get_args(Quality))
    parser.add_argument("--timings", nargs="+", default=get_args(Timing), choices=get_args(Timing))
    parser.add_argument("--crop", type=int, help="side of the square the model works in")
    options = parser.parse_args()
    page = options.page.absolute()
    takes = page.with_suffix("")
    takes.mkdir(parents=True, exist_ok=True)
    spec: dict[str, Any] = {
        "source": str(options.shot.absolute()), "voice": str(options.voice.absolute()), "in": options.first,
        "out": options.out, "engine": "wan", "model": str(options.model.absolute()), "crop": options.crop,
        "deliver": "baked", "codec": "h264", "dest": str(takes),
    }  # fmt: skip
    rows = []
    with Client.connect(name="redub_ab") as client:
        for timing, quality in product(options.timings, options.qualities):
            job = run(client, spec | {"timing": timing, "quality": quality})
            rows.append(row(f"{timing}, {quality}", job, page.parent))
            print(f"{timing}, {quality}: {job.state}", flush=True)
    head = "".join(f"<th>{name}</th>" for name in ("settings", "take", *FIGURES))
    table = f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    page.write_text(f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style>{table}", encoding="utf-8")


if __name__ == "__main__":
    main()
