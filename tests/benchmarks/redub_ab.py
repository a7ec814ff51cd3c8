"""Takes of one shot under different settings of the wan engine, side by side on a page with their checks.

    python -m tests.benchmarks.redub_ab SHOT VOICE --in 100 --out 150 --model FOLDER --page PAGE.html

All takes have one seed. From the base (native timing, 20 steps, the mask as it is found, full strength) one
setting is changed at a time: the timing, the steps (4 and 8 without guidance, 20, 40), how far the mask
grows, the strength. With --all every combination is made. A take that exists is not made again: the page can
be stopped and begun anew.
"""

import argparse
import hashlib
import html
import json
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from daemon.client import Client
from daemon.protocol.events import JobChanged
from daemon.protocol.jobs import JobState

AXES: dict[str, tuple[Any, ...]] = {
    "timing": ("native", "model"),
    "steps": (20, 4, 8, 40),
    "mask": (0.0, -0.05, 0.08),
    "strength": (1.0, 0.85, 0.7),
}
"""The settings compared; the first of each is the base."""

PLAIN_STEPS = 8  # up to so many are taken without guidance, as a draft
FIGURES = {
    "av_offset_ms": "offset, ms",
    "av_confidence": "confidence",
    "seam_delta_e": "seam, dE",
    "colour_shift_delta_e": "colour, dE",
    "likeness": "likeness",
    "chunk_jump": "chunk jump, L*",
    "silence_leak": "silence leak",
    "outside_max_difference": "outside",
}
PAGE = """<!doctype html><meta charset="utf-8"><title>Re-dub: settings side by side</title>
<style>
body {{ font: 14px system-ui, sans-serif; margin: 24px; background: #181818; color: #ddd }}
section {{ margin-bottom: 32px }}
.takes {{ display: flex; flex-wrap: wrap; gap: 16px }}
figure {{ margin: 0; width: 360px }}
video {{ width: 100%; background: #000 }}
td {{ padding: 1px 12px 1px 0 }} td + td {{ text-align: right }}
.pass {{ color: #7c7 }} .look {{ color: #dc6 }} .fail {{ color: #e77 }}
</style>
<h1>{title}</h1><p>{about}</p>
<p><button onclick="all(v => {{ v.currentTime = 0; v.play() }})">Play all</button>
<button onclick="all(v => v.pause())">Pause all</button></p>
{sections}
<script>const all = act => document.querySelectorAll("video").forEach(act)</script>
"""


def settings(*, is_all: bool) -> Iterator[dict[str, Any]]:
    """Yield the settings of each take: the base, then one change at a time, or every combination."""
    base = {name: values[0] for name, values in AXES.items()}
    if is_all:
        yield from (dict(zip(AXES, values, strict=True)) for values in product(*AXES.values()))
        return
    yield base
    for name, values in AXES.items():
        yield from (base | {name: value} for value in values[1:])


def fields_of(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the job that a take's settings mean."""
    steps = chosen["steps"]
    quality = "draft" if steps <= PLAIN_STEPS else "standard" if steps <= 20 else "final"
    mask = {"grow": chosen["mask"]} if chosen["mask"] else None
    return {
        "timing": chosen["timing"], "quality": quality, "steps": steps, "strength": chosen["strength"],
        "mask": mask,
    }  # fmt: skip


def make(client: Client, spec: dict[str, Any]) -> dict[str, Any]:
    """Have one take made, or find the one that was; return it in plain values, or why there is none."""
    name = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    kept = Path(spec["dest"]) / f"{name}.ab.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    job = client.submit(spec)
    for event in client.watch(job.job_id):
        if isinstance(event, JobChanged) and event.job.state is JobState.CANCELLED:
            break
    ended = client.job(job.job_id)
    if not ended.takes:
        return {"error": ended.error.message if ended.error else str(ended.state)}
    (take,) = ended.takes
    took = (ended.finished_at or 0) - (ended.started_at or 0)
    made = {"path": take.path, "badge": take.badge, "seconds": round(took), "checks": take.checks}
    kept.write_text(json.dumps(made), encoding="utf-8")
    return made


def figure(chosen: dict[str, Any], made: dict[str, Any], folder: Path) -> str:
    """Return a take as a figure of the page."""
    name = html.escape(", ".join(f"{axis} {value}" for axis, value in chosen.items()))
    if "error" in made:
        return f"<figure><b>{name}</b><p class='fail'>{html.escape(made['error'])}</p></figure>"
    film = html.escape(os.path.relpath(made["path"], folder))
    checks = made["checks"]
    rows = "".join(
        f"<tr><td>{title}</td><td>{shown(checks.get(key))}</td></tr>" for key, title in FIGURES.items()
    )
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in checks["reasons"])
    return (
        f"<figure><video src='{film}' controls loop muted></video><b>{name}</b> "
        f"<span class='{made['badge']}'>{made['badge']}</span>, {made['seconds']} s"
        f"<table>{rows}</table><ul>{reasons}</ul></figure>"
    )


def shown(value: Any) -> str:
    """Return a figure as it is read."""
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def write_page(page: Path, title: str, takes: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Write the page: for each setting that was changed the base, and beside it what was made of it."""
    base = {name: values[0] for name, values in AXES.items()}
    groups: dict[str, list[str]] = {}
    for chosen, made in takes:
        changed = [name for name in AXES if chosen[name] != base[name]]
        heading = ", ".join(changed) or "base"
        beside = [figure(base, takes[0][1], page.parent)] if changed else []
        groups.setdefault(heading, beside).append(figure(chosen, made, page.parent))
    sections = "".join(
        f"<section><h2>{heading}</h2><div class='takes'>{''.join(figures)}</div></section>"
        for heading, figures in groups.items()
    )
    about = "Base: " + ", ".join(f"{name} {value}" for name, value in base.items()) + ". One seed."
    page.write_text(PAGE.format(title=html.escape(title), about=about, sections=sections), encoding="utf-8")


def main() -> None:
    """Make the takes; the page is written anew after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shot", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("--in", dest="first", type=int, required=True, help="first frame")
    parser.add_argument("--out", type=int, required=True, help="the frame after the last")
    parser.add_argument("--model", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--page", type=Path, default=Path("redub_ab.html"), help="what to write")
    parser.add_argument("--crop", type=int, help="side of the square the model works in")
    parser.add_argument("--all", action="store_true", help="every combination")
    options = parser.parse_args()
    page = options.page.absolute()
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    spec: dict[str, Any] = {
        "source": str(options.shot.absolute()), "voice": str(options.voice.absolute()), "in": options.first,
        "out": options.out, "engine": "wan", "model": str(options.model.absolute()), "crop": options.crop,
        "deliver": "baked", "codec": "h264", "dest": str(folder),
    }  # fmt: skip
    takes = []
    with Client.connect(name="redub_ab") as client:
        for chosen in settings(is_all=options.all):
            made = make(client, spec | fields_of(chosen))
            takes.append((chosen, made))
            write_page(page, f"{options.shot.name}, {options.first} to {options.out}", takes)
            print(f"{chosen}: {made.get('badge') or made['error']}", flush=True)
    print(page)


if __name__ == "__main__":
    main()
