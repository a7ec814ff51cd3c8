"""The four tasks, from prompts, pictures and sound to frames. Tensors in, tensors out; no files."""
