"""Ranges of a shot that are left alone: half-open frames, kept in order and apart. Pure."""

Mark = tuple[int, int]


def tidy(marks: list[Mark], count: int) -> list[Mark]:
    """Return marks inside of a clip of `count` frames, in order, those that touch as one."""
    tidied: list[Mark] = []
    for first, stop in sorted((max(0, first), min(count, stop)) for first, stop in marks):
        if first >= stop:
            continue
        if tidied and first <= tidied[-1][1]:
            tidied[-1] = (tidied[-1][0], max(stop, tidied[-1][1]))
        else:
            tidied.append((first, stop))
    return tidied


def without(marks: list[Mark], frame: int) -> list[Mark]:
    """Return the marks that do not hold a frame."""
    return [mark for mark in marks if not mark[0] <= frame < mark[1]]
