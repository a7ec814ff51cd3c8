"""Finished chunks: kept exactly, trusted only when whole and made from the same things."""

import sys
from pathlib import Path

import numpy as np
import pytest

from daemon.worker.checkpoint import MAGIC, Checkpoints


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "u1", "<u2", "<i4", "?"])
@pytest.mark.parametrize("shape", [(3, 4, 5, 3), (7,), (), (0, 4)])
def test_chunk_comes_back_bit_for_bit(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    chunk = np.random.default_rng(1).uniform(0, 200, shape).astype(dtype)
    Checkpoints(tmp_path, "seed 1").save(4, chunk)
    found = Checkpoints(tmp_path, "seed 1").load(4)
    assert found is not None
    assert (found.dtype, found.shape) == (chunk.dtype, chunk.shape)
    assert found.tobytes() == chunk.tobytes()


def test_not_a_number_and_strided_arrays_are_kept(tmp_path: Path) -> None:
    chunk = np.full((4, 6), np.nan, np.float32)[:, ::2]
    kept = Checkpoints(tmp_path, "x")
    kept.save(0, chunk)
    found = kept.load(0)
    assert found is not None
    assert np.array_equal(found, chunk, equal_nan=True)


def test_missing_chunk_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, "x").load(0) is None


def test_foreign_chunk_is_deleted(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "seed 1").save(0, np.ones(3))
    other = Checkpoints(tmp_path, "seed 2")
    assert other.load(0) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to set")
def test_what_the_disk_does_not_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    import resource

    kept = Checkpoints(tmp_path, "x")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            kept.save(0, np.ones(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        "cut",
        "flipped",
        "header",
        "longer",
        "empty",
        "object",
        "comma",
        "huge",
        "overflow",
        "negative",
        "turned",
        "whole",
    ],
)
def test_broken_chunk_is_deleted(tmp_path: Path, damage: str) -> None:
    kept = Checkpoints(tmp_path, "x")
    kept.save(0, np.arange(100, dtype=np.float32))
    path = next(tmp_path.iterdir())
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-7] ^= 1
    header_line = content[len(MAGIC) :].split(b"\n", 1)[0]
    changed = {
        "cut": content[:-1],
        "flipped": content,
        "header": content.replace(b'"shape"', b'"shade"'),
        "longer": content + b"\0",
        "empty": b"",
        "turned": content.replace(b"[100]", b"[4,25]"),
        "whole": content.replace(b"<f4", b"<i4"),
        "object": content.replace(b"<f4", b"|O"),
        "comma": content.replace(b"<f4", b","),  # NumPy answers with a SyntaxError
        "overflow": content.replace(header_line, header_line.replace(b"[100]", b"[4294967296,4294967296]")),
        "huge": content.replace(header_line, header_line.replace(b"[100]", b"[100000000000]")),
        "negative": content.replace(header_line, header_line.replace(b"[100]", b"[-100,-1]")),
    }
    path.write_bytes(changed[damage])
    assert kept.load(0) is None
    assert not path.exists()


def test_unfinished_chunk_of_a_killed_process_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "00000.partial").write_bytes(b"half")
    assert Checkpoints(tmp_path, "x").load(0) is None
    assert list(tmp_path.iterdir()) == []


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain numbers"):
        Checkpoints(tmp_path, "x").save(0, np.array([{}], dtype=object))


def test_clear_deletes_every_chunk(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "x")
    for index in range(3):
        kept.save(index, np.ones(2))
    kept.clear()
    assert list(tmp_path.iterdir()) == []
