"""What takes have in common, and the jobs that follow from one: another seed, the final of a draft."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from daemon.protocol.finals import read_final
from daemon.protocol.jobs import JobSpec, Position, RedubSpec, Take


class ShotKey(NamedTuple):
    """Two jobs with the same key re-dub the same stretch of the same clip."""

    source: str
    in_: Position
    out: Position


def shot_of(spec: RedubSpec) -> ShotKey:
    """Return what a job re-dubs."""
    return ShotKey(spec.source, spec.in_, spec.out)


def next_take_of(spec: RedubSpec, seeds: Sequence[int]) -> RedubSpec:
    """Return the job for one more take, with a seed that none of `seeds` is."""
    return msgspec.structs.replace(spec, seed=max(seeds) + 1, takes=1)


def final_of(spec: RedubSpec, take: Take) -> JobSpec:
    """Return the job that makes a draft again in final quality; reads a file, so not for the window's thread.

    The final of a draft of the wan engine is that of `dubwright final`; a take of another engine only gives
    its shot. Raises RequestError.
    """
    if take.engine == "wan":
        return read_final(take)
    return msgspec.structs.replace(spec, engine="wan", quality="final", takes=1, draft=None)
