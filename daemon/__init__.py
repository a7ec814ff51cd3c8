"""Dubwright's daemon: the queue, the re-dub pipeline and everything that talks to them."""

__version__ = "0.1.0"
