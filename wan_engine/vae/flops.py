"""How much arithmetic the Wan2.1 autoencoder is, for estimates: as counted at the released widths.

Convolutions are nearly all of it, so it goes with the latent's pixels and with the square of the width.
"""

RELEASED_WIDTH = 96
ENCODED, DECODED = 1.29e9, 2.07e9  # operations for each pixel of a latent
PREFIX_LATENTS = 6.5  # what a clip sees of all that lies before it costs as much as so many latents decoded


def codec_flops(width: int, pixels: int, *, encoded: float, decoded: float) -> float:
    """Return the operations of encoding and decoding so many latents of `pixels` each."""
    return (ENCODED * encoded + DECODED * decoded) * pixels * (width / RELEASED_WIDTH) ** 2
