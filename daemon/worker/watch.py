"""Looks after one worker: ends it when it is silent, greedy or makes no step, or has been idle for long."""

import psutil

from daemon.worker.child import Child

SILENCE_S = 30.0  # a busy worker that says nothing for this long hangs
START_S = 120.0  # imports on a cold disk
IDLE_S = 60.0  # an `inspect` worker without work ends after this
HANG_S = 900.0  # a job that makes no step for so long hangs; loading weights from a slow disk is one step
HANG_FACTOR = 3.0  # or for so many times what its stage should take as a whole, if that is longer
MEMORY_SHARE = 0.9  # of this machine's, that a worker may take; beyond it others would suffer


def memory_limit(memory_gb: float | None) -> float:
    """Return the bytes that a worker may take; None: most of this machine's."""
    return memory_gb * 2**30 if memory_gb else MEMORY_SHARE * psutil.virtual_memory().total


def look_after(child: Child, now: float, *, memory: float, may_idle: bool) -> None:
    """End a worker that should not go on; `may_idle`: it is kept warm when it has nothing to do."""
    silence_s = now - child.heard_at
    if child.state == "busy" and silence_s > SILENCE_S:
        child.kill(f"It did not answer for {SILENCE_S:.0f} s.")
    elif child.state == "busy" and child.memory() > memory:
        child.is_greedy = True
        child.kill(f"Its job took more than {memory / 2**30:.1f} GB of memory.")
    elif child.state == "busy" and now - child.stepped_at > _patience_s(child):
        child.is_hung = True
        child.kill(f"Its job made no step for {now - child.stepped_at:.0f} s.")
    elif child.state == "starting" and silence_s > START_S:
        child.kill(f"It was not ready after {START_S:.0f} s.")
    elif child.state == "idle" and not may_idle and silence_s > IDLE_S:
        child.close()


def _patience_s(child: Child) -> float:
    """Return how long a job may make no step: some times as long as its stage should take, and never less."""
    foretold_s = child.eta.stage_s if child.eta is not None else 0.0
    return max(HANG_S, HANG_FACTOR * foretold_s)
