"""The command `dubwright`. One file a family of commands; `docs/cli.md` lists them with the exit statuses."""

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    from daemon.cli.app import run

    sys.exit(run(sys.argv[1:]))
