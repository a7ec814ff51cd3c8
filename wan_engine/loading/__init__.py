"""From files on disk to models in memory."""
