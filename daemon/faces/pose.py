"""Where a head is: a similarity fitted to the points of the face that do not move with the mouth.

The head's own space has its origin between the eyes, x to the picture's right, y down, z to the back, and the
distance of the outer eye corners as its unit.
"""

import numpy as np

from daemon.faces.landmarks import RIGID, RIGID_MIDDLE, RIGID_PAIRS

# Measured with the mesh itself on a public-domain portrait (NASA's of Eileen Collins), then made symmetrical.
_PAIR_TEMPLATE = (
    (0.500, -0.014, 0.029),  # 263, and 33 mirrored
    (0.189, 0.014, -0.029),  # 362, and 133 mirrored
    (0.517, -0.008, 0.044),  # 359, and 130 mirrored
    (0.165, 0.019, -0.039),  # 463, and 243 mirrored
    (0.748, 0.030, 0.558),  # 356, and 127 mirrored
    (0.740, -0.121, 0.434),  # 389, and 162 mirrored
    (0.709, -0.243, 0.283),  # 251, and 21 mirrored
    (0.650, -0.358, 0.142),  # 284, and 54 mirrored
    (0.549, -0.451, -0.001),  # 332, and 103 mirrored
    (0.387, -0.511, -0.129),  # 297, and 67 mirrored
    (0.210, -0.538, -0.203),  # 338, and 109 mirrored
    (0.568, 0.144, 0.045),  # 346, and 117 mirrored
    (0.681, 0.152, 0.180),  # 345, and 116 mirrored
    (0.670, 0.039, 0.187),  # 372, and 143 mirrored
    (0.612, 0.107, 0.100),  # 340, and 111 mirrored
    (0.686, 0.276, 0.175),  # 352, and 123 mirrored
)
_MIDDLE_TEMPLATE = (
    (0.0, -0.543, -0.221),  # 10
    (0.0, -0.383, -0.239),  # 151
    (0.0, -0.221, -0.244),  # 9
    (0.0, -0.131, -0.222),  # 8
    (0.0, -0.049, -0.215),  # 168
    (0.0, 0.038, -0.256),  # 6
    (0.0, 0.120, -0.305),  # 197
    (0.0, 0.195, -0.359),  # 195
    (0.0, 0.276, -0.416),  # 5
    (0.0, 0.373, -0.435),  # 4
)
CROP_SIDE = 1.72  # of the crop square, in eye distances: from the lower lids to below a dropped chin
FACE_WIDTH = 2 * max(x for x, _, _ in _PAIR_TEMPLATE) / CROP_SIDE  # temple to temple, as a share of the crop
CROP_CENTRE = np.array([0.0, 0.9, 0.2])  # in head space; deep enough that a turned head stays inside


def _template() -> np.ndarray:
    pairs = np.array(_PAIR_TEMPLATE)
    both = np.stack([pairs * np.array([-1.0, 1.0, 1.0]), pairs], axis=1).reshape(-1, 3)
    return np.concatenate([both, np.array(_MIDDLE_TEMPLATE)])


TEMPLATE = _template()
assert len(TEMPLATE) == len(RIGID) == 2 * len(RIGID_PAIRS) + len(RIGID_MIDDLE)


def fit_head(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the template to the rigid ones of (..., 468, 3) points, in the least-squares sense.

    Returns scale (...), rotation (..., 3, 3), position (..., 3): point = scale * rotation @ head + position.
    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991.
    """
    rigid = np.asarray(points, np.float64)[..., RIGID, :]
    middle, template_middle = rigid.mean(axis=-2), TEMPLATE.mean(axis=0)
    centred, template = rigid - middle[..., None, :], TEMPLATE - template_middle
    u, singular, vt = np.linalg.svd(np.swapaxes(centred, -1, -2) @ template)
    singular[..., 2] *= np.sign(np.linalg.det(u @ vt))
    u[..., :, 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    rotation = u @ vt
    scale = singular.sum(axis=-1) / (template**2).sum()
    position = middle - scale[..., None] * (rotation @ template_middle)
    return scale, rotation, position


def pose_parameters(points: np.ndarray) -> np.ndarray:
    """Return (..., 4) of (..., 468, 3) points: the crop's centre x, y, log of its side, turn in radians."""
    scale, rotation, position = fit_head(points)
    centre = scale[..., None] * (rotation @ CROP_CENTRE) + position
    turn = np.arctan2(rotation[..., 1, 0] - rotation[..., 0, 1], rotation[..., 0, 0] + rotation[..., 1, 1])
    return np.stack([centre[..., 0], centre[..., 1], np.log(scale * CROP_SIDE), turn], axis=-1)


def pose_from_parameters(parameters: np.ndarray) -> np.ndarray:
    """Return the (..., 2, 3) matrices from the crop square [0, 1]^2 to pixels of (..., 4) parameters."""
    x, y, log_side, turn = np.moveaxis(np.asarray(parameters, np.float64), -1, 0)
    cos, sin = np.exp(log_side) * np.cos(turn), np.exp(log_side) * np.sin(turn)
    first = np.stack([cos, -sin, x - (cos - sin) / 2], axis=-1)
    second = np.stack([sin, cos, y - (sin + cos) / 2], axis=-1)
    return np.stack([first, second], axis=-2)


def pose_matrix(points: np.ndarray) -> np.ndarray:
    """Return the (2, 3) similarity from the crop square [0, 1]^2 to the pixels of the (468, 3) points.

    Only rigid points count, so it does not move with the mouth. A turned source (rotation metadata) gives a
    turned matrix: the crop is always upright.
    """
    return pose_from_parameters(pose_parameters(points))


def crop_matrix(pose: np.ndarray, size: int) -> np.ndarray:
    """Return the (..., 2, 3) matrix from the pixels of a crop of `size` to what `pose` maps [0, 1]^2 to."""
    matrix = pose.copy()
    matrix[..., :2] /= size
    matrix[..., 2] += matrix[..., :2] @ np.full(2, 0.5)
    return matrix
