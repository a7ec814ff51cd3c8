"""Prompts to features the transformers attend to."""
