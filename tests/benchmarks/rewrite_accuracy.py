"""How well the rewrite engine's mouth agrees with the actor's own.

`python -m tests.benchmarks.rewrite_accuracy [CLIP...]` re-dubs one part of each clip with its own sound; the
engine may draw only on the other part's picture and sound. Aperture and width of the inner lips are compared,
frame by frame, with what the actor did: as planned, and as the face tracker measures them in the painted
picture. Frames that fade to the source at both ends are not counted.
"""

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from daemon.engines.engine import Material, Shot
from daemon.engines.rewrite.engine import RewriteEngine
from daemon.engines.rewrite.shape import measure, read_heads
from daemon.faces.mesh import FaceMesh
from daemon.faces.region import build_region, crop_size
from daemon.media.activity import speech_activity
from daemon.media.colour import coding_of
from daemon.media.segment import FrameRange
from daemon.media.source import Source, open_source
from daemon.redub.crop import sample_crop
from daemon.redub.progress import SilentReporter
from daemon.redub.survey import Survey, survey

CUTS = (0.5, 0.6, 2 / 3, 0.7)
MEASURING_SIDE = 1280  # px, of the picture in which the painted mouth is measured
_MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"


@dataclass(frozen=True)
class Score:
    """Agreement over a range: correlations, ratio of the apertures' spread, best lag in frames."""

    aperture: float
    width: float
    spread: float
    lag: int

    def __str__(self) -> str:
        lips = f"aperture {self.aperture:5.2f}  width {self.width:5.2f}"
        return f"{lips}  spread {self.spread:4.2f}  lag {self.lag:+d}"


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(a, b)[0, 1])


def score(made: np.ndarray, real: np.ndarray) -> Score:
    """Compare (n, 5) measures of what was made with those of what the actor did."""
    lags = range(-4, 5)
    count = len(made)
    shifted = [
        correlate(made[max(0, lag) : count + min(0, lag), 0], real[max(0, -lag) : count - max(0, lag), 0])
        for lag in lags
    ]
    return Score(
        correlate(made[:, 0], real[:, 0]),
        correlate(made[:, 1], real[:, 1]),
        float(made[:, 0].std() / real[:, 0].std()),
        lags[int(np.argmax(shifted))],
    )


class Trial:
    """One clip, surveyed once, re-dubbed part by part."""

    def __init__(self, source: Source, work: Path) -> None:
        """Follow the faces through the whole clip."""
        self._source, self._work = source, work
        self._frames = FrameRange(0, source.info.frame_count)
        self._survey: Survey = survey(
            source, self._frames, work=work, reporter=SilentReporter(), keep_patches=True
        )
        self._track = self._survey.tracks[0]

    def run(self, learn: FrameRange, make: FrameRange) -> tuple[Score, Score, str]:
        """Re-dub `make` from `learn`; return the scores as planned and as seen, and the engine's notes."""
        shot = self._shot(learn, make)
        engine = RewriteEngine()
        chunks = engine.prepare(shot, SilentReporter())
        real = measure(read_heads(np.stack([self._points(frame) for frame in make])).shapes)
        painted = [crop for chunk in chunks for crop in engine.render(chunk, SilentReporter())]
        seen = self._measure(shot, painted)
        whole = engine.plan.amount >= 1
        planned = score(measure(engine.plan.shapes)[whole], real[whole])
        return planned, score(seen[whole], real[whole]), " ".join(engine.notes)

    def _points(self, frame: int) -> np.ndarray:
        points = self._track.points_at(frame)
        assert points is not None, f"no face in frame {frame}"
        return points

    def _shot(self, learn: FrameRange, make: FrameRange) -> Shot:
        info, track = self._source.info, self._track
        size = crop_size(track, make)
        region = build_region(track, make, size, rate=info.rate)
        coding = coding_of(info.pixels, info.colour, info.height)
        crops = {
            frame.index: sample_crop(
                frame.planes, frame.pixels, coding, region.matrices[frame.index - make.start], size
            )
            for frame in self._source.frames(make)
        }
        material = Material(
            learn,
            track,
            lambda frame: self._survey.patch(track, frame),
            self._source.sound(learn),
            lambda frame: self._survey.patch_matrix(track, frame),
        )
        voice = self._source.sound(make)
        return Shot(
            info.rate,
            make,
            region,
            lambda frame: crops[frame].copy(),
            material,
            voice,
            speech_activity(voice, info.rate, make),
            np.ones(len(make), bool),
            0,
            self._work,
        )

    def _measure(self, shot: Shot, painted: list[np.ndarray]) -> np.ndarray:
        """Put the painted crops into their frames; return the (n, 5) measures the face mesh finds there."""
        mesh, found = FaceMesh(), []
        to_stored = self._source.info.upright_to_stored(MEASURING_SIDE)
        from_stored = np.linalg.inv(np.vstack([to_stored, [0, 0, 1]]))
        for frame, crop in zip(self._source.frames(shot.frames), painted, strict=True):
            picture = frame.upright_rgb8(MEASURING_SIDE).copy()
            row = frame.index - shot.frames.start
            matrix = (from_stored @ np.vstack([shot.region.matrices[row], [0, 0, 1]]))[:2]
            shape = (picture.shape[1], picture.shape[0])
            mask = cv2.warpAffine(shot.region.mask(frame.index), matrix, shape)[..., None]
            pixels = cv2.warpAffine(crop, matrix, shape, borderMode=cv2.BORDER_REPLICATE) * 255
            picture = np.clip(picture + (pixels - picture) * mask, 0, 255).astype(np.uint8)
            points = self._points(frame.index).astype(np.float64)
            start = points.copy()
            start[:, :2] = points[:, :2] @ from_stored[:2, :2].T + from_stored[:2, 2]
            found.append(mesh.track(picture, start).points)
        return measure(read_heads(np.stack(found)).shapes)


def main(clips: list[str]) -> None:
    """Print the scores of every clip, cut and direction, their means, and the middle lag."""
    paths = [Path(clip) for clip in clips] or sorted(_MEDIA.glob("latentsync_demo*.mp4"))
    ahead: list[Score] = []
    for path in paths:
        with open_source(path) as source, tempfile.TemporaryDirectory() as work:
            trial = Trial(source, Path(work))
            count = source.info.frame_count
            for cut in CUTS:
                at, behind = round(cut * count), count - round(cut * count)
                parts = (
                    ("later part", FrameRange(0, at), FrameRange(at, count)),
                    ("earlier part", FrameRange(behind, count), FrameRange(0, behind)),
                )
                for name, learn, make in parts:
                    planned, seen, notes = trial.run(learn, make)
                    print(
                        f"{path.stem:18s} {name:13s} {float(len(learn) / source.info.rate):5.1f} s learnt | "
                        f"planned {planned} | seen {seen} {notes}",
                        flush=True,
                    )
                    if name == "later part":
                        ahead.append(seen)
    mean = replace(
        ahead[0],
        aperture=float(np.mean([s.aperture for s in ahead])),
        width=float(np.mean([s.width for s in ahead])),
        spread=float(np.mean([s.spread for s in ahead])),
        lag=round(float(np.median([s.lag for s in ahead]))),
    )
    print(f"mean of the later parts, seen: {mean}")


if __name__ == "__main__":
    main(sys.argv[1:])
