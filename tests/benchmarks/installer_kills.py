"""Kills installations and removals at random moments, and checks that each ends whole, or leaves nothing.

    python -m tests.benchmarks.installer_kills [--kills 40] [--seed 0] [--within-s 25]

A round installs until it ends, killed on the way, asks the doctor, uninstalls, killed on the way, and
compares the home with what it was. The packages are those of this environment; nothing is downloaded.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daemon.faces.mesh import models_folder
from tests.integration.test_installer import Scratch, contents, make_scratch

REMOVALS = 3  # of a round, each killed within so many seconds if it has not ended
REMOVAL_S = 1.5


def main() -> int:
    """Kill, and print a line a round; return 1 when a home was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.installer_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--within-s", type=float, default=25.0, help="the longest an installation is let run")
    options = parser.parse_args()
    chance, kills, rounds, start = random.Random(options.seed), 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dubwright-kills-") as folder:
        scratch = make_scratch(Path(folder), models_folder())
        before = contents(scratch.home)
        while kills < options.kills:
            rounds += 1
            while kills < options.kills and _is_killed(
                scratch, chance.uniform(0, options.within_s), "install", *scratch.choices
            ):
                kills += 1
            problem = _finish(scratch)
            for _ in range(REMOVALS):
                kills += not problem and _is_killed(scratch, chance.uniform(0, REMOVAL_S), "uninstall")
            problem = problem or _left_behind(scratch, before)
            print(f"round {rounds}: {kills} kills, {time.monotonic() - start:.0f} s {problem}", flush=True)
            if problem:
                return 1
    return 0


def _is_killed(scratch: Scratch, after_s: float, *arguments: str) -> bool:
    """Run the installer and kill it, with all it started, after some time; False if it ended before."""
    command = [sys.executable, str(scratch.clone / "installer"), *arguments]
    with subprocess.Popen(
        command,
        env=scratch.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True
    return False


def _finish(scratch: Scratch) -> str:
    """Let the installation end; return what is wrong with it."""
    run = scratch.run("install", *scratch.choices)
    if run.returncode:
        return f"the installation does not go on: {run.stderr}"
    findings = json.loads(scratch.dubwright("doctor", "--json").stdout)["findings"]
    return "; ".join(item["detail"] for item in findings if item["state"] == "broken")


def _left_behind(scratch: Scratch, before: dict[str, bytes | None]) -> str:
    """Return what differs from the home before; the queue, which a daemon may have made, is the user's."""
    run = scratch.run("uninstall")
    after = contents(scratch.home)
    names = sorted(name for name in {*before, *after} if before.get(name, 0) != after.get(name, 0))
    found = [name for name in names if "dubwright/queue." not in name]
    return run.stderr if run.returncode else ", ".join(found)


if __name__ == "__main__":
    sys.exit(main())
