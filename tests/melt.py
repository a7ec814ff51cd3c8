"""MLT's renderer, as a judge of timelines."""

import subprocess


def run_melt(arguments: list[str]) -> None:
    """Run melt; once more when it waits for ever: on a busy machine 7.12 now and then loses its threads."""
    for patience_s in (60, 120):
        try:
            subprocess.run(["melt", *arguments], capture_output=True, check=True, timeout=patience_s)
        except subprocess.TimeoutExpired:
            continue
        return
    raise AssertionError("melt did not end, twice")
