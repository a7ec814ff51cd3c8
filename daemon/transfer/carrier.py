"""A client's side of transfers: what a job names is brought to the daemon's machine, what it made is fetched.

A path in a folder that both machines share becomes that folder's path there. Other media are sent, whole or
from where they broke off, unless the daemon has them; models are never sent. Takes come into the folder that
the job named here, and nowhere else, whatever the host says; one whose hash does not fit is not kept.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from daemon.pairing.hosts import Host
from daemon.paths import Paths
from daemon.protocol import messages
from daemon.protocol.errors import MachineError, MediaError, RequestError
from daemon.protocol.transfer_messages import CHUNK_BYTES, JobFile
from daemon.transfer.disk import digest_of, sha256_of, write_errors
from daemon.transfer.inbox import plain_name
from daemon.transfer.ledger import Ledger
from daemon.transfer.places import Places, join, label, moved

MEDIA = ("source", "voice", "picture", "pose", "image", "audio", "pose_video", "take")
"""Fields of a job that name a file which may be sent."""

MODELS = ("model", "ckpt_dir", "prompt_cache")
"""Those that name a task, or a folder of the daemon's machine; `lora` is a list of such."""

TRIES = 3  # of a file, when it changed while it was sent or came damaged


class Transfer(NamedTuple):
    """How far a file is."""

    is_upload: bool
    path: str  # here
    done: int  # bytes
    size: int


Ask = Callable[[messages.Request, type], Any]
"""Sends a request about files and returns its reply."""


