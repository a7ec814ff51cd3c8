"""The video autoencoders."""
