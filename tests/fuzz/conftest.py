"""How long to fuzz: seconds by default; `DUBWRIGHT_FUZZ=100 pytest tests/fuzz` does a hundred times more."""

import os

from hypothesis import HealthCheck, settings

TIMES = max(1, int(os.environ.get("DUBWRIGHT_FUZZ", "1")))

settings.register_profile(
    "fuzz",
    max_examples=60 * TIMES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
