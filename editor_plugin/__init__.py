"""Plugins for editors: they send ranges of the timeline to Dubwright and put takes back."""
