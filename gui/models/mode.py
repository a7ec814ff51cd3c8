"""What the player can show of a take and its original."""

from enum import Enum

from gui.texts import Key


class Mode(Enum):
    """What is shown."""

    TAKE = "take"
    ORIGINAL = "original"
    SIDE = "side"
    WIPE = "wipe"
    DIFFERENCE = "difference"
    OVERLAY = "overlay"
    MASK = "mask"


NEEDS_ALPHA = frozenset({Mode.OVERLAY, Mode.MASK})

MODE_KEYS: dict[Mode, Key] = {
    Mode.TAKE: "mode.take",
    Mode.ORIGINAL: "mode.original",
    Mode.SIDE: "mode.side",
    Mode.WIPE: "mode.wipe",
    Mode.DIFFERENCE: "mode.difference",
    Mode.OVERLAY: "mode.overlay",
    Mode.MASK: "mode.mask",
}
