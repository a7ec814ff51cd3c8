"""The diffusion transformers of Wan2.2.

The base (text, image, text-and-image) and the one driven by speech.
"""
