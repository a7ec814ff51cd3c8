"""What the adapter leaves out of a `.kdenlive` file: how its tracks come together.

Without it MLT shows the topmost track alone, over black, and plays one track of sound. Kdenlive makes these
anew when it opens the file (seen in 22.12, 24.12 and 26.08); melt takes them as they are.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

ADDED_BY_KDENLIVE = "237"  # how Kdenlive marks what it makes itself, and may replace
OVER = {"mlt_service": "affine", "progressive": "1"}  # straight alpha; of MLT itself, and needs no screen
SUM = {"mlt_service": "mix", "sum": "1", "accepts_blanks": "1"}


def add_mixing(path: Path) -> None:
    """Have each picture track lie over those below it, and each sound track be heard with the others."""
    tree = ElementTree.parse(path)
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
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _is_sound(track: ElementTree.Element) -> bool:
    return all(part.get("hide") in ("video", "both") for part in track.findall("track"))
