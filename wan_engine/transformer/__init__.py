"""The diffusion transformers of Wan2.2: the base (text, image, both) and the one driven by speech."""
