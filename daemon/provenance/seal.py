"""Signs takes and reads what was signed. The only file that knows the C2PA library.

QuickTime files carry their manifest inside; for everything else it lies beside the take as NAME.c2pa, and so
for a folder of pictures, whose manifest is bound to the list of their hashes. Signing is the last thing that
happens to a file before it gets its place: a later remux would take the manifest away.
"""

import hashlib
import io
import json
import logging
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from daemon.config import ProvenanceConfig
from daemon.media.storage import map_write_errors, part_of
from daemon.paths import Paths
from daemon.protocol.errors import DubwrightError
from daemon.provenance.certificate import Credentials, load_credentials
from daemon.provenance.statement import LABEL, manifest

log = logging.getLogger(__name__)

EMBEDDED = {".mov": "video/quicktime", ".mp4": "video/mp4"}
"""By a file's ending: what can carry a manifest inside."""

BESIDE = "application/octet-stream"
UNTRUSTED = "signingCredential.untrusted"  # a certificate that no list of trust names: ours


def manifest_beside(final: Path) -> Path:
    """Return where the manifest of a file that cannot carry one lies."""
    return final.with_name(f"{final.name}.c2pa")


def parts_of_seal(final: Path) -> tuple[Path, Path]:
    """Return what signing begins to write beside a file; `part_of` each lies there for a moment."""
    return final.with_name(f"{final.name}.signed"), manifest_beside(final)


def seal(
    part: Path, final: Path, statement: dict[str, Any], *, config: ProvenanceConfig, paths: Paths
) -> str | None:
    """Sign the encoded file at `part`, which will lie at `final`; return why it was not signed, or None.

    The take is never lost over it: what cannot be signed is delivered, and says so. Raises MachineError
    `disk.full`, `dest.unwritable`.
    """
    if not config.enabled:
        return "Provenance is switched off in this studio's settings."
    try:
        credentials = load_credentials(config, paths.config / "provenance")
        definition = manifest(statement, title=final.name, essence=_essence(part))
        if part.is_dir():
            _sign_beside(_listing(part), final, definition, credentials)
        elif final.suffix in EMBEDDED and config.embed:
            _sign_inside(part, final, definition, credentials)
        else:
            with part.open("rb") as media:
                _sign_beside(media, final, definition, credentials)
    except ImportError as error:
        return f"{error.name} is not installed."
    except DubwrightError as error:
        if error.code in ("disk.full", "dest.unwritable"):
            raise
        return str(error)
    except _c2pa_error() as error:
        log.warning("%s could not be signed: %s", final, error)
        return f"It could not be signed: {error}."
    return None


def read_seal(final: Path) -> dict[str, Any]:
    """Return what the library's reader finds in or beside a file: `manifest` (where it lies, or None),
    `state` (Valid or Trusted, or Invalid), `problems`, `signer`, and what is stated.
    """
    try:
        import c2pa
    except ImportError:
        return {"manifest": None, "state": None}
    beside = manifest_beside(final)
    try:
        with ExitStack() as stack:
            if beside.exists():
                media = _listing(final) if final.is_dir() else stack.enter_context(final.open("rb"))
                reader = c2pa.Reader(BESIDE, media, manifest_data=beside.read_bytes())
            elif final.suffix in EMBEDDED:
                reader = c2pa.Reader(EMBEDDED[final.suffix], stack.enter_context(final.open("rb")))
            else:
                return {"manifest": None, "state": None}
            with reader:
                return _found(json.loads(reader.json()), str(beside) if beside.exists() else "embedded")
    except c2pa.C2paError as error:
        missing = "ManifestNotFound" in type(error).__name__ or "no JUMBF" in str(error)
        return (
            {"manifest": None, "state": None} if missing else {"manifest": None, "state": f"Invalid: {error}"}
        )


def _found(document: dict[str, Any], where: str) -> dict[str, Any]:
    active = document["manifests"][document["active_manifest"]]
    problems = [
        found["code"] for found in document.get("validation_status", []) if found["code"] != UNTRUSTED
    ]
    stated = next((one["data"] for one in active["assertions"] if one["label"].startswith(LABEL)), {})
    return {
        "manifest": where,
        "state": document.get("validation_state"),
        "problems": problems,
        "signer": active.get("signature_info", {}).get("common_name"),
        "stated": stated,
    }


def _sign_inside(part: Path, final: Path, definition: dict[str, Any], credentials: Credentials) -> None:
    """Write a signed copy beside the file and put it in its place."""
    signed = part_of(parts_of_seal(final)[0])
    try:
        with map_write_errors(signed), part.open("rb") as media, _Kept(signed) as target:
            _sign(definition, credentials, EMBEDDED[final.suffix], media, target)
            target.flush()
            os.fsync(target.fileno())
        os.replace(signed, part)
    finally:
        signed.unlink(missing_ok=True)


def _sign_beside(
    media: io.BufferedIOBase, final: Path, definition: dict[str, Any], credentials: Credentials
) -> None:
    """Write the manifest's file; it has its place before the take has."""
    data = _sign(definition, credentials, BESIDE, media, _Nowhere(), beside=True)
    beside = manifest_beside(final)
    with map_write_errors(beside):
        part = part_of(beside)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, beside)


def _sign(
    definition: dict[str, Any],
    credentials: Credentials,
    kind: str,
    media: Any,
    target: Any,
    *,
    beside: bool = False,
) -> bytes:
    """Sign `media` into `target`; return the manifest. Raises C2paError, or what `target` met with."""
    import c2pa

    info = c2pa.C2paSignerInfo(
        credentials.algorithm.encode(), credentials.chain.encode(), credentials.key.encode(), None
    )
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(definition) as builder:
        if beside:
            builder.set_no_embed()
        try:
            return builder.sign(signer, kind, media, target)
        except c2pa.C2paError:
            if target.error is not None:  # the disk's fault, which the library tells as one of its own
                raise target.error from None
            raise


class _Kept(io.FileIO):
    """A file to write and read again that remembers the error which the library swallows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        view, done = memoryview(data).cast("B"), 0
        try:
            while done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self.error = error
            raise
        return done


class _Nowhere(io.RawIOBase):
    """Takes what the library copies when the manifest lies beside the file, and keeps nothing."""

    error: OSError | None = None

    def __init__(self) -> None:
        self._at = self._size = 0

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return b""

    def write(self, data: Any, /) -> int:
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at


def _essence(part: Path) -> str:
    if part.is_dir():
        return hashlib.sha256(_listing(part).getvalue()).hexdigest()
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listing(folder: Path) -> io.BytesIO:
    """Return the hashes of a folder's pictures in the order of their names, a line each.

    Not the names themselves: they hold the job's id, and pictures may be renamed together.
    """
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    return io.BytesIO("".join(lines).encode())


def _c2pa_error() -> type[Exception]:
    with suppress(ImportError):
        import c2pa

        return c2pa.C2paError
    return DubwrightError
