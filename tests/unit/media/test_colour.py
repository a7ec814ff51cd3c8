"""Colour: coding of R'G'B' and the CIEDE2000 difference."""

import numpy as np
import pytest

from daemon.media.colour import coding_of, delta_e_2000, rgb_to_lab
from daemon.media.pixels import pixel_format
from daemon.media.tags import ColourTags

# L1 a1 b1 L2 a2 b2 dE00: pairs 1, 4, 7, 10, 16, 17, 20, 25, 33 of Sharma, Wu, Dalal 2005, table 1.
SHARMA = np.array([
    [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
    [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
    [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
    [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
    [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
    [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
    [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
])  # fmt: skip


def test_ciede2000_gives_the_published_differences() -> None:
    found = delta_e_2000(SHARMA[:, :3], SHARMA[:, 3:6])

    np.testing.assert_allclose(found, SHARMA[:, 6], atol=1e-4)


def test_lab_of_white_grey_and_red() -> None:
    lab = rgb_to_lab(np.array([[1.0, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]]))

    np.testing.assert_allclose(lab, [[100, 0, 0], [53.389, 0, 0], [53.241, 80.092, 67.203]], atol=0.02)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p12le", "gbrp", "gbrp10le"])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9, 2])
@pytest.mark.parametrize("spread", [0, 1, 2])
def test_decode_undoes_encode(name: str, matrix: int, spread: int) -> None:
    coding = coding_of(pixel_format(name), ColourTags(matrix=matrix, range=spread), 1080)
    rgb = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)

    np.testing.assert_allclose(coding.decode(coding.encode(rgb)), rgb, atol=2e-6)


def test_bt709_limited_range_codes_red_as_the_standard_says() -> None:
    coding = coding_of(pixel_format("yuv422p10le"), ColourTags(1, 1, 1, 1), 1080)

    code = coding.encode(np.array([[[1.0, 0, 0], [1, 1, 1], [0, 0, 0]]], np.float32))

    np.testing.assert_allclose(code[0], [[250.2, 409.3, 960], [940, 512, 512], [64, 512, 512]], atol=0.1)


def test_untagged_small_pictures_are_bt601() -> None:
    untagged = coding_of(pixel_format("yuv420p"), ColourTags(), 480)
    tagged = coding_of(pixel_format("yuv420p"), ColourTags(matrix=6), 1080)

    np.testing.assert_array_equal(untagged.from_rgb, tagged.from_rgb)
