"""A download ends with the right files or with none, whatever the server does."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from daemon.models import download as downloads
from daemon.models.catalog import Entry
from daemon.models.download import Progress, download
from daemon.models.store import INCOMPLETE, Store, model_files, read_hashes
from daemon.protocol.errors import MachineError
from tests.unit.models import hub as faults
from tests.unit.models.hub import Fault, Hub, sha256

REPOSITORY = "makers/model"
FILES = {
    "config.json": b'{"model_type": "s2v"}',
    "weights.safetensors": os.urandom(300_000),
    "parts/voice.bin": os.urandom(70_000),
    "not-needed.mp4": b"a film",
}
NEEDED = sorted(set(FILES) - {"not-needed.mp4"})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a model; `huggingface_hub` is told to ask here."""
    hub = Hub(REPOSITORY, FILES)
    with hub.serve():
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def entry_for(**changes: object) -> Entry:
    given = {
        "task": "s2v-14B",
        "title": "",
        "repository": REPOSITORY,
        "folder": "model",
        "licence": "",
        "bytes": 370_000,
        "files": ("config.json", "*.safetensors", "parts/*.pt | parts/*.bin"),
        "hashes": {},
    }
    return Entry(**{**given, **changes})  # type: ignore[arg-type]


def bring(store: Store, entry: Entry | None = None) -> list[Progress]:
    seen: list[Progress] = []
    download(store, entry or entry_for(), seen.append, hub="huggingface", pause_s=0)
    return seen


def assert_whole(store: Store) -> None:
    folder = store.folder(entry_for())
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in model_files(folder)} == {
        name: FILES[name] for name in NEEDED
    }
    assert read_hashes(folder) == {name: sha256(FILES[name]) for name in NEEDED}
    assert not (folder / INCOMPLETE).exists()
    assert not list(folder.rglob("*.part*"))
    assert store.describe(entry_for()).state == "verified"


def test_a_model_comes_whole_and_only_what_is_needed(hub: Hub, store: Store) -> None:
    seen = bring(store)
    assert_whole(store)
    assert seen[-1].done == seen[-1].total == sum(len(FILES[name]) for name in NEEDED)
    assert store.describe(entry_for()).origin == "download"


@pytest.mark.parametrize(
    "order",
    [
        [faults.break_off],
        [faults.break_off, faults.break_off, faults.break_off],
        [faults.break_off, faults.half_a_range, faults.half_a_range],
        [faults.break_off, faults.another_range],
        [faults.break_off, faults.no_ranges],
        [faults.longer_than_said],
        [faults.shorter_than_said],
        [faults.out_of_order, faults.out_of_order, faults.break_off],
        [faults.break_off, faults.changed],
        [faults.changed],
    ],
    ids=lambda order: "-".join(fault.__name__ for fault in order),
)
def test_whatever_the_server_does_the_right_file_comes(hub: Hub, store: Store, order: list[Fault]) -> None:
    hub.faults["weights.safetensors"] = list(order)
    bring(store)
    assert_whole(store)


def test_what_broke_off_goes_on_where_it_was(hub: Hub, store: Store) -> None:
    hub.faults["weights.safetensors"] = [faults.break_off]
    bring(store)
    ranges = [asked for name, asked in hub.requests if name == "weights.safetensors"]
    assert ranges == [None, f"bytes={300_000 // 2}-"]


def test_a_second_run_asks_only_for_what_is_missing(hub: Hub, store: Store) -> None:
    hub.faults["weights.safetensors"] = [faults.break_off, *[faults.out_of_order] * 9]
    with pytest.raises(MachineError) as caught:
        bring(store)
    assert caught.value.code == "models.unreachable"
    assert store.describe(entry_for()).state == "incomplete"
    hub.faults.clear()
    hub.requests.clear()
    bring(store)
    assert_whole(store)
    assert ("weights.safetensors", "bytes=150000-") in hub.requests
    assert "config.json" not in [name for name, _ in hub.requests]
    hub.requests.clear()
    bring(store)
    assert hub.requests == []


def test_a_file_that_changed_between_two_runs_is_not_put_together(hub: Hub, store: Store) -> None:
    old = os.urandom(300_000)
    hub.files["weights.safetensors"] = hub.listed["weights.safetensors"] = old
    hub.faults["weights.safetensors"] = [faults.break_off, *[faults.out_of_order] * 9]
    with pytest.raises(MachineError):
        bring(store)
    hub.faults.clear()
    hub.files["weights.safetensors"] = hub.listed["weights.safetensors"] = FILES["weights.safetensors"]
    bring(store)
    assert_whole(store)


def test_a_file_that_is_never_the_listed_one_is_refused(hub: Hub, store: Store) -> None:
    hub.faults["weights.safetensors"] = [faults.changed] * 9
    with pytest.raises(MachineError) as caught:
        bring(store)
    assert caught.value.code == "models.damaged"
    assert not (store.folder(entry_for()) / "weights.safetensors").exists()


def test_a_small_file_is_held_to_gits_own_hash(hub: Hub, store: Store) -> None:
    hub.files["config.json"] = b'{"model_type": "t2v"}'
    with pytest.raises(MachineError, match=r"config\.json"):
        bring(store)


def test_a_hub_that_lists_another_hash_than_the_released_one_is_not_believed(hub: Hub, store: Store) -> None:
    with pytest.raises(MachineError, match="Do not use it") as caught:
        bring(store, entry_for(hashes={"weights.safetensors": "0" * 64}))
    assert caught.value.code == "models.damaged"
    assert hub.requests == []


def test_no_room_is_said_before_anything_comes(
    hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(MachineError) as caught:
        bring(store)
    assert caught.value.code == "disk.full"
    assert hub.requests == []
    assert not store.folder(entry_for()).exists()


def test_a_repository_that_lacks_a_file_is_named(hub: Hub, store: Store) -> None:
    del hub.listed["parts/voice.bin"]
    with pytest.raises(MachineError, match=r"parts/\*\.pt"):
        bring(store)


def test_paths_that_lead_out_of_the_folder_are_no_files(hub: Hub, store: Store) -> None:
    hub.listed["../x.safetensors"] = hub.files["../x.safetensors"] = b"x"
    hub.listed["..\\y.safetensors"] = hub.files["..\\y.safetensors"] = b"y"
    bring(store)
    assert_whole(store)


def test_the_log_in_goes_to_the_hub(hub: Hub, store: Store) -> None:
    bring(store)
    assert set(hub.tokens) == {"Bearer hf_secret"}


def test_modelscope_serves_the_same(hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("modelscope_hub", reason="ModelScope's package is not installed")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.endpoint)
    hub.faults["weights.safetensors"] = [faults.break_off]
    download(store, entry_for(), lambda _: None, hub="modelscope", pause_s=0)
    assert_whole(store)


def test_no_hub_at_all_is_said_with_its_reason(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MachineError) as caught:
        bring(store)
    assert caught.value.code == "models.unreachable"
    assert "huggingface" in caught.value.message


def test_a_damaged_note_beside_a_part_costs_only_time(hub: Hub, store: Store) -> None:
    folder = store.folder(entry_for())
    folder.mkdir(parents=True)
    (folder / "weights.safetensors.part").write_bytes(b"of something else")
    (folder / "weights.safetensors.part.json").write_text(json.dumps([1]))
    bring(store)
    assert_whole(store)
