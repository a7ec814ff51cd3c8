"""Fuzzing that is led by what is covered: `python -m tests.fuzz.guided TARGET --seconds 300`, or `all`.

Needs atheris (`pip install --group fuzz`; Linux). Inputs that reached something new are kept in `--corpus`,
and the next run goes on from there. An input that ends in anything but an answer or one of our own errors is
printed, kept beside the corpus, and ends the run with a status that is not 0. Each target runs in a process
of its own, because libFuzzer ends it.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["daemon", "wan_engine"]):
    import msgspec
    import numpy as np

    from daemon.bridge import _line_from
    from daemon.config import load_config
    from daemon.models.verify import check_file
    from daemon.pairing.codes import decode_invitation
    from daemon.protocol import codec
    from daemon.protocol.errors import RequestError
    from daemon.protocol.reading import decode_spec, spec_from_builtins
    from daemon.worker.checkpoint import Checkpoints
    from daemon.worker.messages import ORDERS, REPORTS

SPEC = {"source": "/a.mov", "voice": "/b.wav", "in": 0, "out": 9}
CHUNK = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
FOLDER = Path(tempfile.mkdtemp(prefix="guided-"))


def frames(data: bytes) -> None:
    """A message, read as far as its handler's arguments; and as a client or a worker reads one."""
    codec.read_id(data)
    with contextlib.suppress(RequestError):
        request = codec.decode_request(codec.decode_envelope(data))
        if (spec := getattr(request, "spec", None)) is not None:
            spec_from_builtins(spec)
    for read in (codec.decode_reply, codec.decode_event):
        with contextlib.suppress(RequestError):
            read(data)
    for reader in (ORDERS, REPORTS):
        with contextlib.suppress(ValueError, RecursionError):
            reader.decode(data)


def jobs(data: bytes) -> None:
    """A job file, a line of the bridge, an invitation."""
    for read in (decode_spec, _line_from, lambda text: decode_invitation(text.decode("utf-8", "replace"))):
        with contextlib.suppress(RequestError):
            read(data)


def settings(data: bytes) -> None:
    """The settings file."""
    file = FOLDER / "config.toml"
    file.write_bytes(data)
    with contextlib.suppress(RequestError):
        load_config(file)


def chunks(data: bytes) -> None:
    """A job's chunk on disk: the one that was saved, or none."""
    kept = Checkpoints(FOLDER / "kept", "print")
    (FOLDER / "kept" / "00000.chunk").write_bytes(data)
    found = kept.load(0)
    assert found is None or (found.dtype == CHUNK.dtype and np.array_equal(found, CHUNK))


def headers(data: bytes) -> None:
    """The headers of a model's files, as `dubwright models verify` reads them."""
    for name in ("a.safetensors", "a.json", "a.pth"):
        file = FOLDER / name
        file.write_bytes(data)
        check_file(file, name)


def _seeds() -> dict[str, list[bytes]]:
    """Return inputs from which to begin: one that is right for each."""
    pack = msgspec.msgpack.encode
    bodies = [
        ("submit_job", {"spec": {**SPEC, "boxes": [[1, 2, 3, 4], None], "mask": {"grow": 0.1}}, "key": "k"}),
        ("reorder_job", {"job_id": "a", "before": "b", "deadline": 1.0}),
        ("schedule", {"settings": {"windows": {"mon": "22:00-06:30"}}}),
        ("offer_file", {"sha256": "0" * 64, "size": 9, "name": "a"}),
    ]
    Checkpoints(FOLDER / "good", "print").save(0, CHUNK)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return {
        "frames": [pack({"id": "x", "type": kind, "version": 1, "body": body}) for kind, body in bodies],
        "jobs": [json.dumps({**SPEC, "leave_alone": [[1, 2]], "consent": {"who": "a", "by": "b"}}).encode()],
        "settings": [b'[server]\nport = 5000\n[report]\ncommand = ["a"]\n[remote]\nlisten = "a:1"\n'],
        "chunks": [(FOLDER / "good" / "00000.chunk").read_bytes()],
        "headers": [len(header).to_bytes(8, "little") + header + bytes(8), b"{}", b"PK\x05\x06" + bytes(18)],
    }


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (frames, jobs, settings, chunks, headers)
}


def fuzz(name: str, corpus: Path, seconds: int) -> None:
    """Fuzz one target; libFuzzer ends the process."""
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_seeds()[name]):
        (folder / f"seed-{number}").write_bytes(seed)
    flags = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={corpus}/{name}-",
        "-max_len=4096",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], str(folder), "-print_final_stats=1", *flags], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Fuzz one target here, or every one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"))
    options = parser.parse_args()
    if options.target != "all":
        fuzz(options.target, options.corpus, options.seconds)
    status = 0
    for name in TARGETS:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, "--seconds", str(options.seconds)]
        status |= subprocess.call([*command, "--corpus", str(options.corpus)])
    return status


if __name__ == "__main__":
    sys.exit(main())
