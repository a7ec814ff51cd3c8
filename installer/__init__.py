"""Makes Dubwright's own environment from a fresh clone, and runs the demo and the tests in it.

Standard library only: it runs before that environment exists.
"""
