"""Two takes in an order that is hidden until one is chosen, so that the eye decides and not the name."""

import random
from typing import Literal, NamedTuple

from daemon.protocol.jobs import Take

Side = Literal["a", "b"]


class BlindPair(NamedTuple):
    """What is shown as A and as B."""

    a: Take
    b: Take

    def choose(self, side: Side) -> tuple[Take, Take]:
        """Return the chosen take and the other."""
        return (self.a, self.b) if side == "a" else (self.b, self.a)


def shuffle(first: Take, second: Take, chance: random.Random) -> BlindPair:
    """Return two takes in a random order."""
    pair = [first, second]
    chance.shuffle(pair)
    return BlindPair(*pair)
