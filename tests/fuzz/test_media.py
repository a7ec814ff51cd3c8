"""Media files damaged at random, through the real daemon and pipeline: every job ends, nothing is harmed."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.protocol.jobs import JobState
from tests.clips import make_clip, make_voice
from tests.fuzz.conftest import TIMES
from tests.studio import Studio, open_studio

ENDS = (JobState.DONE, JobState.FAILED)


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        yield opened


@pytest.fixture(scope="module")
def originals(studio: Studio) -> list[Path]:
    """Clips of several kinds, and a voice at the end."""
    folder = studio.folder / "originals"
    folder.mkdir()
    return [
        make_clip(folder / "h264.mov", count=24),
        make_clip(folder / "prores.mov", count=16, codec="prores_ks", pixels="yuv422p10le"),
        make_clip(folder / "ffv1.mkv", count=16, codec="ffv1"),
        make_clip(folder / "mpeg2.ts", count=24, codec="mpeg2video", sound="mp2"),
        make_voice(folder / "voice.wav"),
    ]


def damage(data: bytes, chance: random.Random) -> bytes:
    """Return a file with bits flipped, blocks overwritten, or its end cut off; often in its first bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 20)):
        size = len(changed)
        at = chance.randrange(min(size, 4096) if chance.random() < 0.3 else size)
        match chance.choice(["flip", "flip", "block", "cut"]):
            case "flip":
                changed[at] ^= 1 << chance.randrange(8)
            case "block":
                block = chance.randbytes(chance.randint(1, 512))
                changed[at : at + len(block)] = block[: size - at]
            case _ if chance.random() < 0.2 and at > 64:
                del changed[at:]
    return bytes(changed)


@pytest.mark.timeout(0)
def test_damaged_media_end_in_a_take_or_a_clear_error(studio: Studio, originals: list[Path]) -> None:
    chance = random.Random(7)
    server = studio.client.status().server_pid
    before = {path for path in studio.folder.rglob("*") if path.is_file()}
    outcomes: Counter[str] = Counter()
    for number in range(8 * TIMES):
        *clips, voice = originals
        victim = chance.choice(originals)
        broken = studio.folder / f"broken{number}{victim.suffix}"
        broken.write_bytes(damage(victim.read_bytes(), chance))
        source, sound = (chance.choice(clips), broken) if victim == voice else (broken, voice)
        job = studio.finish(studio.submit(source, sound, 4, 12))
        assert job.state in ENDS
        outcomes["done" if job.error is None else job.error.code] += 1
        assert job.error is None or job.error.code != "internal", (broken, job.error)
        broken.unlink()
    assert studio.client.status().server_pid == server
    allowed = (studio.folder / "home", studio.folder / "takes")
    strange = [
        path
        for path in studio.folder.rglob("*")
        if path.is_file()
        and path not in before
        and not any(path.is_relative_to(folder) for folder in allowed)
    ]
    assert strange == []
    assert list((studio.folder / "takes").rglob("*.part*")) == []
    print(dict(outcomes))  # with -s
