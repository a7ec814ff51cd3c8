"""The store knows what is here, takes in what lies elsewhere, and notices damage."""

import json
import os
import struct
import tarfile
from pathlib import Path

import pytest

from daemon.models.adopt import adopt, find_models
from daemon.models.catalog import FACES, find_entry, load_catalog
from daemon.models.download import Progress
from daemon.models.pack import pack, unpack
from daemon.models.store import Store, read_hashes
from daemon.models.verify import verify
from daemon.protocol.errors import MachineError, RequestError
from wan_engine.specs import TASKS


def ignore(progress: Progress) -> None:
    """Report to nobody."""


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("DUBWRIGHT_FACE_MODELS", raising=False)
    return Store(tmp_path / "models")


def write(path: Path, data: bytes = b"something") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def safetensors(size: int = 64) -> bytes:
    """Return a file of one tensor of `size` bytes."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + os.urandom(size)


def write_official(folder: Path) -> Path:
    """Write a speech model as its makers lay it out, small."""
    shards = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    write(folder / "config.json", b'{"model_type": "s2v"}')
    index = json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}).encode()
    write(folder / "diffusion_pytorch_model.safetensors.index.json", index)
    for shard in shards:
        write(folder / shard, safetensors())
    write(folder / "models_t5_umt5-xxl-enc-bf16.pth")
    write(folder / "Wan2.1_VAE.pth")
    write(folder / "google/umt5-xxl/tokenizer.json", b"{}")
    write(folder / "wav2vec2-large-xlsr-53-english/config.json", b"{}")
    write(folder / "wav2vec2-large-xlsr-53-english/model.safetensors", safetensors())
    return folder


def write_diffusers(folder: Path) -> Path:
    """Write a picture-to-video model in the layout of Diffusers."""
    write(folder / "model_index.json", b"{}")
    for name in ("transformer", "transformer_2"):
        write(folder / name / "config.json", b'{"in_channels": 36}')
        write(folder / name / "diffusion_pytorch_model.safetensors", safetensors())
    write(folder / "text_encoder/model.safetensors", safetensors())
    write(folder / "tokenizer/tokenizer.json", b"{}")
    write(folder / "vae/diffusion_pytorch_model.safetensors", safetensors())
    return folder


def write_comfy(folder: Path) -> Path:
    """Write a ComfyUI folder with two tasks in it."""
    models = folder / "models"
    for name in ("wan2.2_s2v_14B_bf16", "wan2.2_t2v_high_noise_14B_fp16", "wan2.2_t2v_low_noise_14B_fp16"):
        write(models / "diffusion_models" / f"{name}.safetensors", safetensors())
    write(models / "text_encoders/umt5_xxl_fp16.safetensors", safetensors())
    write(models / "text_encoders/umt5-xxl/tokenizer.json", b"{}")
    write(models / "vae/wan_2.1_vae.safetensors", safetensors())
    write(models / "audio_encoders/wav2vec2_large_english_fp16.safetensors", safetensors())
    return folder


def write_cache(folder: Path) -> Path:
    """Write the folder of a Hugging Face cache: blobs named by their hash, and links to them."""
    from daemon.models.store import hash_of

    snapshot = folder / "snapshots" / "0123abc"
    write_official(snapshot)
    write(folder / "refs" / "main", b"0123abc")
    (folder / "blobs").mkdir()
    for path in [path for path in snapshot.rglob("*") if path.is_file()]:
        blob = folder / "blobs" / hash_of(path)
        path.replace(blob)
        path.symlink_to(blob)
    return folder


def bring_in(store: Store, folder: Path, task: str | None = None) -> list[str]:
    return [adopt(store, found).task for found in find_models(folder, task)]


def state_of(store: Store, task: str = "s2v-14B") -> str:
    return store.describe(find_entry(task)).state


def test_the_catalogue_has_the_engines_tasks_and_the_faces() -> None:
    assert set(load_catalog()) == {*TASKS, FACES}
    with pytest.raises(RequestError, match="s2v-99B") as caught:
        find_entry("s2v-99B")
    assert caught.value.code == "models.unknown"


def test_an_empty_store_lacks_everything_and_makes_nothing(store: Store) -> None:
    assert {model.state for model in store.models()} == {"missing"}
    assert not store.root.exists()


def test_the_face_models_are_known_by_their_hashes(store: Store, face_models: Path) -> None:
    folder = store.find(FACES)
    detector, mesh = sorted(face_models.glob("*.tflite"))
    write(folder / detector.name, detector.read_bytes())
    assert state_of(store, FACES) == "incomplete"
    write(folder / mesh.name, mesh.read_bytes()[:-1])
    assert state_of(store, FACES) == "damaged"
    write(folder / mesh.name, mesh.read_bytes())
    assert state_of(store, FACES) == "verified"


def test_files_put_there_by_hand_are_seen_and_counted(store: Store) -> None:
    folder = write_official(store.find("s2v-14B"))
    assert state_of(store) == "unverified"
    (folder / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    assert state_of(store) == "incomplete"
    assert store.missing(find_entry("s2v-14B")) == ["diffusion_pytorch_model-00002-of-00002.safetensors"]


@pytest.mark.parametrize(
    ("layout", "tasks"),
    [
        (write_official, ["s2v-14B"]),
        (write_diffusers, ["i2v-A14B"]),
        (write_comfy, ["t2v-A14B", "s2v-14B"]),
        (write_cache, ["s2v-14B"]),
    ],
)
def test_a_model_that_lies_elsewhere_comes_in_by_links(
    store: Store, tmp_path: Path, layout: object, tasks: list[str]
) -> None:
    theirs = layout(tmp_path / "theirs")  # type: ignore[operator]
    before = {path: path.stat().st_ino for path in theirs.rglob("*") if path.is_file()}
    assert bring_in(store, theirs) == tasks
    for task in tasks:
        folder = store.find(task)
        ours = {path.stat().st_ino for path in folder.rglob("*") if path.suffix in (".safetensors", ".pth")}
        assert ours <= set(before.values()), "a file was copied"
        found = find_models(folder, task)
        assert [item.task for item in found] == [task], "the engine finds it in the store, too"
        assert store.describe(find_entry(task)).origin == "import"
    assert before == {path: path.stat().st_ino for path in theirs.rglob("*") if path.is_file()}


def test_the_hashes_of_a_cache_come_along(store: Store, tmp_path: Path) -> None:
    bring_in(store, write_cache(tmp_path / "theirs"))
    assert read_hashes(store.find("s2v-14B"))["google/umt5-xxl/tokenizer.json"].startswith("44136fa3")


def test_a_folder_without_a_model_is_refused_and_what_was_here_stays(store: Store, tmp_path: Path) -> None:
    write_official(store.find("s2v-14B"))
    write(tmp_path / "theirs" / "notes.txt")
    with pytest.raises(RequestError) as caught:
        bring_in(store, tmp_path / "theirs")
    assert caught.value.code == "models.not_found"
    assert state_of(store) == "unverified"


def test_removing_deletes_links_and_not_what_they_lead_to(store: Store, tmp_path: Path) -> None:
    theirs = write_official(tmp_path / "theirs")
    bring_in(store, theirs)
    assert store.remove(find_entry("s2v-14B")) > 0
    assert state_of(store) == "missing"
    assert len([path for path in theirs.rglob("*") if path.is_file()]) == 9


def without_public_hashes(store: Store, task: str = "s2v-14B") -> dict[str, str]:
    """Verify a model; its stand-ins for the released files cannot have their hashes."""
    found = {verdict.path: verdict.problem for verdict in verify(store, find_entry(task))}
    return {path: problem for path, problem in found.items() if not path.endswith(".pth")}


def test_a_stand_in_for_a_released_file_is_found_out(store: Store) -> None:
    write_official(store.find("s2v-14B"))
    problems = {verdict.path: verdict.problem for verdict in verify(store, find_entry("s2v-14B"))}
    assert "has the hash" in problems["Wan2.1_VAE.pth"]
    assert state_of(store) == "damaged"


def test_a_checked_model_is_verified_until_a_file_changes(store: Store) -> None:
    folder = write_diffusers(store.find("i2v-A14B"))
    adopt(store, find_models(folder, "i2v-A14B")[0])
    assert set(without_public_hashes(store, "i2v-A14B").values()) == {""}
    assert state_of(store, "i2v-A14B") == "verified"
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    assert state_of(store, "i2v-A14B") == "unverified"
    assert (
        "has the hash" in without_public_hashes(store, "i2v-A14B")["vae/diffusion_pytorch_model.safetensors"]
    )
    assert state_of(store, "i2v-A14B") == "damaged"


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.safetensors", safetensors()[:-1], "promises"),
        ("a.safetensors", b"\xff" * 64, "no safetensors header"),
        ("a.safetensors", struct.pack("<Q", 2) + b"[]", "broken safetensors header"),
        ("a.safetensors", safetensors(), ""),
        ("a.json", b"{", "no JSON"),
        ("a.bin", b"", "empty"),
    ],
)
def test_a_file_without_a_hash_is_judged_by_its_structure(
    tmp_path: Path, name: str, data: bytes, problem: str
) -> None:
    from daemon.models.verify import check_file

    write(tmp_path / name, data)
    assert problem in check_file(tmp_path / name, name).problem
    assert bool(problem) == bool(check_file(tmp_path / name, name).problem)


def packed(store: Store, tmp_path: Path) -> Path:
    adopt(store, find_models(write_diffusers(tmp_path / "theirs"), "i2v-A14B")[0])
    out = tmp_path / "model.tar"
    pack(store, find_entry("i2v-A14B"), out, ignore)
    return out


def test_a_packed_model_is_whole_and_checked_on_another_machine(store: Store, tmp_path: Path) -> None:
    out = packed(store, tmp_path)
    other = Store(tmp_path / "other")
    assert unpack(other, out, ignore).task == "i2v-A14B"
    assert state_of(other, "i2v-A14B") == "verified"
    assert not any(path.is_symlink() for path in other.root.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        pack(store, find_entry("i2v-A14B"), tmp_path / "again.tar", interrupt)
    assert not list(tmp_path.glob("again.tar*"))
    assert find_models(other.find("i2v-A14B"), "i2v-A14B")


def test_a_packed_model_that_was_damaged_changes_nothing(store: Store, tmp_path: Path) -> None:
    out = packed(store, tmp_path)
    with out.open("r+b") as file:
        data = file.read()
        at = data.index((store.find("i2v-A14B") / "vae/diffusion_pytorch_model.safetensors").read_bytes())
        file.seek(at + 100)
        file.write(bytes([data[at + 100] ^ 1]))
    with pytest.raises(MachineError) as caught:
        unpack(store, out, ignore)
    assert caught.value.code == "models.damaged"
    assert state_of(store, "i2v-A14B") == "unverified"
    assert sorted(path.name for path in store.root.iterdir()) == ["Wan2.2-I2V-A14B", "store.json"]


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "link"])
def test_a_packed_file_cannot_write_elsewhere(store: Store, tmp_path: Path, name: str) -> None:
    out = tmp_path / "evil.tar"
    listed = f"{'0' * 64}  {name}\n"
    with tarfile.open(out, "w") as archive:
        for member_name, text in (
            ("SHA256SUMS", listed),
            ("model.json", json.dumps({"task": "s2v-14B", "bytes": 1})),
        ):
            write(tmp_path / "text", text.encode())
            archive.add(tmp_path / "text", member_name)
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(RequestError, match="no packed model"):
        unpack(store, out, ignore)
    assert state_of(store) == "missing"
    assert not (tmp_path / "out").exists()


def test_something_else_is_no_packed_model(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "x.tar", os.urandom(2000))
    with pytest.raises(RequestError, match="no packed model"):
        unpack(store, tmp_path / "x.tar", ignore)


def test_a_model_that_is_not_whole_is_not_packed(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not whole"):
        pack(store, find_entry("s2v-14B"), tmp_path / "x.tar", ignore)
