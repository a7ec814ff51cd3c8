"""What a manifest states of a take: what was made, by which engine, from what, and by whose permission.

Names of files but no folders: the manifest goes where the take goes.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

import msgspec

from daemon import __version__
from daemon.protocol.jobs import GenerateSpec, RedubSpec, SpeakSpec

LABEL = "org.dubwright.take"
"""Our assertion in the manifest."""

KINDS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = {
    "wan": KINDS + "compositeWithTrainedAlgorithmicMedia",
    "rewrite": KINDS + "compositeSynthetic",
}
"""IPTC's words for what each engine makes: wan's mouths come from a trained model, rewrite's from footage."""

WHOLLY_MADE = KINDS + "trainedAlgorithmicMedia"

WHOLE_BYTES = 2 * 2**30
"""Files up to this size are hashed whole; of a longer one, such as camera originals, both ends."""

END_BYTES = 64 * 2**20


def take_statement(
    spec: RedubSpec, *, engine: str, seed: int, changed: list[list[int]], rate: tuple[int, int]
) -> dict[str, Any]:
    """Return what is stated of a take. `changed`: ranges of the source's frames that are not as they were."""
    return {
        "dubwright": __version__,
        "what": "The mouth was made anew to speak another voice; the rest of the picture is the source's.",
        "source_type": SOURCE_TYPES[engine],
        "engine": engine,
        "model": Path(spec.model).name if engine == "wan" and spec.model else None,
        "quality": spec.quality if engine == "wan" else None,
        "seed": seed,
        "source": describe_file(Path(spec.source)),
        "voice": describe_file(Path(spec.voice)),
        "range": [spec.in_, spec.out],
        "rate": list(rate),
        "changed_frames": changed,
        "consent": None if spec.consent is None else msgspec.to_builtins(spec.consent),
    }


def video_statement(spec: GenerateSpec | SpeakSpec, *, model: str, seed: int) -> dict[str, Any]:
    """Return what is stated of a video that a model made as a whole."""
    given = ("picture", "image", "voice", "audio", "pose", "pose_video")
    files = {name: path for name in given if (path := getattr(spec, name, None)) is not None}
    consent = getattr(spec, "consent", None)
    return {
        "dubwright": __version__,
        "what": "The picture was made by a model from what is listed here.",
        "source_type": WHOLLY_MADE,
        "engine": "wan",
        "model": Path(model).name,
        "seed": seed,
        "made_from": {name: describe_file(Path(path)) for name, path in files.items()},
        "consent": None if consent is None else msgspec.to_builtins(consent),
    }


def manifest(statement: dict[str, Any], *, title: str, essence: str) -> dict[str, Any]:
    """Return the manifest's definition. `essence`: sha256 of the file as it was encoded, before signing."""
    action = {"action": "c2pa.created", "digitalSourceType": statement["source_type"]}
    return {
        "claim_generator_info": [{"name": "Dubwright", "version": __version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [action]}},
            {"label": LABEL, "data": {**statement, "essence_sha256": essence}},
        ],
    }


def describe_file(path: Path) -> dict[str, Any]:
    """Return a file's name, size and hash."""
    about = path.stat()
    name, digest = _hashed(path, about.st_size, about.st_mtime_ns)
    return {"name": path.name, "size_bytes": about.st_size, name: digest}


@functools.lru_cache(maxsize=16)
def _hashed(path: Path, size: int, modified_ns: int) -> tuple[str, str]:
    """Hash a file once, however many takes are made from it."""
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            return "sha256", hashlib.file_digest(file, "sha256").hexdigest()
        both = hashlib.sha256(file.read(END_BYTES))
        file.seek(-END_BYTES, 2)
        both.update(file.read())
        return "sha256_of_both_ends", both.hexdigest()