class Carrier:
    """Carries files between this machine and one host. Any thread, one at a time."""

    def __init__(self, host: Host, paths: Paths, ask: Ask) -> None:
        self.on_transfer: Callable[[Transfer], None] = lambda _: None
        self.folder = ""  # ours there; known from the daemon's first reply
        self._host, self._paths, self._ask = host, paths, ask
        self._ledger = Ledger(paths.fetched / f"{host.name}.sqlite")

    def close(self) -> None:
        """Close what is kept open."""
        self._ledger.close()

    # Out.

    def send_job(self, spec: Any) -> Any:
        """Return a job with paths of the daemon's machine, its media brought there. Raises DubwrightError."""
        return self._with_paths_there(spec, self._send)

    def name_job(self, spec: Any) -> Any:
        """Return such a job without sending anything, to ask about it. Raises DubwrightError."""
        return self._with_paths_there(
            spec, lambda path: self._shared(path) or join(self.folder, "media", "to come", Path(path).name)
        )

    def _with_paths_there(self, spec: Any, place: Callable[[str], str]) -> Any:
        if not isinstance(spec, dict):
            return spec
        changed = dict(spec)
        if isinstance(spec.get("redub"), dict):  # of a probe job
            changed["redub"] = self._with_paths_there(spec["redub"], place)
        for name in MEDIA:
            if isinstance(spec.get(name), str):
                changed[name] = place(spec[name])
        for name in MODELS:
            if isinstance(spec.get(name), str) and os.path.isabs(spec[name]):  # else it names a task
                changed[name] = self._model(name, spec[name])
        if isinstance(spec.get("lora"), list):
            changed["lora"] = [self._model("lora", file) for file in spec["lora"]]
        return changed | self._destination(spec)

    def _destination(self, spec: dict[str, Any]) -> dict[str, str]:
        """Return where takes go there, and remember where they belong here."""
        if isinstance(spec.get("save_file"), str):
            file = Path(spec["save_file"])
            return {"save_file": join(self._takes_of(str(file.parent)), plain_name(file.name))}
        kind = spec.get("kind", "redub")
        if kind in ("redub", "speak"):
            return {"dest": self._takes_of(spec.get("dest") or str(self._paths.takes))}
        return {}

    def _takes_of(self, folder: str) -> str:
        there = self._shared(folder)
        if there is None:
            there = join(self.folder, "takes", label(folder))
            self._ledger.note_folder(there, folder)
        return there

    def _shared(self, path: str) -> str | None:
        """Return where a path lies there, when it is in a folder that both machines share."""
        found = (moved(path, here, there) for here, there in self._host.folders)
        return next((place for place in found if place is not None), None)

    def _model(self, name: str, path: str) -> str:
        there = self._shared(path)
        if there is None:
            raise RequestError(
                "job.invalid",
                f"`{name}` is {path}, on this machine; models are not sent to {self._host.name}.",
                hint=f"Name a task of its models, or share a folder: `dubwright pair map {self._host.name}`.",
            )
        return there

    def _send(self, path: str) -> str:
        """Bring a file there, if it is not; return its path there."""
        place = self._shared(path) or self._fetched_from(path)
        if place is not None:
            return place
        file = Path(path)
        if not file.is_file():
            raise MediaError("source.missing", f"There is no file {path}.")
        for attempt in range(TRIES):
            try:
                return self._upload(file)
            except OSError as error:
                why = error.strerror or str(error)
                raise MediaError("source.unreadable", f"{path} cannot be read: {why}.") from error
            except RequestError as error:
                if error.code not in ("transfer.damaged", "transfer.unknown") or attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _fetched_from(self, path: str) -> str | None:
        """Return which file of the daemon's machine one of here was, as it was fetched."""
        if Path(path).is_dir():  # of pictures
            found = (moved(path, here, there) for there, here in self._ledger.folders().items())
            return next((place for place in found if place is not None), None)
        takes = join(self.folder, "takes")
        for there, here in self._ledger.files().items():
            if (
                here == path
                and moved(there, takes, "") is not None
                and self._is_as_fetched(there, Path(path))
            ):
                return there
        return None

    def _is_as_fetched(self, there: str, path: Path) -> bool:
        """Return whether a file is what it was; a sidecar's paths are ours, so its hash is another one."""
        return path.suffix == ".json" or (path.is_file() and self._ledger.fetched(there) == self._hash(path))

    def _upload(self, file: Path) -> str:
        sha256, size = self._hash(file), file.stat().st_size
        name = plain_name(file.name)
        offer = messages.OfferFile(sha256=sha256, size=size, name=name)
        reply: messages.OfferFileReply = self._ask(offer, messages.OfferFileReply)
        have = reply.have
        with file.open("rb") as data:
            while have < size:
                self.on_transfer(Transfer(True, str(file), have, size))
                data.seek(have)
                chunk = messages.SendChunk(sha256=sha256, offset=have, data=data.read(CHUNK_BYTES))
                if not chunk.data:
                    raise RequestError("transfer.damaged", f"{file} became shorter while it was sent.")
                have = self._ask(chunk, messages.SendChunkReply).have
        self.on_transfer(Transfer(True, str(file), size, size))
        self._ledger.note_file(reply.path, str(file), sha256)
        return reply.path

    def _hash(self, file: Path) -> str:
        found = self._ledger.known_hash(file)
        if found is None:
            found = sha256_of(file)
            self._ledger.note_hash(file, found)
        return found

    # In.

    def take_in(self, kind: str, body: Any) -> Any:
        """Return a message's body with the paths of this machine, once what it tells of is here."""
        for job_id in jobs_to_fetch(kind, body) if isinstance(body, dict) else ():
            self.fetch(job_id)
        return self.translate(body)

    def translate(self, body: Any) -> Any:
        """Return plain values of the daemon with the paths of this machine."""
        return self._places().translate(body) if self.folder else body

    def fetch(self, job_id: str) -> None:
        """Bring here what a job made and is not here yet. Raises DubwrightError."""
        places = self._places()
        for file in self._ask(messages.ListFiles(job_id=job_id), messages.ListFilesReply).files:
            here = places.here(file.path)
            if here is None:
                here = str(self._cached(file))
            elif self._is_shared(file.path):
                continue
            if not Path(here).exists() or self._ledger.fetched(file.path) != file.sha256:
                self._fetch(job_id, file, Path(here))

    def _places(self) -> Places:
        shared = [(there, here) for here, there in self._host.folders]
        usual = (join(self.folder, "takes"), str(self._paths.takes))
        folders = [*shared, usual, *self._ledger.folders().items()]
        return Places(self.folder, self._ledger.files(), folders)

    def _is_shared(self, there: str) -> bool:
        return any(moved(there, folder, here) is not None for here, folder in self._host.folders)

    def _cached(self, file: JobFile) -> Path:
        """Return a place for a file that belongs into no folder of a person's."""
        name = plain_name(file.path.replace("\\", "/").rpartition("/")[2])
        return self._paths.cache / "fetched" / self._host.name / file.sha256[:16] / name

    def _fetch(self, job_id: str, file: JobFile, here: Path) -> None:
        part = here.with_name(f".{here.name}.{file.sha256[:16]}.part")
        with write_errors(here):
            here.parent.mkdir(parents=True, exist_ok=True)
            if not any(self._download(job_id, file, part, here) for _ in range(TRIES)):
                raise RequestError("transfer.damaged", f"{here.name} came damaged, {TRIES} times.")
        if here.suffix == ".json":
            self._adopt_sidecar(part)
        if here.exists() and self._ledger.fetched(file.path) is None and sha256_of(here) != sha256_of(part):
            part.unlink()
            raise MachineError("dest.unwritable", f"{here} is there already, and is not what was fetched.")
        with write_errors(here):
            part.replace(here)
        self._ledger.note_file(file.path, str(here), file.sha256)
        self._ledger.note_hash(here, sha256_of(here))

    def _download(self, job_id: str, file: JobFile, part: Path, here: Path) -> bool:
        """Fetch a file, or the rest of it; return whether it is what it should be, else nothing stays."""
        with part.open("ab") as output:
            while output.tell() < file.size:
                self.on_transfer(Transfer(False, str(here), output.tell(), file.size))
                request = messages.ReadChunk(job_id=job_id, path=file.path, offset=output.tell())
                data = self._ask(request, messages.ReadChunkReply).data
                if not data:
                    break
                output.write(data)
        self.on_transfer(Transfer(False, str(here), file.size, file.size))
        hasher, size = digest_of(part)
        is_right = size == file.size and hasher.hexdigest() == file.sha256
        if not is_right:
            part.unlink()
        return is_right

    def _adopt_sidecar(self, part: Path) -> None:
        """Write this machine's paths into a take's sidecar."""
        try:
            contents = json.loads(part.read_text(encoding="utf-8"))
        except ValueError:
            return  # not a sidecar of ours
        text = json.dumps(self.translate(contents), indent=2, ensure_ascii=False)
        with write_errors(part):
            part.write_text(f"{text}\n", encoding="utf-8")


def jobs_to_fetch(kind: str, body: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of jobs that a message shows finished, or with takes, whose files should be here."""
    if kind == "take_added":
        yield body["job_id"]
    job = body.get("job")
    if kind not in ("get_job_reply", "job_changed") or not isinstance(job, dict):
        return
    if job.get("takes") or (job.get("state") == "done" and job.get("result")):
        yield job["job_id"]


def with_body(data: bytes, change: Callable[[str, Any], Any]) -> bytes:
    """Return an encoded message with another body."""
    message = msgspec.msgpack.decode(data)
    if isinstance(message, dict) and "body" in message:
        message["body"] = change(message.get("type", ""), message["body"])
    return msgspec.msgpack.encode(message)
