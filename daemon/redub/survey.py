"""One pass over the footage around a range: who is seen where, and each face's lower half, kept on disk.

What is found is written to the job's work folder, so that a job that lost its process does not look again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from daemon.faces.pose import crop_matrix, pose_matrix
from daemon.faces.tracks import FaceTrack, FaceTracker
from daemon.media.colour import Coding, coding_of
from daemon.media.segment import FrameRange
from daemon.media.source import Frame, Source
from daemon.protocol.errors import MediaError
from daemon.redub.crop import sample_crop
from daemon.redub.meanwhile import one_ahead
from daemon.redub.progress import WAITING, Reporter

TRACKING_SIDE = 640  # px, longest side of the picture the faces are followed in
DETAIL_SIDE = 1920  # px, of the larger picture that small faces are measured in
MATERIAL_S = 40  # seconds of footage an engine may learn from, where the clip has them
_PATCHES_BYTES = 1_000_000_000  # all patches of a survey together
_MAX_SKIP = 16  # frames left out at a time in damaged footage
_SIDES = (96, 512)  # smallest and largest patch


@dataclass
class PatchStore:
    """The lower faces seen, one file of raw (side, side, 3) uint8 records, read back in any order."""

    path: Path
    side: int
    slots: dict[tuple[int, int], int] = field(default_factory=dict)  # (piece, frame) -> record
    matrices: list[np.ndarray] = field(default_factory=list)  # (2, 3) patch pixels -> square pixels

    def add(self, piece: int, frame: int, rgb: np.ndarray, matrix: np.ndarray) -> None:
        """Append one patch, (side, side, 3) float32."""
        with self.path.open("ab") as file:
            file.write(np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8).tobytes())
        self.slots[piece, frame] = len(self.matrices)
        self.matrices.append(matrix)

    def find(self, track: FaceTrack, frame: int) -> int | None:
        """Return the record of a person's patch in `frame`, or None."""
        return next(
            (self.slots[piece, frame] for piece in track.pieces if (piece, frame) in self.slots), None
        )

    def read(self, slot: int) -> np.ndarray:
        """Return a patch, (side, side, 3) uint8."""
        size = 3 * self.side**2
        with self.path.open("rb") as file:
            file.seek(slot * size)
            data = file.read(size)
        return np.frombuffer(data, np.uint8).reshape(self.side, self.side, 3)


@dataclass(frozen=True)
class Survey:
    """Who is seen in `frames`, and what their lower faces look like."""

    frames: FrameRange
    tracks: list[FaceTrack]
    patches: PatchStore | None

    def patch(self, track: FaceTrack, frame: int) -> np.ndarray | None:
        """Return the person's lower face in `frame`, (side, side, 3) uint8, or None where it is not seen."""
        slot = self.patches.find(track, frame) if self.patches else None
        return None if slot is None or self.patches is None else self.patches.read(slot)

    def patch_matrix(self, track: FaceTrack, frame: int) -> np.ndarray | None:
        """Return the (2, 3) matrix from that patch's pixels to square pixels, or None."""
        slot = self.patches.find(track, frame) if self.patches else None
        return None if slot is None or self.patches is None else self.patches.matrices[slot]


