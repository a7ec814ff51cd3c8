"""`python -m gui`: the companion app."""

import sys

from gui.app import main

sys.exit(main())
