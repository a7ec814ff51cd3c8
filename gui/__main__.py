"""`python -m gui [PROJECT]`: the companion app."""

import sys

MISSING = 4
"""Exit status where Qt, or a library that it needs, is missing."""


def run() -> int:
    """Run the app; say in a sentence what it lacks."""
    try:
        from gui.app import main
    except ImportError as error:
        sys.stderr.write(
            f"The companion app cannot start: {error}.\n"
            "Install the extra with pip install 'dubwright[app]'; docs/app.md lists Qt's own libraries.\n"
        )
        return MISSING
    return main()


if __name__ == "__main__":
    sys.exit(run())
