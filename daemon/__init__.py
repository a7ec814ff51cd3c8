"""Dubwright's local daemon: requests, the durable queue, and the redub pipeline."""

__version__ = "0.1.0"
