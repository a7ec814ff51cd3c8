"""`python3 installer demo | test | install | exec -- COMMAND`, from the folder of a clone.

This file alone must parse on any Python 3, so that an old one gets a sentence and not a SyntaxError.
"""

import os
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def refuse_other_pythons():
    """End with a sentence when this Python is older or newer than those Dubwright runs on."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    sys.exit(
        f"Dubwright needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]} ({sys.executable}).\n"
        "Run it with another one, for example: python3.12 installer demo"
    )


if __name__ == "__main__":
    refuse_other_pythons()
    if not __package__:  # run as a folder: make `import installer` mean this package
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from installer.commands import main

    sys.exit(main(sys.argv[1:]))
