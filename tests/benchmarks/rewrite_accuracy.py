"""How well the rewrite engine's mouth agrees with the actor's own.

`python -m tests.benchmarks.rewrite_accuracy [--planned] [CLIP...]` re-dubs one part of each clip with its own
sound; the engine may draw only on the other part's picture and sound. Aperture and width of the inner lips
are compared, frame by frame, with what the actor did, as the face tracker measures them in the painted
picture (`--planned`: as planned, without painting, in a fraction of the time). Frames that fade to the source
at both ends are not counted. Every clip is cut in several places and either part is made from the other.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import maximum_filter1d

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

CUTS = (0.5, 0.6, 0.7)
MEASURING_SIDE = 1280  # px, of the picture in which the painted mouth is measured
_MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"


LONGEST_CLOSURE_S = 0.3  # lips together for longer are a pause
SHUT_READING = 2  # percentile of the actor's apertures: lips planned to meet are read as his own are


@dataclass(frozen=True)
class Score:
    """Agreement over a range: correlations, ratio of the apertures' spread, best lag in frames; how many of
    the actor's `closures` while speaking the take `kept` within a frame, and the share of any moments at
    which it would have had closed lips by `chance`.
    """

    aperture: float
    width: float
    spread: float
    lag: int
    closures: int
    kept: int
    chance: float

    def __str__(self) -> str:
        lips = f"aperture {self.aperture:5.2f}  width {self.width:5.2f}"
        closed = f"closed {self.kept:2d} of {self.closures:2d} (chance {self.chance:3.0%})"
        return f"{lips}  spread {self.spread:4.2f}  lag {self.lag:+d}  {closed}"


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(a, b)[0, 1])


def score(made: np.ndarray, real: np.ndarray, speech: np.ndarray, rate: float) -> Score:
    """Compare (n, 5) measures of what was made with those of what the actor did; `speech` (n,) 0..1."""
    lags = range(-4, 5)
    count = len(made)
    shifted = [
        correlate(made[max(0, lag) : count + min(0, lag), 0], real[max(0, -lag) : count - max(0, lag), 0])
        for lag in lags
    ]
    spoken = speech > 0.5
    runs = closures(real[:, 0], spoken, rate)
    shut = maximum_filter1d(made[:, 0] <= closed_level(made[:, 0], spoken), 3)
    return Score(
        correlate(made[:, 0], real[:, 0]),
        correlate(made[:, 1], real[:, 1]),
        float(made[:, 0].std() / real[:, 0].std()),
        lags[int(np.argmax(shifted))],
        len(runs),
        sum(bool(shut[run].any()) for run in runs),
        float(shut[spoken].mean()) if spoken.any() else 0.0,
    )


def closed_level(aperture: np.ndarray, spoken: np.ndarray) -> float:
    """Return the aperture (n,) under which this mouth counts as closed: a quarter of the way from its
    tightest to its middle one in speech.
    """
    tight, middle = np.percentile(aperture[spoken] if spoken.any() else aperture, (3, 50))
    return float(tight + 0.25 * (middle - tight))


def closures(aperture: np.ndarray, spoken: np.ndarray, rate: float) -> list[slice]:
    """Return the runs of frames in which the lips close for a moment in the middle of speech."""
    shut = aperture <= closed_level(aperture, spoken)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shut, [False]]).astype(int)))
    return [
        slice(start, stop)
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        if stop - start <= LONGEST_CLOSURE_S * rate and spoken[max(0, start - 3) : stop + 3].all()
    ]


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

    def run(self, learn: FrameRange, make: FrameRange, *, is_painted: bool) -> tuple[Score, str]:
        """Re-dub `make` from `learn`; return the score and the engine's notes."""
        shot = self._shot(learn, make)
        engine = RewriteEngine()
        chunks = engine.prepare(shot, SilentReporter())
        real = self._read(make)
        if is_painted:
            made = self._measure(
                shot, [crop for chunk in chunks for crop in engine.render(chunk, SilentReporter())]
            )
        else:
            made = measure(engine.plan.shapes)
            made[:, 0] = np.maximum(made[:, 0], np.percentile(self._read(learn)[:, 0], SHUT_READING))
        whole = engine.plan.amount >= 1
        found = score(made[whole], real[whole], shot.speech[whole], float(shot.rate))
        return found, " ".join(engine.notes)

    def _read(self, frames: FrameRange) -> np.ndarray:
        """Return the (n, 5) measures of what the actor did."""
        return measure(read_heads(np.stack([self._points(frame) for frame in frames])).shapes)

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


def main(arguments: list[str]) -> None:
    """Print the scores of every clip, cut and direction, and their means."""
    is_painted = "--planned" not in arguments
    clips = [argument for argument in arguments if not argument.startswith("--")]
    paths = [Path(clip) for clip in clips] or sorted(_MEDIA.glob("latentsync_demo*.mp4"))
    found: dict[str, dict[str, list[Score]]] = {}
    for path in paths:
        with open_source(path) as source, tempfile.TemporaryDirectory() as work:
            trial = Trial(source, Path(work))
            count = source.info.frame_count
            for cut in CUTS:
                at, behind = round(cut * count), count - round(cut * count)
                parts = (
                    ("later", FrameRange(0, at), FrameRange(at, count)),
                    ("earlier", FrameRange(behind, count), FrameRange(0, behind)),
                )
                for name, learn, make in parts:
                    result, notes = trial.run(learn, make, is_painted=is_painted)
                    seconds = float(len(learn) / source.info.rate)
                    print(f"{path.stem:18s} {name:7s} {seconds:5.1f} s learnt  {result} {notes}", flush=True)
                    found.setdefault(path.stem, {}).setdefault(name, []).append(result)
    print(f"\n{'mean of':18s} {'part':7s} aperture  width  spread  lag within 1  closures kept  chance")
    for name in ("later", "earlier"):
        for clip, parts in found.items():
            print(f"{clip:18s} {name:7s} {_mean(parts[name])}")
        every = [score for parts in found.values() for score in parts[name]]
        print(f"{'all clips':18s} {name:7s} {_mean(every)}")


def _mean(scores: list[Score]) -> str:
    lips = [np.mean([getattr(score, name) for score in scores]) for name in ("aperture", "width", "spread")]
    closed = sum(score.kept for score in scores) / max(sum(score.closures for score in scores), 1)
    lags = f"{sum(abs(score.lag) <= 1 for score in scores)} of {len(scores)}"
    chance = np.mean([score.chance for score in scores])
    return f"{lips[0]:8.2f} {lips[1]:6.2f} {lips[2]:7.2f}  {lags:>12s}  {closed:13.0%}  {chance:6.0%}"


if __name__ == "__main__":
    main(sys.argv[1:])
