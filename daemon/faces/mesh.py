"""The face tracker's networks: a detector and a 468-point mesh, run by LiteRT. The only file that knows them.

Both networks are the ones MediaPipe carries (BlazeFace short range, Face Mesh); the installer puts their two
files into the models folder. Another tracker replaces this file and keeps its three methods.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from daemon.faces.detection import (
    INPUT_SIDE,
    Detection,
    Tile,
    decode,
    make_anchors,
    merge,
    small_tiles,
    whole_tile,
)
from daemon.faces.landmarks import EYE_OUTER
from daemon.paths import find_paths
from daemon.protocol.errors import MachineError

MODEL_FILES = {
    "face_detection_short_range.tflite": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "face_landmark.tflite": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}
MODELS_VARIABLE = "DUBWRIGHT_FACE_MODELS"
MESH_SIDE = 192
MESH_MARGIN = 1.5  # side of the mesh's window over the face's longer side, as the network was trained
POINT_COUNT = 468


@dataclass(frozen=True)
class Face:
    """A face: `points` (468, 3) float32 in pixels of the picture, z towards the back in the same scale.

    `score` in 0..1 is the mesh network's belief that its window holds a face.
    """

    points: np.ndarray
    score: float


def models_folder() -> Path:
    """Return where the two model files are looked for."""
    override = os.environ.get(MODELS_VARIABLE)
    if override:
        return Path(override)
    return find_paths().models / "faces"


class FaceMesh:
    """Finds faces and follows them. Not safe to share between threads."""

    def __init__(self, folder: Path | None = None, *, threads: int = 1) -> None:
        """Load both networks. Raises MachineError `models.missing` where a file is absent or foreign."""
        folder = models_folder() if folder is None else folder
        detector, mesh = (_verified(folder / name, digest) for name, digest in MODEL_FILES.items())
        self._detector = _Network(detector, threads)
        self._mesh = _Network(mesh, threads)
        self._anchors = make_anchors()

    def detect(self, picture: np.ndarray, *, tile_sides: tuple[float, ...] = ()) -> list[Face]:
        """Find the faces of an upright (H, W, 3) uint8 RGB picture and fit the mesh to each."""
        return [self.fit(picture, found) for found in self.find(picture, tile_sides=tile_sides)]

    def find(self, picture: np.ndarray, *, tile_sides: tuple[float, ...] = ()) -> list[Detection]:
        """Find faces, first in the whole picture, then also in overlapping tiles of each given side.

        A face narrower than about a twentieth of what the detector sees at once is invisible to it.
        """
        height, width = picture.shape[:2]
        tiles = [whole_tile(width, height)]
        for side in tile_sides:
            tiles += small_tiles(width, height, side)
        return merge([found for tile in tiles for found in self._find_in(picture, tile)])

    def fit(self, picture: np.ndarray, found: Detection) -> Face:
        """Fit the mesh to a detection."""
        size = max(found.box[2:] - found.box[:2])
        direction = found.eyes[1] - found.eyes[0]
        window = _window((found.box[:2] + found.box[2:]) / 2, size * MESH_MARGIN, direction)
        return self._fit_window(picture, window)

    def track(self, picture: np.ndarray, previous: np.ndarray) -> Face:
        """Fit the mesh near `previous` (468, 3), the same face's points in the frame before."""
        direction = previous[EYE_OUTER[1], :2] - previous[EYE_OUTER[0], :2]
        unit = direction / max(float(np.hypot(*direction)), 1e-6)
        axes = np.array([unit, [-unit[1], unit[0]]])
        turned = previous[:, :2] @ axes.T
        low, high = turned.min(axis=0), turned.max(axis=0)
        window = _window((low + high) / 2 @ axes, float((high - low).max()) * MESH_MARGIN, direction)
        return self._fit_window(picture, window)

    def _find_in(self, picture: np.ndarray, tile: Tile) -> list[Detection]:
        scale = tile.side / INPUT_SIDE
        matrix = np.array([[scale, 0.0, tile.x + scale / 2 - 0.5], [0.0, scale, tile.y + scale / 2 - 0.5]])
        view = _cut(picture, matrix, INPUT_SIDE)
        regressors, logits = self._detector.run(view.astype(np.float32) / 127.5 - 1.0)
        return decode(regressors.reshape(-1, 16), logits.ravel(), anchors=self._anchors, tile=tile)

    def _fit_window(self, picture: np.ndarray, matrix: np.ndarray) -> Face:
        view = _cut(picture, matrix, MESH_SIDE)
        raw, logit = self._mesh.run(view.astype(np.float32) / 255.0)
        points = raw.reshape(POINT_COUNT, 3).astype(np.float64)
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        points[:, :2] = (points[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2]
        points[:, 2] *= scale
        score = 1.0 / (1.0 + np.exp(-np.clip(float(logit.ravel()[0]), -50.0, 50.0)))
        return Face(points.astype(np.float32), float(score))


class _Network:
    """One LiteRT model with one input and two outputs."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the network on an (H, W, 3) float32 image and return copies of its outputs."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        first, second = (self._interpreter.get_tensor(index) for index in self._outputs)
        return first, second


def _verified(path: Path, digest: str) -> bytes:
    try:
        model = path.read_bytes()
    except OSError as error:
        raise MachineError(
            "models.missing", f"The face model {path} cannot be read: {error.strerror}."
        ) from error
    if hashlib.sha256(model).hexdigest() != digest:
        raise MachineError("models.missing", f"The face model {path} is not the file Dubwright knows.")
    return model


def _window(centre: np.ndarray, side: float, direction: np.ndarray) -> np.ndarray:
    """Return the (2, 3) matrix from the mesh's window to the picture, turned so that the eyes lie level."""
    side = max(side, 2.0)
    unit = direction / max(float(np.hypot(*direction)), 1e-6)
    turn = np.array([[unit[0], -unit[1]], [unit[1], unit[0]]]) * (side / MESH_SIDE)
    middle = (MESH_SIDE - 1) / 2
    return np.column_stack([turn, centre - turn @ np.array([middle, middle])])


def _cut(picture: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Sample `picture` into (side, side, 3); twice as fine first where it shrinks much, against aliasing."""
    factor = 1
    while np.hypot(matrix[0, 0], matrix[1, 0]) / factor > 1.7 and factor < 8:
        factor *= 2
    fine = matrix.copy()
    fine[:, :2] /= factor
    fine[:, 2] += fine[:, :2] @ np.full(2, (1 - factor) / 2.0)
    view = cv2.warpAffine(
        picture, fine, (side * factor, side * factor), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA) if factor > 1 else view
