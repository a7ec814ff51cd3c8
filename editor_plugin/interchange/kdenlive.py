"""What the adapter leaves out of a `.kdenlive` file: how its tracks come together, and the project's profile.

Without the first, MLT shows the topmost track alone, over black, and plays one track of sound; Kdenlive makes
it anew when it opens the file. Without the second, Kdenlive takes 720 x 576 at 25. Seen in 24.12 and 26.08.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

ADDED_BY_KDENLIVE = "237"  # how Kdenlive marks what it makes itself, and may replace
OVER = {"mlt_service": "affine", "progressive": "1"}  # straight alpha; of MLT itself, and needs no screen
PROFILES = {  # MLT's names, which Kdenlive keeps projects by; the adapter's projects are all of this size
    rate: f"atsc_1080p_{name}"
    for rate, name in (
        ("24000/1001", "2398"),
        ("24/1", "24"),
        ("25/1", "25"),
        ("30000/1001", "2997"),
        ("30/1", "30"),
        ("50/1", "50"),
        ("60000/1001", "5994"),
        ("60/1", "60"),
    )
}
SUM = {"mlt_service": "mix", "sum": "1", "accepts_blanks": "1"}


def complete(path: Path) -> None:
    """Add both to a file."""
    tree = ElementTree.parse(path)
    _add_profile(tree)
    _add_mixing(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _add_profile(tree: Any) -> None:
    profile, bin_ = tree.find("profile"), tree.find("playlist[@id='main_bin']")
    rate = f"{profile.get('frame_rate_num')}/{profile.get('frame_rate_den')}"
    if rate in PROFILES:
        ElementTree.SubElement(bin_, "property", name="kdenlive:docproperties.profile").text = PROFILES[rate]


def _add_mixing(tree: Any) -> None:
    """Have each picture track lie over those below it, and each sound track be heard with the others."""
    by_id = {element.get("id"): element for element in tree.iter("tractor")}
    whole = tree.getroot().findall("tractor")[-1]
    for number, track in enumerate(whole.findall("track")):
        content = by_id.get(track.get("producer"))
        if number == 0 or content is None:  # the first is the black under everything
            continue
        transition = ElementTree.SubElement(whole, "transition")
        places = {"a_track": "0", "b_track": str(number)}
        kind = {
            **(SUM if _is_sound(content) else OVER),
            "internal_added": ADDED_BY_KDENLIVE,
            "always_active": "1",
        }
        for name, value in {**places, **kind}.items():
            ElementTree.SubElement(transition, "property", name=name).text = value


def _is_sound(track: ElementTree.Element) -> bool:
    return all(part.get("hide") in ("video", "both") for part in track.findall("track"))
