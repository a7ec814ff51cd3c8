"""The companion app: see, hear, compare and queue takes. It talks to the daemon and to nothing else."""

import os

# Before NumPy is loaded: our matrices are small, and its threads would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
