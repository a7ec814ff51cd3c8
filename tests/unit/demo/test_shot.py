"""The bundled shot is what `facts.json` says it is."""

from itertools import pairwise

import av
import numpy as np
import pytest

from daemon.demo import FOLDER, SHOT, VOICE, read_facts
from daemon.protocol.errors import MachineError

FACTS = read_facts()
BUNDLED_LIMIT_BYTES = 2_000_000


def test_everything_bundled_is_small() -> None:
    assert (
        sum(path.stat().st_size for path in FOLDER.rglob("*") if path.suffix != ".pyc") < BUNDLED_LIMIT_BYTES
    )


def test_the_file_is_tagged_as_cameras_tag() -> None:
    with av.open(str(SHOT)) as container:
        video = container.streams.video[0]
        tags = video.codec_context
        assert (tags.color_primaries, tags.color_trc, tags.colorspace, tags.color_range) == (1, 1, 1, 1)
        assert video.metadata["timecode"] == FACTS["timecode"] == "01:00:00:00"
        assert [video.average_rate.numerator, video.average_rate.denominator] == FACTS["rate"]
        assert video.frames == FACTS["frames"] == len(FACTS["aperture"]) == len(FACTS["width"])


def test_the_voice_is_as_long_as_the_range() -> None:
    with av.open(str(VOICE)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "pcm_s24le"
        assert stream.rate == FACTS["sample_rate"]
        seconds = float(stream.duration * stream.time_base)
    frames = FACTS["demo"]["out"] - FACTS["demo"]["in"]
    assert 0 <= frames / 25 - seconds < 1 / 25
    assert FACTS["demo"]["out"] <= FACTS["frames"]


def test_lips_are_shut_on_p_b_and_m() -> None:
    aperture = np.array(FACTS["aperture"])
    widest = aperture.max()
    pressed = [
        aperture[round((start + stop) / 2 * 25)] / widest
        for (symbol, start), (_, stop) in pairwise(FACTS["phonemes"])
        if symbol in ("p", "b", "m") and stop - start > 0.06
    ]
    assert len(pressed) >= 10
    assert np.max(pressed) < 0.15


def test_the_mouth_seen_is_the_mouth_drawn() -> None:
    mesh = pytest.importorskip("daemon.faces.mesh")
    from daemon.faces.landmarks import EYE_OUTER, INNER_PAIRS

    try:
        tracker = mesh.FaceMesh()
    except MachineError as error:
        pytest.skip(str(error))
    seen, points = [], None
    with av.open(str(SHOT)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            face = tracker.detect(picture)[0] if points is None else tracker.track(picture, points)
            points = face.points
            flat = points[:, :2]
            eyes = np.linalg.norm(flat[EYE_OUTER[0]] - flat[EYE_OUTER[1]])
            gaps = [np.linalg.norm(flat[upper] - flat[lower]) for upper, lower in INNER_PAIRS]
            seen.append(np.mean(gaps) / eyes)
    drawn = np.array(FACTS["aperture"])
    matches = [np.corrcoef(np.roll(seen, shift)[8:-8], drawn[8:-8])[0, 1] for shift in range(-4, 5)]
    assert matches[4] > 0.88
    assert np.argmax(matches) == 4, "the picture is not in step with its facts"


def test_sound_and_picture_are_in_step() -> None:
    with av.open(str(SHOT)) as container:
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    sound = np.concatenate(blocks)
    per_frame = FACTS["sample_rate"] // 25
    count = min(len(sound) // per_frame, FACTS["frames"])
    level = np.sqrt((sound[: count * per_frame].reshape(count, per_frame) ** 2).mean(axis=1))
    starts = [start for symbol, start in FACTS["phonemes"] if symbol]
    first, last = round(starts[0] * 25), round(starts[-1] * 25)
    assert level[: first - 1].max() < 0.02 * level.max()
    assert level[first : last + 1].mean() > 0.1 * level.max()