def material_range(frames: FrameRange, clip: FrameRange, rate: Fraction) -> FrameRange:
    """Return the footage to learn from: `frames` and around them, MATERIAL_S long if the clip allows."""
    missing = max(0, round(MATERIAL_S * rate) - len(frames))
    wide = FrameRange(frames.start - (missing + 1) // 2, frames.stop + missing // 2)
    if wide.start < clip.start:
        wide = FrameRange(clip.start, wide.stop + clip.start - wide.start)
    if wide.stop > clip.stop:
        wide = FrameRange(wide.start - (wide.stop - clip.stop), clip.stop)
    return wide.clip(clip)


def survey(
    source: Source,
    frames: FrameRange,
    *,
    work: Path,
    reporter: Reporter,
    keep_patches: bool,
    needed: FrameRange | None = None,
) -> Survey:
    """Follow every face through `frames`, or return what an earlier attempt at the job found.

    Footage outside `needed` (None: all is needed) may be damaged; what cannot be decoded there is left out.
    Raises MediaError `source.corrupt`, MachineError `models.missing`; Cancelled through the reporter.
    """
    reporter.stage("track", len(frames))
    saved = work / "survey.npz"
    about = source.info.path.stat()
    version = [about.st_size, about.st_mtime_ns]  # a clip exported again between two attempts is another
    if saved.exists() and (known := _load(saved, frames, work, version)):
        return known
    found = _Pass(source, frames, work if keep_patches else None)
    needed = needed or frames
    readable = _readable(source, frames, needed, lambda: reporter.frames(WAITING))
    followed = (found.follow(frame, picture) for frame, picture in readable)
    with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
        for _ in one_ahead(pool, found.keep, followed):
            reporter.frames(found.done)
    if found.done < len(frames):
        reporter.log(f"{len(frames) - found.done} damaged frames outside the range were left out.")
    result = Survey(frames, found.tracker.tracks(), found.patches)
    _save(saved, result, version)
    return result


def _readable(
    source: Source, frames: FrameRange, needed: FrameRange, still: Callable[[], None]
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Yield the frames that can be decoded, each with its small picture; raise MediaError `source.corrupt`
    only at one that is needed.
    """
    at, step = frames.start, 1
    while at < frames.stop:
        try:
            for frame, picture in source.map(FrameRange(at, frames.stop), _with_picture, still=still):
                at, step = frame.index + 1, 1
                yield frame, picture
        except MediaError as error:
            if error.code != "source.corrupt" or at in needed:
                raise
            reach = at + step
            at = needed.start if at < needed.start <= reach else reach
            step = min(2 * step, _MAX_SKIP)  # each try costs a seek


def _with_picture(frame: Frame) -> tuple[Frame, np.ndarray]:
    return frame, frame.upright_rgb8(TRACKING_SIDE)


class _Pass:
    """The state of one pass over the footage."""

    def __init__(self, source: Source, frames: FrameRange, work: Path | None) -> None:
        info = source.info
        self.tracker = FaceTracker(search_every=round(info.rate))
        self.patches: PatchStore | None = None
        self.done = 0
        self._info, self._work, self._frame_count = info, work, len(frames)
        self._coding: Coding = coding_of(info.pixels, info.colour, info.height)
        self._to_square = info.upright_to_square(TRACKING_SIDE)

    def follow(self, frame: Frame, picture: np.ndarray) -> tuple[Frame, list[tuple[int, np.ndarray]]]:
        """Follow the faces into a frame; return it with each face's piece and points."""
        seen = self.tracker.update(
            frame.index,
            picture,
            self._to_square,
            detail=lambda: (frame.upright_rgb8(DETAIL_SIDE), self._info.upright_to_square(DETAIL_SIDE)),
        )
        self.done += 1
        return frame, seen

    def keep(self, frame: Frame, seen: list[tuple[int, np.ndarray]]) -> None:
        """Cut out what is needed of the faces in a frame."""
        if self._work is not None:
            for piece, points in seen:
                self._cut(frame, piece, points)

    def _cut(self, frame: Frame, piece: int, points: np.ndarray) -> None:
        pose = pose_matrix(points)
        if self.patches is None:
            assert self._work is not None
            path = self._work / "patches.raw"
            path.unlink(missing_ok=True)
            self.patches = PatchStore(path, patch_side(pose, self._frame_count))
        matrix = crop_matrix(pose, self.patches.side)
        to_stored = self._info.squeeze(matrix)
        rgb = sample_crop(frame.planes, frame.pixels, self._coding, to_stored, self.patches.side)
        self.patches.add(piece, frame.index, rgb, matrix)


def patch_side(pose: np.ndarray, count: int) -> int:
    """Return the side of patches, a multiple of 16: about the source's own size, within the disk's share."""
    native = float(np.sqrt(abs(np.linalg.det(pose[:, :2]))))
    affordable = np.sqrt(_PATCHES_BYTES / (3 * count))
    low, high = _SIDES
    return int(np.clip(min(native * 1.05, affordable), low, high)) // 16 * 16


def _save(path: Path, found: Survey, version: list[int]) -> None:
    """Write the survey whole or not at all."""
    arrays: dict[str, np.ndarray] = {"version": np.array(version, np.int64)}
    for track in found.tracks:
        for name in ("frames", "points", "scores"):
            arrays[f"{track.track_id}/{name}"] = getattr(track, name)
        arrays[f"{track.track_id}/pieces"] = np.array(track.pieces, np.int64)
    if found.patches is not None:
        arrays["patches/side"] = np.array(found.patches.side)
        arrays["patches/slots"] = np.array(list(found.patches.slots), np.int64).reshape(-1, 2)
        arrays["patches/matrices"] = np.array(found.patches.matrices).reshape(-1, 2, 3)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)  # pyright: ignore[reportArgumentType]
    part.replace(path)


def _load(path: Path, frames: FrameRange, work: Path, version: list[int]) -> Survey | None:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if arrays["version"].tolist() != version:
        return None
    patches = None
    if "patches/side" in arrays:
        slots = {
            (int(piece), int(frame)): slot for slot, (piece, frame) in enumerate(arrays["patches/slots"])
        }
        patches = PatchStore(
            work / "patches.raw", int(arrays["patches/side"]), slots, list(arrays["patches/matrices"])
        )
    return Survey(frames, list(_load_tracks(arrays)), patches)


def _load_tracks(arrays: dict[str, np.ndarray]) -> Iterator[FaceTrack]:
    for number in sorted({int(name.split("/")[0]) for name in arrays if name[0].isdigit()}):
        yield FaceTrack(
            number,
            arrays[f"{number}/frames"],
            arrays[f"{number}/points"],
            arrays[f"{number}/scores"],
            tuple(int(piece) for piece in arrays[f"{number}/pieces"]),
        )
