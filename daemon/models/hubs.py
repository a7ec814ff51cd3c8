"""Asks a hub what files a model has: Hugging Face by `huggingface_hub`, ModelScope by `modelscope_hub`.

Both packages know their own addresses, mirrors and log-ins (HF_ENDPOINT, HF_TOKEN, MODELSCOPE_DOMAIN); the
bytes themselves come through daemon/models/fetch.py.
"""

import importlib
import importlib.util
import os

from daemon.models.catalog import Entry
from daemon.models.fetch import RemoteFile
from daemon.models.store import is_plain
from daemon.protocol.errors import MachineError

PACKAGES = {"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}


def list_files(entry: Entry, hub: str | None = None) -> list[RemoteFile]:
    """Return the files of a task's repository that it needs, from `hub` or the first that answers.

    Raises MachineError `models.unreachable`, `models.damaged` when the repository lacks one.
    """
    reasons = []
    for name, package in PACKAGES.items():
        if hub not in (None, name):
            continue
        if importlib.util.find_spec(package) is None:
            reasons.append(f"{name}: the package {package} is not installed")
            continue
        try:
            found = _ASK[name](entry.repository)
        except Exception as error:  # noqa: BLE001 - hubs raise errors of many libraries; each means: not from here
            reasons.append(
                f"{name}: {str(error).strip().splitlines()[0] if str(error) else type(error).__name__}"
            )
            continue
        return _needed(entry, found)
    raise MachineError(
        "models.unreachable", f"No hub lists the files of {entry.repository} ({'; '.join(reasons)})."
    )


def _needed(entry: Entry, found: list[RemoteFile]) -> list[RemoteFile]:
    paths = [file.path for file in found if is_plain(file.path)]
    lacking = entry.lacks(paths)
    if lacking:
        raise MachineError(
            "models.damaged",
            f"The repository {entry.repository} has no {', '.join(lacking)}.",
            hint="Its makers may have laid it out anew; update Dubwright.",
        )
    chosen = entry.choose(paths)
    return [file for file in found if file.path in chosen]


def _ask_huggingface(repository: str) -> list[RemoteFile]:
    hub = importlib.import_module("huggingface_hub")
    endpoint = os.environ.get("HF_ENDPOINT") or hub.constants.ENDPOINT
    info = hub.HfApi(endpoint=endpoint).model_info(repository, revision="main", files_metadata=True)
    token = hub.utils.build_hf_headers().get("authorization")
    return [
        RemoteFile(
            path=file.rfilename,
            url=hub.hf_hub_url(repository, file.rfilename, revision=info.sha, endpoint=endpoint),
            bytes=file.size or 0,
            sha256=file.lfs.sha256 if file.lfs else None,
            git_sha1=None if file.lfs else file.blob_id,
            token=token,
        )
        for file in info.siblings
    ]


def _ask_modelscope(repository: str) -> list[RemoteFile]:
    api = importlib.import_module("modelscope_hub").HubApi()
    return [
        RemoteFile(
            path=file.path,
            url=api.legacy.get_download_url(repository, "model", file.path, "master"),
            bytes=file.size,
            sha256=file.sha256,
        )
        for file in api.list_repo_files(repository, "model", revision="master")
        if file.type != "tree"
    ]


_ASK = {"huggingface": _ask_huggingface, "modelscope": _ask_modelscope}
