"""Every delivered take carries a signed manifest that the library's own reader accepts."""

import hashlib
import json
from pathlib import Path

import av
import c2pa
import pytest

from daemon.config import ProvenanceConfig
from daemon.protocol.jobs import Take
from daemon.provenance.certificate import load_credentials, make_certificate
from daemon.provenance.seal import manifest_beside, read_seal
from tests.clips import make_clip, make_voice
from tests.studio import Studio, open_studio, sidecar_of

FIRST, STOP = 8, 20
CONSENT = {"who": "Ada Lovelace", "by": "herself", "note": "contract 7"}


@pytest.fixture(scope="module")
def overlay(studio: Studio, shot: Path, voice: Path) -> Take:
    return studio.take(shot, voice, FIRST, STOP, consent=CONSENT)


def packets(path: Path) -> list[tuple[int, int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(p.stream_index, p.pts, bytes(p)) for p in container.demux() if p.size]


def test_the_manifest_in_a_take_states_what_was_made_from_what_and_by_whose_leave(
    overlay: Take, shot: Path, voice: Path
) -> None:
    seal = read_seal(Path(overlay.path))
    assert (seal["manifest"], seal["state"], seal["problems"]) == ("embedded", "Valid", [])
    stated = seal["stated"]
    assert stated["source"]["sha256"] == hashlib.sha256(shot.read_bytes()).hexdigest()
    assert stated["voice"]["sha256"] == hashlib.sha256(voice.read_bytes()).hexdigest()
    assert (stated["engine"], stated["seed"], stated["consent"]) == ("rewrite", 0, CONSENT)
    assert stated["changed_frames"]
    assert str(shot.parent) not in json.dumps(seal)
    noted = sidecar_of(overlay)
    assert noted["provenance"]["state"] == "Valid"
    assert noted["provenance"]["switched_off"] is False
    assert noted["request"]["consent"] == CONSENT


def test_the_library_s_own_reader_agrees_and_names_a_trained_model_only_where_one_worked(
    overlay: Take,
) -> None:
    with c2pa.Reader(overlay.path) as reader:
        document = json.loads(reader.json())
    (manifest,) = document["manifests"].values()
    actions = next(one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))
    (action,) = actions["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/compositeSynthetic")


def test_signing_leaves_every_packet_as_it_was(
    studio: Studio, shot: Path, voice: Path, overlay: Take
) -> None:
    again = studio.take(shot, voice, FIRST, STOP, consent=CONSENT)
    assert Path(again.path).read_bytes() != Path(overlay.path).read_bytes()  # a manifest holds random salt
    assert packets(Path(again.path)) == packets(Path(overlay.path))
    seals = [read_seal(Path(take.path)) for take in (again, overlay)]
    assert len({seal["stated"]["essence_sha256"] for seal in seals}) == 1


def test_a_changed_picture_is_noticed(overlay: Take, tmp_path: Path) -> None:
    data = bytearray(Path(overlay.path).read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.mov"
    changed.write_bytes(data)
    seal = read_seal(changed)
    assert seal["state"] == "Invalid"
    assert "assertion.bmffHash.mismatch" in seal["problems"]


@pytest.mark.parametrize("codec", ["ffv1", "exr"])
def test_where_a_file_cannot_carry_it_the_manifest_lies_beside(
    codec: str, studio: Studio, shot: Path, voice: Path
) -> None:
    take = studio.take(shot, voice, FIRST, STOP, deliver="baked", codec=codec)
    path = Path(take.path)
    seal = read_seal(path)
    assert (seal["manifest"], seal["state"], seal["problems"]) == (str(manifest_beside(path)), "Valid", [])
    victim = next(path.glob("*.exr")) if path.is_dir() else path
    data = bytearray(victim.read_bytes())
    data[-100] ^= 1
    victim.write_bytes(data)
    assert read_seal(path)["state"] == "Invalid"


def test_a_studio_signs_as_itself_or_not_at_all_and_the_sidecar_says_so(
    face_models: Path, tmp_path: Path
) -> None:
    chain, key = make_certificate()
    (tmp_path / "studio.pem").write_text(chain)
    (tmp_path / "studio.key").write_text(key)
    config = tmp_path / "home" / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    shot, voice = make_clip(tmp_path / "shot.mov"), make_voice(tmp_path / "voice.wav")
    with open_studio(tmp_path, face_models) as studio:
        names = f'certificate = "{tmp_path}/studio.pem"\nkey = "{tmp_path}/studio.key"\n'
        config.write_text(f"[provenance]\nembed = false\n{names}")
        take = studio.take(shot, voice, FIRST, STOP)
        assert read_seal(Path(take.path))["manifest"] == str(manifest_beside(Path(take.path)))
        assert not (config.parent / "provenance").exists()  # no key of ours was needed
        (tmp_path / "studio.key").unlink()
        unsigned = studio.finish(studio.submit(shot, voice, FIRST, STOP))
        assert "cannot be read" in studio.client.job_log(unsigned.job_id)[0].sentence
        config.write_text("[provenance]\nenabled = false\n")
        off = studio.take(shot, voice, FIRST, STOP)
        for one in (unsigned.takes[0], off):
            assert sidecar_of(one)["provenance"]["manifest"] is None
        assert sidecar_of(off)["provenance"]["switched_off"] is True


def test_our_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "provenance"
    first = load_credentials(ProvenanceConfig(), folder)
    assert load_credentials(ProvenanceConfig(), folder) == first
    file = folder / "certificate.pem"
    assert file.stat().st_mode & 0o077 == 0
    file.chmod(0o644)  # others may have read it
    assert load_credentials(ProvenanceConfig(), folder).key != first.key
