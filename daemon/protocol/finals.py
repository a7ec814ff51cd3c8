"""A draft that was liked, made again as a final: the same seed, face, crop and mask, with every step."""

from pathlib import Path

import msgspec

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import RedubSpec, SpeakSpec, Take
from daemon.protocol.reading import read_json, spec_from_builtins


def read_final(take: Take) -> RedubSpec | SpeakSpec:
    """Return the job that makes a take again as a final, by the sidecar beside it; reads that file.

    Raises RequestError `take.not_found` when it is gone, and as `final_of`.
    """
    try:
        sidecar = Path(take.sidecar).read_bytes()
    except OSError as error:
        message = f"What is known of take {take.take_id} is gone: {take.sidecar} cannot be read."
        raise RequestError("take.not_found", message) from error
    return final_of(take, sidecar)


def final_of(take: Take, sidecar: bytes) -> RedubSpec | SpeakSpec:
    """Return the job that makes a take again as a final; `sidecar` is what lies beside it.

    Raises RequestError `job.invalid` when it is a final already, or none of the wan engine's.
    """
    known = read_json(sidecar, take.sidecar)
    spec = spec_from_builtins(known.get("request") if isinstance(known, dict) else None)
    if take.quality is None or not isinstance(spec, RedubSpec | SpeakSpec):
        raise RequestError(
            "job.invalid",
            f"Take {take.take_id} has no final: only those of `redub --engine wan` and `speak` have.",
        )
    if take.quality == "final":
        raise RequestError("job.invalid", f"Take {take.take_id} is a final already.")
    if isinstance(spec, SpeakSpec):
        return msgspec.structs.replace(spec, quality="final", seed=take.seed, takes=1)
    crop = known["crop"]
    return msgspec.structs.replace(
        spec,
        quality="final",
        steps=None,
        seed=take.seed,
        takes=1,
        crop=crop["size"],
        face=str(crop["speaker"]) if spec.face == "auto" else spec.face,
        draft=take.take_id,
    )
