"""Where a reading lies against a guide track, and how well the two go together."""
